//! How many entities are open, and which of each kind has been open for longest.

use super::Engine;
use super::system::System;
use crate::catalog::Catalog;

/// The entities of a system.
pub(crate) struct SystemCounts<'a> {
    /// Its catalog.
    pub(crate) catalog: &'a Catalog,
    /// One for each kind of the catalog that producers report.
    pub(crate) kinds: Vec<EntityCount<'a>>,
}

/// The entities of a kind.
pub(crate) struct EntityCount<'a> {
    /// The kind's name.
    pub(crate) entity: &'a str,
    /// How many are open.
    pub(crate) open: usize,
    /// How many were ever abandoned.
    pub(crate) abandoned: u64,
    /// The one that was opened first.
    pub(crate) oldest: Option<Oldest<'a>>,
}

/// An entity that has been open for longer than all others of its kind.
pub(crate) struct Oldest<'a> {
    /// Seconds since it was opened.
    pub(crate) age_seconds: f64,
    /// The fields of its key with their values.
    pub(crate) key: Vec<(&'a str, &'a [u8])>,
}

impl Engine {
    /// Of the systems shown. `now` is Unix seconds.
    pub(crate) fn counts(&self, now: f64) -> Vec<SystemCounts<'_>> {
        let exposed = self.systems.iter().filter(|system| system.exposed);
        exposed.map(|system| SystemCounts { catalog: &system.catalog, kinds: kinds(system, now) }).collect()
    }
}

fn kinds(system: &System, now: f64) -> Vec<EntityCount<'_>> {
    let (defs, entities) = (&system.catalog.entities, &system.entities);
    let oldest = entities.oldest();
    // What closes by itself was opened by nobody's word: it only holds others together.
    let told = defs.iter().enumerate().filter(|(_, def)| !def.closes_when_empty);
    let counts = told.map(|(kind, def)| EntityCount {
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
