//! The engine turns lines of the feed into open entities and series, as the catalogs say. A line takes effect
//! completely, or it is rejected and changes nothing but the count of rejections.
//!
//! The engine runs on one thread, holds no sockets or files, and never reads the clock: the caller passes the
//! time of arrival. The same lines with the same times therefore make the same state, in the feed, in a
//! replay and in a test.
//!
//! - `system` is the state of one system, `entities` its open entities.
//! - `read` finds the event of a line. `apply` applies one event; `abandon` abandons what a producer that has gone
//!   had open, and `restart` handles the restart of a server.
//! - `migrate` carries state over to changed catalogs, `persist` to and from the format on disk.
//! - `transform` and `rdns_cache` prepare the values of labels.
//! - `exposition` renders what a scrape gets, `counts` counts open entities, `open` lists them.

mod abandon;
mod apply;
mod counts;
mod deidentify;
mod entities;
mod exposition;
mod migrate;
mod naming;
mod open;
mod persist;
mod rdns_cache;
mod read;
mod restart;
mod system;
mod transform;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::budget::Budget;
use crate::catalog::Catalog;
use crate::catalog::model::MetricIndex;
use crate::config::{Privacy, Settings};
use crate::protocol::line::Fields;
use crate::protocol::rejection::{Reason, Rejection};
use crate::protocol::shape::Shapes;
use crate::series;

pub(crate) use counts::EntityCount;
pub(crate) use deidentify::mask_addresses;
use entities::Ordered;
pub(crate) use entities::{EntityOwner, UNOWNED};
pub(crate) use open::OpenEntity;
pub(crate) use persist::Place;

use abandon::Abandonment;
use apply::{Context, Event, Scratch};
use exposition::ExposedFamily;
use migrate::Migrated;
use naming::Naming;
use rdns_cache::RdnsCache;
use read::{EventIndices, Reported, event_time};
use restart::{Restart, StartupEvent};
use system::System;

/// The part of the configuration that the engine uses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EngineSettings {
    /// `[limits] series_per_metric`.
    pub(crate) series_max: usize,
    /// `[limits] entities`.
    pub(crate) entities_max: usize,
    /// `[limits] memory`, in bytes.
    pub(crate) memory_max: usize,
    /// `[privacy]`.
    pub(crate) privacy: Privacy,
    /// `[stats] aliases`.
    pub(crate) aliases: bool,
    /// `[systems] enabled`. If it is empty, all systems are enabled.
    pub(crate) enabled: Arc<[String]>,
    /// `[startup] event`, as lines of the feed.
    pub(crate) startup: Vec<String>,
    /// `[events] max_line`: bytes, without the newline.
    pub(crate) line_max: usize,
    /// `[systems] restart = reset`: when a server restarts, its metrics begin again at 0.
    pub(crate) restart_resets: bool,
}

impl From<&Settings> for EngineSettings {
    fn from(settings: &Settings) -> Self {
        EngineSettings {
            series_max: settings.series_per_metric,
            entities_max: settings.entities,
            memory_max: settings.memory,
            privacy: settings.privacy,
            aliases: settings.aliases,
            enabled: settings.enabled.clone().into(),
            startup: settings.startup.iter().map(|event| event.line.clone()).collect(),
            line_max: settings.max_line,
            restart_resets: settings.restart_resets,
        }
    }
}

/// The state of all systems.
pub(crate) struct Engine {
    settings: EngineSettings,
    hasher: DefaultHashBuilder,
    budget: Arc<Budget>,
    systems: Vec<System>,
    /// The catalog of each system. A second reference, so that it can be read while the system changes.
    catalogs: Vec<Arc<Catalog>>,
    /// For the name of each event, the indices of its system and of the event.
    events: HashMap<Box<str>, (usize, usize), DefaultHashBuilder>,
    exposition: Vec<ExposedFamily>,
    /// `[startup] event`, those whose events are known.
    startup: Vec<StartupEvent>,
    rdns: RdnsCache,
    rejected: [u64; Reason::ALL.len()],
    times_ignored: u64,
    fields: Fields,
    shapes: Shapes<EventIndices>,
    scratch: Scratch,
    /// Something is begun that takes longer: entities are being closed or abandoned, or series get a name.
    is_busy: bool,
    abandonment: Option<Box<Abandonment>>,
    naming: Option<Box<Naming>>,
}

/// The name of an event, and how often it was applied.
pub(crate) type Applied<'a> = (&'a str, u64);

/// What made a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A producer.
    Producer,
    /// The exporter, as its configuration says: a start-up event, or the result of a directory scan.
    Exporter,
    /// The engine, to abandon an entity. Its system may be disabled by now.
    Abandonment,
}

/// Who sent a line.
#[derive(Clone, Copy)]
pub(crate) struct LineSource<'a> {
    /// The owner of the entities that the line opens.
    pub(crate) entity_owner: EntityOwner,
    /// Returns the owners whose entities are abandoned if the line reports a restart of its server.
    pub(crate) abandoned_by_restart: &'a dyn Fn() -> Vec<EntityOwner>,
    pub(crate) origin: Origin,
}

impl LineSource<'_> {
    /// A line that comes from no session.
    pub(crate) fn unowned(origin: Origin) -> Self {
        LineSource { entity_owner: UNOWNED, abandoned_by_restart: &|| vec![UNOWNED], origin }
    }
}

impl Default for Engine {
    /// An engine without catalogs.
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        let settings = EngineSettings { startup: Vec::new(), ..EngineSettings::from(&Settings::default()) };
        Engine {
            budget: Budget::new(settings.memory_max),
            settings,
            events: HashMap::with_hasher(hasher.clone()),
            hasher,
            systems: Vec::new(),
            catalogs: Vec::new(),
            exposition: Vec::new(),
            startup: Vec::new(),
            rdns: RdnsCache::default(),
            rejected: [0; Reason::ALL.len()],
            times_ignored: 0,
            fields: Fields::default(),
            shapes: Shapes::default(),
            scratch: Scratch::default(),
            is_busy: false,
            abandonment: None,
            naming: None,
        }
    }
}

impl Engine {
    /// Replaces catalogs and settings. Exposes the enabled systems and applies the start-up events that the
    /// former settings did not have. Returns messages for the log: state that no longer fits, and rejected
    /// start-up events.
    pub(crate) fn configure(
        &mut self,
        catalogs: &[Arc<Catalog>],
        settings: EngineSettings,
        now: f64,
    ) -> Vec<String> {
        let is_new = |line: &&String| !self.settings.startup.contains(line);
        let startup: Vec<String> = settings.startup.iter().filter(is_new).cloned().collect();
        let mut messages = self.replace_configuration(catalogs, settings);
        for system in &mut self.systems {
            if !system.exposed && self.settings.enabled.contains(&system.catalog.name) {
                system.expose(&self.hasher);
            }
        }
        for line in startup {
            if self.startup_is_due(&line, true)
                && let Err(rejection) = self.apply(&line, now)
            {
                messages.push(format!("[startup] event {line}: {rejection}"));
            }
        }
        messages
    }

    /// Replaces catalogs and settings, but exposes no systems and applies no events. Returns what was
    /// dropped.
    pub(crate) fn replace_configuration(
        &mut self,
        catalogs: &[Arc<Catalog>],
        settings: EngineSettings,
    ) -> Vec<String> {
        self.budget.set_max(settings.memory_max);
        let Migrated { dropped, changed } = self.migrate(catalogs, &settings);
        self.settings = settings;
        self.index_catalogs();
        for (system, kept) in changed {
            self.fill_gauges(system, &|metric| !kept.contains(&metric));
        }
        dropped
    }

    /// Sets the gauges that depend on the open entities of a system, for the metrics that `wanted` selects.
    fn fill_gauges(&mut self, system_index: usize, wanted: &dyn Fn(MetricIndex) -> bool) {
        let system = &mut self.systems[system_index];
        let catalog = Arc::clone(&system.catalog);
        let (mut scratch, fields) = (Scratch::default(), Fields::default());
        let mut context = Context::new(&self.settings, &mut self.rdns, &self.hasher, &[]);
        for Ordered { id, .. } in system.entities.sorted() {
            let plan = &catalog.entities[system.entities.kind(id)].gauges;
            let event = Event { plan, line: "", fields: &fields, time: 0.0, entity_owner: UNOWNED };
            if scratch.resolve_gauges(event, id, system, &mut context, wanted).is_ok() {
                scratch.commit(event, system, &self.hasher);
            }
        }
    }

    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// What `[limits] memory` leaves.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    fn index_catalogs(&mut self) {
        self.catalogs = self.systems.iter().map(|system| Arc::clone(&system.catalog)).collect();
        self.events.clear();
        self.shapes.clear();
        for (system_index, system) in self.systems.iter().enumerate() {
            for (event_index, event) in system.catalog.events.iter().enumerate() {
                self.events.insert(event.name.as_ref().into(), (system_index, event_index));
            }
        }
        self.exposition = exposition::sorted_families(&self.systems, self.settings.aliases);
        self.index_startup();
    }

    /// Applies one line of the exporter's own, without its newline. Counts a rejection. `arrived` is Unix
    /// seconds.
    pub(crate) fn apply(&mut self, line: &str, arrived: f64) -> Result<(), Rejection> {
        let applied = self.apply_for(line, arrived, LineSource::unowned(Origin::Exporter));
        self.finish(&mut |_| {});
        applied.inspect_err(|rejection| self.count_rejection(rejection.reason))
    }

    /// Applies the first line of a text, if it is like an earlier one and not too long. Returns its length, and what
    /// [`Self::apply_for`] does.
    #[inline]
    pub(crate) fn apply_known(
        &mut self,
        text: &str,
        arrived: f64,
        source: LineSource<'_>,
    ) -> Option<(usize, Result<(), Rejection>)> {
        let (reported, length) = self.read_known(text)?;
        let is_short = length <= self.settings.line_max;
        is_short.then(|| (length, self.apply_reported(&text[..length], reported, arrived, source)))
    }

    /// Applies one line of this source. The caller counts a rejection. What takes longer is left to
    /// [`Self::go_on`].
    pub(crate) fn apply_for(
        &mut self,
        line: &str,
        arrived: f64,
        source: LineSource<'_>,
    ) -> Result<(), Rejection> {
        let reported = self.read(line)?;
        self.apply_reported(line, reported, arrived, source)
    }

    fn apply_reported(
        &mut self,
        line: &str,
        reported: Reported,
        arrived: f64,
        source: LineSource<'_>,
    ) -> Result<(), Rejection> {
        let is_abandonment = source.origin == Origin::Abandonment;
        debug_assert!(!self.is_busy || is_abandonment, "what was begun comes first");
        let Reported { event: (system_index, event_index), time, is_bound } = reported;
        let fields = &self.fields;
        let system = &mut self.systems[system_index];
        let catalog = &self.catalogs[system_index];
        let plan = &catalog.events[event_index];
        let about = |rejection: Rejection| rejection.about(&plan.name);
        let enabled = &self.settings.enabled;
        if !enabled.is_empty() && !enabled.contains(&catalog.name) && !is_abandonment {
            let (catalog, enabled) = (Arc::clone(catalog), Arc::clone(enabled));
            return Err(about(Rejection::worded(Reason::DisabledSystem, move |out| {
                let (system, enabled) = (&catalog.name, enabled.join(", "));
                write!(out, "{system}: not in [systems] enabled, expected one of {enabled}")
            })));
        }
        let (time, is_trusted) = event_time(time, arrived);
        if plan.restarts {
            let (entity_owner, origin) = (source.entity_owner, source.origin);
            let (system, event, line) = (system_index, event_index, line.into());
            let restart = Restart { line, system, event, time, arrived, entity_owner, origin };
            let (name, fields) = (plan.name.clone(), std::mem::take(&mut self.fields));
            let accepted = self.apply_restart(restart, source, &fields);
            self.fields = fields;
            accepted.map_err(|rejection| rejection.about(&name))?;
        } else {
            let event = Event { plan, line, fields, time, entity_owner: source.entity_owner };
            if !is_bound {
                self.scratch.bind_fields(event).map_err(about)?;
                read::learn(&mut self.shapes, line, fields, reported.event, plan);
            }
            let mut context = Context::new(&self.settings, &mut self.rdns, &self.hasher, &[]);
            self.scratch.resolve_bound(event, system, &mut context).map_err(about)?;
            if !system.exposed {
                system.expose(&self.hasher);
            }
            self.scratch.commit(event, system, &self.hasher);
            self.is_busy |= system.is_closing();
            system.note_applied(event_index, source.origin, arrived, self.scratch.cuts());
        }
        self.times_ignored += u64::from(!is_trusted);
        Ok(())
    }

    /// Whether something is begun that takes longer. No line may be applied meanwhile.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Does a piece of what is begun: entities are closed or abandoned, or series get a name. Returns whether there is
    /// more. `log` gets messages for the log.
    pub(crate) fn go_on(&mut self, log: &mut dyn FnMut(String)) -> bool {
        if !self.is_busy {
            return false;
        }
        if let Some(system) = self.systems.iter_mut().find(|system| system.is_closing()) {
            system.close_piece();
        } else if !self.abandon_piece(log) && !self.name_piece() {
            self.is_busy = false;
        }
        self.is_busy
    }

    /// Does all that is begun.
    pub(crate) fn finish(&mut self, log: &mut dyn FnMut(String)) {
        while self.go_on(log) {}
    }

    pub(crate) fn count_rejection(&mut self, reason: Reason) {
        self.rejected[reason as usize] += 1;
    }

    pub(crate) fn system_names(&self) -> impl Iterator<Item = &str> {
        self.systems.iter().map(|system| system.catalog.name.as_str())
    }

    /// Those of all systems that are taken.
    pub(crate) fn catalogs(&self) -> impl Iterator<Item = &Catalog> {
        self.systems.iter().map(|system| &*system.catalog)
    }

    /// The events that a system's catalog has for directory scans.
    pub(crate) fn scan_events(&self, system: &str) -> Option<&crate::catalog::model::ScanEvents> {
        self.systems.iter().find(|other| other.catalog.name == system).map(|system| &system.catalog.scan)
    }

    /// The addresses to look up in reverse DNS that events have brought since the last call.
    pub(crate) fn take_wanted_names(&mut self) -> Vec<IpAddr> {
        self.rdns.take_requests()
    }

    /// Forgets the request for a name, so that a later event makes it again.
    pub(crate) fn forget_name(&mut self, ip: IpAddr) {
        self.rdns.forget(ip);
    }

    /// The fields of the latest line of no known shape.
    pub(crate) fn scanned(&self) -> &Fields {
        &self.fields
    }

    fn exposed_systems(&self) -> impl Iterator<Item = &System> {
        self.systems.iter().filter(|system| system.exposed)
    }

    /// For each event of the exposed systems, how often it was applied.
    pub(crate) fn applied(&self) -> impl Iterator<Item = Applied<'_>> {
        self.exposed_systems().flat_map(|system| {
            system.catalog.events.iter().map(|event| &*event.name).zip(system.applied.iter().copied())
        })
    }

    pub(crate) fn rejected(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason, self.rejected[reason as usize]))
    }

    /// For each exposed system, how many labels were cut.
    pub(crate) fn label_cuts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.exposed_systems().map(|system| (system.catalog.name.as_str(), system.label_cuts))
    }

    /// For each exposed system, when the latest event of a producer was applied: Unix seconds, 0: never.
    pub(crate) fn last_events(&self) -> impl Iterator<Item = (&str, f64)> {
        self.exposed_systems().map(|system| (system.catalog.name.as_str(), system.last_event_at))
    }

    /// The number of event times that were ignored, because they were too far from the time of arrival.
    pub(crate) fn times_ignored(&self) -> u64 {
        self.times_ignored
    }

    /// For each exposed system, how many series it has.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&str, usize)> {
        self.exposed_systems().map(|system| (system.catalog.name.as_str(), system.series()))
    }

    /// For each metric of the exposed systems, how many changes found it at its limit of series.
    pub(crate) fn overflowed(&self) -> impl Iterator<Item = (&str, u64)> {
        self.exposed_systems().flat_map(|system| {
            let metrics = system.catalog.metrics.iter().map(|metric| metric.name.as_str());
            metrics.zip(system.families.iter().map(series::Family::overflowed))
        })
    }
}

#[cfg(test)]
mod tests;
