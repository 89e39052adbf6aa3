//! The model as a whole: the systems, the runs of producers with what they own, the clock, the settings of a run, and the
//! page that all this comes to.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::line::Line;
use crate::rules::{Reasons, RunId, Series, Shown, State, World};
use crate::tables::{Kind, Metric, System, built_in, farm};

/// Those that one user can meet.
const REASONS: [&str; 12] = [
    "malformed",
    "too_long",
    "truncated",
    "unknown_event",
    "disabled_system",
    "missing_field",
    "bad_value",
    "already_open",
    "not_open",
    "entity_limit",
    "label_too_long",
    "name_taken",
];

/// What the configuration of an exporter says, as far as it changes what is counted.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub resets: bool,
    pub aliases: bool,
    pub short_grace: bool,
    pub entities_max: Option<usize>,
    /// The systems named in `enabled`; `None`: all.
    pub enabled: Option<Vec<&'static str>>,
    pub expect: Vec<&'static str>,
    pub startup: Vec<Line>,
}

impl Settings {
    /// The configuration file.
    pub fn text(&self) -> String {
        let mut text = "[logs]\nlevel = error\n[state]\ndirectory = {directory}/state\n[events]\n".to_owned();
        text += if self.short_grace { "grace = 300ms\n" } else { "grace = 1h\n" };
        if !self.expect.is_empty() {
            text += &format!("expect = {}\n", self.expect.join(", "));
        }
        text += "[systems]\ncatalog_directory = {directory}/catalogs\n";
        if self.resets {
            text += "restart = reset\n";
        }
        if let Some(enabled) = &self.enabled {
            text += &format!("enabled = {}\n", enabled.join(", "));
        }
        if self.aliases {
            text += "[stats]\naliases = yes\n";
        }
        if let Some(entities) = self.entities_max {
            text += &format!("[limits]\nentities = {entities}\n");
        }
        text += "[startup]\n";
        for line in &self.startup {
            text += &format!("event = {}", line.event);
            for (name, _) in &line.fields {
                text += &format!(" {name}={}", line.text(name));
            }
            text.push('\n');
        }
        text
    }
}

/// Where a run of a producer stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    Connected,
    /// Its connection has ended, and its grace runs.
    Ended,
    /// It was connected when the exporter ended, and has not come back.
    Unreturned,
    /// Its grace is over, or another run has begun: it owns nothing.
    Lapsed,
}

#[derive(Clone)]
pub struct Run {
    pub producer: &'static str,
    pub owner: bool,
    pub standing: Standing,
}

pub struct Model {
    pub settings: Settings,
    pub now: f64,
    pub states: BTreeMap<&'static str, State>,
    pub runs: BTreeMap<RunId, Run>,
    pub rejected: BTreeMap<&'static str, u64>,
    pub farm: u8,
    /// Times of events that were ignored, of systems that have gone.
    times_ignored: u64,
}

impl Model {
    /// An exporter that has just been started for the first time.
    pub fn new(settings: Settings, now: f64) -> Self {
        let rejected = REASONS.map(|reason| (reason, 0)).into();
        let mut model = Model {
            settings,
            now,
            states: BTreeMap::new(),
            runs: BTreeMap::new(),
            rejected,
            farm: 0,
            times_ignored: 0,
        };
        for system in built_in() {
            model.add(system);
        }
        for name in model.states.keys().copied().collect::<Vec<_>>() {
            model.with(name, None, |state, world| state.start_up(world, true));
        }
        model
    }

    fn add(&mut self, system: System) {
        let is_shown = self.settings.enabled.is_some() && self.is_enabled(system.name);
        self.states.insert(system.name, State::new(Rc::new(system), is_shown));
    }

    pub fn is_enabled(&self, system: &str) -> bool {
        self.settings.enabled.as_ref().is_none_or(|enabled| enabled.contains(&system))
    }

    /// Does something to a system in the world as it is for this run.
    fn with<T>(&mut self, system: &str, by: Option<RunId>, what: impl FnOnce(&mut State, &World) -> T) -> T {
        let mut state = self.states.get(system).unwrap().clone();
        let result = self.in_world(by, |world| what(&mut state, world));
        self.states.insert(state.system.name, state);
        result
    }

    fn in_world<T>(&self, by: Option<RunId>, what: impl FnOnce(&World) -> T) -> T {
        let speaker = by.filter(|run| self.runs[run].owner);
        let abandons = |owner: Option<RunId>| match (speaker, owner) {
            (None, owner) => owner.is_none(),
            (Some(speaker), Some(owner)) => {
                let (speaker, owner) = (&self.runs[&speaker], &self.runs[&owner]);
                speaker.producer == owner.producer && owner.standing == Standing::Ended
            }
            (Some(_), None) => false,
        };
        what(&World {
            now: self.now,
            by: speaker,
            abandons: &abandons,
            resets: self.settings.resets,
            entities_max: self.settings.entities_max.unwrap_or(usize::MAX),
            startup: &self.settings.startup,
        })
    }

    /// What a line would do.
    pub fn attempt(&self, line: &Line, by: Option<RunId>) -> Result<State, Reasons> {
        let system = line.event.split('.').next().unwrap_or_default();
        let Some(state) = self.states.get(system) else { return Err(Reasons::from(["unknown_event"])) };
        if !self.is_enabled(system) {
            return Err(Reasons::from(["disabled_system"]));
        }
        self.in_world(by, |world| state.after(line, world))
    }

    /// Applies a line, or rejects it for its only fault.
    pub fn apply(&mut self, line: &Line, by: Option<RunId>) -> Result<(), &'static str> {
        match self.attempt(line, by) {
            Ok(mut state) => {
                state.last_event_at = self.now;
                self.states.insert(state.system.name, state);
                Ok(())
            }
            Err(reasons) => {
                assert_eq!(reasons.len(), 1, "a line with several faults: {line:?} {reasons:?}");
                let reason = reasons.first().unwrap();
                self.reject(reason);
                Err(reason)
            }
        }
    }

    pub fn reject(&mut self, reason: &'static str) {
        *self.rejected.get_mut(reason).unwrap() += 1;
    }

    /// A run says hello. One that is new ends those before it whose connection has ended.
    pub fn hello(&mut self, run: RunId, producer: &'static str, owner: bool) {
        if !self.runs.contains_key(&run) {
            let ended = |run: &Run| run.producer == producer && run.standing == Standing::Ended;
            self.lapse(&self.all(ended));
        }
        self.runs.insert(run, Run { producer, owner, standing: Standing::Connected });
    }

    fn all(&self, which: impl Fn(&Run) -> bool) -> Vec<RunId> {
        self.runs.iter().filter(|(_, run)| which(run)).map(|(id, _)| *id).collect()
    }

    pub fn disconnect(&mut self, run: RunId) {
        self.stand(run, Standing::Ended);
    }

    fn stand(&mut self, run: RunId, standing: Standing) {
        self.runs.get_mut(&run).unwrap().standing = standing;
    }

    /// Runs own nothing any more. Children of all of them come before the parents.
    fn lapse(&mut self, runs: &[RunId]) {
        for state in self.states.values_mut() {
            state.abandon(&|owner| owner.is_some_and(|owner| runs.contains(&owner)), self.now);
        }
        for run in runs {
            self.stand(*run, Standing::Lapsed);
        }
    }

    pub fn bye(&mut self, run: RunId) {
        self.lapse(&[run]);
        self.runs.remove(&run);
    }

    /// The grace of all who are away is over.
    pub fn grace_over(&mut self) {
        self.lapse(&self.all(|run| matches!(run.standing, Standing::Ended | Standing::Unreturned)));
    }

    /// The exporter has been stopped or killed, and started again.
    pub fn restarted(&mut self) {
        for run in self.all(|run| run.standing == Standing::Connected) {
            self.stand(run, Standing::Unreturned);
        }
    }

    /// The operator's catalog comes (1, 2), changes, or goes (0).
    pub fn catalog(&mut self, edition: u8) {
        match (self.farm, edition) {
            (before, after) if before == after => {}
            (_, 0) => self.times_ignored += self.states.remove("farm").unwrap().times_ignored,
            (0, edition) => self.add(farm(edition).0),
            (_, edition) => self.states.get_mut("farm").unwrap().change_catalog(Rc::new(farm(edition).0)),
        }
        self.farm = edition;
    }

    /// All that the model says of the page: each line without its value, and the value.
    pub fn page(&self) -> BTreeMap<String, String> {
        let mut page = Page::default();
        for state in self.states.values().filter(|state| state.is_shown && self.is_enabled(state.system.name))
        {
            let name = state.system.name;
            for (metric, definition) in &state.system.metrics {
                page.metric(state, metric, metric, definition, self.now);
                if let Some(alias) = definition.alias.filter(|_| self.settings.aliases) {
                    page.metric(state, metric, alias, definition, self.now);
                }
            }
            for (event, count) in &state.events {
                page.own("events_total", &[("event", event)], *count);
            }
            for (kind, count) in &state.abandoned {
                let open = state.entities.keys().filter(|id| id.0 == *kind).count();
                page.own("abandoned_total", &[("entity", kind), ("system", name)], *count);
                page.own("entities", &[("entity", kind), ("system", name)], open as u64);
            }
            page.own("label_cuts_total", &[("system", name)], state.cuts);
            let name_of_time = "lifecycle_exporter_last_event_timestamp_seconds";
            page.line(name_of_time, &[("system", name)], state.last_event_at);
        }
        let startup: u64 = self.states.values().map(|state| state.startup_rejected).sum();
        for (reason, count) in &self.rejected {
            let count = count + if *reason == "entity_limit" { startup } else { 0 };
            page.own("events_rejected_total", &[("reason", reason)], count);
        }
        let ignored: u64 = self.states.values().map(|state| state.times_ignored).sum();
        page.own("event_times_ignored_total", &[], self.times_ignored + ignored);
        let producers =
            self.runs.values().filter(|run| run.owner || self.settings.expect.contains(&run.producer));
        for expected in &self.settings.expect {
            page.own("producer_connected", &[("producer", expected)], 0);
        }
        for run in producers.filter(|run| run.standing != Standing::Lapsed) {
            let connected =
                |other: &&Run| other.producer == run.producer && other.standing == Standing::Connected;
            let count = self.runs.values().filter(connected).count();
            page.own("producer_connected", &[("producer", run.producer)], count as u64);
        }
        page.0
    }
}

/// Lines of an exposition without their order, and numbers without their ways to be written.
#[derive(Default)]
struct Page(BTreeMap<String, String>);

impl Page {
    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.insert(
            series(name, labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))),
            number(value),
        );
    }

    /// A metric of the exporter itself.
    fn own(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.line(&format!("lifecycle_exporter_{name}"), labels, value as f64);
    }

    /// All series of a metric, under its name or its alias.
    fn metric(&mut self, state: &State, metric: &'static str, name: &str, definition: &Metric, now: f64) {
        let mut all: Vec<(&Vec<String>, &Shown)> = Vec::new();
        let (none, first) = (Vec::new(), first(&definition.kind));
        let of_metric = state.series.iter().filter(|((of, _), _)| *of == metric);
        all.extend(of_metric.map(|((_, tuple), Series { shown, .. })| (tuple, shown)));
        if all.is_empty() && definition.labels.is_empty() && !definition.late {
            all.push((&none, &first));
        }
        if all.is_empty() {
            return;
        }
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Histogram(_) => "histogram",
            Kind::Gauge | Kind::Live(_) | Kind::Age => "gauge",
        };
        self.0.insert(format!("# TYPE {name}"), kind.to_owned());
        if !definition.help.is_empty() && name == metric {
            self.0.insert(format!("# HELP {name}"), definition.help.to_owned());
        }
        for (tuple, shown) in all {
            let labels: Vec<(&str, &str)> =
                definition.labels.iter().copied().zip(tuple.iter().map(String::as_str)).collect();
            match shown {
                Shown::Number(value) => self.line(name, &labels, *value),
                Shown::Live => self.line(name, &labels, count(state, definition, tuple)),
                Shown::Mark(None) => self.line(name, &labels, f64::INFINITY),
                Shown::Mark(Some(mark)) => self.line(name, &labels, (now - mark).max(0.0)),
                Shown::Histogram(counts, sum) => {
                    let Kind::Histogram(bounds) = &definition.kind else { unreachable!() };
                    let mut below = 0;
                    for (bound, count) in bounds.iter().chain(&[f64::INFINITY]).zip(counts) {
                        below += count;
                        let bound = number(*bound);
                        let labels = [&labels[..], &[("le", &bound)]].concat();
                        self.line(&format!("{name}_bucket"), &labels, below as f64);
                    }
                    self.line(&format!("{name}_sum"), &labels, *sum);
                    self.line(&format!("{name}_count"), &labels, below as f64);
                }
            }
        }
    }
}

/// What a metric without labels shows before it has been changed.
fn first(kind: &Kind) -> Shown {
    match kind {
        Kind::Histogram(bounds) => Shown::Histogram(vec![0; bounds.len() + 1], 0.0),
        Kind::Live(_) => Shown::Live,
        _ => Shown::Number(0.0),
    }
}

/// How many open entities a series counts.
fn count(state: &State, definition: &Metric, tuple: &[String]) -> f64 {
    let Kind::Live(kind) = definition.kind else { unreachable!() };
    let counted = state.entities.keys().filter(|id| id.0 == kind && state.tuple_of(id, definition) == tuple);
    counted.count() as f64
}

/// A series by its name and labels, these in the order of their names.
pub fn series(name: &str, labels: impl Iterator<Item = (String, String)>) -> String {
    let labels: BTreeMap<String, String> = labels.collect();
    let mut text = name.to_owned();
    for (name, value) in labels {
        text.push_str(&format!(" {name}={value:?}"));
    }
    text
}

/// A number with as many digits as sums in different orders agree on.
pub fn number(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.10e}") }
}
