//! The state of one system: its open entities, the series of its metrics and the totals that they follow. Changes come from `apply`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::entities::{Entities, EntityId, EntityOwner, SeriesRef};
use crate::catalog::model::{Catalog, EntityIndex, MetricKind};
use crate::series::{Family, Shape};

#[derive(Debug)]
pub(super) struct System {
    pub(super) catalog: Arc<Catalog>,
    pub(super) entities: Entities,
    /// One for each metric of the catalog.
    pub(super) families: Vec<Family>,
    /// Running totals of metrics that no entity owns, by metric and labels before any transform.
    pub(super) totals: BTreeMap<u16, HashMap<Box<[u8]>, f64, DefaultHashBuilder>>,
    /// Events applied, for each event of the catalog.
    pub(super) applied: Vec<u64>,
    /// Entities abandoned by their producer, for each kind of the catalog.
    pub(super) abandoned: Vec<u64>,
    /// Labels that were cut.
    pub(super) label_cuts: u64,
    /// Whether its metrics are shown.
    pub(super) exposed: bool,
    /// The kinds that close when they are empty.
    groups: Vec<EntityIndex>,
    /// Such entities in which the event that is being applied has left nothing, or not yet put anything.
    pub(super) emptied: Vec<EntityId>,
    /// `[limits] series_per_metric`.
    series_max: usize,
    hasher: DefaultHashBuilder,
}

/// What tells one running total of a metric from another.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The entity that owns the series, and the labels that the catalog fixes.
    Owner(EntityId, &'a str),
    /// The labels before any transform, where no entity does.
    Labels(&'a [u8]),
}

impl System {
    pub(super) fn new(catalog: Arc<Catalog>, series_max: usize, hasher: &DefaultHashBuilder) -> Self {
        let families = catalog.metrics.iter().map(|metric| {
            let shape = match &metric.kind {
                MetricKind::Counter | MetricKind::Gauge | MetricKind::Live(_) => Shape::Number,
                MetricKind::Histogram(bounds) => Shape::Histogram(bounds.clone()),
                MetricKind::Age => Shape::Age,
            };
            Family::new(shape, &metric.labels, series_max, hasher.clone())
        });
        System {
            families: families.collect(),
            entities: Entities::new(catalog.depths(), hasher.clone()),
            totals: BTreeMap::new(),
            applied: vec![0; catalog.events.len()],
            abandoned: vec![0; catalog.entities.len()],
            label_cuts: 0,
            exposed: false,
            groups: (0..catalog.entities.len())
                .filter(|&kind| catalog.entities[kind].closes_when_empty)
                .collect(),
            emptied: Vec::new(),
            series_max,
            hasher: hasher.clone(),
            catalog,
        }
    }

    /// Changes how many series, and sources of totals, a metric may have. Those that are there stay.
    pub(super) fn set_series_max(&mut self, series_max: usize) {
        self.series_max = series_max;
        self.families.iter_mut().for_each(|family| family.set_series_max(series_max));
    }

    /// By how much a running total has grown since it was last heard of. A smaller total than before means that its source began
    /// anew at 0. `None`: there are too many sources to know.
    pub(super) fn growth(&mut self, metric: u16, source: Source<'_>, total: f64) -> Option<f64> {
        let last = match source {
            Source::Owner(owner, fixed) => self.entities.replace_total(owner, metric, fixed, total),
            Source::Labels(labels) => {
                let series_max = self.series_max;
                let totals = self.totals(metric);
                if totals.len() >= series_max && !totals.contains_key(labels) {
                    self.families[metric as usize].count_overflow();
                    return None;
                }
                totals.insert(labels.into(), total)
            }
        };
        let last = last.unwrap_or(0.0);
        Some(if total >= last { total - last } else { total })
    }

    /// The running totals of a metric that no entity owns.
    pub(super) fn totals(&mut self, metric: u16) -> &mut HashMap<Box<[u8]>, f64, DefaultHashBuilder> {
        self.totals.entry(metric).or_insert_with(|| HashMap::with_hasher(self.hasher.clone()))
    }

    /// A running total without an owner is heard of no more.
    pub(super) fn forget_total(&mut self, metric: u16, labels: &[u8]) {
        if let Some(totals) = self.totals.get_mut(&metric) {
            totals.remove(labels);
        }
    }

    /// Shows the system: metrics without labels exist from here on.
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

    /// All entities are closed and all series forgotten.
    pub(super) fn reset(&mut self, hasher: &DefaultHashBuilder) {
        self.entities.clear();
        self.emptied.clear();
        self.totals.clear();
        self.forget_series(hasher);
    }

    /// All series are forgotten. The gauges of what is still open have to be filled again. Totals stay: what has been counted of
    /// them is not counted again.
    pub(super) fn forget_series(&mut self, hasher: &DefaultHashBuilder) {
        self.entities.forget_series();
        self.families.iter_mut().for_each(Family::clear);
        self.expose(hasher);
    }

    /// An entity owns a series no longer, if it did.
    pub(super) fn disown(&mut self, owner: EntityId, series: SeriesRef) {
        if self.entities.disown(owner, series) {
            self.families[series.metric as usize].disown(series.slot);
        }
    }

    /// Whether an entity is abandoned with what these have opened.
    pub(super) fn is_abandoned_with(&self, id: EntityId, owners: &[EntityOwner]) -> bool {
        owners.contains(&self.entities.owner(id)) && self.catalog.entities[self.entities.kind(id)].owned
    }

    /// Closes an entity and all within it, children first. [`Self::close_emptied`] follows.
    pub(super) fn close(&mut self, id: EntityId) {
        if self.entities.has_children(id) {
            self.entities.with_descendants(id).into_iter().for_each(|id| self.close_one(id));
        } else {
            self.close_one(id);
        }
    }

    fn close_one(&mut self, id: EntityId) {
        let parents: SmallVec<[EntityId; 2]> = self.entities.parents(id).collect();
        let left = self.entities.close(id);
        for series in &left.counted_by {
            self.families[series.metric as usize].add(series.slot, -1.0);
        }
        for series in &left.extra().owned {
            self.families[series.metric as usize].disown(series.slot);
        }
        for parent in parents {
            if self.catalog.entities[self.entities.kind(parent)].closes_when_empty {
                self.emptied.push(parent);
            }
        }
    }

    /// The end of an event: what holds others together closes if nothing is left in it, and the places of what was closed
    /// are free.
    pub(super) fn close_emptied(&mut self) {
        while let Some(id) = self.emptied.pop() {
            if self.entities.is_open(id) && !self.entities.has_children(id) {
                self.close_one(id);
            }
        }
        self.entities.release();
    }

    /// Open entities that producers have reported; those that close when they are empty only hold others together.
    pub(super) fn reported(&self) -> usize {
        let held: usize = self.groups.iter().map(|&kind| self.entities.count(kind)).sum();
        self.entities.count_all() - held
    }

    /// How many series there are.
    pub(super) fn series(&self) -> usize {
        self.families.iter().map(Family::len).sum()
    }
}
