//! Converts the engine to and from the format on disk, system by system. Everything is stored by name.

use std::borrow::Cow;

use super::entities::{EntityOwner, PART_END, SeriesRef, UNOWNED};
use super::migrate::{Mapping, migrated_text};
use super::system::System;
use super::{Engine, EngineSettings};
use crate::catalog::model::{Catalog, MetricIndex, MetricKind};
use crate::config::Settings;
use crate::format::{self, Corrupt, Reader, ensure, v1};
use crate::limits;
use crate::protocol::rejection::Reason;
use crate::series::Family;

impl EngineSettings {
    /// Converts the settings to version 1.
    pub(crate) fn to_v1(&self) -> Vec<v1::Setting<'_>> {
        let one = |key, value: String| v1::Setting { key, value: Cow::Owned(value) };
        let mut settings = vec![
            one("limits.series_per_metric", self.series_max.to_string()),
            one("limits.entities", self.entities_max.to_string()),
            one("limits.memory", self.memory_max.to_string()),
            one("privacy.deidentify", self.privacy.deidentify.to_string()),
            one("privacy.numeric", self.privacy.numeric.to_string()),
            one("privacy.quiet", self.privacy.quiet.to_string()),
            one("stats.aliases", self.aliases.to_string()),
            one("events.max_line", self.line_max.to_string()),
            one("systems.restart_resets", self.restart_resets.to_string()),
        ];
        let each = |key, list: &[String]| -> Vec<v1::Setting<'_>> {
            list.iter().map(|value| one(key, value.clone())).collect()
        };
        settings.extend(each("systems.enabled", &self.enabled));
        settings.extend(each("startup.line", &self.startup));
        settings
    }

    /// Converts settings from version 1. A setting that is missing or invalid gets its default.
    pub(crate) fn from_v1(written: &[v1::Setting<'_>]) -> Self {
        fn set<T: std::str::FromStr>(target: &mut T, value: &str) {
            if let Ok(value) = value.parse() {
                *target = value;
            }
        }
        let mut settings =
            EngineSettings { startup: Vec::new(), ..EngineSettings::from(&Settings::default()) };
        let mut enabled = Vec::new();
        for v1::Setting { key, value } in written {
            match *key {
                "limits.series_per_metric" => set(&mut settings.series_max, value),
                "limits.entities" => set(&mut settings.entities_max, value),
                "limits.memory" => set(&mut settings.memory_max, value),
                "privacy.deidentify" => set(&mut settings.privacy.deidentify, value),
                "privacy.numeric" => set(&mut settings.privacy.numeric, value),
                "privacy.quiet" => set(&mut settings.privacy.quiet, value),
                "stats.aliases" => set(&mut settings.aliases, value),
                "events.max_line" => set(&mut settings.line_max, value),
                "systems.restart_resets" => set(&mut settings.restart_resets, value),
                "systems.enabled" => enabled.push(value.to_string()),
                "startup.line" => settings.startup.push(value.to_string()),
                _ => {}
            }
        }
        settings.enabled = enabled.into();
        settings
    }
}

impl Engine {
    /// Fills the engine's part of the head of an image.
    pub(crate) fn write_head<'a>(&'a self, head: &mut v1::Head<'a>) {
        head.settings = self.settings.to_v1();
        head.rejected =
            self.rejected().map(|(reason, count)| v1::Count { name: reason.name(), count }).collect();
        head.times_ignored = self.times_ignored;
        head.names = self.rdns.known().collect();
        head.systems = self.systems.len() as u32;
    }

    /// Appends a piece of the systems, from this place on. Says whether there are more.
    pub(crate) fn write_piece(&self, place: &mut Place, out: &mut Vec<u8>) -> bool {
        let Some(system) = self.systems.get(place.system) else { return false };
        if !system.write_piece(&mut place.part, out) {
            *place = Place { system: place.system + 1, part: Part::Head };
        }
        true
    }

    /// Reads what version 1 has written, into an engine that has catalogs and no state. `is_session` tells
    /// whether a number belongs to a stored session. Returns what no longer fits, as messages for the log.
    pub(crate) fn read_v1(
        &mut self,
        head: &v1::Head<'_>,
        image: &mut Reader<'_>,
        is_session: impl Fn(EntityOwner) -> bool,
    ) -> Result<Vec<String>, Corrupt> {
        for v1::Count { name, count } in &head.rejected {
            // Another version may have had other reasons.
            if let Some(reason) = Reason::named(name) {
                self.rejected[reason as usize] = *count;
            }
        }
        self.times_ignored = head.times_ignored;
        for (ip, name) in &head.names {
            self.rdns.learn(*ip, name);
        }
        let mut dropped = Vec::new();
        for _ in 0..head.systems {
            let written: v1::System<'_> = image.take()?;
            let known = self.systems.iter().position(|system| system.catalog.name == written.name);
            let Some(index) = known else {
                dropped
                    .push(format!("{}: the catalog was removed, and its series are dropped", written.name));
                // The next system begins behind the values of this one.
                skip(&written, image)?;
                continue;
            };
            let system = &mut self.systems[index];
            let kept = system.read_v1(&written, image, &is_session, &mut dropped)?;
            let is_kept = |metric: MetricIndex| kept.contains(&Some(metric as u16));
            if !(0..system.families.len()).all(is_kept) {
                if system.exposed {
                    system.expose(&self.hasher);
                }
                self.fill_gauges(index, &|metric| !is_kept(metric));
            }
        }
        Ok(dropped)
    }
}

/// Skips the values that follow a system.
fn skip(system: &v1::System<'_>, image: &mut Reader<'_>) -> Result<(), Corrupt> {
    for metric in &system.metrics {
        skip_metric(metric, image)?;
    }
    for _ in 0..system.entities {
        image.take::<v1::Entity<'_>>()?;
    }
    Ok(())
}

fn skip_metric(metric: &v1::Metric<'_>, image: &mut Reader<'_>) -> Result<(), Corrupt> {
    for _ in 0..metric.series {
        image.take::<v1::Series<'_>>()?;
    }
    for _ in 0..metric.totals {
        image.take::<v1::Total<'_>>()?;
    }
    Ok(())
}

/// Converts the kinds of a catalog to version 1, without their counts.
pub(super) fn kinds_of(catalog: &Catalog) -> Vec<v1::Kind<'_>> {
    let kinds = catalog.entities.iter().map(|def| v1::Kind {
        name: &def.name,
        key: def.key.iter().map(String::as_str).collect(),
        labels: def.labels.iter().map(String::as_str).collect(),
        within: def.within.iter().map(|&parent| parent as u32).collect(),
        abandoned: 0,
    });
    kinds.collect()
}

/// Converts the metrics of a catalog to version 1, without their series.
pub(super) fn metrics_of(catalog: &Catalog) -> Vec<v1::Metric<'_>> {
    let metrics = catalog.metrics.iter().map(|def| v1::Metric {
        name: &def.name,
        labels: def.labels.iter().map(String::as_str).collect(),
        kind: match &def.kind {
            MetricKind::Counter => v1::MetricKind::Counter,
            MetricKind::Gauge => v1::MetricKind::Gauge,
            MetricKind::Live(kind) => v1::MetricKind::Live(*kind as u32),
            MetricKind::Histogram(bounds) => v1::MetricKind::Histogram(bounds.clone()),
            MetricKind::Age => v1::MetricKind::Age,
        },
        owner: def.owner.map(|owner| owner as u32),
        overflowed: 0,
        overflow: None,
        series: 0,
        totals: 0,
    });
    metrics.collect()
}

/// Where the next piece of an image begins.
#[derive(Default)]
pub(crate) struct Place {
    system: usize,
    part: Part,
}

/// The parts of a system, in their order.
#[derive(Default)]
enum Part {
    #[default]
    Head,
    /// The series of a metric from this slot on.
    Series { metric: usize, slot: usize, numbers: Vec<Vec<u32>> },
    /// The entities from this id on.
    Entities { id: usize, numbers: Vec<Vec<u32>>, entity_numbers: Vec<u32> },
}

impl System {
    /// Appends a piece of the system. Says whether there are more.
    fn write_piece(&self, part: &mut Part, out: &mut Vec<u8>) -> bool {
        *part = match std::mem::take(part) {
            Part::Head => {
                let numbers: Vec<Vec<u32>> = self.families.iter().map(Family::numbers).collect();
                self.write_head(&numbers, out);
                Part::Series { metric: 0, slot: 0, numbers }
            }
            Part::Series { metric, slot, numbers } => match self.families.get(metric) {
                None => Part::Entities { id: 0, numbers, entity_numbers: self.entities.numbers() },
                Some(family) if slot < family.slots() => {
                    let end = family.slots().min(slot + limits::IMAGE_PIECE);
                    family.write(slot..end, out);
                    Part::Series { metric, slot: end, numbers }
                }
                Some(_) => {
                    for (labels, &last) in self.totals.get(&(metric as u16)).into_iter().flatten() {
                        format::put(out, &v1::Total { labels, last });
                    }
                    Part::Series { metric: metric + 1, slot: 0, numbers }
                }
            },
            Part::Entities { id, .. } if id >= self.entities.ids_end() => return false,
            Part::Entities { id, numbers, entity_numbers } => {
                let series = |list: &[SeriesRef]| -> Vec<v1::SeriesRef> {
                    let written = list.iter().map(|series| v1::SeriesRef {
                        metric: u32::from(series.metric),
                        series: numbers[series.metric as usize][series.slot as usize],
                    });
                    written.collect()
                };
                let end = self.entities.ids_end().min(id + limits::IMAGE_PIECE);
                self.entities.write(id..end, &entity_numbers, out, series);
                Part::Entities { id: end, numbers, entity_numbers }
            }
        };
        true
    }

    fn write_head(&self, numbers: &[Vec<u32>], out: &mut Vec<u8>) {
        let events = self.catalog.events.iter().zip(&self.applied);
        let mut kinds = kinds_of(&self.catalog);
        for (kind, &abandoned) in kinds.iter_mut().zip(&self.abandoned) {
            kind.abandoned = abandoned;
        }
        let mut metrics = metrics_of(&self.catalog);
        for (index, (metric, family)) in metrics.iter_mut().zip(&self.families).enumerate() {
            metric.overflowed = family.overflowed();
            metric.overflow = family.overflow().map(|slot| numbers[index][slot as usize]);
            metric.series = family.len() as u32;
            metric.totals = self.totals.get(&(index as u16)).map_or(0, |totals| totals.len() as u32);
        }
        let written = v1::System {
            name: &self.catalog.name,
            exposed: self.exposed,
            label_cuts: self.label_cuts,
            last_event_at: self.last_event_at,
            events: events.map(|(event, &count)| v1::Count { name: &event.name, count }).collect(),
            kinds,
            metrics,
            entities: self.entities.count_all() as u32,
        };
        format::put(out, &written);
    }

    /// Reads a stored system into one without state. Returns the index in the catalog of each stored metric.
    fn read_v1(
        &mut self,
        written: &v1::System<'_>,
        image: &mut Reader<'_>,
        is_session: &impl Fn(EntityOwner) -> bool,
        dropped: &mut Vec<String>,
    ) -> Result<Vec<Option<u16>>, Corrupt> {
        let mapping = Mapping::new(&written.kinds, &written.metrics, &self.catalog);
        self.exposed = written.exposed;
        self.label_cuts = written.label_cuts;
        self.last_event_at = written.last_event_at;
        for event in &written.events {
            if let Some(index) = self.catalog.events.iter().position(|def| *def.name == *event.name) {
                self.applied[index] = event.count;
            }
        }
        for (kind, mapped) in written.kinds.iter().zip(&mapping.kinds) {
            if let Some(mapped) = mapped {
                self.abandoned[*mapped] = kind.abandoned;
            }
        }
        for (metric, mapped) in written.metrics.iter().zip(&mapping.metrics) {
            let Some(mapped) = *mapped else {
                if metric.series > 0 {
                    let what = format!(
                        "metric {} has changed; its {} series are dropped",
                        metric.name, metric.series
                    );
                    dropped.push(format!("{}: {what}", written.name));
                }
                skip_metric(metric, image)?;
                continue;
            };
            let is_live = matches!(metric.kind, v1::MetricKind::Live(_));
            self.families[mapped as usize].read_v1(image, metric, is_live)?;
            for _ in 0..metric.totals {
                let v1::Total { labels, last } = image.take()?;
                self.insert_total(mapped, labels, last);
            }
        }
        self.read_entities(written, &mapping, image, is_session, dropped)?;
        Ok(mapping.metrics)
    }

    fn read_entities(
        &mut self,
        written: &v1::System<'_>,
        mapping: &Mapping,
        image: &mut Reader<'_>,
        is_session: &impl Fn(EntityOwner) -> bool,
        dropped: &mut Vec<String>,
    ) -> Result<(), Corrupt> {
        let mut opened = Vec::new();
        let mut lost = vec![0_usize; written.kinds.len()];
        let mut links = Vec::new();
        for _ in 0..written.entities {
            let entity: v1::Entity<'_> = image.take()?;
            let kind = written.kinds.get(entity.kind as usize);
            let kind = kind.ok_or_else(|| Corrupt("expected a kind of the system".to_owned()))?;
            let parts = kind.key.len() + kind.labels.len();
            let ends = memchr::memchr_iter(PART_END, entity.values).count();
            ensure(
                ends == parts && entity.values.ends_with(&[PART_END]),
                "a value for each field of the kind",
            )?;
            let is_text = |part: &[u8]| std::str::from_utf8(part).is_ok();
            ensure(entity.values.split(|&byte| byte == PART_END).all(is_text), "values in UTF-8")?;
            ensure(entity.parents.len() == kind.within.len(), "as many parents as the kind has")?;
            let Some(mapped) = mapping.kinds[entity.kind as usize] else {
                lost[entity.kind as usize] += 1;
                opened.push(None);
                continue;
            };
            let owner = entity.session.filter(|&session| is_session(session)).unwrap_or(UNOWNED);
            let id = self.entities.restore(mapped, kind.key.len(), entity.values, entity.opened_at, owner);
            let id = id.ok_or_else(|| Corrupt("expected each key once".to_owned()))?;
            let def = &self.catalog.entities[mapped];
            if kind.labels != def.labels {
                let values = migrated_text(self.entities.get(id), kind, def);
                self.entities.set_text(id, &values);
            }
            for series in &entity.counted_by {
                let metric = written.metrics.get(series.metric as usize);
                let is_live = metric.is_some_and(|metric| matches!(metric.kind, v1::MetricKind::Live(_)));
                ensure(is_live, "gauges that count entities")?;
                if let Some(series) = series_of(*series, written, mapping)? {
                    self.entities.get_mut(id).counted_by.push(series);
                    self.families[series.metric as usize].add(series.slot, 1.0);
                }
            }
            for series in &entity.owns {
                if let Some(series) = series_of(*series, written, mapping)?
                    && self.entities.own(id, series)
                {
                    self.families[series.metric as usize].own(series.slot);
                }
            }
            for v1::OwnedTotal { metric, fixed, last } in entity.totals {
                if let Some(metric) = mapping.totals.get(metric as usize).copied().flatten() {
                    self.entities.replace_total(id, metric, fixed, last);
                }
            }
            links.push((id, entity.kind, entity.parents));
            opened.push(Some(id));
        }
        for (id, kind, parents) in links {
            let open = |number: &u32| opened.get(*number as usize).copied().flatten();
            let found: Option<Vec<_>> = parents.iter().map(open).collect();
            let found = found.ok_or_else(|| Corrupt("expected parents that are open".to_owned()))?;
            let kinds =
                written.kinds[kind as usize].within.iter().map(|&parent| mapping.kinds[parent as usize]);
            let is_of_kind = found.iter().map(|&parent| Some(self.entities.kind(parent))).eq(kinds);
            ensure(is_of_kind && !found.contains(&id), "parents of the kinds that the catalog says")?;
            self.entities.link(id, &found);
        }
        self.close_empty_groups();
        let exists = |series: &SeriesRef| self.families[series.metric as usize].is_alive(series.slot);
        let keeps_its_series = |id| {
            let entity = self.entities.get(id);
            entity.counted_by.iter().chain(&entity.extra().owned).all(exists)
        };
        ensure(self.entities.all().all(keeps_its_series), "series that no empty group takes along")?;
        for (kind, count) in written.kinds.iter().zip(lost).filter(|(_, count)| *count > 0) {
            dropped.push(format!(
                "{}: entity {} has changed; its {count} open entities are dropped",
                written.name, kind.name
            ));
        }
        Ok(())
    }
}

/// Converts a reference to a series. Returns `None` if its metric is not kept.
fn series_of(
    series: v1::SeriesRef,
    written: &v1::System<'_>,
    mapping: &Mapping,
) -> Result<Option<SeriesRef>, Corrupt> {
    let metric = written.metrics.get(series.metric as usize);
    ensure(metric.is_some_and(|metric| series.series < metric.series), "series that exist")?;
    let kept = mapping.metrics.get(series.metric as usize).copied().flatten();
    Ok(kept.map(|metric| SeriesRef { metric, slot: series.series }))
}
