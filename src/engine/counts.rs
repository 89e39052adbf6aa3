//! Counts the open entities of each kind and finds the one that has been open for longest.

use super::Engine;
use super::system::System;
use crate::catalog::Catalog;

pub(crate) struct SystemCounts<'a> {
    pub(crate) catalog: &'a Catalog,
    /// The kinds that events open themselves; groups are left out.
    pub(crate) kinds: Vec<EntityCount<'a>>,
}

pub(crate) struct EntityCount<'a> {
    /// The name of the kind.
    pub(crate) entity: &'a str,
    pub(crate) open: usize,
    /// How many were abandoned since the counts began.
    pub(crate) abandoned: u64,
    pub(crate) oldest: Option<Oldest<'a>>,
}

/// The entity of its kind that has been open for longest.
pub(crate) struct Oldest<'a> {
    pub(crate) age_seconds: f64,
    /// The fields of its key, with their values.
    pub(crate) key: Vec<(&'a str, &'a [u8])>,
}

impl Engine {
    /// Counts the entities of each exposed system. `now` is Unix seconds.
    pub(crate) fn counts(&self, now: f64) -> Vec<SystemCounts<'_>> {
        let counts = self
            .exposed_systems()
            .map(|system| SystemCounts { catalog: &system.catalog, kinds: kinds(system, now) });
        counts.collect()
    }
}

fn kinds(system: &System, now: f64) -> Vec<EntityCount<'_>> {
    let (defs, entities) = (&system.catalog.entities, &system.entities);
    let oldest = entities.oldest();
    // Groups open and close with their members; no event reports them.
    let reported = defs.iter().enumerate().filter(|(_, def)| !def.closes_when_empty);
    let counts = reported.map(|(kind, def)| EntityCount {
        entity: &def.name,
        open: entities.count(kind),
        abandoned: system.abandoned[kind],
        oldest: oldest[kind].map(|id| Oldest {
            age_seconds: (now - entities.opened(id)).max(0.0),
            key: def.key.iter().map(String::as_str).zip(entities.get(id).parts()).collect(),
        }),
    });
    counts.collect()
}
