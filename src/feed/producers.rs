//! The producers: who connects, what each turn of a connection does, and how sessions end. How they begin is in
//! `hello`, what they are told in `replies`. The event loop (`mod`) says when; what outlives a connection is in
//! `store`, which is borrowed for each turn.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollFlags};

use super::admission::Admission;
use super::connection::{Connection, Connections, Protocol};
use super::expiry::{Due, Expiry};
use super::framing::Batch;
use super::hello::Refused;
use super::listener::FeedSocket;
use super::peers::Peers;
use super::session::{Action, Input};
use super::store::Store;
use crate::clock;
use crate::limits;
use crate::metrics::Metrics;
use crate::protocol::rejection::{Reason, Rejection};
use crate::state;
use crate::state::sessions::SessionId;

/// The other end is closed.
const HUNG_UP: EpollFlags = EpollFlags::EPOLLHUP.union(EpollFlags::EPOLLERR);

/// Settings that a reload changes.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) connections_max: usize,
    pub(super) line_max: usize,
    pub(super) grace: Duration,
    pub(super) peers: Peers,
}

/// All producers.
pub(super) struct Producers {
    pub(super) epoll: Epoll,
    pub(super) connections: Connections,
    pub(super) expiry: Expiry,
    pub(super) limits: Limits,
    admission: Admission,
    /// Sessions that have stayed away for too long.
    due: VecDeque<Due>,
    /// Slots of sessions that wait for the journal.
    pub(super) awaiting: Vec<usize>,
    /// Slots of sessions whose input is not polled, since they do not read their replies.
    pub(super) paused: Vec<usize>,
    /// Bytes of replies that wait, of all sessions.
    pub(super) replies_bytes: usize,
    /// Shared by all connections.
    buffer: Vec<u8>,
    /// Bytes read since this was last taken.
    read_bytes: usize,
    /// Connections end because the exporter does.
    is_stopping: bool,
}

/// What a connection's turn ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The socket may hold more.
    More,
    /// There is nothing for now.
    Wait,
    /// The connection is over.
    End,
}

impl Producers {
    /// Makes the poll set, with the listener in it.
    pub(super) fn new(socket: FeedSocket, metrics: Arc<Metrics>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let admission = Admission::new(&epoll, socket, metrics)?;
        Ok(Producers {
            epoll,
            connections: Connections::default(),
            expiry: Expiry::default(),
            limits: Limits::default(),
            admission,
            due: VecDeque::new(),
            awaiting: Vec::new(),
            paused: Vec::new(),
            replies_bytes: 0,
            buffer: Vec::new(),
            read_bytes: 0,
            is_stopping: false,
        })
    }

    /// Bytes read since the last call.
    pub(super) fn take_read_bytes(&mut self) -> usize {
        std::mem::take(&mut self.read_bytes)
    }

    /// When [`Self::keep_deadlines`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.admission.deadline().into_iter().chain(self.expiry.next()).min()
    }

    /// Does what is due: sessions that stay away expire, and producers that do not read their replies are
    /// read from again.
    pub(super) fn keep_deadlines(&mut self, store: &mut Store, now: Instant) {
        self.admission.keep_deadline(&self.epoll, now);
        self.due.extend(self.expiry.due(now));
        self.expire(store, now + limits::ROUND_MAX);
        self.unpause(store, now);
    }

    /// Ends the sessions that are due, one after the other: each may take longer. Until none is left, nobody is
    /// read. `until`: at most until then.
    pub(super) fn expire(&mut self, store: &mut Store, until: Instant) {
        while !store.is_busy()
            && Instant::now() < until
            && let Some(due) = self.due.pop_front()
        {
            match due {
                Due::Abandon(id) => store.abandon(id, clock::unix_seconds()),
                Due::Forget(id) => self.forget(store, id),
            }
        }
    }

    /// Whether sessions are left to end.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether sessions wait for the journal.
    pub(super) fn are_awaiting(&self) -> bool {
        !self.awaiting.is_empty()
    }

    /// Takes connections that wait, a bounded number and no longer than `until`: the poll reports the others
    /// again.
    pub(super) fn accept(&mut self, store: &mut Store, until: Instant) {
        self.admission.begin_turn();
        while Instant::now() < until
            && let Some((stream, uid)) = self.admission.next(&self.epoll, &self.limits.peers)
        {
            while self.connections.open() >= self.limits.connections_max
                && let Some(slot) = self.connections.eviction_candidate(uid)
            {
                self.evict(store, slot);
            }
            if let Err(error) = self.connections.add(&self.epoll, stream, uid) {
                log::error!("a producer cannot be polled: {error}");
            }
        }
    }

    fn evict(&mut self, store: &mut Store, slot: usize) {
        let Some(uid) = self.connections.get(slot).map(|connection| connection.uid) else { return };
        self.read_out(store, slot);
        self.end(store, slot);
        // Last, since the end of a connection makes room.
        self.admission.note_eviction(uid);
    }

    /// Gives turns to those that are ready, until it is time for something else. Who is not ready is not
    /// waited for.
    pub(super) fn serve(&mut self, store: &mut Store, until: Instant) {
        let mut now = Instant::now();
        while now < until && !store.is_busy() && !store.is_congested(now) {
            let Some((slot, ready)) = self.connections.next_turn() else { return };
            self.turn(store, slot, ready, now + limits::TURN_MAX);
            now = Instant::now();
        }
    }

    /// A turn for one connection: one batch of what it has written, or as much of it as there is time for, and
    /// what it takes of its replies. Returns whether there may be more to read.
    pub(super) fn turn(&mut self, store: &mut Store, slot: usize, ready: EpollFlags, until: Instant) -> bool {
        let Some(connection) = self.connections.get(slot) else { return false };
        let turn = if connection.reads() && ready.intersects(HUNG_UP | EpollFlags::EPOLLIN) {
            self.read(store, slot, until)
        } else if !connection.reads() && ready.intersects(HUNG_UP) {
            Turn::End
        } else {
            Turn::Wait
        };
        if turn == Turn::End {
            self.end(store, slot);
        } else if store.is_busy() {
            // An acknowledgement may end the session, which would have to wait.
            self.await_durable(slot);
        } else {
            self.send_replies(store, slot);
        }
        let Some(connection) = self.connections.get(slot).filter(|connection| connection.polls_input())
        else {
            return false;
        };
        // The poll does not know of lines that were put back.
        if connection.framing.has_put_back() {
            self.connections.queue(slot, EpollFlags::EPOLLIN);
        }
        turn == Turn::More
    }

    /// Reads one batch and applies as much of it as there is time for.
    fn read(&mut self, store: &mut Store, slot: usize, until: Instant) -> Turn {
        let at = clock::unix_seconds();
        let Some(connection) = self.connections.get_mut(slot) else { return Turn::End };
        // The batch lies in the buffer while other parts of the feed change.
        let mut buffer = std::mem::take(&mut self.buffer);
        let batch = connection.framing.read(&connection.stream, &mut buffer, self.limits.line_max);
        let turn = match batch {
            Batch::Nothing => Turn::Wait,
            Batch::End => Turn::End,
            Batch::Lines(lines) => {
                self.read_bytes += lines.block.len();
                if !lines.block.is_empty() {
                    connection.heard = Instant::now();
                }
                if let Some(line) = &lines.too_long {
                    self.reject(store, slot, &state::too_long(self.limits.line_max), line);
                }
                match self.decide_protocol(store, slot, lines.block, at) {
                    Ok(block) => {
                        self.apply_until(store, slot, block, at, until);
                        self.reject_endless_line(store, slot);
                        Turn::More
                    }
                    Err(Refused) => Turn::End,
                }
            }
        };
        self.buffer = buffer;
        turn
    }

    /// Applies whole lines piece by piece, and puts back those for which there is no time.
    fn apply_until(&mut self, store: &mut Store, slot: usize, block: &[u8], at: f64, until: Instant) {
        let mut rest = block;
        while !rest.is_empty() {
            if !store.is_busy() {
                let (piece, _) = split_piece(rest);
                rest = &rest[self.apply(store, slot, piece, at)..];
            }
            let Some(connection) = self.connections.get_mut(slot).filter(|connection| connection.reads())
            else {
                return;
            };
            if !rest.is_empty() && (store.is_busy() || Instant::now() >= until) {
                return connection.framing.put_back(rest);
            }
        }
    }

    /// Applies whole lines. Returns the bytes of those that are applied.
    fn apply(&mut self, store: &mut Store, slot: usize, block: &[u8], at: f64) -> usize {
        match self.connections.get_mut(slot).map(|connection| &mut connection.protocol) {
            None => block.len(),
            Some(Protocol::Undecided | Protocol::Plain) => store.apply(block, at),
            Some(Protocol::Session(session)) => {
                let outbox = &mut session.outbox;
                let mut rejected = |number: u64, rejection: &Rejection| outbox.reject(number, rejection);
                let applied = store.apply_for(session.id, &session.name, block, at, &mut rejected);
                let (position, lsn) = (applied.position, applied.lsn);
                session.take(if applied.is_bye {
                    Input::Bye { position, lsn }
                } else {
                    Input::Applied { position, lsn }
                });
                applied.bytes
            }
        }
    }

    /// Counts a line that was not whole.
    fn reject(&mut self, store: &mut Store, slot: usize, rejection: &Rejection, line: &[u8]) {
        let session = self.connections.get_mut(slot).and_then(Connection::session);
        let Some(session) = session else {
            store.reject(None, rejection, line);
            return;
        };
        let applied = store.reject(Some((session.id, &session.name)), rejection, line);
        session.outbox.reject(applied.position, rejection);
        session.take(Input::Applied { position: applied.position, lsn: applied.lsn });
    }

    /// Counts a line that is too long already and has no end yet. In a session it may come again with its
    /// end: until then it is no line.
    fn reject_endless_line(&mut self, store: &mut Store, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.session().is_none()
            && !connection.framing.has_put_back()
            && let Some(line) = connection.framing.take_too_long()
        {
            connection.protocol = Protocol::Plain;
            store.reject(None, &state::too_long(self.limits.line_max), &line);
        }
    }

    /// A connection has ended.
    pub(super) fn end(&mut self, store: &mut Store, slot: usize) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        self.admission.note_room();
        if let Some(session) = connection.session() {
            self.replies_bytes -= session.counted_bytes;
            let id = session.id;
            // Another connection may have taken it over.
            if self.expiry.connection(id) == Some(slot) {
                for action in session.take(Input::HungUp) {
                    match action {
                        Action::Forget => self.forget(store, id),
                        Action::Disconnect if !self.is_stopping => self.disconnect(store, id),
                        _ => {}
                    }
                }
            }
            return;
        }
        let cut = |what: &'static str| Rejection::new(Reason::Truncated, what);
        for line in connection.framing.put_back_lines().filter(|line| !state::is_blank(line)) {
            store.reject(None, &cut("the connection was closed before the line was applied"), line);
        }
        let rest = connection.framing.unfinished();
        if !state::is_blank(rest) {
            store.reject(None, &cut("the connection ended within the line, expected its end, \\n"), rest);
        }
    }

    pub(super) fn forget(&mut self, store: &mut Store, id: SessionId) {
        self.expiry.forget(id);
        store.forget(id);
    }

    /// The connection of a session has ended before its session has.
    pub(super) fn disconnect(&mut self, store: &mut Store, id: SessionId) {
        self.expiry.disconnect(id, self.limits.grace, Instant::now());
        store.disconnect(id);
    }

    /// No session is connected; the grace of each begins now.
    pub(super) fn begin_graces(&mut self, store: &Store) {
        self.expiry = Expiry::default();
        for (id, _) in store.state.sessions.iter() {
            self.expiry.disconnect(id, self.limits.grace, Instant::now());
        }
    }

    /// The state of a former run is in force: sessions come back to it.
    pub(super) fn end_sessions(&mut self, store: &mut Store) {
        self.expiry = Expiry::default();
        for slot in self.connections.slots() {
            if self.connections.get_mut(slot).and_then(Connection::session).is_some() {
                self.end(store, slot);
            }
        }
        self.due.clear();
        self.awaiting.clear();
        self.paused.clear();
        self.begin_graces(store);
    }

    /// At a stop: ends all connections. Returns how many had begun a line.
    pub(super) fn end_all(&mut self, store: &mut Store) -> usize {
        self.is_stopping = true;
        let mut cut = 0;
        for slot in self.connections.slots() {
            let Some(connection) = self.connections.get(slot) else { continue };
            let framing = &connection.framing;
            cut += usize::from(framing.has_put_back() || !state::is_blank(framing.unfinished()));
            self.end(store, slot);
        }
        cut
    }
}

/// Splits off whole lines that are applied without a look at the clock.
fn split_piece(lines: &[u8]) -> (&[u8], &[u8]) {
    let beyond = lines.len().min(limits::PIECE_BYTES);
    let end = memchr::memchr(b'\n', &lines[beyond - 1..]).map_or(lines.len(), |at| beyond + at);
    lines.split_at(end)
}
