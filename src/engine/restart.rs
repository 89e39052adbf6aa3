//! Events that report a restart of their server. What it had open is abandoned first, by `abandon`; then the
//! event takes effect, and the start-up events are applied.

use std::sync::Arc;

use super::apply::{Context, Event, Scratch};
use super::entities::{EntityOwner, UNOWNED};
use super::read::read_head;
use super::{Engine, LineSource, Origin};
use crate::catalog::model::{EventPlan, Step};
use crate::faults::cut;
use crate::limits;
use crate::protocol::line::Fields;
use crate::protocol::rejection::{Reason, Rejection};

/// An event that reports a restart of its server. Times are Unix seconds.
pub(super) struct Restart {
    pub(super) line: Box<str>,
    pub(super) system: usize,
    pub(super) event: usize,
    /// When it happened.
    pub(super) time: f64,
    /// When its line arrived.
    pub(super) arrived: f64,
    /// The owner of what the event opens.
    pub(super) entity_owner: EntityOwner,
    pub(super) origin: Origin,
}

/// A start-up event of the configuration.
pub(super) struct StartupEvent {
    line: String,
    system: usize,
    restarts: bool,
    opens: bool,
}

impl Engine {
    /// Accepts or rejects an event that reports a restart. It takes effect once everything is abandoned that its
    /// server had open.
    #[cold]
    pub(super) fn apply_restart(
        &mut self,
        restart: Restart,
        source: LineSource<'_>,
        fields: &Fields,
    ) -> Result<(), Rejection> {
        let mut owners = (source.abandoned_by_restart)();
        owners.sort_unstable();
        self.resolve_restart(&mut Scratch::default(), &restart, fields, &owners)?;
        self.systems[restart.system].expose(&self.hasher);
        let abandons = self.catalogs[restart.system].events[restart.event].abandons();
        self.begin_abandoning_for(restart, if abandons { owners } else { Vec::new() });
        Ok(())
    }

    /// The event takes effect, and the start-up events are applied. `log` gets messages for the log.
    pub(super) fn finish_restart(&mut self, restart: &Restart, log: &mut dyn FnMut(String)) {
        let catalog = Arc::clone(&self.catalogs[restart.system]);
        let plan = &catalog.events[restart.event];
        let forgets = plan.abandons() && self.settings.restart_resets;
        let resets = forgets || plan.steps.contains(&Step::Reset);
        if forgets {
            self.systems[restart.system].forget_series(&self.hasher);
            self.fill_gauges(restart.system, &|_| true);
        }
        let (mut scratch, mut fields) = (Scratch::default(), Fields::default());
        let scanned = fields.scan(&restart.line);
        // An `abandoned` event may have closed what the event needs.
        match scanned.and_then(|()| self.resolve_restart(&mut scratch, restart, &fields, &[])) {
            Ok(()) => {
                let system = &mut self.systems[restart.system];
                system.expose(&self.hasher);
                scratch.commit(restart.event_of(plan, &fields), system, &self.hasher);
                system.note_applied(restart.event, restart.origin, restart.arrived, scratch.cuts());
            }
            Err(rejection) => {
                self.count_rejection(rejection.reason);
                let line = cut(&restart.line, limits::LOGGED_LINE_CHARS_MAX);
                log(format!("{line}: {rejection}"));
            }
        }
        self.finish(log);
        self.apply_startup(restart.system, resets, restart.arrived, log);
    }

    fn resolve_restart(
        &mut self,
        scratch: &mut Scratch,
        restart: &Restart,
        fields: &Fields,
        owners: &[EntityOwner],
    ) -> Result<(), Rejection> {
        let catalog = Arc::clone(&self.catalogs[restart.system]);
        let event = restart.event_of(&catalog.events[restart.event], fields);
        self.resolve_with(restart.system, scratch, event, owners)
    }

    fn resolve_with(
        &mut self,
        system: usize,
        scratch: &mut Scratch,
        event: Event<'_>,
        owners: &[EntityOwner],
    ) -> Result<(), Rejection> {
        let mut context = Context::new(&self.settings, &mut self.rdns, &self.hasher, owners);
        scratch.resolve(event, &self.systems[system], &mut context)
    }

    /// Applies the start-up events of a system after a restart, because its server does not report what they
    /// stand for again. Leaves out those that report a restart themselves. `reset`: the restart has cleared
    /// all series.
    fn apply_startup(&mut self, system: usize, reset: bool, now: f64, log: &mut dyn FnMut(String)) {
        for index in 0..self.startup.len() {
            let event = &self.startup[index];
            if event.system != system || event.restarts || !(event.opens || reset) {
                continue;
            }
            let line = event.line.clone();
            if self.startup_is_due(&line, reset)
                && let Err(rejection) = self.apply(&line, now)
            {
                log(format!("[startup] event {line}: {rejection}"));
            }
        }
    }

    /// Finds the events of the start-up lines.
    pub(super) fn index_startup(&mut self) {
        let lines = self.settings.startup.clone().into_iter();
        let known = lines.filter_map(|line| {
            let (system, event) = self.plan_of(&line)?;
            let plan = &self.catalogs[system].events[event];
            Some(StartupEvent { system, restarts: plan.restarts, opens: opens(plan), line })
        });
        self.startup = known.collect();
    }

    /// Whether a start-up event is due: if it opens entities, when they are not open; otherwise, when all
    /// series were `reset`.
    pub(super) fn startup_is_due(&mut self, line: &str, reset: bool) -> bool {
        let Some((system, event)) = self.plan_of(line) else { return true };
        let catalog = Arc::clone(&self.catalogs[system]);
        let plan = &catalog.events[event];
        if !opens(plan) {
            return reset;
        }
        let (mut scratch, mut fields) = (Scratch::default(), Fields::default());
        if fields.scan(line).is_err() {
            return true;
        }
        let event = Event { plan, line, fields: &fields, time: 0.0, entity_owner: UNOWNED };
        match self.resolve_with(system, &mut scratch, event, &[]) {
            Ok(()) => scratch.opens(),
            Err(rejection) => rejection.reason != Reason::AlreadyOpen,
        }
    }

    /// Forgets the start-up events that open entities, so that the next [`Self::configure`] applies them again.
    pub(super) fn forget_opening_startup(&mut self) {
        let known = &self.startup;
        self.settings.startup.retain(|line| !known.iter().any(|event| event.opens && event.line == *line));
        self.startup.retain(|event| !event.opens);
    }

    /// The indices of a line's system and event.
    fn plan_of(&self, line: &str) -> Option<(usize, usize)> {
        let mut fields = Fields::default();
        fields.scan(line).ok()?;
        let (name, _) = read_head(line, &fields).ok()?;
        self.events.get(name).copied()
    }
}

impl Restart {
    fn event_of<'a>(&'a self, plan: &'a EventPlan, fields: &'a Fields) -> Event<'a> {
        Event { plan, line: &self.line, fields, time: self.time, entity_owner: self.entity_owner }
    }
}

/// Whether an event opens entities.
fn opens(plan: &EventPlan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::Open(_)))
}
