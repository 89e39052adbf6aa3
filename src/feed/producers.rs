//! The producers: who connects, what each turn of a connection does, and how sessions begin and end. The
//! event loop (`mod`) says when; what outlives a connection is in `store`, which is borrowed for each turn.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollFlags};

use super::admission::Admission;
use super::connection::{self, Connection, Connections, Protocol};
use super::expiry::{Due, Expiry};
use super::framing::Batch;
use super::listener::FeedSocket;
use super::outbox::Outbox;
use super::peers::Peers;
use super::session::{Action, Input, Session};
use super::store::Store;
use super::users;
use crate::clock;
use crate::limits;
use crate::metrics::Metrics;
use crate::protocol::control_line::{ControlLine, Hello};
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
    awaiting: Vec<usize>,
    /// Slots of sessions whose input is not polled, since they do not read their replies.
    paused: Vec<usize>,
    /// Bytes of replies that wait, of all sessions.
    replies_bytes: usize,
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
        self.expire(store);
        self.unpause(store, now);
    }

    /// Ends the sessions that are due, one after the other: each may take longer. Until none is left, nobody is
    /// read.
    pub(super) fn expire(&mut self, store: &mut Store) {
        while !store.is_busy()
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

    /// Finds out from its first line how a connection talks. Returns the lines that are left of the block.
    fn decide_protocol<'a>(
        &mut self,
        store: &mut Store,
        slot: usize,
        block: &'a [u8],
        at: f64,
    ) -> Result<&'a [u8], Refused> {
        let Some(connection) = self.connections.get_mut(slot) else { return Err(Refused) };
        let Protocol::Undecided = connection.protocol else { return Ok(block) };
        let mut rest = block;
        let mut lines = block.split_inclusive(|&byte| byte == b'\n');
        let first = lines.find(|line| {
            rest = &rest[line.len()..];
            !state::is_blank(line)
        });
        let Some(line) = first else { return Ok(block) };
        connection.protocol = Protocol::Plain;
        let uid = connection.uid;
        let Some(hello) = read_hello(line, self.limits.line_max) else { return Ok(block) };
        let hello = hello.and_then(|hello| {
            let refusal = users::refuse_name(&store.state.sessions, &self.expiry, &hello.producer, uid);
            refusal.map_or(Ok(hello), Err)
        });
        match hello {
            Ok(hello) => {
                self.begin_session(store, slot, &hello, at);
                Ok(rest)
            }
            Err(rejection) => {
                self.refuse(store, slot, &rejection, line);
                Err(Refused)
            }
        }
    }

    /// Answers a hello that cannot be taken, as far as the producer listens.
    fn refuse(&mut self, store: &mut Store, slot: usize, rejection: &Rejection, line: &[u8]) {
        store.reject(None, rejection, line);
        if let Some(connection) = self.connections.get(slot) {
            let mut outbox = Outbox::default();
            outbox.reject(0, rejection);
            let _ = outbox.send(&connection.stream, Instant::now());
        }
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
    fn end(&mut self, store: &mut Store, slot: usize) {
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
        let rest = connection.framing.unfinished();
        if !state::is_blank(rest) {
            let what = "the connection ended within the line, expected its end, \\n";
            store.reject(None, &Rejection::new(Reason::Truncated, what), rest);
        }
    }

    fn begin_session(&mut self, store: &mut Store, slot: usize, hello: &Hello, at: f64) {
        let Hello { producer, instance, owner } = hello;
        // What was written before counts before: by this run on another connection, or by runs that have
        // ended.
        let known = store.state.sessions.find(producer, instance);
        match known.and_then(|id| self.expiry.connection(id)) {
            Some(other) => self.read_out(store, other),
            None if *owner => {
                for run in self.ended_runs(store, producer) {
                    self.read_out(store, run);
                }
            }
            None => {}
        }
        if known.is_none() {
            self.make_room(store, at);
        }
        let uid = self.connections.get(slot).map(|connection| connection.uid);
        let Some((id, name)) = store.hello(producer, instance, *owner, uid, at) else { return };
        let session = Session::new(id, name, store.position(id), store.lsn());
        let taken_over = self.expiry.connection(id).filter(|other| *other != slot);
        self.expiry.connect(id, slot);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.protocol = Protocol::Session(Box::new(session));
        }
        if let Some(other) = taken_over {
            log::info!(
                "producer {producer}: instance {instance} has connected again, its former connection is closed"
            );
            self.end(store, other);
        }
    }

    /// Reads what a connection has written so far, and its end if that has come.
    fn read_out(&mut self, store: &mut Store, slot: usize) {
        let mut batches = limits::TAKE_OVER_BATCHES_MAX;
        let until = Instant::now() + limits::READ_OUT_MAX;
        while batches > 0 && self.turn(store, slot, EpollFlags::EPOLLIN, until) && Instant::now() < until {
            batches -= 1;
            store.go_on(None);
        }
    }

    /// The connections of a producer's runs whose other end is closed, though that may not have been read
    /// yet.
    fn ended_runs(&self, store: &Store, producer: &str) -> Vec<usize> {
        let runs = store.state.sessions.runs(producer).filter(|(_, run)| run.owner);
        let connected = runs.filter_map(|(id, _)| self.expiry.connection(id));
        let found: Vec<(usize, &Connection)> =
            connected.filter_map(|slot| Some((slot, self.connections.get(slot)?))).collect();
        connection::hung_up(&found)
    }

    /// Forgets a session if there are too many.
    fn make_room(&mut self, store: &mut Store, at: f64) {
        let sessions = &store.state.sessions;
        if sessions.len() >= limits::SESSIONS_MAX
            && let Some(id) = users::position_to_forget(sessions, &self.expiry)
        {
            store.abandon(id, at);
            self.forget(store, id);
        }
    }

    fn forget(&mut self, store: &mut Store, id: SessionId) {
        self.expiry.forget(id);
        store.forget(id);
    }

    /// The connection of a session has ended before its session has.
    fn disconnect(&mut self, store: &mut Store, id: SessionId) {
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

    /// Gives acknowledgements to the sessions that wait for the journal, as far as it has come.
    /// `lines_gather`: it will be called again soon.
    pub(super) fn settle(&mut self, store: &mut Store, lines_gather: bool) {
        if self.awaiting.is_empty() || store.is_busy() {
            return;
        }
        if lines_gather {
            // The journal writes meanwhile; a wake-up for each batch would cost more than the lines.
            store.confirm();
            return;
        }
        // Asked before looking: whatever becomes durable after this wakes the loop.
        store.await_durable();
        for slot in std::mem::take(&mut self.awaiting) {
            if let Some(session) = self.connections.get_mut(slot).and_then(Connection::session) {
                session.is_listed = false;
                self.send_replies(store, slot);
            }
        }
    }

    /// Has a session's replies sent by [`Self::settle`].
    fn await_durable(&mut self, slot: usize) {
        if let Some(session) = self.connections.get_mut(slot).and_then(Connection::session)
            && !std::mem::replace(&mut session.is_listed, true)
        {
            self.awaiting.push(slot);
        }
    }

    /// Gives a session the acknowledgements that it can have, sends what it takes of its replies, and polls
    /// what it needs.
    fn send_replies(&mut self, store: &mut Store, slot: usize) {
        let durable = store.durable();
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Protocol::Session(session) = &mut connection.protocol else { return };
        let mut actions = session.take(Input::Durable(durable));
        // Rejections wait until the hello has its answer.
        if session.is_greeted() && !session.outbox.is_empty() {
            match session.outbox.send(&connection.stream, Instant::now()) {
                Ok(()) if session.outbox.is_empty() => {
                    actions.extend(session.take(Input::Sent));
                    actions.extend(session.take(Input::Durable(durable)));
                }
                Ok(()) => {}
                Err(_) => actions.extend(session.take(Input::SendFailed)),
            }
        }
        // Together replies must not fill memory: who has most of them waiting at that moment loses rejections
        // at once.
        let others = self.replies_bytes - session.counted_bytes;
        if others + session.outbox.bytes() > limits::REPLIES_BYTES_ALL_MAX {
            session.outbox.shed();
        }
        session.counted_bytes = session.outbox.bytes();
        self.replies_bytes = others + session.counted_bytes;
        let (id, awaits) = (session.id, session.awaits());
        if awaits {
            self.await_durable(slot);
        }
        let Some(session) = self.connections.get_mut(slot).and_then(Connection::session) else { return };

        let mut wanted = EpollFlags::empty();
        wanted.set(EpollFlags::EPOLLOUT, session.is_greeted() && !session.outbox.is_empty());
        wanted.set(EpollFlags::EPOLLIN, session.reads() && !session.outbox.is_full());
        let pauses = session.reads();
        match self.connections.poll(&self.epoll, slot, wanted) {
            Ok(is_paused) if is_paused && pauses => self.paused.push(slot),
            Ok(_) => {}
            Err(error) => {
                log::error!("a producer cannot be polled: {error}");
                self.end(store, slot);
                return;
            }
        }
        for action in actions {
            match action {
                Action::Forget => self.forget(store, id),
                Action::Disconnect => self.disconnect(store, id),
                _ => self.end(store, slot),
            }
        }
    }

    /// Reads on from those that have not read their replies for too long; they lose some of them.
    fn unpause(&mut self, store: &mut Store, now: Instant) {
        for slot in std::mem::take(&mut self.paused) {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            let is_paused = !connection.polls_input();
            if let Some(session) = connection.session()
                && is_paused
                && session.reads()
            {
                if session.outbox.expire(now) {
                    self.send_replies(store, slot);
                } else {
                    self.paused.push(slot);
                }
            }
        }
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

/// A connection's first line was a hello that cannot be taken.
struct Refused;

/// The hello on a connection's first line; `None`: it is something else.
fn read_hello(line: &[u8], line_max: usize) -> Option<Result<Hello, Rejection>> {
    let line = (line.len() <= line_max + 2).then(|| std::str::from_utf8(line).ok()).flatten()?;
    if !line.contains("hello") && !line.contains('\\') {
        return None;
    }
    match ControlLine::read(line.trim_end_matches(['\r', '\n']))? {
        Ok(ControlLine::Hello(hello)) => Some(Ok(hello)),
        Ok(ControlLine::Bye) => None,
        Err(rejection) => Some(Err(rejection)),
    }
}
