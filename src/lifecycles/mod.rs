//! The lifecycles: what is open, and what that has counted. One line of the feed goes in, the state changes as
//! its catalog says, or not at all.
//!
//! The engine belongs to one thread, holds no sockets or files, and asks for no time: every event brings its own. So
//! the same lines with the same times give the same state, wherever they come from. `entities` is what is open,
//! `apply` does the events, `adopt` carries state over to changed catalogs, `render` shows it, `census` counts what is open.

mod adopt;
mod apply;
mod census;
mod entities;
mod image;
mod names;
mod render;
mod system;
mod transform;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::catalog::model::Transform;
use crate::config::{Privacy, Settings};
use crate::event::line::{Fields, Head, Value};
use crate::event::rejection::{Reason, Rejection};
use crate::limits;
use crate::series;

pub use census::{Census, EntityCount};
pub use entities::{NOBODY, Opener};

use apply::{Context, Event, Scratch};
use names::Names;
use render::Shown;
use system::System;

/// The settings that the engine goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// `[limits] series_per_metric`.
    pub series_max: usize,
    /// `[limits] entities`.
    pub entities_max: usize,
    /// `[privacy]`.
    pub privacy: Privacy,
    /// `[stats] aliases`.
    pub aliases: bool,
    /// `[systems] enabled`; empty: all.
    pub enabled: Vec<String>,
    /// `[startup] event`, as lines of the feed.
    pub startup: Vec<String>,
    /// `[events] max_line`, bytes without the line's end.
    pub line_max: usize,
}

impl From<&Settings> for Rules {
    fn from(settings: &Settings) -> Self {
        Rules {
            series_max: settings.series_per_metric,
            entities_max: settings.entities,
            privacy: settings.privacy,
            aliases: settings.aliases,
            enabled: settings.enabled.clone(),
            startup: settings.startup.iter().map(|event| event.line.clone()).collect(),
            line_max: settings.max_line,
        }
    }
}

/// All state that events make.
pub struct Engine {
    rules: Rules,
    hasher: DefaultHashBuilder,
    systems: Vec<System>,
    /// Their catalogs once more, to be read while a system changes.
    catalogs: Vec<Arc<Catalog>>,
    /// System and event by the event's name.
    events: HashMap<Box<str>, (usize, usize), DefaultHashBuilder>,
    shown: Vec<Shown>,
    names: Names,
    rejected: [u64; Reason::ALL.len()],
    times_ignored: u64,
    fields: Fields,
    scratch: Scratch,
}

/// One event kind and how often it was applied.
pub type Applied<'a> = (&'a str, u64);

impl Default for Engine {
    /// One that knows no catalog yet.
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        Engine {
            rules: Rules { startup: Vec::new(), ..Rules::from(&Settings::default()) },
            events: HashMap::with_hasher(hasher.clone()),
            hasher,
            systems: Vec::new(),
            catalogs: Vec::new(),
            shown: Vec::new(),
            names: Names::default(),
            rejected: [0; Reason::ALL.len()],
            times_ignored: 0,
            fields: Fields::default(),
            scratch: Scratch::default(),
        }
    }
}

impl Engine {
    /// Goes on, or begins, with these catalogs and rules: what is there and no longer fits is dropped, the enabled
    /// systems are shown, and start-up events that are new are applied. Returns what was dropped or rejected.
    pub fn configure(&mut self, catalogs: &[Arc<Catalog>], rules: Rules, now: f64) -> Vec<String> {
        let startup: Vec<String> =
            rules.startup.iter().filter(|line| !self.rules.startup.contains(line)).cloned().collect();
        let dropped = self.prepare(catalogs, rules);
        self.show_enabled();
        let rejected = self.apply_own(startup, now);
        let rejected =
            rejected.into_iter().map(|(line, rejection)| format!("[startup] event {line}: {rejection}"));
        dropped.into_iter().chain(rejected).collect()
    }

    /// The same without showing systems or applying events.
    pub fn prepare(&mut self, catalogs: &[Arc<Catalog>], rules: Rules) -> Vec<String> {
        let dropped = self.adopt(catalogs, &rules);
        self.rules = rules;
        self.index();
        dropped
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    fn index(&mut self) {
        self.catalogs = self.systems.iter().map(|system| Arc::clone(&system.catalog)).collect();
        self.events.clear();
        for (system_index, system) in self.systems.iter().enumerate() {
            for (event_index, event) in system.catalog.events.iter().enumerate() {
                self.events.insert(event.name.as_str().into(), (system_index, event_index));
            }
        }
        self.shown = render::order(&self.systems, self.rules.aliases);
    }

    fn show_enabled(&mut self) {
        for system in &mut self.systems {
            if !system.shown && self.rules.enabled.contains(&system.catalog.name) {
                system.show(&self.hasher);
            }
        }
    }

    fn apply_own(&mut self, lines: Vec<String>, now: f64) -> Vec<(String, Rejection)> {
        lines
            .into_iter()
            .filter_map(|line| self.apply(&line, now).err().map(|rejection| (line, rejection)))
            .collect()
    }

    /// Applies one line, without its end, on nobody's behalf. `arrived` is Unix seconds. Whatever comes of it is counted.
    pub fn apply(&mut self, line: &str, arrived: f64) -> Result<(), Rejection> {
        self.apply_for(line, arrived, NOBODY).inspect_err(|rejection| self.count_rejection(rejection.reason))
    }

    /// Applies one line whose entities will belong to a session. A rejection is not counted.
    pub fn apply_for(&mut self, line: &str, arrived: f64, opener: Opener) -> Result<(), Rejection> {
        self.fields.scan(line)?;
        if let Some(reset) = self.apply_fields(line, arrived, opener)? {
            self.after_reset(reset, arrived);
        }
        Ok(())
    }

    /// Gives up what a session has opened, children first: each entity's `abandoned` event is applied, or it is
    /// closed. Returns what the log should say.
    pub fn abandon(&mut self, opener: Opener, now: f64) -> Vec<String> {
        let mut notes = Vec::new();
        for system in 0..self.systems.len() {
            let catalog = Arc::clone(&self.systems[system].catalog);
            for (kind, key) in self.systems[system].entities.opened_by(opener) {
                let state = &mut self.systems[system];
                state.abandoned[kind] += 1;
                // An event before this one may have closed it.
                let Some(id) = state.entities.find(kind, &key) else { continue };
                let def = &catalog.entities[kind];
                if let Some(event) = def.abandoned {
                    let line = state.entities.get(id).to_line(&catalog.events[event].name, def);
                    if let Err(rejection) = self.apply_for(&line, now, NOBODY) {
                        notes.push(format!("{line}: {rejection}; the {} is closed instead", def.name));
                    }
                }
                let state = &mut self.systems[system];
                if let Some(id) = state.entities.find(kind, &key)
                    && state.entities.opener(id) == opener
                {
                    state.close(id);
                    state.entities.release();
                }
            }
        }
        notes
    }

    /// Counts a line that was rejected before it came here.
    pub fn count_rejection(&mut self, reason: Reason) {
        self.rejected[reason as usize] += 1;
    }

    /// Applies the line whose fields have been found. Returns the system that was reset, if one was.
    fn apply_fields(&mut self, line: &str, arrived: f64, opener: Opener) -> Result<Option<usize>, Rejection> {
        let fields = &self.fields;
        let (name, time) = read_head(line, fields)?;
        let Some(&(system_index, event_index)) = self.events.get(name) else {
            let what =
                format!("{name:?}: expected an event of a catalog (lifecycle-exporter catalog lists them)");
            return Err(Rejection::new(Reason::UnknownEvent, what));
        };
        let entities_open = self.systems.iter().map(|system| system.entities.count_all()).sum();
        let system = &mut self.systems[system_index];
        let catalog = &self.catalogs[system_index];
        let plan = &catalog.events[event_index];
        let about = |mut rejection: Rejection| {
            rejection.event = Some(plan.name.clone());
            rejection
        };
        if !self.rules.enabled.is_empty() && !self.rules.enabled.contains(&catalog.name) {
            let what = format!(
                "{}: not in [systems] enabled, expected one of {}",
                catalog.name,
                self.rules.enabled.join(", ")
            );
            return Err(about(Rejection::new(Reason::DisabledSystem, what)));
        }
        let trusted = time.filter(|time| (time - arrived).abs() <= limits::EVENT_TIME_SKEW_SECONDS_MAX);
        let event = Event { plan, line, fields, time: trusted.unwrap_or(arrived), opener };
        let mut context = Context {
            privacy: self.rules.privacy,
            names: &mut self.names,
            hasher: &self.hasher,
            entities_open,
            entities_max: self.rules.entities_max,
        };
        if let Some(change) = apply::only_count(plan) {
            self.scratch.count(event, change, system, &mut context).map_err(about)?;
        } else {
            self.scratch.resolve(event, system, &mut context).map_err(about)?;
            if !system.shown {
                system.show(&self.hasher);
            }
            self.scratch.commit(event, system, &self.hasher);
        }
        system.applied[event_index] += 1;
        self.times_ignored += u64::from(time.is_some() && trusted.is_none());
        Ok(plan.resets.then_some(system_index))
    }

    /// Start-up events stand for what that server does not tell again after its restart. Those that reset it are
    /// left out: it has just told that itself.
    fn after_reset(&mut self, system_index: usize, now: f64) {
        let plans = &self.systems[system_index].catalog.events;
        let of_system = |line: &String| {
            let mut fields = Fields::default();
            fields.scan(line).is_ok()
                && read_head(line, &fields)
                    .is_ok_and(|(name, _)| plans.iter().any(|plan| plan.name == name && !plan.resets))
        };
        let startup: Vec<String> =
            self.rules.startup.iter().filter(|line| of_system(line)).cloned().collect();
        self.apply_own(startup, now);
    }

    /// The names of all systems, in the order of their catalogs.
    pub fn system_names(&self) -> impl Iterator<Item = &str> {
        self.systems.iter().map(|system| system.catalog.name.as_str())
    }

    /// The events that a directory scan causes in a system.
    pub fn scan_events(&self, system: &str) -> Option<&crate::catalog::model::ScanEvents> {
        self.systems.iter().find(|other| other.catalog.name == system).map(|system| &system.catalog.scan)
    }

    /// Addresses whose names were asked for since the last call.
    pub fn take_wanted_names(&mut self) -> Vec<IpAddr> {
        self.names.take_wanted()
    }

    /// Forgets that a name was asked for, so that a later event asks again.
    pub fn forget_name(&mut self, ip: IpAddr) {
        self.names.forget(ip);
    }

    /// The name of an address has become known: it replaces the number in all series.
    pub fn learn_name(&mut self, ip: IpAddr, name: &str) {
        self.names.learn(ip, name);
        if self.rules.privacy.deidentify || self.rules.privacy.numeric {
            return;
        }
        for system in &mut self.systems {
            system.rename_address(ip, name);
        }
    }

    /// Events applied of every event of the systems shown.
    pub fn applied(&self) -> impl Iterator<Item = Applied<'_>> {
        self.systems.iter().filter(|system| system.shown).flat_map(|system| {
            system.catalog.events.iter().map(|event| event.name.as_str()).zip(system.applied.iter().copied())
        })
    }

    /// Lines rejected, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason, self.rejected[reason as usize]))
    }

    /// Event times that were too far off the clock.
    pub fn times_ignored(&self) -> u64 {
        self.times_ignored
    }

    /// Series of the systems shown.
    pub fn series(&self) -> impl Iterator<Item = (&str, usize)> {
        self.systems.iter().filter(|s| s.shown).map(|system| (system.catalog.name.as_str(), system.series()))
    }

    /// Changes that found their metric full, for each metric of the systems shown.
    pub fn overflowed(&self) -> impl Iterator<Item = (&str, u64)> {
        self.systems.iter().filter(|s| s.shown).flat_map(|system| {
            let metrics = system.catalog.metrics.iter().map(|metric| metric.name.as_str());
            metrics.zip(system.families.iter().map(series::Family::overflowed))
        })
    }
}

impl System {
    fn rename_address(&mut self, ip: IpAddr, name: &str) {
        for metric in 0..self.families.len() {
            for label in 0..self.catalog.metrics[metric].labels.len() {
                if self.transform_of(metric, label) == Some(&Transform::Address) {
                    self.rename_label(metric, label, ip, name);
                }
            }
        }
    }

    /// The transform of a metric's label, which is the same wherever the label is filled.
    fn transform_of(&self, metric: usize, label: usize) -> Option<&Transform> {
        let opening = format!("{}=\"", self.catalog.metrics[metric].labels[label]);
        let sets = self.catalog.events.iter().flat_map(|event| &event.sets);
        let mut fills = sets.flat_map(|set| &set.labels);
        fills.find(|fill| fill.opening.trim_start_matches(',') == opening)?.transform.as_ref()
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
            // Two sources that are one series now: what the other one had come to says nothing any more.
            self.totals.remove(&reference(from));
            (0..moved).for_each(|_| self.families[metric].own(to));
            self.families[metric].drop_merged(from);
        }
    }
}

/// The event's name and its time.
fn read_head<'a>(line: &'a str, fields: &'a Fields) -> Result<(&'a str, Option<f64>), Rejection> {
    let Head { event, time, twice } = fields.head();
    if let Some(key) = twice {
        return Err(Rejection::new(Reason::Malformed, format!("{key}: stands twice, expected once")));
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
