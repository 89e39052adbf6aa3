//! The state of one system: its open entities, the series of its metrics, and the totals that they follow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::Origin;
use super::entities::{Entities, EntityId, EntityOwner, SeriesRef};
use crate::budget::{Budget, Claim};
use crate::catalog::model::{Catalog, EntityIndex, MetricKind};
use crate::limits;
use crate::series::{Family, Shape};

#[derive(Debug)]
pub(super) struct System {
    pub(super) catalog: Arc<Catalog>,
    pub(super) entities: Entities,
    /// One for each metric of the catalog.
    pub(super) families: Vec<Family>,
    /// The latest values of running totals that belong to no entity, by metric and labels before any
    /// transform.
    pub(super) totals: BTreeMap<u16, HashMap<Box<[u8]>, f64, DefaultHashBuilder>>,
    /// For each event of the catalog, how often it was applied.
    pub(super) applied: Vec<u64>,
    /// For each kind of the catalog, how many entities were abandoned.
    pub(super) abandoned: Vec<u64>,
    /// How many labels were cut.
    pub(super) label_cuts: u64,
    /// When the latest event of a producer was applied: Unix seconds, 0: never.
    pub(super) last_event_at: f64,
    /// Whether its metrics are exposed: since the system was enabled by name, or its first event.
    pub(super) exposed: bool,
    /// The kinds of groups, which close when they are empty.
    groups: Vec<EntityIndex>,
    /// Groups that the current event has opened, or from which it has removed a member. They may be empty.
    pub(super) emptied: Vec<EntityId>,
    /// Closed entities that are still to be removed, the next one last.
    closing: Vec<EntityId>,
    /// `[limits] series_per_metric`.
    series_max: usize,
    /// What `totals` take of the budget.
    claim: Claim,
    hasher: DefaultHashBuilder,
}

/// Identifies a running total of a metric.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The entity that owns the series, and the labels that the catalog fixes.
    Owner(EntityId, &'a str),
    /// No entity owns the series: its labels before any transform.
    Labels(&'a [u8]),
}

/// The bytes of an unowned running total with these labels.
fn total_bytes(labels: &[u8]) -> usize {
    limits::TOTAL_BYTES + labels.len()
}

impl System {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        series_max: usize,
        hasher: &DefaultHashBuilder,
        budget: &Arc<Budget>,
    ) -> Self {
        let families = catalog.metrics.iter().map(|metric| {
            let shape = match &metric.kind {
                MetricKind::Counter | MetricKind::Gauge | MetricKind::Live(_) => Shape::Number,
                MetricKind::Histogram(bounds) => Shape::Histogram(bounds.clone()),
                MetricKind::Age => Shape::Age,
            };
            Family::new(shape, &metric.labels, series_max, hasher.clone(), budget)
        });
        System {
            families: families.collect(),
            entities: Entities::new(catalog.depths(), hasher.clone(), budget),
            totals: BTreeMap::new(),
            applied: vec![0; catalog.events.len()],
            abandoned: vec![0; catalog.entities.len()],
            label_cuts: 0,
            last_event_at: 0.0,
            exposed: false,
            groups: (0..catalog.entities.len())
                .filter(|&kind| catalog.entities[kind].closes_when_empty)
                .collect(),
            emptied: Vec::new(),
            closing: Vec::new(),
            series_max,
            claim: Claim::new(budget),
            hasher: hasher.clone(),
            catalog,
        }
    }

    /// Counts an event that was applied, and the labels that it has cut. `arrived` is Unix seconds.
    pub(super) fn note_applied(&mut self, event: usize, origin: Origin, arrived: f64, cuts: u64) {
        self.applied[event] += 1;
        self.label_cuts += cuts;
        if origin == Origin::Producer {
            self.last_event_at = arrived;
        }
    }

    /// Limits the series and the unowned totals of each metric. Those that exist stay.
    pub(super) fn set_series_max(&mut self, series_max: usize) {
        self.series_max = series_max;
        self.families.iter_mut().for_each(|family| family.set_series_max(series_max));
    }

    /// Stores a running total and returns by how much it has grown. A total below the former one means that
    /// its source has restarted from 0. Returns `None` if the metric has too many totals to store another.
    pub(super) fn growth(&mut self, metric: u16, source: Source<'_>, total: f64) -> Option<f64> {
        let last = match source {
            Source::Owner(owner, fixed) => self.entities.replace_total(owner, metric, fixed, total),
            Source::Labels(labels) => {
                let totals = self.totals.get(&metric);
                let is_full = totals.is_some_and(|totals| totals.len() >= self.series_max)
                    || !self.claim.budget().has_room(total_bytes(labels));
                if is_full && !totals.is_some_and(|totals| totals.contains_key(labels)) {
                    self.families[metric as usize].count_overflow();
                    return None;
                }
                self.insert_total(metric, labels, total)
            }
        };
        let last = last.unwrap_or(0.0);
        Some(if total >= last { total - last } else { total })
    }

    /// Stores an unowned running total. Returns the former one.
    pub(super) fn insert_total(&mut self, metric: u16, labels: &[u8], total: f64) -> Option<f64> {
        let totals = self.totals.entry(metric);
        let totals = totals.or_insert_with(|| HashMap::with_hasher(self.hasher.clone()));
        let former = totals.insert(labels.into(), total);
        if former.is_none() {
            self.claim.take(total_bytes(labels));
        }
        former
    }

    /// Forgets an unowned running total.
    pub(super) fn forget_total(&mut self, metric: u16, labels: &[u8]) {
        if self.totals.get_mut(&metric).and_then(|totals| totals.remove(labels)).is_some() {
            self.claim.give_back(total_bytes(labels));
        }
    }

    /// Exposes the system's metrics. Those without labels begin at 0, unless the catalog says otherwise.
    pub(super) fn expose(&mut self, hasher: &DefaultHashBuilder) {
        use std::hash::BuildHasher;
        self.exposed = true;
        let hash = hasher.hash_one([0_u8; 0].as_slice());
        for (metric, family) in self.catalog.metrics.iter().zip(&mut self.families) {
            if metric.labels.is_empty() && metric.kind != MetricKind::Age && metric.zero {
                family.get_or_insert(b"", hash);
            }
        }
    }

    /// Closes all entities and forgets all series.
    pub(super) fn reset(&mut self, hasher: &DefaultHashBuilder) {
        self.entities.clear();
        self.emptied.clear();
        self.closing.clear();
        self.totals.clear();
        self.claim.give_all_back();
        self.forget_series(hasher);
    }

    /// Forgets all series. The caller sets the gauges of open entities again. Totals stay, so that what they
    /// have already counted is not counted twice.
    pub(super) fn forget_series(&mut self, hasher: &DefaultHashBuilder) {
        self.entities.forget_series();
        self.families.iter_mut().for_each(Family::clear);
        self.expose(hasher);
    }

    /// Ends an entity's ownership of a series, if it owns it.
    pub(super) fn disown(&mut self, owner: EntityId, series: SeriesRef) {
        if self.entities.disown(owner, series) {
            self.families[series.metric as usize].disown(series.slot);
        }
    }

    /// Whether abandoning these owners, which are sorted, abandons the entity.
    pub(super) fn is_abandoned_with(&self, id: EntityId, owners: &[EntityOwner]) -> bool {
        owners.binary_search(&self.entities.owner(id)).is_ok()
            && self.catalog.entities[self.entities.kind(id)].owned
    }

    /// Closes an entity and its descendants, children first. The caller calls [`Self::close_emptied`]
    /// afterwards. If there are many, they are closed at once for whoever looks, and [`Self::close_piece`] has the
    /// rest of the work to do.
    pub(super) fn close(&mut self, id: EntityId) {
        if !self.entities.has_children(id) {
            return self.close_one(id);
        }
        let mut descendants = self.entities.with_descendants(id);
        // What is being removed may be among them, and goes before its other parents.
        if descendants.len() <= limits::CLOSE_PIECE && self.closing.is_empty() {
            return descendants.into_iter().for_each(|id| self.close_one(id));
        }
        // Some may be within another that the event has closed.
        descendants.retain(|&id| self.entities.is_open(id));
        for &id in &descendants {
            let (counted_by, owned) = self.entities.leave(id);
            self.leave_series(&counted_by, &owned);
        }
        if self.closing.is_empty() {
            self.entities.keep_ids();
        }
        descendants.reverse();
        descendants.append(&mut self.closing);
        self.closing = descendants;
    }

    /// Whether [`Self::close_piece`] has something to do.
    pub(super) fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Removes some of the entities that have closed.
    pub(super) fn close_piece(&mut self) {
        let piece = self.closing.len().min(limits::CLOSE_PIECE);
        for id in self.closing.split_off(self.closing.len() - piece).into_iter().rev() {
            self.close_one(id);
        }
        if self.closing.is_empty() {
            self.entities.use_ids();
            self.close_emptied();
        }
    }

    fn leave_series(&mut self, counted_by: &[SeriesRef], owned: &[SeriesRef]) {
        for series in counted_by {
            self.families[series.metric as usize].add(series.slot, -1.0);
        }
        for series in owned {
            self.families[series.metric as usize].disown(series.slot);
        }
    }

    fn close_one(&mut self, id: EntityId) {
        let parents: SmallVec<[EntityId; 2]> = self.entities.parents(id).collect();
        let left = self.entities.close(id);
        self.leave_series(&left.counted_by, &left.extra().owned);
        for parent in parents.into_iter().filter(|&parent| self.entities.is_open(parent)) {
            if self.catalog.entities[self.entities.kind(parent)].closes_when_empty {
                self.emptied.push(parent);
            }
        }
    }

    /// Ends an event: closes the groups that it has left empty, and frees the ids of what it has closed.
    pub(super) fn close_emptied(&mut self) {
        while let Some(id) = self.emptied.pop() {
            if self.entities.is_open(id) && !self.entities.has_children(id) {
                self.close_one(id);
            }
        }
        self.entities.release();
    }

    /// Closes the groups whose members were dropped on the way from another catalog.
    pub(super) fn close_empty_groups(&mut self) {
        let groups = self.groups.iter().flat_map(|&kind| self.entities.ids(kind));
        self.emptied = groups.collect();
        self.close_emptied();
    }

    /// The number of open entities except groups: groups open and close with their members.
    pub(super) fn reported(&self) -> usize {
        let groups: usize = self.groups.iter().map(|&kind| self.entities.count(kind)).sum();
        self.entities.count_all() - groups
    }

    pub(super) fn series(&self) -> usize {
        self.families.iter().map(Family::len).sum()
    }
}
