//! Ends that nobody tells one by one: a producer that is gone, a server or a machine that has been started again.
//!
//! What was open is abandoned, each entity by its own `abandoned` event; the events themselves are applied by `apply`.

use std::sync::Arc;

use super::apply::{Context, Event, Scratch};
use super::entities::{EntityOwner, UNOWNED};
use super::{Engine, LineSource, read_head};
use crate::catalog::model::{EventPlan, Step};
use crate::protocol::line::Fields;
use crate::protocol::rejection::{Reason, Rejection};

/// An event of a system, and when it happened and arrived, Unix seconds.
#[derive(Clone, Copy)]
pub(super) struct RestartEvent {
    pub(super) system: usize,
    pub(super) event: usize,
    pub(super) time: f64,
    pub(super) arrived: f64,
}

impl Engine {
    /// Gives up what sessions have opened, children first whichever of them has: each entity's `abandoned` event is applied, or it is
    /// closed. Kinds that outlive their producer stay and belong to nobody. `log` takes what the log should say.
    pub(crate) fn abandon(&mut self, owners: &[EntityOwner], now: f64, log: &mut dyn FnMut(String)) {
        for system in 0..self.systems.len() {
            self.abandon_in(system, owners, now, log);
        }
    }

    /// The machine has been started anew: what no session owns was opened by processes that are no more. Start-up events that
    /// open something are taken off the settings, so that the configuration that comes next brings its own.
    pub(crate) fn reboot(&mut self, now: f64, log: &mut dyn FnMut(String)) {
        self.abandon(&[UNOWNED], now, log);
        let mut startup = std::mem::take(&mut self.settings.startup);
        startup.retain(|line| {
            !self.plan_of(line).is_some_and(|(system, event)| opens(&self.catalogs[system].events[event]))
        });
        self.settings.startup = startup;
    }

    fn abandon_in(&mut self, system: usize, owners: &[EntityOwner], now: f64, log: &mut dyn FnMut(String)) {
        let catalog = Arc::clone(&self.systems[system].catalog);
        let state = &self.systems[system];
        for (kind, key) in state.entities.children_first(|id| state.is_abandoned_with(id, owners)) {
            let state = &mut self.systems[system];
            state.abandoned[kind] += 1;
            // An event before this one may have closed it.
            let Some(id) = state.entities.find(kind, &key) else { continue };
            let def = &catalog.entities[kind];
            if let Some(event) = def.abandoned {
                let line = state.entities.get(id).to_line(&catalog.events[event].name, def);
                let source = LineSource { is_internal: true, ..LineSource::unowned() };
                if let Err(rejection) = self.apply_for(&line, now, source, log) {
                    log(format!("{line}: {rejection}; the {} is closed instead", def.name));
                }
            }
            let state = &mut self.systems[system];
            if let Some(id) = state.entities.find(kind, &key)
                && state.is_abandoned_with(id, owners)
            {
                state.close(id);
                state.close_emptied();
            }
        }
        // The number of a session that has ended is given to another one later.
        self.systems[system].entities.clear_owners(owners);
    }

    /// Applies an event that tells of its server's restart: what it had open is abandoned first, and start-up events come last.
    #[cold]
    pub(super) fn apply_restart(
        &mut self,
        line: &str,
        at: RestartEvent,
        source: LineSource<'_>,
        log: &mut dyn FnMut(String),
    ) -> Result<(), Rejection> {
        let catalog = Arc::clone(&self.catalogs[at.system]);
        let plan = &catalog.events[at.event];
        let owners = (source.abandoned_by_restart)();
        // The events that it causes use the engine's own.
        let (mut scratch, fields) = (Scratch::default(), std::mem::take(&mut self.fields));
        let event = Event { plan, line, fields: &fields, time: at.time, entity_owner: source.entity_owner };
        let abandons = plan.steps.first() == Some(&Step::Abandon);
        let forgets = plan.steps.contains(&Step::Reset) || (abandons && self.settings.restart_resets);
        let mut resolved = self.resolve_alone(at.system, &mut scratch, event, &owners);
        let begins = resolved.is_ok();
        if begins && abandons {
            self.systems[at.system].expose(&self.hasher);
            self.abandon_in(at.system, &owners, at.time, log);
            if self.settings.restart_resets {
                self.systems[at.system].forget_series(&self.hasher);
                self.fill_gauges(at.system, &|_| true);
            }
            // The events that stood for the abandonment may have closed more than was given up.
            resolved = self.resolve_alone(at.system, &mut scratch, event, &[]);
        }
        if resolved.is_ok() {
            let system = &mut self.systems[at.system];
            system.expose(&self.hasher);
            scratch.commit(event, system, &self.hasher);
            system.label_cuts += scratch.cuts();
            system.applied[at.event] += 1;
        }
        if begins {
            self.apply_startup(at.system, forgets, at.arrived, log);
        }
        self.fields = fields;
        resolved
    }

    fn resolve_alone(
        &mut self,
        system: usize,
        scratch: &mut Scratch,
        event: Event<'_>,
        owners: &[EntityOwner],
    ) -> Result<(), Rejection> {
        let mut context = Context::new(&self.settings, &mut self.rdns, &self.hasher, owners);
        scratch.resolve(event, &self.systems[system], &mut context)
    }

    /// Start-up events stand for what a server does not tell again after its restart. Those that tell of a restart themselves are
    /// left out.
    fn apply_startup(&mut self, system: usize, forgets: bool, now: f64, log: &mut dyn FnMut(String)) {
        let lines = self.settings.startup.clone();
        for line in lines {
            let Some((of, event)) = self.plan_of(&line) else { continue };
            if of != system
                || self.catalogs[of].events[event].restarts
                || !self.startup_has_effect(&line, forgets)
            {
                continue;
            }
            if let Err(rejection) = self.apply_for(&line, now, LineSource::unowned(), log) {
                self.count_rejection(rejection.reason);
                log(format!("[startup] event {line}: {rejection}"));
            }
        }
    }

    /// Whether a start-up event has something to do: what it opens is not open. One that opens nothing has, where all series are
    /// `forgotten`.
    pub(super) fn startup_has_effect(&mut self, line: &str, forgotten: bool) -> bool {
        let Some((system, event)) = self.plan_of(line) else { return true };
        let catalog = Arc::clone(&self.catalogs[system]);
        let plan = &catalog.events[event];
        if !opens(plan) {
            return forgotten;
        }
        let (mut scratch, mut fields) = (Scratch::default(), Fields::default());
        if fields.scan(line).is_err() {
            return true;
        }
        let event = Event { plan, line, fields: &fields, time: 0.0, entity_owner: UNOWNED };
        match self.resolve_alone(system, &mut scratch, event, &[]) {
            Ok(()) => scratch.opens(),
            Err(rejection) => rejection.reason != Reason::AlreadyOpen,
        }
    }

    /// The system and event of a line.
    fn plan_of(&self, line: &str) -> Option<(usize, usize)> {
        let mut fields = Fields::default();
        fields.scan(line).ok()?;
        let (name, _) = read_head(line, &fields).ok()?;
        self.events.get(name).copied()
    }
}

/// Whether an event opens entities.
fn opens(plan: &EventPlan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::Open { .. }))
}
