//! Abandons open entities whose end no event reports: their producer has gone, or its server or the machine
//! has restarted.
//!
//! Each entity is abandoned by the `abandoned` event of its kind, which `apply` applies, or it is closed. A
//! producer may have had a million open: the work goes on piece by piece, and scrapes see how far it has come.
//! No other line is applied meanwhile.

use std::sync::Arc;

use super::entities::{EntityId, EntityOwner, Ordered, UNOWNED};
use super::restart::Restart;
use super::{Engine, LineSource, Origin};
use crate::limits;

/// What is being abandoned.
pub(super) struct Abandonment {
    /// Sorted.
    owners: Vec<EntityOwner>,
    /// When it happens, Unix seconds.
    at: f64,
    /// The systems that are left; the last one is in progress.
    systems: Vec<usize>,
    stage: Stage,
    /// What follows, if a restart is the reason.
    restart: Option<Restart>,
}

enum Stage {
    /// Entities are looked for, from this id on.
    Find { id: usize, runs: Vec<Vec<Ordered>> },
    /// What was found is abandoned.
    Abandon { runs: Vec<Vec<Ordered>> },
}

const BEGINNING: Stage = Stage::Find { id: 0, runs: Vec::new() };

impl Engine {
    /// Begins to abandon what these owners have open: to apply the `abandoned` event of each entity, or to close
    /// it. Children come first, whichever owner has them. Entities of kinds with `owned = no` stay open.
    pub(crate) fn begin_abandoning(&mut self, mut owners: Vec<EntityOwner>, at: f64) {
        owners.sort_unstable();
        self.start_abandoning(owners, at, (0..self.systems.len()).rev().collect(), None);
    }

    /// Begins to abandon what these owners, which are sorted, have open in the system of a restart.
    pub(super) fn begin_abandoning_for(&mut self, restart: Restart, owners: Vec<EntityOwner>) {
        let systems = if owners.is_empty() { Vec::new() } else { vec![restart.system] };
        self.start_abandoning(owners, restart.time, systems, Some(restart));
    }

    fn start_abandoning(
        &mut self,
        owners: Vec<EntityOwner>,
        at: f64,
        systems: Vec<usize>,
        restart: Option<Restart>,
    ) {
        debug_assert!(!self.is_busy, "one at a time");
        self.is_busy = true;
        self.abandonment = Some(Box::new(Abandonment { owners, at, systems, stage: BEGINNING, restart }));
    }

    /// Begins to abandon the unowned entities after a reboot of the machine, since the processes that opened them
    /// have ended. Forgets the start-up events that open entities, so that the next [`Self::configure`] applies
    /// them again.
    pub(crate) fn reboot(&mut self, now: f64) {
        self.begin_abandoning(vec![UNOWNED], now);
        self.forget_opening_startup();
    }

    /// Abandons a few entities of those that are being abandoned. Returns whether there are more. `log` gets
    /// messages for the log.
    pub(super) fn abandon_piece(&mut self, log: &mut dyn FnMut(String)) -> bool {
        let Some(mut work) = self.abandonment.take() else { return false };
        let Some(&index) = work.systems.last() else {
            if let Some(restart) = work.restart {
                self.finish_restart(&restart, log);
            }
            return false;
        };
        match &mut work.stage {
            Stage::Find { id, runs } => {
                let system = &mut self.systems[index];
                let end = system.entities.ids_end();
                let ids = *id..end.min(*id + limits::ABANDON_FIND_IDS);
                *id = ids.end;
                let ids = ids.map(|id| id as EntityId);
                let found = ids
                    .filter(|&id| system.entities.is_open(id) && system.is_abandoned_with(id, &work.owners));
                let run = system.entities.run_of(found.map(|id| system.entities.ordered(id)).collect());
                if !run.is_empty() {
                    runs.push(run);
                }
                if *id == end {
                    system.entities.keep_ids();
                    work.stage = Stage::Abandon { runs: std::mem::take(runs) };
                }
            }
            Stage::Abandon { runs } => {
                for _ in 0..limits::ABANDON_PIECE {
                    let Some(next) = self.systems[index].entities.next_of(runs) else { break };
                    self.abandon_one(index, next, work.at, log);
                    if self.systems[index].is_closing() {
                        break;
                    }
                }
                if runs.is_empty() && !self.systems[index].is_closing() {
                    let entities = &mut self.systems[index].entities;
                    entities.use_ids();
                    // A later session may get the number of one of these.
                    entities.clear_owners(&work.owners);
                    work.systems.pop();
                    work.stage = BEGINNING;
                }
            }
        }
        self.abandonment = Some(work);
        true
    }

    fn abandon_one(&mut self, system: usize, ordered: Ordered, at: f64, log: &mut dyn FnMut(String)) {
        let (id, kind) = (ordered.id, ordered.kind());
        let state = &mut self.systems[system];
        let catalog = Arc::clone(&state.catalog);
        let def = &catalog.entities[kind];
        state.abandoned[kind] += 1;
        // The event of another entity may have closed it.
        if !state.entities.is_open(id) {
            return;
        }
        if let Some(event) = def.abandoned {
            let line = state.entities.get(id).to_line(&catalog.events[event].name, def);
            let applied = self.apply_for(&line, at, LineSource::unowned(Origin::Abandonment));
            if let Err(rejection) = applied {
                log(format!("{line}: {rejection}; the {} is closed instead", def.name));
            }
        }
        let state = &mut self.systems[system];
        if state.entities.is_open(id) {
            state.close(id);
            state.close_emptied();
        }
    }
}
