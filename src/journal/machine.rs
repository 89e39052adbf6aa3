//! Where the journal stands: what it does with each block, when it asks for a snapshot, and what a failure
//! leads to. Pure: `writer` turns what happens on the disk into inputs and carries the actions out.
//!
//! | state | input | next state | actions |
//! |---|---|---|---|
//! | `Detached` | tick, unless a retry is still to come | `Detached` | attach |
//! | `Detached` | attached, state was found | `Offered` | offer it to the feed |
//! | `Detached` | attached, nothing was found | `Behind` | request an image |
//! | `Detached` | failed to attach | `Detached` | retry later |
//! | `Offered` | adopted, its journals are whole | `Offered` | begin the journal that follows them |
//! | `Offered` | adopted, a journal was set aside | `Behind` | request an image |
//! | `Offered` | begun / failed to begin | `Appending` / `Behind` | – / retry later |
//! | `Appending` | block | `Appending` | write |
//! | `Appending` | tick, when a snapshot or a retry is due | `Appending` | request an image |
//! | `Appending` | image | `Appending` | begin the next journal and save |
//! | `Appending` | begun / failed to begin | `Appending` | – / retry later |
//! | `Appending` | write or sync failed, gap | `Behind` | close, retry later |
//! | `Appending` | saved / failed to save | `Appending` | – / retry later |
//! | `Behind` | tick, unless a retry is still to come | `Behind` | attach |
//! | `Behind` | attached / failed to attach | `Behind` | request an image / retry later |
//! | `Behind` | image | `Behind` | begin a journal that follows its snapshot alone, and save |
//! | `Behind` | begun / failed to begin | `CatchingUp` / `Behind` | – / retry later |
//! | `CatchingUp` | block | `CatchingUp` | write |
//! | `CatchingUp` | write or sync failed, gap | `Behind` | discard, retry later |
//! | `CatchingUp` | saved that snapshot | `Appending` | announce |
//! | `CatchingUp` | failed to save it | `Behind` | discard, retry later |
//! | any but `Detached` and `Offered` | last image | the same | save without a new journal |
//!
//! A start begins in `Offered` where the directory can be read, be it empty, else in `Detached`. One snapshot is under
//! way at a time: while one is asked for or being saved, a tick asks for no other, and an image that comes all the same
//! is dropped. In `Detached`, `Offered` and `Behind` blocks are dropped: memory is ahead of the disk. Every other input
//! leaves the state as it is.

use std::time::{Duration, Instant};

use crate::limits;

/// Where the journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The directory cannot be locked or read for now, so nothing may be written there.
    Detached,
    /// The state that was found is with the feed, which will adopt it.
    Offered,
    /// The disk holds all that memory does, but for what is on its way.
    Appending,
    /// Memory is ahead of the disk.
    Behind,
    /// A journal has been begun that counts only with the snapshot of this generation, which is being saved.
    CatchingUp { generation: u64 },
}

/// What happens to the journal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input<'a> {
    /// Time passes. `snapshot_due`: the journals are long, many or old enough.
    Tick {
        snapshot_due: bool,
    },
    /// The directory is locked and has been read.
    Attached {
        found: bool,
    },
    AttachFailed,
    /// The feed goes on from the state that was found. `whole`: the journals it came from can be gone on
    /// from.
    Adopted {
        whole: bool,
    },
    Block(&'a [u8]),
    /// The feed has dropped blocks: the queue was full.
    Gap,
    Image(Image),
    /// The image of a clean stop.
    LastImage(Image),
    /// A journal of this generation has been begun.
    Begun {
        generation: u64,
    },
    BeginFailed,
    WriteFailed,
    SyncFailed,
    Saved {
        generation: u64,
    },
    SaveFailed {
        generation: u64,
    },
}

/// The state at one point between two blocks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// Unix seconds.
    pub(super) taken_at: f64,
}

/// What the writer has to do. Those that can fail come back as an input.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action<'a> {
    /// Lock the directory, and read it if that has not been done.
    Attach,
    /// Give what was read to the feed.
    Offer,
    /// Begin the journal that goes on from what was read.
    Continue,
    Write(&'a [u8]),
    /// Ask the feed for an image.
    Request,
    /// Begin the next journal, and save the image as the snapshot of its generation. `alone`: the journal
    /// counts only with it.
    Begin {
        image: Image,
        alone: bool,
    },
    /// Save the image as the snapshot of the next generation.
    SaveLast(Image),
    /// Append no more to the journal; what it holds counts.
    Close,
    /// Remove the journal: without its snapshot it counts for nothing, and may take the room that is missing.
    Discard,
    /// Say that state is durable again.
    Announce,
}

/// The state and what decides when to try again.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    /// The snapshot that is being saved.
    saving: Option<u64>,
    /// An image has been asked for and has not come yet.
    requested: bool,
    retry_at: Option<Instant>,
    pause: Duration,
}

impl Machine {
    pub(super) fn new(state: State) -> Self {
        Machine { state, saving: None, requested: false, retry_at: None, pause: limits::JOURNAL_RETRY_FIRST }
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether the disk holds all that memory does, but for what is on its way.
    pub(super) fn is_durable(&self) -> bool {
        self.state == State::Appending
    }

    pub(super) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// When a tick has something to do; `None` while what was retried is under way.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.is_busy())
    }

    /// Lets a retry come due at once.
    #[cfg(test)]
    pub(super) fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// Takes one input. The table above is this function.
    pub(super) fn step<'a>(&mut self, input: Input<'a>, now: Instant) -> Vec<Action<'a>> {
        use State::{Appending, Behind, CatchingUp, Detached, Offered};
        match (self.state, input) {
            (Detached, Input::Tick { .. }) if self.may_try(now) => self.attach(),
            (Detached, Input::Attached { found: true }) => self.go(Offered, vec![Action::Offer]),
            (Detached, Input::Attached { found: false }) => {
                self.state = Behind;
                self.request()
            }
            (Behind, Input::Tick { .. }) if self.may_try(now) && !self.is_busy() => self.attach(),
            (Behind, Input::Attached { .. }) => self.request(),
            (Detached | Behind, Input::AttachFailed) => self.later(now, Vec::new()),

            (Offered, Input::Adopted { whole: true }) => vec![Action::Continue],
            (Offered, Input::Adopted { whole: false }) => {
                self.state = Behind;
                self.request()
            }
            (Offered, Input::Begun { .. }) => self.go(Appending, Vec::new()),
            (Offered, Input::BeginFailed) => {
                self.state = Behind;
                self.later(now, Vec::new())
            }

            (Appending | CatchingUp { .. }, Input::Block(block)) => vec![Action::Write(block)],
            (Appending, Input::Tick { snapshot_due })
                if (snapshot_due || self.retry_at.is_some()) && self.may_try(now) && !self.is_busy() =>
            {
                self.request()
            }
            (Appending, Input::WriteFailed | Input::SyncFailed | Input::Gap) => {
                self.state = Behind;
                self.later(now, vec![Action::Close])
            }
            (CatchingUp { .. }, Input::WriteFailed | Input::SyncFailed | Input::Gap) => {
                self.state = Behind;
                self.later(now, vec![Action::Discard])
            }

            (state, Input::Image(image)) => {
                self.requested = false;
                match state {
                    Appending if self.saving.is_none() => vec![Action::Begin { image, alone: false }],
                    Behind if self.saving.is_none() => vec![Action::Begin { image, alone: true }],
                    _ => Vec::new(),
                }
            }
            (Appending, Input::Begun { generation }) => {
                self.saving = Some(generation);
                Vec::new()
            }
            (Behind, Input::Begun { generation }) => {
                self.saving = Some(generation);
                self.go(CatchingUp { generation }, Vec::new())
            }
            (Appending | Behind, Input::BeginFailed) => self.later(now, Vec::new()),
            (Appending | Behind | CatchingUp { .. }, Input::LastImage(image)) => {
                vec![Action::SaveLast(image)]
            }

            (state, Input::Saved { generation }) => {
                self.saved(generation);
                match state {
                    CatchingUp { generation: awaited } if awaited == generation => {
                        self.go(Appending, vec![Action::Announce])
                    }
                    _ => Vec::new(),
                }
            }
            (state, Input::SaveFailed { generation }) => {
                self.saved(generation);
                match state {
                    CatchingUp { generation: awaited } if awaited == generation => {
                        self.state = Behind;
                        self.later(now, vec![Action::Discard])
                    }
                    Appending => self.later(now, Vec::new()),
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Goes to a state that needs no retry.
    fn go<'a>(&mut self, state: State, actions: Vec<Action<'a>>) -> Vec<Action<'a>> {
        self.state = state;
        if state == State::Appending {
            self.retry_at = None;
            self.pause = limits::JOURNAL_RETRY_FIRST;
        }
        actions
    }

    /// Takes the retry that is due. What fails again asks for another.
    fn attach<'a>(&mut self) -> Vec<Action<'a>> {
        self.retry_at = None;
        vec![Action::Attach]
    }

    fn request<'a>(&mut self) -> Vec<Action<'a>> {
        self.retry_at = None;
        if std::mem::replace(&mut self.requested, true) { Vec::new() } else { vec![Action::Request] }
    }

    fn later<'a>(&mut self, now: Instant, actions: Vec<Action<'a>>) -> Vec<Action<'a>> {
        self.retry_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(limits::JOURNAL_RETRY_MAX);
        actions
    }

    fn saved(&mut self, generation: u64) {
        if self.saving == Some(generation) {
            self.saving = None;
        }
    }

    fn may_try(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether a snapshot is on its way.
    fn is_busy(&self) -> bool {
        self.requested || self.saving.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a test lets happen; results of actions follow by themselves, well or ill.
    #[derive(Debug, Clone)]
    enum Event {
        Pass(u16),
        Due,
        Block,
        Gap,
        SyncFailed,
        SnapshotEnds,
    }

    fn events() -> impl Strategy<Value = Vec<(Event, bool)>> {
        let event = prop_oneof![
            any::<u16>().prop_map(Event::Pass),
            Just(Event::Due),
            Just(Event::Block),
            Just(Event::Block),
            Just(Event::Gap),
            Just(Event::SyncFailed),
            Just(Event::SnapshotEnds),
        ];
        prop::collection::vec((event, prop::bool::weighted(0.7)), 1..80)
    }

    /// A disk and a feed that answer each action.
    struct World {
        machine: Machine,
        now: Instant,
        generation: u64,
        saving: Vec<u64>,
        /// Blocks that were written since the disk last held all of memory, or dropped.
        written: u64,
        dropped: u64,
    }

    impl World {
        fn new() -> Self {
            let machine = Machine::new(State::Detached);
            World { machine, now: Instant::now(), generation: 1, saving: vec![], written: 0, dropped: 0 }
        }

        /// Gives an input and answers what it leads to, well or ill.
        fn give(&mut self, input: Input<'_>, well: bool) {
            let is_block = matches!(input, Input::Block(_));
            let mut written = false;
            let actions = self.machine.step(input, self.now);
            for action in actions {
                match action {
                    Action::Attach if well => {
                        self.give(Input::Attached { found: self.generation == 1 }, well);
                    }
                    Action::Attach => self.give(Input::AttachFailed, well),
                    Action::Offer => self.give(Input::Adopted { whole: well }, well),
                    Action::Continue | Action::Begin { .. } if !well => self.give(Input::BeginFailed, well),
                    Action::Continue => {
                        self.generation += 1;
                        self.give(Input::Begun { generation: self.generation }, well);
                    }
                    Action::Begin { alone, .. } => {
                        assert_eq!(alone, self.machine.state() == State::Behind);
                        assert!(self.saving.is_empty(), "one snapshot at a time");
                        self.generation += 1;
                        self.saving.push(self.generation);
                        self.give(Input::Begun { generation: self.generation }, well);
                    }
                    Action::Write(_) if well => written = true,
                    Action::Write(_) => self.give(Input::WriteFailed, well),
                    Action::Request => {
                        let image = Image { bytes: Vec::new(), taken_at: 0.0 };
                        self.give(Input::Image(image), well);
                    }
                    Action::SaveLast(_) | Action::Close | Action::Discard | Action::Announce => {}
                }
            }
            if is_block && written {
                self.written += 1;
            } else if is_block {
                self.dropped += 1;
                assert!(!self.machine.is_durable(), "a block was dropped, and all is said to be there");
            }
        }

        /// Plays an event. A retry that is due never stays due.
        fn play(&mut self, event: &Event, well: bool) {
            self.happen(event, well);
            if let Event::Pass(_) | Event::Due = event {
                assert!(self.machine.retry_at().is_none_or(|at| at > self.now), "a busy loop");
            }
        }

        fn happen(&mut self, event: &Event, well: bool) {
            match event {
                Event::Pass(milliseconds) => {
                    self.now += Duration::from_millis(u64::from(*milliseconds));
                    self.give(Input::Tick { snapshot_due: false }, well);
                }
                Event::Due => self.give(Input::Tick { snapshot_due: true }, well),
                Event::Block => self.give(Input::Block(b"x"), well),
                Event::Gap => {
                    self.give(Input::Gap, well);
                    assert!(!self.machine.is_durable(), "blocks are missing");
                }
                Event::SyncFailed => self.give(Input::SyncFailed, well),
                Event::SnapshotEnds => {
                    if let Some(generation) = self.saving.pop() {
                        let input =
                            if well { Input::Saved { generation } } else { Input::SaveFailed { generation } };
                        self.give(input, well);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happened_it_appends_again_once_the_disk_works(events in events()) {
            let mut world = World::new();
            for (event, well) in &events {
                world.play(event, *well);
            }
            for _ in 0..4 {
                world.play(&Event::SnapshotEnds, true);
                world.play(&Event::Pass(u16::MAX), true);
                world.play(&Event::SnapshotEnds, true);
            }
            prop_assert_eq!(world.machine.state(), State::Appending, "no state without a way out");
            prop_assert_eq!(world.machine.retry_at(), None, "nothing is left to try");
            prop_assert!(world.saving.is_empty());
            let written = world.written;
            world.play(&Event::Block, true);
            prop_assert_eq!(world.written, written + 1);
        }

        #[test]
        fn a_block_that_was_dropped_is_made_good_only_by_a_snapshot_taken_later(events in events()) {
            let (mut world, mut behind_since_snapshot) = (World::new(), true);
            for (event, well) in &events {
                let (before, dropped, begun) = (world.machine.is_durable(), world.dropped, world.generation);
                world.play(event, *well);
                if world.dropped > dropped {
                    behind_since_snapshot = true;
                }
                if world.generation > begun {
                    behind_since_snapshot = false;
                }
                if !before && world.machine.is_durable() {
                    prop_assert!(!behind_since_snapshot, "durable again without a new snapshot");
                }
            }
        }
    }
}
