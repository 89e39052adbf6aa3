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
    /// How long the oldest has been open.
    pub(crate) oldest_age_seconds: Option<f64>,
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
        oldest_age_seconds: oldest[kind].map(|id| (now - entities.opened(id)).max(0.0)),
    });
    counts.collect()
}
