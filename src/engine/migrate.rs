//! Matches the kinds and metrics of former state with those of a catalog, by name. Those that the catalog
//! describes in the same way keep their state; the rest is dropped and reported. Used when a catalog changes
//! and when state is read from disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::entities::{Entity, PART_END, SeriesRef};
use super::persist::{kinds_of, metrics_of};
use super::system::System;
use super::{Engine, EngineSettings};
use crate::catalog::Catalog;
use crate::catalog::model::{EntityDef, EntityIndex, MetricIndex, MetricKind};
use crate::format::v1;

/// The indices of former kinds and metrics in a catalog; `None` if it does not describe them in the same way.
pub(super) struct Mapping {
    /// Kinds with the same key and parents, and all the former labels.
    pub(super) kinds: Vec<Option<EntityIndex>>,
    /// Metrics of the same kind with the same labels and owner.
    pub(super) metrics: Vec<Option<u16>>,
    /// Metrics that keep their running totals. Their labels may differ.
    pub(super) totals: Vec<Option<u16>>,
}

impl Mapping {
    pub(super) fn new(kinds: &[v1::Kind<'_>], metrics: &[v1::Metric<'_>], catalog: &Catalog) -> Self {
        let kinds = same_kinds(kinds, &catalog.entities);
        let kind = |kind: u32| kinds.get(kind as usize).copied().flatten();
        let find = |same: &dyn Fn(&crate::catalog::model::MetricDef) -> bool| {
            catalog.metrics.iter().position(same).map(|metric| metric as u16)
        };
        let same_metric = metrics.iter().map(|former| {
            let owner = former.owner.map(kind);
            find(&|def| {
                let same_kind = match (&former.kind, &def.kind) {
                    (v1::MetricKind::Counter, MetricKind::Counter)
                    | (v1::MetricKind::Gauge, MetricKind::Gauge)
                    | (v1::MetricKind::Age, MetricKind::Age) => true,
                    (v1::MetricKind::Live(former), MetricKind::Live(counted)) => {
                        kind(*former) == Some(*counted)
                    }
                    (v1::MetricKind::Histogram(former), MetricKind::Histogram(bounds)) => former == bounds,
                    _ => false,
                };
                same_kind
                    && owner == def.owner.map(Some)
                    && former.name == def.name
                    && former.labels == def.labels
            })
        });
        let same_total = metrics.iter().map(|former| {
            let owner = former.owner.and_then(kind);
            find(&|def| def.name == former.name && def.kind == MetricKind::Counter && def.owner == owner)
        });
        let (metrics, totals) = (same_metric.collect(), same_total.collect());
        Mapping { kinds, metrics, totals }
    }

    /// The reference to a series of a metric that is kept.
    pub(super) fn series(&self, former: SeriesRef) -> Option<SeriesRef> {
        let metric = self.metrics.get(former.metric as usize).copied().flatten()?;
        Some(SeriesRef { metric, slot: former.slot })
    }
}

/// For each former kind, the kind with the same name, key and parents, and all its labels.
fn same_kinds(former: &[v1::Kind<'_>], defs: &[EntityDef]) -> Vec<Option<EntityIndex>> {
    let names: HashMap<&str, EntityIndex> =
        defs.iter().enumerate().map(|(kind, def)| (def.name.as_str(), kind)).collect();
    let mut same = vec![None; former.len()];
    // Each pass finds the kinds whose parents an earlier one has found. Kinds in a circle are never found.
    loop {
        let before = same.iter().flatten().count();
        for (index, kind) in former.iter().enumerate() {
            let Some(&found) = names.get(kind.name) else { continue };
            let def = &defs[found];
            let parents = kind.within.iter().map(|&parent| same.get(parent as usize).copied().flatten());
            let has_labels = kind.labels.iter().all(|label| def.labels.iter().any(|other| other == label));
            if kind.key == def.key && has_labels && parents.eq(def.within.iter().map(|&parent| Some(parent)))
            {
                same[index] = Some(found);
            }
        }
        if same.iter().flatten().count() == before {
            return same;
        }
    }
}

/// The text of an entity whose kind has more labels than before, or another order of them. New labels are
/// empty.
pub(super) fn migrated_text(entity: &Entity, from: &v1::Kind<'_>, to: &EntityDef) -> Box<[u8]> {
    let mut text = Vec::new();
    for name in to.key.iter().chain(&to.labels) {
        let part = from.key.iter().chain(&from.labels).position(|former| former == name);
        text.extend_from_slice(part.and_then(|part| entity.parts().nth(part)).unwrap_or_default());
        text.push(PART_END);
    }
    text.into()
}

/// What a change of catalogs has changed.
#[derive(Default)]
pub(super) struct Migrated {
    /// What was dropped, as messages for the log.
    pub(super) dropped: Vec<String>,
    /// The systems whose catalog has changed, with the metrics whose series are kept.
    pub(super) changed: Vec<(usize, HashSet<MetricIndex>)>,
}

impl Engine {
    /// Replaces the catalogs and keeps the state that fits.
    pub(super) fn migrate(&mut self, catalogs: &[Arc<Catalog>], settings: &EngineSettings) -> Migrated {
        let Migrated { mut dropped, mut changed } = Migrated::default();
        let mut former = std::mem::take(&mut self.systems);
        for catalog in catalogs {
            let position = former.iter().position(|system| system.catalog.name == catalog.name);
            let mut system = match position.map(|position| former.swap_remove(position)) {
                None => self.new_system(catalog, settings),
                Some(mut same) if *same.catalog == **catalog => {
                    same.catalog = Arc::clone(catalog);
                    same
                }
                Some(former) => {
                    let mut system = self.new_system(catalog, settings);
                    let kept = system.migrate_from(former, &mut dropped);
                    changed.push((self.systems.len(), kept));
                    if system.exposed {
                        system.expose(&self.hasher);
                    }
                    system
                }
            };
            system.set_series_max(settings.series_max);
            self.systems.push(system);
        }
        dropped.extend(former.iter().filter(|system| system.exposed).map(|system| {
            format!(
                "{}: the catalog was removed, and its {} series are dropped",
                system.catalog.name,
                system.series()
            )
        }));
        Migrated { dropped, changed }
    }

    fn new_system(&self, catalog: &Arc<Catalog>, settings: &EngineSettings) -> System {
        System::new(Arc::clone(catalog), settings.series_max, &self.hasher, &self.budget)
    }
}

impl System {
    /// Takes the state that still fits. Returns the metrics whose series are kept.
    fn migrate_from(&mut self, mut former: System, dropped: &mut Vec<String>) -> HashSet<MetricIndex> {
        let (old, new) = (Arc::clone(&former.catalog), Arc::clone(&self.catalog));
        let (kinds, metrics) = (kinds_of(&old), metrics_of(&old));
        let mapping = Mapping::new(&kinds, &metrics, &new);
        for (kind, written) in kinds.iter().enumerate() {
            let open = former.entities.count(kind);
            if mapping.kinds[kind].is_none() && open > 0 {
                let name = written.name;
                dropped.push(format!(
                    "{}: entity {name} has changed; its {open} open entities are closed",
                    old.name
                ));
                for id in former.entities.ids(kind) {
                    if former.entities.is_open(id) {
                        former.close(id);
                    }
                    while former.is_closing() {
                        former.close_piece();
                    }
                }
            }
        }
        former.close_emptied();
        for (index, family) in former.families.drain(..).enumerate() {
            match mapping.metrics[index] {
                Some(metric) => self.families[metric as usize] = family,
                None if family.is_empty() => {}
                None => {
                    let (name, series) = (metrics[index].name, family.len());
                    dropped.push(format!(
                        "{}: metric {name} has changed; its {series} series are dropped",
                        old.name
                    ));
                }
            }
        }
        let migrated_text = |kind: EntityIndex, entity: &Entity| {
            let def = &new.entities[mapping.kinds[kind]?];
            (kinds[kind].labels != def.labels).then(|| migrated_text(entity, &kinds[kind], def))
        };
        self.entities = former.entities.migrate(new.depths(), &mapping, migrated_text);
        for (metric, totals) in former.totals {
            if let Some(metric) = mapping.metrics[metric as usize] {
                for (labels, total) in totals {
                    self.insert_total(metric, &labels, total);
                }
            }
        }
        for (event, count) in new.events.iter().zip(&mut self.applied) {
            let position = old.events.iter().position(|other| other.name == event.name);
            *count = position.map_or(0, |position| former.applied[position]);
        }
        for (old, new) in mapping.kinds.iter().enumerate() {
            if let Some(new) = *new {
                self.abandoned[new] = former.abandoned[old];
            }
        }
        self.label_cuts = former.label_cuts;
        self.last_event_at = former.last_event_at;
        self.exposed = former.exposed;
        mapping.metrics.into_iter().flatten().map(MetricIndex::from).collect()
    }
}
