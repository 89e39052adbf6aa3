//! How far a reload is, as a state machine: what a signal, a result or a time-out leads to.
//!
//! The configuration is read in a thread of its own, because a file system may not answer. The supervisor
//! does the actions and waits for what comes of them ([`Reloading::ends`]). This file reads and tells nothing.
//!
//! | state | asked | timed out | done |
//! |---|---|---|---|
//! | idle | load | – | – |
//! | loading | once more afterwards | given up; tell | tell, and load if asked meanwhile |
//! | taking | once more afterwards | – | tell, and load if asked meanwhile |
//! | given up | once more afterwards | – | load if asked meanwhile |
//!
//! Loading turns into taking when the configuration is read and has no fault
//! ([`Reloading::wait_until_taken`]).

use std::time::Instant;

use crossbeam_channel::{Receiver, after, never};

use super::configuration::Config;
use crate::faults::Faults;
use crate::limits;

type Loaded = Receiver<Result<Config, Faults>>;

/// Whether a reload is under way, and whether another one has been asked for meanwhile.
#[derive(Default)]
pub(super) struct Reloading {
    state: State,
    is_asked_again: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// A thread reads the configuration.
    Loading { loaded: Loaded, timeout: Receiver<Instant> },
    /// The feed is about to take it.
    Taking { taken: Receiver<()> },
    /// The thread has not come back. A second one would not either.
    GivenUp { loaded: Loaded },
}

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
    /// By a signal.
    Asked,
    TimedOut,
    /// The configuration has a fault, was taken, or came too late.
    Done,
}

/// What the supervisor has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Tell systemd, start a thread, and pass its channel to [`Reloading::wait_for_load`].
    Load,
    /// Tell systemd that the reload is over.
    TellReady,
}

/// What can happen next, for `select!`.
pub(super) struct Ends {
    pub(super) loaded: Loaded,
    pub(super) taken: Receiver<()>,
    pub(super) timeout: Receiver<Instant>,
}

impl Reloading {
    pub(super) fn ends(&self) -> Ends {
        let mut ends = Ends { loaded: never(), taken: never(), timeout: never() };
        match &self.state {
            State::Idle => {}
            State::Loading { loaded, timeout } => {
                ends.loaded = loaded.clone();
                ends.timeout = timeout.clone();
            }
            State::Taking { taken } => ends.taken = taken.clone(),
            State::GivenUp { loaded } => ends.loaded = loaded.clone(),
        }
        ends
    }

    /// Whether what is loaded now belongs to a reload that has been given up.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.state, State::GivenUp { .. })
    }

    pub(super) fn step(&mut self, input: Input) -> Vec<Action> {
        let state = std::mem::take(&mut self.state);
        match (input, state) {
            (Input::Asked, State::Idle) => vec![Action::Load],
            (Input::Asked, state) => {
                self.is_asked_again = true;
                self.state = state;
                Vec::new()
            }
            (Input::TimedOut, State::Loading { loaded, .. }) => {
                self.state = State::GivenUp { loaded };
                vec![Action::TellReady]
            }
            (Input::TimedOut, state) => {
                self.state = state;
                Vec::new()
            }
            (Input::Done, state) => {
                let is_told = matches!(state, State::Idle | State::GivenUp { .. });
                let mut actions = if is_told { Vec::new() } else { vec![Action::TellReady] };
                if std::mem::take(&mut self.is_asked_again) {
                    actions.push(Action::Load);
                }
                actions
            }
        }
    }

    /// A thread has begun to read the configuration.
    pub(super) fn wait_for_load(&mut self, loaded: Loaded) {
        self.state = State::Loading { loaded, timeout: after(limits::RELOAD_MAX) };
    }

    /// The roles have been handed the configuration.
    pub(super) fn wait_until_taken(&mut self, taken: Receiver<()>) {
        self.state = State::Taking { taken };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a reload: `a`sked, `l`oaded and handed over, `t`imed out, `d`one. Shows the actions: `L`oad and
    /// `R`eady.
    fn play(inputs: &str) -> String {
        let mut reloading = Reloading::default();
        let mut shown = String::new();
        for input in inputs.chars() {
            let actions = match input {
                'a' => reloading.step(Input::Asked),
                't' => reloading.step(Input::TimedOut),
                'd' => reloading.step(Input::Done),
                _ => {
                    reloading.wait_until_taken(never());
                    Vec::new()
                }
            };
            for action in actions {
                if action == Action::Load {
                    reloading.wait_for_load(never());
                }
                shown.push(if action == Action::Load { 'L' } else { 'R' });
            }
        }
        shown
    }

    #[test]
    fn every_request_is_followed_by_a_load_and_every_load_by_one_end() {
        for (inputs, expected) in [
            ("ald", "LR"),
            ("ad", "LR"),
            ("aald", "LRL"),
            ("alaad", "LRL"),
            ("at", "LR"),
            ("atd", "LR"),
            ("ataad", "LRL"),
            ("atadld", "LRLR"),
        ] {
            assert_eq!(play(inputs), expected, "{inputs}");
        }
    }
}
