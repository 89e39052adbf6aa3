//! Going on with other catalogs: what a changed catalog still describes is carried over, the rest is dropped by name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::entities::{Entity, PART_END, SeriesRef};
use super::system::System;
use super::{Engine, Rules};
use crate::catalog::Catalog;
use crate::catalog::model::{EntityDef, EntityIndex, MetricDef, MetricIndex, MetricKind};

/// What came of other catalogs.
#[derive(Default)]
pub(super) struct Adopted {
    /// What was dropped, for the log.
    pub(super) dropped: Vec<String>,
    /// Systems whose catalog has changed, with the metrics whose series were carried over.
    pub(super) changed: Vec<(usize, HashSet<MetricIndex>)>,
}

impl Engine {
    /// Puts `catalogs` in force.
    pub(super) fn adopt(&mut self, catalogs: &[Arc<Catalog>], rules: &Rules) -> Adopted {
        let Adopted { mut dropped, mut changed } = Adopted::default();
        let mut former = std::mem::take(&mut self.systems);
        for catalog in catalogs {
            let position = former.iter().position(|system| system.catalog.name == catalog.name);
            let mut system = match position.map(|position| former.swap_remove(position)) {
                None => System::new(Arc::clone(catalog), rules.series_max, &self.hasher),
                Some(mut same) if *same.catalog == **catalog => {
                    same.catalog = Arc::clone(catalog);
                    same
                }
                Some(former) => {
                    let mut system = System::new(Arc::clone(catalog), rules.series_max, &self.hasher);
                    let kept = system.take_over(former, &mut dropped);
                    changed.push((self.systems.len(), kept));
                    if system.shown {
                        system.show(&self.hasher);
                    }
                    system
                }
            };
            system.set_series_max(rules.series_max);
            self.systems.push(system);
        }
        dropped.extend(former.iter().filter(|system| system.shown).map(|system| {
            format!("{}: its catalog is gone, so are its {} series", system.catalog.name, system.series())
        }));
        Adopted { dropped, changed }
    }
}

impl System {
    /// Takes what still fits. Returns the metrics whose series were carried over.
    fn take_over(&mut self, mut former: System, dropped: &mut Vec<String>) -> HashSet<MetricIndex> {
        let (old, new) = (Arc::clone(&former.catalog), Arc::clone(&self.catalog));
        let kinds: Vec<Option<EntityIndex>> = same_kinds(&old, &new);
        for (kind, def) in old.entities.iter().enumerate() {
            if kinds[kind].is_none() && former.entities.count(kind) > 0 {
                let open = former.entities.count(kind);
                dropped.push(format!(
                    "{}: entity {} has changed, its {open} open ones are closed",
                    old.name, def.name
                ));
                former.entities.ids(kind).into_iter().for_each(|id| {
                    if former.entities.is_open(id) {
                        former.close(id);
                    }
                });
            }
        }
        former.settle();
        let metrics: Vec<Option<u16>> = old
            .metrics
            .iter()
            .map(|def| {
                new.metrics.iter().position(|other| {
                    let kind = match (&def.kind, &other.kind) {
                        (MetricKind::Live(a), MetricKind::Live(b)) => kinds[*a] == Some(*b),
                        (a, b) => a == b,
                    };
                    let owner = def.owner.map(|owner| kinds[owner]) == other.owner.map(Some);
                    kind && owner && other.name == def.name && other.labels == def.labels
                })
            })
            .map(|found| found.map(|metric| metric as u16))
            .collect();
        for (index, family) in former.families.drain(..).enumerate() {
            match metrics[index] {
                Some(metric) => self.families[metric as usize] = family,
                None if family.is_empty() => {}
                None => {
                    let def = &old.metrics[index];
                    dropped.push(format!(
                        "{}: metric {} has changed, its {} series are gone",
                        old.name,
                        def.name,
                        family.len()
                    ));
                }
            }
        }
        let moved = |series: SeriesRef| {
            metrics[series.metric as usize].map(|metric| SeriesRef { metric, slot: series.slot })
        };
        // The total of an entity goes on whatever labels its metric has now.
        let total = |metric: u16| {
            let def = &old.metrics[metric as usize];
            let owner = def.owner.and_then(|owner| kinds[owner]);
            let same = |other: &MetricDef| {
                other.name == def.name && other.kind == MetricKind::Counter && other.owner == owner
            };
            new.metrics.iter().position(same).map(|metric| metric as u16)
        };
        let retext = |kind: EntityIndex, entity: &Entity| {
            let (from, to) = (&old.entities[kind], &new.entities[kinds[kind]?]);
            (from.labels != to.labels).then(|| retext(entity, from, to))
        };
        self.entities = former.entities.remapped(new.depths(), &kinds, moved, total, retext);
        for (metric, totals) in former.totals {
            if let Some(metric) = metrics[metric as usize] {
                self.totals.insert(metric, totals);
            }
        }
        for (event, count) in new.events.iter().zip(&mut self.applied) {
            let position = old.events.iter().position(|other| other.name == event.name);
            *count = position.map_or(0, |position| former.applied[position]);
        }
        for (old, new) in kinds.iter().enumerate() {
            if let Some(new) = *new {
                self.abandoned[new] = former.abandoned[old];
            }
        }
        self.label_cuts = former.label_cuts;
        self.shown = former.shown;
        metrics.into_iter().flatten().map(MetricIndex::from).collect()
    }
}

/// The text of an entity that carries more labels than before: those that are new are empty.
fn retext(entity: &Entity, from: &EntityDef, to: &EntityDef) -> Box<[u8]> {
    let mut text = Vec::new();
    for name in to.key.iter().chain(&to.labels) {
        text.extend_from_slice(from.part(name).map_or(b"", |part| entity.part(part)));
        text.push(PART_END);
    }
    text.into()
}

/// For each old kind the one of the new catalog that has the same key and parents, and all the labels.
fn same_kinds(old: &Catalog, new: &Catalog) -> Vec<Option<EntityIndex>> {
    let depths = old.depths();
    let mut parents_first: Vec<EntityIndex> = (0..old.entities.len()).collect();
    parents_first.sort_by_key(|&kind| depths[kind]);
    let names: HashMap<&str, EntityIndex> =
        new.entities.iter().enumerate().map(|(kind, def)| (def.name.as_str(), kind)).collect();
    let mut same = vec![None; old.entities.len()];
    for kind in parents_first {
        let def = &old.entities[kind];
        let Some(&found) = names.get(def.name.as_str()) else { continue };
        let other = &new.entities[found];
        let parents = def.within.iter().map(|&parent| same[parent]).eq(other.within.iter().map(|&p| Some(p)));
        let labels = def.labels.iter().all(|label| other.labels.contains(label));
        same[kind] = (def.key == other.key && labels && parents).then_some(found);
    }
    same
}
