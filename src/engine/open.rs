//! Lists open entities, first those that have been open for longest.

use std::cmp::Ordering;

use super::Engine;
use super::entities::{EntityId, EntityOwner};
use super::system::System;
use crate::faults::unknown;

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
        if let Some(kind) = kinds.iter().find(|kind| !names().any(|name| name == kind.as_str())) {
            return Err(format!("{kind:?}: {}", unknown("entity", kind, &names().collect::<Vec<_>>())));
        }
        let mut oldest = Oldest::new(max);
        for (index, system) in chosen.iter().enumerate() {
            let defs = &system.catalog.entities;
            let wanted: Vec<bool> =
                defs.iter().map(|def| !def.closes_when_empty && is_chosen(&def.name)).collect();
            for id in system.entities.all().filter(|&id| wanted[system.entities.kind(id)]) {
                oldest.offer((system.entities.opened(id), index, id));
            }
        }
        Ok(oldest.sorted().into_iter().map(|(_, index, id)| open_entity(chosen[index], id)).collect())
    }

    /// The systems with these names, or all of them.
    fn chosen(&self, names: &[String]) -> Result<Vec<&System>, String> {
        let known: Vec<&str> = self.system_names().collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("{name:?}: {}", unknown("system", name, &known)));
        }
        let is_chosen = |system: &&System| names.is_empty() || names.contains(&system.catalog.name);
        Ok(self.systems.iter().filter(is_chosen).collect())
    }
}

/// When an entity was opened, the place of its system, and its id.
type Candidate = (f64, usize, EntityId);

fn order(a: &Candidate, b: &Candidate) -> Ordering {
    a.0.total_cmp(&b.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
}

/// Chooses the oldest of many candidates. It keeps at most twice as many as are wanted, so a million cost one
/// comparison each and no memory.
struct Oldest {
    max: usize,
    found: Vec<Candidate>,
    /// Nothing that was opened later is wanted.
    latest: f64,
}

impl Oldest {
    fn new(max: usize) -> Self {
        Oldest { max, found: Vec::new(), latest: f64::INFINITY }
    }

    fn offer(&mut self, candidate: Candidate) {
        if candidate.0 > self.latest {
            return;
        }
        self.found.push(candidate);
        if self.found.len() > 2 * self.max {
            self.choose();
        }
    }

    fn choose(&mut self) {
        if self.found.len() > self.max {
            let (_, first_left_out, _) = self.found.select_nth_unstable_by(self.max, order);
            self.latest = first_left_out.0;
            self.found.truncate(self.max);
        }
    }

    fn sorted(mut self) -> Vec<Candidate> {
        self.choose();
        self.found.sort_unstable_by(order);
        self.found
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
