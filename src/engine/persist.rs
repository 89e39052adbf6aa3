//! The engine as a part of an image: what was counted and what is open, system by system.
//!
//! Entities and series keep their numbers, so links between them need no translation; every number is checked on the
//! way back. Which catalogs and rules an image belongs to is told beside it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::entities::{Entities, EntityId, EntityImage, SeriesRef};
use super::system::System;
use super::{Engine, Opener, Reason};
use crate::format::{self, Corrupt, Reader, ensure};

#[derive(Serialize, Deserialize)]
struct EngineHead {
    /// By the reason's name.
    rejected: Vec<(String, u64)>,
    times_ignored: u64,
    names: Vec<(std::net::IpAddr, String)>,
    systems: u32,
}

/// One system, readable to those alone that have its catalog.
#[derive(Serialize, Deserialize)]
struct Part<'a> {
    name: Cow<'a, str>,
    #[serde(with = "serde_bytes")]
    bytes: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct SystemHead<'a> {
    shown: bool,
    applied: Cow<'a, [u64]>,
    abandoned: Cow<'a, [u64]>,
    label_cuts: u64,
    /// Metric, labels before any transform, total.
    #[serde(borrow)]
    totals: Vec<(u16, Cow<'a, [u8]>, f64)>,
    entities: u32,
}

impl Engine {
    /// Appends everything that events have made.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let head = EngineHead {
            rejected: self.rejected().map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            times_ignored: self.times_ignored,
            names: self.names.known().map(|(ip, name)| (ip, name.to_owned())).collect(),
            systems: self.systems.len() as u32,
        };
        format::put(out, &head);
        for system in &self.systems {
            let mut part = Vec::new();
            system.save(&mut part);
            let name = Cow::Borrowed(system.catalog.name.as_str());
            format::put(out, &Part { name, bytes: &part });
        }
    }

    /// Takes the state of an image into an engine without state that was configured as the saved one was, but for systems whose
    /// catalog cannot be read any more: their parts are left out. `openers` says which sessions there are.
    pub(crate) fn restore(
        &mut self,
        image: &mut Reader<'_>,
        openers: impl Fn(Opener) -> bool,
    ) -> Result<(), Corrupt> {
        let head: EngineHead = image.take()?;
        for (name, count) in head.rejected {
            // A reason that this version does not know has no place.
            if let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.name() == name) {
                self.rejected[reason as usize] = count;
            }
        }
        self.times_ignored = head.times_ignored;
        for (ip, name) in head.names {
            self.names.learn(ip, &name);
        }
        let mut restored = 0;
        for _ in 0..head.systems {
            let part: Part<'_> = image.take()?;
            if let Some(system) = self.systems.iter_mut().find(|system| system.catalog.name == part.name) {
                let mut inner = Reader::new(part.bytes);
                system.restore(&mut inner, &openers)?;
                inner.end()?;
                restored += 1;
            }
        }
        ensure(restored == self.systems.len(), "a part for each catalog")
    }
}

impl System {
    fn save(&self, out: &mut Vec<u8>) {
        let head = SystemHead {
            shown: self.shown,
            applied: Cow::Borrowed(&self.applied),
            abandoned: Cow::Borrowed(&self.abandoned),
            label_cuts: self.label_cuts,
            totals: self.all_totals().collect(),
            entities: self.entities.count_all() as u32,
        };
        format::put(out, &head);
        for family in &self.families {
            family.save(out);
        }
        self.entities.save(out);
    }

    fn restore(&mut self, image: &mut Reader<'_>, openers: impl Fn(Opener) -> bool) -> Result<(), Corrupt> {
        let head: SystemHead<'_> = image.take()?;
        ensure(head.applied.len() == self.applied.len(), "as many events as the catalog has")?;
        ensure(head.abandoned.len() == self.abandoned.len(), "as many entities as the catalog has")?;
        self.shown = head.shown;
        self.applied = head.applied.into();
        self.abandoned = head.abandoned.into();
        self.label_cuts = head.label_cuts;
        for family in &mut self.families {
            family.restore(image)?;
        }
        let mut entities = Vec::new();
        for _ in 0..head.entities {
            let mut entity: EntityImage<'_> = image.take()?;
            ensure((entity.kind as usize) < self.catalog.entities.len(), "a kind of the catalog")?;
            let def = &self.catalog.entities[entity.kind as usize];
            ensure(entity.parents.len() == def.within.len(), "as many parents as the catalog says")?;
            let series = entity.counted.iter().chain(entity.owned.iter());
            ensure(series.copied().all(|series| self.has(series)), "series that are there")?;
            let metrics = entity.totals.iter().map(|total| total.metric as usize);
            ensure(metrics.into_iter().all(|metric| metric < self.families.len()), "metrics of the catalog")?;
            if !openers(entity.opener) {
                entity.opener = super::NOBODY;
            }
            entities.push(entity);
        }
        self.entities.restore(entities)?;
        for id in self.entities.all() {
            let kinds = &self.catalog.entities[self.entities.kind(id)].within;
            let parents = self.entities.parents(id).map(|parent| self.entities.kind(parent));
            ensure(parents.eq(kinds.iter().copied()), "parents of the kinds that the catalog says")?;
        }
        for (metric, labels, total) in head.totals {
            ensure((metric as usize) < self.families.len(), "a metric of the catalog")?;
            self.totals(metric).insert(labels.into(), total);
        }
        Ok(())
    }

    fn all_totals(&self) -> impl Iterator<Item = (u16, Cow<'_, [u8]>, f64)> {
        self.totals.iter().flat_map(|(metric, totals)| {
            totals.iter().map(|(labels, total)| (*metric, Cow::Borrowed(&**labels), *total))
        })
    }

    fn has(&self, series: SeriesRef) -> bool {
        self.families.get(series.metric as usize).is_some_and(|family| family.is_alive(series.slot))
    }
}

impl Entities {
    fn save(&self, out: &mut Vec<u8>) {
        for id in self.all() {
            format::put(out, &self.image(id));
        }
    }

    /// Opens all of an image's entities, first all of them, then the links between them.
    fn restore(&mut self, images: Vec<EntityImage<'_>>) -> Result<(), Corrupt> {
        let mut links: Vec<(EntityId, Cow<'_, [EntityId]>)> = Vec::new();
        for entity in images {
            let (id, parents) = (entity.id, entity.parents.clone());
            ensure(self.put(entity), "entities in rising order, each key once")?;
            links.push((id, parents));
        }
        for (id, parents) in links {
            ensure(
                parents.iter().all(|&parent| parent != id && self.is_open(parent)),
                "parents that are open",
            )?;
            self.link(id, &parents);
        }
        Ok(())
    }
}
