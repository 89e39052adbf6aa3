//! Plays the input as the feed would: hellos, blocks of lines of several sessions, connections that end,
//! names that become known, reloads and restarts.

use std::net::IpAddr;

use lifecycle_exporter::internals::fuzz::{EventShape, Limits, NextLine, Replica};

use super::input::Input;

pub(crate) const CATALOG: &str = include_str!("catalog.ini");
const START: f64 = 1e9;

/// Two producers with two runs each.
const SESSIONS: [(&str, &str); 4] = [("p", "1"), ("p", "2"), ("q", "1"), ("q", "2")];

/// One change of the state.
pub(crate) enum Step {
    Configure(String, Limits),
    Hello(usize, bool),
    Lines(Option<usize>, Vec<u8>),
    Rejected(Option<usize>),
    Disconnected(usize),
    Abandoned(usize),
    Forgotten(usize),
    Named(u8),
    Started(u8),
    /// The state is saved and restored.
    Saved,
}

pub(crate) struct Play<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) at: f64,
    events: Vec<EventShape>,
}

/// An empty state with the catalog.
pub(crate) fn begin() -> Replica {
    Replica::new(CATALOG, START).expect("the catalog has no faults")
}

impl<'a> Play<'a> {
    pub(crate) fn new(input: Input<'a>, state: &Replica) -> Self {
        Play { input, at: START, events: state.events() }
    }

    /// The next step; `None` at the end of the input.
    pub(crate) fn next(&mut self) -> Option<Step> {
        if self.input.is_empty() {
            return None;
        }
        self.at += self.input.seconds();
        let choice = self.input.byte();
        let session = usize::from(choice >> 4) % SESSIONS.len();
        let from = (choice < 128).then_some(session);
        Some(match choice % 16 {
            0 | 1 => Step::Hello(session, choice.is_multiple_of(16)),
            2 => Step::Rejected(from),
            3 => Step::Disconnected(session),
            4 => Step::Abandoned(session),
            5 => Step::Forgotten(session),
            6 => Step::Named(choice >> 4),
            7 => Step::Started(choice >> 6),
            8 => self.configure(),
            9 | 10 => Step::Saved,
            _ => {
                let mut block = Vec::new();
                for _ in 0..=self.input.byte() % 8 {
                    self.input.line(&self.events, self.at, &mut block);
                }
                if choice == 127 {
                    block.extend_from_slice(b"{\"bye\":true}\n");
                }
                Step::Lines(from, block)
            }
        })
    }

    /// A reload: other limits, and sometimes a label or a kind less.
    fn configure(&mut self) -> Step {
        let choice = self.input.byte();
        let mut catalog = CATALOG.to_owned();
        if choice & 1 != 0 {
            catalog = catalog.replace("labels = colour\nlive = a\n", "live = a\n");
        }
        if choice & 2 != 0 {
            catalog = catalog.replace("[event t.seen]", "[event t.saw]");
        }
        let limits = Limits {
            series_per_metric: if choice & 4 != 0 { 2 } else { 1_000 },
            entities: if choice & 8 != 0 { 3 } else { 1_000 },
            resolves_names: choice & 16 != 0,
            restart_resets: choice & 32 != 0,
        };
        Step::Configure(catalog, limits)
    }

    /// Does a step. Returns what a producer and the log are told.
    pub(crate) fn step(&self, step: &Step, state: &mut Replica) -> Vec<String> {
        let at = self.at;
        let next_line = |session: Option<usize>, state: &Replica| -> NextLine<'static> {
            let (producer, instance) = SESSIONS[session?];
            Some((producer, instance, state.next_line(producer, instance)?))
        };
        match step {
            Step::Configure(catalog, limits) => {
                state.configure(catalog, *limits, at).expect("each variant is a catalog");
                Vec::new()
            }
            Step::Hello(session, owner) => {
                state.hello(at, SESSIONS[*session].0, SESSIONS[*session].1, *owner)
            }
            Step::Lines(from, block) => state.lines(at, next_line(*from, state), block),
            Step::Rejected(from) => state.rejected(next_line(*from, state)),
            Step::Disconnected(session) => state.disconnected(SESSIONS[*session].0, SESSIONS[*session].1),
            Step::Abandoned(session) => state.abandoned(at, SESSIONS[*session].0, SESSIONS[*session].1),
            Step::Forgotten(session) => {
                // Only what has nothing open is forgotten.
                let mut told = state.abandoned(at, SESSIONS[*session].0, SESSIONS[*session].1);
                told.extend(state.forgotten(SESSIONS[*session].0, SESSIONS[*session].1));
                told
            }
            Step::Named(number) => {
                state.named(IpAddr::from([10, 0, 0, number % 4]), &format!("host{}", number % 4))
            }
            Step::Started(boot) => state.started(at, &boot.to_string()),
            Step::Saved => Vec::new(),
        }
    }
}
