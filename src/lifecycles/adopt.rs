//! Going on with other catalogs: what a changed catalog still describes is carried over, the rest is dropped by name.

use std::sync::Arc;

use super::entities::SeriesRef;
use super::system::System;
use super::{Engine, Rules};
use crate::catalog::Catalog;
use crate::catalog::model::{EntityIndex, MetricKind};

impl Engine {
    /// Puts `catalogs` in force. Returns what was dropped, for the log.
    pub(super) fn adopt(&mut self, catalogs: &[Arc<Catalog>], rules: &Rules) -> Vec<String> {
        let mut dropped = Vec::new();
        let mut former = std::mem::take(&mut self.systems);
        for catalog in catalogs {
            let position = former.iter().position(|system| system.catalog.name == catalog.name);
            let mut system = match position.map(|position| former.swap_remove(position)) {
                None => System::new(Arc::clone(catalog), rules.series_max, &self.hasher),
                Some(mut same) if *same.catalog == **catalog => {
                    same.catalog = Arc::clone(catalog);
                    same
                }
                Some(changed) => {
                    let mut system = System::new(Arc::clone(catalog), rules.series_max, &self.hasher);
                    system.take_over(changed, &mut dropped);
                    if system.shown {
                        system.show(&self.hasher);
                    }
                    system
                }
            };
            system.families.iter_mut().for_each(|family| family.set_series_max(rules.series_max));
            self.systems.push(system);
        }
        dropped.extend(former.iter().filter(|system| system.shown).map(|system| {
            format!("{}: its catalog is gone, so are its {} series", system.catalog.name, system.series())
        }));
        dropped
    }
}

impl System {
    fn take_over(&mut self, mut former: System, dropped: &mut Vec<String>) {
        let (old, new) = (Arc::clone(&former.catalog), Arc::clone(&self.catalog));
        let kinds: Vec<Option<EntityIndex>> =
            (0..old.entities.len()).map(|kind| same_kind(&old, kind, &new)).collect();
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
        former.entities.release();
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
        self.entities = former.entities.remapped(new.entities.len(), &kinds, moved);
        self.totals
            .extend(former.totals.into_iter().filter_map(|(series, last)| Some((moved(series)?, last))));
        for (event, count) in new.events.iter().zip(&mut self.applied) {
            let position = old.events.iter().position(|other| other.name == event.name);
            *count = position.map_or(0, |position| former.applied[position]);
        }
        for (old, new) in kinds.iter().enumerate() {
            if let Some(new) = *new {
                self.abandoned[new] = former.abandoned[old];
            }
        }
        self.shown = former.shown;
    }
}

/// The kind in the new catalog that holds the same key, labels and parents.
fn same_kind(old: &Catalog, kind: EntityIndex, new: &Catalog) -> Option<EntityIndex> {
    let def = &old.entities[kind];
    let found = new.entities.iter().position(|other| other.name == def.name)?;
    let other = &new.entities[found];
    let parents = def
        .within
        .iter()
        .map(|&parent| same_kind(old, parent, new))
        .eq(other.within.iter().map(|&p| Some(p)));
    (def.key == other.key && def.labels == other.labels && parents).then_some(found)
}
