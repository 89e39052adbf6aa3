//! Abandons open entities whose end no event reports: their producer has gone, or its server or the machine
//! has restarted.
//!
//! Each entity is abandoned by the `abandoned` event of its kind, which `apply` applies, or it is closed.

use std::sync::Arc;

use super::apply::{Context, Event, Scratch};
use super::entities::{EntityOwner, UNOWNED};
use super::{Engine, LineSource, read_head};
use crate::catalog::model::{EventPlan, Step};
use crate::protocol::line::Fields;
use crate::protocol::rejection::{Reason, Rejection};

/// An event that reports a restart of its server. Times are Unix seconds.
#[derive(Clone, Copy)]
pub(super) struct RestartEvent {
    pub(super) system: usize,
    pub(super) event: usize,
    /// When it happened.
    pub(super) time: f64,
    /// When its line arrived.
    pub(super) arrived: f64,
}

impl Engine {
    /// Abandons what these owners have open: applies the `abandoned` event of each entity, or closes it.
    /// Children come first, whichever owner has them. Entities of kinds with `owned = no` stay open. `log`
    /// gets messages for the log.
    pub(crate) fn abandon(&mut self, owners: &[EntityOwner], now: f64, log: &mut dyn FnMut(String)) {
        for system in 0..self.systems.len() {
            self.abandon_in(system, owners, now, log);
        }
    }

    /// Abandons the unowned entities after a reboot of the machine, since the processes that opened them have
    /// ended. Forgets the start-up events that open entities, so that the next [`Self::configure`] applies
    /// them again.
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
            // The event of another entity may have closed it.
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
        // A later session may get the number of one of these.
        self.systems[system].entities.clear_owners(owners);
    }

    /// Applies an event that reports a restart: abandons what the server had open, applies the event, and
    /// applies the start-up events.
    #[cold]
    pub(super) fn apply_restart(
        &mut self,
        line: &str,
        restart: RestartEvent,
        source: LineSource<'_>,
        log: &mut dyn FnMut(String),
    ) -> Result<(), Rejection> {
        let catalog = Arc::clone(&self.catalogs[restart.system]);
        let plan = &catalog.events[restart.event];
        let owners = (source.abandoned_by_restart)();
        // The events that this one causes use `self.scratch` and `self.fields`.
        let (mut scratch, fields) = (Scratch::default(), std::mem::take(&mut self.fields));
        let event =
            Event { plan, line, fields: &fields, time: restart.time, entity_owner: source.entity_owner };
        let abandons = plan.steps.first() == Some(&Step::Abandon);
        let resets = plan.steps.contains(&Step::Reset) || (abandons && self.settings.restart_resets);
        let mut resolved = self.resolve_with(restart.system, &mut scratch, event, &owners);
        let is_accepted = resolved.is_ok();
        if is_accepted && abandons {
            self.systems[restart.system].expose(&self.hasher);
            self.abandon_in(restart.system, &owners, restart.time, log);
            if self.settings.restart_resets {
                self.systems[restart.system].forget_series(&self.hasher);
                self.fill_gauges(restart.system, &|_| true);
            }
            // The `abandoned` events may have closed other entities, too.
            resolved = self.resolve_with(restart.system, &mut scratch, event, &[]);
        }
        if resolved.is_ok() {
            let system = &mut self.systems[restart.system];
            system.expose(&self.hasher);
            scratch.commit(event, system, &self.hasher);
            system.label_cuts += scratch.cuts();
            system.applied[restart.event] += 1;
        }
        if is_accepted {
            self.apply_startup(restart.system, resets, restart.arrived, log);
        }
        self.fields = fields;
        resolved
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
        for line in self.settings.startup.clone() {
            let Some((of, event)) = self.plan_of(&line) else { continue };
            if of != system || self.catalogs[of].events[event].restarts || !self.startup_is_due(&line, reset)
            {
                continue;
            }
            if let Err(rejection) = self.apply(&line, now) {
                log(format!("[startup] event {line}: {rejection}"));
            }
        }
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

    /// The indices of a line's system and event.
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
