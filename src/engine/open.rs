//! Lists open entities, first those that have been open for longest.

use super::Engine;
use super::entities::{EntityId, EntityOwner};
use super::system::System;
use crate::faults::meant;

/// An open entity.
pub(crate) struct OpenEntity<'a> {
    pub(crate) system: &'a str,
    /// The name of its kind.
    pub(crate) entity: &'a str,
    /// The fields of its key, with their values.
    pub(crate) key: Vec<(&'a str, &'a [u8])>,
    /// Those of its labels that have a value.
    pub(crate) labels: Vec<(&'a str, &'a [u8])>,
    /// Unix seconds.
    pub(crate) opened: f64,
    pub(crate) owner: EntityOwner,
}

impl Engine {
    /// At most `max` entities of these systems and kinds; without names, of all. An unknown name
    /// is an error.
    pub(crate) fn open_entities(
        &self,
        systems: &[String],
        kinds: &[String],
        max: usize,
    ) -> Result<Vec<OpenEntity<'_>>, String> {
        let chosen = self.chosen(systems)?;
        let is_chosen = |name: &String| kinds.is_empty() || kinds.contains(name);
        let names = || chosen.iter().flat_map(|system| kind_names(system));
        if let Some(unknown) = kinds.iter().find(|kind| !names().any(|name| name == kind.as_str())) {
            let known: Vec<&str> = names().collect();
            let meant = meant(unknown, &known);
            return Err(format!("{unknown:?}: unknown entity, expected one of {}{meant}", known.join(", ")));
        }
        let mut found: Vec<(f64, usize, EntityId)> = Vec::new();
        for (index, system) in chosen.iter().enumerate() {
            let defs = &system.catalog.entities;
            let wanted: Vec<bool> =
                defs.iter().map(|def| !def.closes_when_empty && is_chosen(&def.name)).collect();
            let ids = system.entities.all().filter(|&id| wanted[system.entities.kind(id)]);
            found.extend(ids.map(|id| (system.entities.opened(id), index, id)));
        }
        let order = |a: &(f64, usize, EntityId), b: &(f64, usize, EntityId)| {
            a.0.total_cmp(&b.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
        };
        // Of a million, only those that are shown are sorted.
        if max < found.len() {
            found.select_nth_unstable_by(max, order);
            found.truncate(max);
        }
        found.sort_unstable_by(order);
        Ok(found.into_iter().map(|(_, index, id)| open_entity(chosen[index], id)).collect())
    }

    /// The systems with these names, or all of them.
    fn chosen(&self, names: &[String]) -> Result<Vec<&System>, String> {
        if let Some(unknown) = names.iter().find(|name| !self.system_names().any(|known| known == *name)) {
            let known: Vec<&str> = self.system_names().collect();
            let meant = meant(unknown, &known);
            return Err(format!("{unknown:?}: unknown system, expected one of {}{meant}", known.join(", ")));
        }
        let is_chosen = |system: &&System| names.is_empty() || names.contains(&system.catalog.name);
        Ok(self.systems.iter().filter(is_chosen).collect())
    }
}

/// The kinds that events open themselves; groups are left out.
fn kind_names(system: &System) -> impl Iterator<Item = &str> {
    let reported = system.catalog.entities.iter().filter(|def| !def.closes_when_empty);
    reported.map(|def| def.name.as_str())
}

fn open_entity(system: &System, id: EntityId) -> OpenEntity<'_> {
    let def = &system.catalog.entities[system.entities.kind(id)];
    let mut parts = system.entities.get(id).parts();
    let key = def.key.iter().map(String::as_str).zip(parts.by_ref()).collect();
    let labels = def.labels.iter().map(String::as_str).zip(parts).filter(|(_, value)| !value.is_empty());
    OpenEntity {
        system: &system.catalog.name,
        entity: &def.name,
        key,
        labels: labels.collect(),
        opened: system.entities.opened(id),
        owner: system.entities.owner(id),
    }
}
