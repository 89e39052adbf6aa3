//! Plays the input as the feed would: hellos, blocks of lines of several sessions, connections that end,
//! names that become known, reloads and restarts.

use std::net::IpAddr;
use std::sync::LazyLock;

use lifecycle_exporter::internals::fuzz::{Catalog, EventShape, Limits, NextLine, Replica};

use super::input::Input;

pub(crate) const CATALOG: &str = include_str!("catalog.ini");
const START: f64 = 1e9;

/// The catalog, and what a reload may put in its place: a label less, an event less, both.
struct Variants {
    catalogs: [Catalog; 4],
    events: Vec<EventShape>,
}

/// Read once, since that takes longer than most inputs do.
static VARIANTS: LazyLock<Variants> = LazyLock::new(|| {
    let catalogs = [0, 1, 2, 3].map(|variant| {
        let mut text = CATALOG.to_owned();
        if variant & 1 != 0 {
            text = text.replace("labels = colour\nlive = a\n", "live = a\n");
        }
        if variant & 2 != 0 {
            text = text.replace("[event t.seen]", "[event t.saw]");
        }
        Catalog::read(&text).expect("each variant is a catalog")
    });
    Variants { events: catalogs[0].events(), catalogs }
});

/// Two producers with two runs each.
const SESSIONS: [(&str, &str); 4] = [("p", "1"), ("p", "2"), ("q", "1"), ("q", "2")];

/// One change of the state.
pub(crate) enum Step {
    Configure(&'static Catalog, Limits),
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
    series_are_few: bool,
}

/// An empty state with the catalog.
pub(crate) fn begin() -> Replica {
    Replica::new(&VARIANTS.catalogs[0], START)
}

impl<'a> Play<'a> {
    pub(crate) fn new(mut input: Input<'a>) -> Self {
        Play { series_are_few: !input.byte().is_multiple_of(2), input, at: START }
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
                    self.input.line(&VARIANTS.events, self.at, &mut block);
                }
                if choice == 127 {
                    block.extend_from_slice(b"{\"bye\":true}\n");
                }
                Step::Lines(from, block)
            }
        })
    }

    /// A reload: another variant of the catalog, other limits.
    fn configure(&mut self) -> Step {
        let choice = self.input.byte();
        let variant = usize::from(choice >> 2) % 4;
        let limits = Limits {
            series_per_metric: if self.series_are_few { 2 } else { 1_000 },
            entities: if choice & 1 != 0 { 3 } else { 1_000 },
            resolves_names: choice & 2 != 0,
            restart_resets: choice & 16 != 0,
        };
        Step::Configure(&VARIANTS.catalogs[variant], limits)
    }

    /// Does a step. Returns what a producer and the log are told.
    pub(crate) fn step(&self, step: &Step, state: &mut Replica) -> Vec<String> {
        let at = self.at;
        let next_line = |session: Option<usize>, state: &Replica| -> NextLine<'static> {
            let (producer, instance) = SESSIONS[session?];
            Some((producer, instance, state.next_line(producer, instance)?))
        };
        match step {
            Step::Configure(catalog, limits) => state.configure(catalog, *limits, at),
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
