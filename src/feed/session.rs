//! A reliable session on its connection: when a producer gets which acknowledgement, and how the session
//! ends. Pure: the event loop turns what happens into inputs and carries the actions out. How far a session
//! has come is kept in `state`.
//!
//! | state | input | next state | actions |
//! |---|---|---|---|
//! | Greeting | applied | Greeting | – |
//! | Greeting | durable | Open | acknowledge the position of the hello, then all that is durable |
//! | Open | applied | Open | – |
//! | Open | durable | Open | acknowledge what is durable, once the socket has taken all earlier replies |
//! | Greeting, Open | bye | Closing | – |
//! | Closing | durable | Flushing, once all lines are | acknowledge; the last line even where that has been done |
//! | Flushing | sent | Ended | forget the session, close the connection |
//! | any but Ended | send failed | the same; Closing, Flushing: Ended | Closing, Flushing: disconnect, close |
//! | any but Ended | hung up | Ended | forget where it has said bye and has read that all is durable, else disconnect; close |
//!
//! Nothing is acknowledged before the journal says that it is durable, which means as durable as `[state] sync`
//! asks for: forced to the disk with `always`, else written. `replies` passes on what `Journal::durable` says,
//! and `Writer::confirm` finds it out. An acknowledgement covers all earlier lines: if a producer does not read,
//! a later one replaces those that it has missed.

use std::sync::Arc;

use super::outbox::Outbox;
use crate::journal::Lsn;
use crate::limits;
use crate::state::sessions::{SessionId, SessionName};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its hello has been applied and not answered yet.
    Greeting,
    Open,
    /// It has said bye; nothing more is read from it.
    Closing,
    /// Its last acknowledgement waits to be read.
    Flushing,
    Ended,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Its lines up to this position were applied or rejected, the last of them by the record of this LSN.
    Applied { position: u64, lsn: Lsn },
    /// The same, and the last line was a bye.
    Bye { position: u64, lsn: Lsn },
    /// All records up to this one are durable.
    Durable(Lsn),
    /// The producer has taken all replies.
    Sent,
    /// The producer takes no more replies.
    SendFailed,
    /// The connection has ended.
    HungUp,
}

/// What the event loop has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Acknowledge all lines up to this one.
    Acknowledge(u64),
    /// Answer the hello with this position, before any other reply.
    Greet(u64),
    /// The session is over: its position is kept no longer.
    Forget,
    /// The session may come back.
    Disconnect,
    Close,
}

/// A session and what decides about its next acknowledgement.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) name: Arc<SessionName>,
    pub(super) outbox: Outbox,
    /// Whether it is on the event loop's list of those that wait for the journal.
    pub(super) is_listed: bool,
    /// Bytes of its replies that the event loop has counted.
    pub(super) counted_bytes: usize,
    state: State,
    /// How far it had come when it said hello.
    begun: u64,
    position: u64,
    lsn: Lsn,
    /// The position and record of the next acknowledgement.
    awaited: Option<(u64, Lsn)>,
    /// The latest acknowledgement.
    acked: Option<u64>,
    /// The latest acknowledgement that the producer has taken whole.
    delivered: Option<u64>,
}

impl Session {
    /// A session whose hello has been applied by the record of this LSN.
    pub(super) fn new(id: SessionId, name: Arc<SessionName>, position: u64, lsn: Lsn) -> Self {
        Session {
            id,
            name,
            outbox: Outbox::default(),
            is_listed: false,
            counted_bytes: 0,
            state: State::Greeting,
            begun: position,
            position,
            lsn,
            awaited: Some((position, lsn)),
            acked: None,
            delivered: None,
        }
    }

    pub(super) fn reads(&self) -> bool {
        matches!(self.state, State::Greeting | State::Open)
    }

    /// Whether its hello has been answered, so that other replies may be sent.
    pub(super) fn is_greeted(&self) -> bool {
        self.acked.is_some()
    }

    /// Whether it waits for the journal.
    pub(super) fn awaits(&self) -> bool {
        self.awaited.is_some() && (!self.is_greeted() || self.outbox.is_empty())
    }

    /// Takes one input, and puts replies into the outbox. What is left to do is returned.
    pub(super) fn take(&mut self, input: Input) -> Vec<Action> {
        let mut actions = self.step(input, self.outbox.is_empty());
        actions.retain(|action| match action {
            Action::Acknowledge(position) => {
                self.outbox.acknowledge(*position);
                false
            }
            Action::Greet(position) => {
                self.outbox.greet(*position);
                false
            }
            Action::Forget | Action::Disconnect | Action::Close => true,
        });
        actions
    }

    /// The table above. `is_read`: no reply waits to be read.
    fn step(&mut self, input: Input, is_read: bool) -> Vec<Action> {
        match (self.state, input) {
            (State::Ended, _) => Vec::new(),
            (_, Input::HungUp) => self.end(),
            (State::Closing | State::Flushing, Input::SendFailed) => self.end(),
            (_, Input::SendFailed) => Vec::new(),
            (State::Greeting | State::Open, Input::Applied { position, lsn }) => {
                self.applied(position, lsn);
                Vec::new()
            }
            (State::Greeting | State::Open, Input::Bye { position, lsn }) => {
                self.applied(position, lsn);
                self.state = State::Closing;
                // The last line is acknowledged once more, so that the producer knows that the bye was read.
                self.awaited.get_or_insert((position, lsn));
                Vec::new()
            }
            (State::Greeting | State::Open | State::Closing, Input::Durable(durable)) => {
                self.durable(durable, is_read)
            }
            (state, Input::Sent) => {
                self.delivered = self.acked;
                if state == State::Flushing { self.end() } else { Vec::new() }
            }
            (State::Closing | State::Flushing, Input::Applied { .. } | Input::Bye { .. })
            | (State::Flushing, Input::Durable(_)) => Vec::new(),
        }
    }

    fn applied(&mut self, position: u64, lsn: Lsn) {
        (self.position, self.lsn) = (position, lsn);
        if self.acked != Some(position) {
            self.awaited.get_or_insert((position, lsn));
        }
    }

    fn durable(&mut self, durable: Lsn, is_read: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some((position, lsn)) = self.awaited
            && lsn <= durable
            && (is_read || !self.is_greeted())
        {
            let mut acked = self.acked.unwrap_or_else(|| {
                actions.push(Action::Greet(self.begun));
                self.begun
            });
            let is_last = self.state == State::Closing && position == self.position;
            if is_last && acked == position {
                actions.push(Action::Acknowledge(position));
            }
            // In steps: a producer frees what it keeps as they come.
            while acked < position {
                acked = position.min(acked + limits::ACK_LINES_MAX);
                actions.push(Action::Acknowledge(acked));
            }
            self.acked = Some(acked);
            self.awaited = None;
            if is_last {
                self.state = State::Flushing;
            } else if self.state == State::Closing || acked < self.position {
                self.awaited = Some((self.position, self.lsn));
            }
            if self.state == State::Greeting {
                self.state = State::Open;
            }
        }
        actions
    }

    fn end(&mut self) -> Vec<Action> {
        let has_said_bye = matches!(self.state, State::Closing | State::Flushing);
        let is_over = has_said_bye && self.delivered == Some(self.position);
        self.state = State::Ended;
        self.awaited = None;
        vec![if is_over { Action::Forget } else { Action::Disconnect }, Action::Close]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn session(position: u64, lsn: Lsn) -> Session {
        let name = SessionName { producer: "p".to_owned(), instance: "i".to_owned() };
        Session::new(1, Arc::new(name), position, lsn)
    }

    #[test]
    fn a_session_from_its_hello_to_its_end() {
        let mut session = session(7, 1);
        assert_eq!(session.step(Input::Durable(0), true), []);
        assert_eq!(session.step(Input::Applied { position: 9, lsn: 2 }, true), []);
        assert_eq!(session.step(Input::Durable(1), true), [Action::Greet(7)]);
        assert_eq!(session.step(Input::Durable(2), true), [Action::Acknowledge(9)]);
        session.step(Input::Sent, true);
        session.step(Input::Bye { position: 9, lsn: 3 }, true);
        assert_eq!(session.step(Input::Durable(3), true), [Action::Acknowledge(9)], "once more");
        assert_eq!(session.step(Input::Sent, true), [Action::Forget, Action::Close]);
    }

    #[test]
    fn a_hello_with_all_lines_and_a_bye_in_one_write_is_answered_in_order() {
        let mut session = session(0, 1);
        session.step(Input::Bye { position: 2, lsn: 2 }, true);
        assert_eq!(session.step(Input::Durable(2), true), [Action::Greet(0), Action::Acknowledge(2)]);
        assert_eq!(session.step(Input::HungUp, true), [Action::Disconnect, Action::Close], "nobody read it");
    }

    fn inputs() -> impl Strategy<Value = Vec<(u8, u8, bool)>> {
        prop::collection::vec((0_u8..6, any::<u8>(), any::<bool>()), 1..60)
    }

    proptest! {
        #[test]
        fn acknowledgements_rise_behind_what_is_durable_and_every_session_ends(
            begun in 0_u64..3_000, inputs in inputs(),
        ) {
            let mut session = session(begun, 1);
            let (mut position, mut lsn, mut durable) = (begun, 1, 0);
            // By LSN, the position that its record has reached.
            let mut reached = vec![begun, begun];
            let (mut acks, mut greeted, mut said_bye, mut last_acks) = (begun, false, false, 0);
            let mut ended = false;
            for (kind, number, is_read) in inputs {
                let input = match kind {
                    0 | 1 if !said_bye => {
                        position += u64::from(number) * 10;
                        lsn += 1;
                        reached.push(position);
                        said_bye = kind == 1 && number % 8 == 0;
                        if said_bye { Input::Bye { position, lsn } } else { Input::Applied { position, lsn } }
                    }
                    2 | 3 => {
                        durable = (durable + u64::from(number % 4)).min(lsn);
                        Input::Durable(durable)
                    }
                    4 => Input::Sent,
                    5 if number % 16 == 0 => Input::HungUp,
                    _ => Input::SendFailed,
                };
                for action in session.step(input, is_read) {
                    prop_assert!(!ended, "nothing happens after the end");
                    match action {
                        Action::Greet(number) => {
                            prop_assert!(!greeted && number == begun);
                            prop_assert!(durable >= 1, "the hello is not durable");
                            greeted = true;
                        }
                        Action::Acknowledge(number) => {
                            prop_assert!(greeted);
                            prop_assert!(number <= reached[durable as usize], "before it is durable");
                            prop_assert!(number - acks <= limits::ACK_LINES_MAX);
                            if number == acks {
                                last_acks += 1;
                                prop_assert!(said_bye && last_acks == 1, "acknowledged twice");
                            }
                            prop_assert!(number >= acks, "an acknowledgement went back");
                            acks = number;
                        }
                        Action::Forget => prop_assert!(said_bye && acks == position),
                        Action::Disconnect => {}
                        Action::Close => ended = true,
                    }
                }
            }
            // The way out, whatever has happened: a bye that is answered and read, or a connection that ends.
            session.step(Input::Bye { position, lsn: lsn + 1 }, true);
            session.step(Input::Durable(lsn + 1), true);
            session.step(Input::Durable(lsn + 1), true);
            session.step(Input::Sent, true);
            prop_assert_eq!(session.state, State::Ended);
        }
    }
}
