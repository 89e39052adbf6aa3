//! Ends that nobody tells one by one: a producer that is gone, a server or a machine that has been started again.
//!
//! What was open is abandoned, each entity by its own `abandoned` event; the events themselves are applied by `apply`.

use std::sync::Arc;

use super::apply::{Context, Event, Scratch};
use super::entities::{NOBODY, Opener};
use super::{Engine, Origin, read_head};
use crate::catalog::model::Step;
use crate::event::line::Fields;
use crate::event::rejection::{Reason, Rejection};

/// An event of a system, and when it happened and arrived, Unix seconds.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) system: usize,
    pub(super) event: usize,
    pub(super) time: f64,
    pub(super) arrived: f64,
}

impl Engine {
    /// Gives up what sessions have opened, children first whichever of them has: each entity's `abandoned` event is applied, or it is
    /// closed. Kinds that outlive their producer stay and belong to nobody. `note` takes what the log should say.
    pub fn abandon(&mut self, openers: &[Opener], now: f64, note: &mut dyn FnMut(String)) {
        for system in 0..self.systems.len() {
            self.abandon_in(system, openers, now, note);
        }
    }

    /// The machine has been started anew: what no session owns was opened by processes that are no more.
    pub fn reboot(&mut self, now: f64, note: &mut dyn FnMut(String)) {
        self.abandon(&[NOBODY], now, note);
        for system in 0..self.systems.len() {
            self.start_up(system, now, note);
        }
    }

    fn abandon_in(&mut self, system: usize, former: &[Opener], now: f64, note: &mut dyn FnMut(String)) {
        let catalog = Arc::clone(&self.systems[system].catalog);
        let state = &self.systems[system];
        for (kind, key) in state.entities.children_first(|id| state.is_given_up(id, former)) {
            let state = &mut self.systems[system];
            state.abandoned[kind] += 1;
            // An event before this one may have closed it.
            let Some(id) = state.entities.find(kind, &key) else { continue };
            let def = &catalog.entities[kind];
            if let Some(event) = def.abandoned {
                let line = state.entities.get(id).to_line(&catalog.events[event].name, def);
                let origin = Origin { is_own: true, ..Origin::nobody() };
                if let Err(rejection) = self.apply_for(&line, now, origin, note) {
                    note(format!("{line}: {rejection}; the {} is closed instead", def.name));
                }
            }
            let state = &mut self.systems[system];
            if let Some(id) = state.entities.find(kind, &key)
                && state.is_given_up(id, former)
            {
                state.close(id);
                state.entities.release();
            }
        }
        // The number of a session that has ended is given to another one later.
        for &opener in former {
            self.systems[system].entities.give_to_nobody(opener);
        }
    }

    /// Applies an event that tells of its server's restart. What is abandoned is so between the steps before and behind it;
    /// start-up events come last.
    #[cold]
    pub(super) fn apply_restart(
        &mut self,
        line: &str,
        at: At,
        origin: Origin<'_>,
        note: &mut dyn FnMut(String),
    ) -> Result<(), Rejection> {
        let catalog = Arc::clone(&self.catalogs[at.system]);
        let plan = &catalog.events[at.event];
        let former = (origin.former)();
        // The events that it causes use the engine's own.
        let (mut scratch, fields) = (Scratch::default(), std::mem::take(&mut self.fields));
        let event = Event { plan, line, fields: &fields, time: at.time, opener: origin.opener };
        let mut context = Context::new(&self.rules, &mut self.names, &self.hasher, &former);
        let resolved = scratch.resolve(event, &self.systems[at.system], &mut context);
        if resolved.is_ok() {
            self.systems[at.system].show(&self.hasher);
            let steps = plan.steps.len();
            let abandon = plan.steps.iter().position(|step| *step == Step::Abandon);
            let first = abandon.unwrap_or(steps);
            scratch.commit(event, 0..first, &mut self.systems[at.system], &self.hasher);
            if abandon.is_some() {
                self.abandon_in(at.system, &former, at.time, note);
                if self.rules.restart_resets {
                    self.systems[at.system].forget_series(&self.hasher);
                    self.fill_gauges(at.system, &|_| true);
                }
            }
            scratch.commit(event, first..steps, &mut self.systems[at.system], &self.hasher);
            let system = &mut self.systems[at.system];
            system.label_cuts += scratch.cuts();
            system.applied[at.event] += 1;
            self.start_up(at.system, at.arrived, note);
        }
        self.fields = fields;
        resolved
    }

    /// Start-up events stand for what a server does not tell again after its restart. Those that tell of a restart themselves are
    /// left out, and so are those whose entity is open still.
    fn start_up(&mut self, system_index: usize, now: f64, note: &mut dyn FnMut(String)) {
        let plans = &self.systems[system_index].catalog.events;
        let of_system = |line: &String| {
            let mut fields = Fields::default();
            fields.scan(line).is_ok()
                && read_head(line, &fields)
                    .is_ok_and(|(name, _)| plans.iter().any(|plan| plan.name == name && !plan.restarts))
        };
        let lines: Vec<String> = self.rules.startup.iter().filter(|line| of_system(line)).cloned().collect();
        for line in lines {
            match self.apply_for(&line, now, Origin::nobody(), note) {
                Err(rejection) if rejection.reason != Reason::AlreadyOpen => {
                    self.count_rejection(rejection.reason);
                    note(format!("[startup] event {line}: {rejection}"));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}
