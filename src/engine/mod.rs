//! The lifecycles: what is open, and what that has counted. One line of the feed goes in, the state changes as
//! its catalog says, or not at all.
//!
//! The engine belongs to one thread, holds no sockets or files, and asks for no time: every event brings its own. So
//! the same lines with the same times give the same state, wherever they come from. `entities` is what is open,
//! `apply` does the events, `restart` what ends without one, `adopt` carries state over to changed catalogs, `render` shows it, `counts` counts what is open.

mod abandon;
mod apply;
mod counts;
mod entities;
mod exposition;
mod migrate;
mod persist;
mod rdns_cache;
mod system;
mod transform;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::catalog::Catalog;
use crate::catalog::model::{MetricIndex, Transform};
use crate::config::{Privacy, Settings};
use crate::limits;
use crate::protocol::line::{Fields, Head, Value};
use crate::protocol::rejection::{Reason, Rejection};
use crate::series;

pub(crate) use counts::EntityCount;
pub(crate) use entities::{EntityOwner, UNOWNED};

use abandon::RestartEvent;
use apply::{Context, Event, Scratch};
use exposition::ExposedFamily;
use migrate::Migrated;
use rdns_cache::RdnsCache;
use system::System;

/// The settings that the engine goes by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EngineSettings {
    /// `[limits] series_per_metric`.
    pub(crate) series_max: usize,
    /// `[limits] entities`.
    pub(crate) entities_max: usize,
    /// `[privacy]`.
    pub(crate) privacy: Privacy,
    /// `[stats] aliases`.
    pub(crate) aliases: bool,
    /// `[systems] enabled`; empty: all.
    pub(crate) enabled: Vec<String>,
    /// `[startup] event`, as lines of the feed.
    pub(crate) startup: Vec<String>,
    /// `[events] max_line`, bytes without the line's end.
    pub(crate) line_max: usize,
    /// `[systems] restart = reset`: a server that has been restarted begins at 0.
    pub(crate) restart_resets: bool,
}

impl From<&Settings> for EngineSettings {
    fn from(settings: &Settings) -> Self {
        EngineSettings {
            series_max: settings.series_per_metric,
            entities_max: settings.entities,
            privacy: settings.privacy,
            aliases: settings.aliases,
            enabled: settings.enabled.clone(),
            startup: settings.startup.iter().map(|event| event.line.clone()).collect(),
            line_max: settings.max_line,
            restart_resets: settings.restart_resets,
        }
    }
}

/// All state that events make.
pub(crate) struct Engine {
    settings: EngineSettings,
    hasher: DefaultHashBuilder,
    systems: Vec<System>,
    /// Their catalogs once more, to be read while a system changes.
    catalogs: Vec<Arc<Catalog>>,
    /// System and event by the event's name.
    events: HashMap<Box<str>, (usize, usize), DefaultHashBuilder>,
    exposition: Vec<ExposedFamily>,
    rdns: RdnsCache,
    rejected: [u64; Reason::ALL.len()],
    times_ignored: u64,
    fields: Fields,
    scratch: Scratch,
}

/// One event kind and how often it was applied.
pub(crate) type Applied<'a> = (&'a str, u64);

/// On whose behalf a line is applied.
#[derive(Clone, Copy)]
pub(crate) struct LineSource<'a> {
    /// To whom belongs what it opens.
    pub(crate) entity_owner: EntityOwner,
    /// Whose entities are given up if it tells that its server has been restarted.
    pub(crate) abandoned_by_restart: &'a dyn Fn() -> Vec<EntityOwner>,
    /// It is the engine's own: the abandonment of what was opened while its system was enabled.
    pub(crate) is_internal: bool,
}

impl LineSource<'_> {
    /// A line without a session.
    pub(crate) fn unowned() -> Self {
        LineSource { entity_owner: UNOWNED, abandoned_by_restart: &|| vec![UNOWNED], is_internal: false }
    }
}

impl Default for Engine {
    /// One that knows no catalog yet.
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        Engine {
            settings: EngineSettings { startup: Vec::new(), ..EngineSettings::from(&Settings::default()) },
            events: HashMap::with_hasher(hasher.clone()),
            hasher,
            systems: Vec::new(),
            catalogs: Vec::new(),
            exposition: Vec::new(),
            rdns: RdnsCache::default(),
            rejected: [0; Reason::ALL.len()],
            times_ignored: 0,
            fields: Fields::default(),
            scratch: Scratch::default(),
        }
    }
}

impl Engine {
    /// Goes on, or begins, with these catalogs and settings: what is there and no longer fits is dropped, the enabled
    /// systems are shown, and start-up events that are new are applied. Returns what was dropped or rejected.
    pub(crate) fn configure(
        &mut self,
        catalogs: &[Arc<Catalog>],
        settings: EngineSettings,
        now: f64,
    ) -> Vec<String> {
        let startup: Vec<String> =
            settings.startup.iter().filter(|line| !self.settings.startup.contains(line)).cloned().collect();
        let dropped = self.replace_configuration(catalogs, settings);
        self.expose_enabled();
        let rejected = self.apply_own(startup, now);
        let rejected =
            rejected.into_iter().map(|(line, rejection)| format!("[startup] event {line}: {rejection}"));
        dropped.into_iter().chain(rejected).collect()
    }

    /// The same without showing systems or applying events.
    pub(crate) fn replace_configuration(
        &mut self,
        catalogs: &[Arc<Catalog>],
        settings: EngineSettings,
    ) -> Vec<String> {
        let Migrated { dropped, changed } = self.migrate(catalogs, &settings);
        self.settings = settings;
        self.index();
        for (system, kept) in changed {
            self.fill_gauges(system, &|metric| !kept.contains(&metric));
        }
        dropped
    }

    /// Fills the gauges that begin with the open entities of a system, where they are wanted.
    fn fill_gauges(&mut self, system_index: usize, wanted: &dyn Fn(MetricIndex) -> bool) {
        let system = &mut self.systems[system_index];
        let catalog = Arc::clone(&system.catalog);
        let (mut scratch, fields) = (Scratch::default(), Fields::default());
        let mut context = Context::new(&self.settings, &mut self.rdns, &self.hasher, &[]);
        for id in system.entities.all().collect::<Vec<_>>() {
            let plan = &catalog.entities[system.entities.kind(id)].gauges;
            let event = Event { plan, line: "", fields: &fields, time: 0.0, entity_owner: UNOWNED };
            if scratch.resolve_gauges(event, id, system, &mut context, wanted).is_ok() {
                scratch.commit(event, system, &self.hasher);
            }
        }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    fn index(&mut self) {
        self.catalogs = self.systems.iter().map(|system| Arc::clone(&system.catalog)).collect();
        self.events.clear();
        for (system_index, system) in self.systems.iter().enumerate() {
            for (event_index, event) in system.catalog.events.iter().enumerate() {
                self.events.insert(event.name.as_str().into(), (system_index, event_index));
            }
        }
        self.exposition = exposition::order(&self.systems, self.settings.aliases);
    }

    fn expose_enabled(&mut self) {
        for system in &mut self.systems {
            if !system.exposed && self.settings.enabled.contains(&system.catalog.name) {
                system.expose(&self.hasher);
            }
        }
    }

    fn apply_own(&mut self, lines: Vec<String>, now: f64) -> Vec<(String, Rejection)> {
        let mut rejected = Vec::new();
        for line in lines {
            if self.startup_has_effect(&line, true)
                && let Err(rejection) = self.apply(&line, now)
            {
                rejected.push((line, rejection));
            }
        }
        rejected
    }

    /// Applies one line, without its end, on nobody's behalf. `arrived` is Unix seconds. Whatever comes of it is counted.
    pub(crate) fn apply(&mut self, line: &str, arrived: f64) -> Result<(), Rejection> {
        let applied = self.apply_for(line, arrived, LineSource::unowned(), &mut |_| {});
        applied.inspect_err(|rejection| self.count_rejection(rejection.reason))
    }

    /// Applies one line on somebody's behalf. A rejection is not counted; `log` takes what the log should say.
    pub(crate) fn apply_for(
        &mut self,
        line: &str,
        arrived: f64,
        source: LineSource<'_>,
        log: &mut dyn FnMut(String),
    ) -> Result<(), Rejection> {
        self.fields.scan(line)?;
        self.apply_fields(line, arrived, source, log)
    }

    /// Counts a line that was rejected before it came here.
    pub(crate) fn count_rejection(&mut self, reason: Reason) {
        self.rejected[reason as usize] += 1;
    }

    /// Applies the line whose fields have been found.
    fn apply_fields(
        &mut self,
        line: &str,
        arrived: f64,
        source: LineSource<'_>,
        log: &mut dyn FnMut(String),
    ) -> Result<(), Rejection> {
        let fields = &self.fields;
        let (name, time) = read_head(line, fields)?;
        let Some(&(system_index, event_index)) = self.events.get(name) else {
            let what =
                format!("{name:?}: expected an event of a catalog (lifecycle-exporter catalog lists them)");
            return Err(Rejection::new(Reason::UnknownEvent, what));
        };
        let system = &mut self.systems[system_index];
        let catalog = &self.catalogs[system_index];
        let plan = &catalog.events[event_index];
        let about = |mut rejection: Rejection| {
            rejection.event = Some(plan.name.clone());
            rejection
        };
        let enabled = &self.settings.enabled;
        if !enabled.is_empty() && !enabled.contains(&catalog.name) && !source.is_internal {
            let what = format!(
                "{}: not in [systems] enabled, expected one of {}",
                catalog.name,
                self.settings.enabled.join(", ")
            );
            return Err(about(Rejection::new(Reason::DisabledSystem, what)));
        }
        let (time, is_trusted) = happened(time, arrived);
        if plan.restarts {
            let (at, name) =
                (RestartEvent { system: system_index, event: event_index, time, arrived }, plan.name.clone());
            self.apply_restart(line, at, source, log)
                .map_err(|rejection| Rejection { event: Some(name), ..rejection })?;
        } else {
            let event = Event { plan, line, fields, time, entity_owner: source.entity_owner };
            let mut context = Context::new(&self.settings, &mut self.rdns, &self.hasher, &[]);
            if let Some(change) = apply::only_count(plan) {
                self.scratch.count(event, change, system, &mut context).map_err(about)?;
            } else {
                self.scratch.resolve(event, system, &mut context).map_err(about)?;
                if !system.exposed {
                    system.expose(&self.hasher);
                }
                self.scratch.commit(event, system, &self.hasher);
            }
            system.label_cuts += self.scratch.cuts();
            system.applied[event_index] += 1;
        }
        self.times_ignored += u64::from(!is_trusted);
        Ok(())
    }

    /// The names of all systems, in the order of their catalogs.
    pub(crate) fn system_names(&self) -> impl Iterator<Item = &str> {
        self.systems.iter().map(|system| system.catalog.name.as_str())
    }

    /// The events that a directory scan causes in a system.
    pub(crate) fn scan_events(&self, system: &str) -> Option<&crate::catalog::model::ScanEvents> {
        self.systems.iter().find(|other| other.catalog.name == system).map(|system| &system.catalog.scan)
    }

    /// Addresses whose names were asked for since the last call.
    pub(crate) fn take_wanted_names(&mut self) -> Vec<IpAddr> {
        self.rdns.take_wanted()
    }

    /// Forgets that a name was asked for, so that a later event asks again.
    pub(crate) fn forget_name(&mut self, ip: IpAddr) {
        self.rdns.forget(ip);
    }

    /// The name of an address has become known: it replaces the number in all series.
    pub(crate) fn learn_name(&mut self, ip: IpAddr, name: &str) {
        self.rdns.learn(ip, name);
        if self.settings.privacy.deidentify || self.settings.privacy.numeric {
            return;
        }
        for system in &mut self.systems {
            system.rename_address(ip, name);
        }
    }

    /// Events applied of every event of the systems shown.
    pub(crate) fn applied(&self) -> impl Iterator<Item = Applied<'_>> {
        self.systems.iter().filter(|system| system.exposed).flat_map(|system| {
            system.catalog.events.iter().map(|event| event.name.as_str()).zip(system.applied.iter().copied())
        })
    }

    /// Lines rejected, by reason.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason, self.rejected[reason as usize]))
    }

    /// Labels that were cut, for each system shown.
    pub(crate) fn label_cuts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.systems
            .iter()
            .filter(|s| s.exposed)
            .map(|system| (system.catalog.name.as_str(), system.label_cuts))
    }

    /// Event times that were too far off the clock.
    pub(crate) fn times_ignored(&self) -> u64 {
        self.times_ignored
    }

    /// Series of the systems shown.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&str, usize)> {
        self.systems
            .iter()
            .filter(|s| s.exposed)
            .map(|system| (system.catalog.name.as_str(), system.series()))
    }

    /// Changes that found their metric full, for each metric of the systems shown.
    pub(crate) fn overflowed(&self) -> impl Iterator<Item = (&str, u64)> {
        self.systems.iter().filter(|s| s.exposed).flat_map(|system| {
            let metrics = system.catalog.metrics.iter().map(|metric| metric.name.as_str());
            metrics.zip(system.families.iter().map(series::Family::overflowed))
        })
    }
}

impl System {
    fn rename_address(&mut self, ip: IpAddr, name: &str) {
        let catalog = Arc::clone(&self.catalog);
        for (metric, def) in catalog.metrics.iter().enumerate() {
            for (label, transform) in def.transforms.iter().enumerate() {
                if *transform == Some(Transform::Address) {
                    self.rename_label(metric, label, ip, name);
                }
            }
        }
    }

    fn rename_label(&mut self, metric: usize, label: usize, ip: IpAddr, name: &str) {
        let merged = self.families[metric].relabel(|text| {
            let value = String::from_utf8(series::text::value_of(text, label)).ok()?;
            let (address, port) = transform::parse_address(&value).filter(|(address, _)| *address == ip)?;
            debug_assert_eq!(address, ip);
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            Some(series::text::with_value(text, label, format!("{name}{port}").as_bytes()))
        });
        for (from, to) in merged {
            let reference = |slot| entities::SeriesRef { metric: metric as u16, slot };
            let moved = self.entities.redirect(reference(from), reference(to));
            (0..moved).for_each(|_| self.families[metric].own(to));
            self.families[metric].remove(from);
        }
    }
}

/// When an event happened, and whether its own time could be believed: nothing comes from the future, and what is a day off is a fault.
fn happened(time: Option<f64>, arrived: f64) -> (f64, bool) {
    match time {
        None => (arrived, true),
        Some(time) if (time - arrived).abs() <= limits::EVENT_TIME_SKEW_SECONDS_MAX => {
            (time.min(arrived), true)
        }
        Some(_) => (arrived, false),
    }
}

/// The event's name and its time.
fn read_head<'a>(line: &'a str, fields: &'a Fields) -> Result<(&'a str, Option<f64>), Rejection> {
    let Head { event, time, twice } = fields.head();
    if let Some(key) = twice {
        return Err(Rejection::new(Reason::Malformed, format!("{key}: occurs twice, expected once")));
    }
    let name = match event {
        Some(Value::String(text)) => fields.text(line, text),
        None | Some(Value::Null) => {
            return Err(Rejection::new(
                Reason::MissingField,
                "event: missing, expected the name of an event",
            ));
        }
        Some(_) => {
            return Err(Rejection::new(Reason::BadValue, "event: expected a string, the name of an event"));
        }
    };
    let time = match time {
        None | Some(Value::Null) => None,
        Some(Value::Number(text)) => {
            // A number beyond all numbers is a time too far off.
            Some(fields.text(line, text).parse::<f64>().unwrap_or(f64::INFINITY))
        }
        Some(_) => return Err(Rejection::new(Reason::BadValue, "time: expected a number, Unix seconds")),
    };
    Ok((name, time))
}

#[cfg(test)]
mod tests;
