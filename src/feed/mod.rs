//! The feed: the one thread that reads all producers and owns the state that their lines make.
//!
//! It is an event loop. Each round polls, gives every ready connection one turn (one batch of lines: read by `framing`,
//! applied by `store`), and hands what it has recorded to the journal. Sessions get their acknowledgements when the journal
//! says that they are durable (`session`, `outbox`). Requests of other threads come through the `mailbox`, and a wake-up of the
//! journal through the same descriptor. `expiry` says when sessions that are gone are given up.
//!
//! The loop waits for nothing but its poll set: not for a producer that does not read, not for a disk, not for a name server. Where
//! a scrape has to wait for the journal, producers are not read meanwhile, at most [`limits::DISK_ANSWER_MAX`].

mod coalescing;
mod connection;
mod expiry;
mod framing;
pub(crate) mod listener;
pub(crate) mod mailbox;
mod outbox;
pub(crate) mod peers;
mod rates;
mod rejection_log;
mod session;
pub(crate) mod status;
mod store;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{getsockopt, sockopt};

use crate::accept::Acceptor;
use crate::clock;
use crate::engine::EngineSettings;
use crate::journal::Journal;
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::{self, Metrics, REFUSED_MAX_CONNECTIONS, REFUSED_PEER_CREDENTIALS};
use crate::protocol::control_line::{ControlLine, Hello};
use crate::protocol::rejection::{Reason, Rejection};
use crate::scan::{ScanState, Scans};
use crate::state::record::Record;
use crate::state::{self, State};

use coalescing::Coalescing;
use connection::{Connection, Connections, Protocol};
use expiry::{Due, Expiry};
use framing::Batch;
use listener::FeedSocket;
use mailbox::{Control, ControlReceiver, Reload, Scrape};
use outbox::Outbox;
use peers::Peers;
use rates::LineRates;
use session::{Action, Input, Session};
use store::Store;

/// What the feed is given.
pub(crate) struct FeedParts {
    /// Where producers connect.
    pub(crate) socket: FeedSocket,
    pub(crate) control: ControlReceiver,
    pub(crate) metrics: Arc<Metrics>,
    /// Where addresses go whose names are wanted.
    pub(crate) wanted_names: Sender<IpAddr>,
    pub(crate) liveness: Liveness,
    /// Producers at once that descriptors allow for.
    pub(crate) connections_max: usize,
}

/// Settings that a reload changes.
struct Limits {
    connections_max: usize,
    line_max: usize,
    grace: Duration,
    /// `[events] expect`.
    expect: Vec<String>,
    peers: Peers,
}

/// The feed's thread.
pub(crate) struct Feed {
    control: ControlReceiver,
    metrics: Arc<Metrics>,
    wanted_names: Sender<IpAddr>,
    liveness: Liveness,
    connections_allowed: usize,
    acceptor: Acceptor<FeedSocket>,
    /// Everything: listener, mailbox, connections.
    epoll: Epoll,
    /// The mailbox alone, for when lines gather or the journal is waited for.
    urgent: Epoll,
    limits: Limits,
    connections: Connections,
    store: Store,
    expiry: Expiry,
    /// Slots of sessions that wait for the journal.
    awaiting: Vec<usize>,
    /// Slots of sessions whose input is not polled, since they do not read their replies.
    paused: Vec<usize>,
    /// Bytes of replies that wait, of all sessions.
    replies_bytes: usize,
    /// Scrapes that wait for the journal.
    scrapes: Vec<Scrape>,
    scans: Scans,
    rates: LineRates,
    coalescing: Coalescing,
    /// Lines gather until then.
    gather_until: Option<Instant>,
    started: Instant,
    /// Users whose refusal is in the log.
    refused_uids: HashSet<u32>,
    is_full_logged: bool,
    /// Shared by all connections.
    buffer: Vec<u8>,
    /// Bytes read in this round.
    round_bytes: usize,
    /// The size of the latest exposition, and some more.
    exposition_bytes: usize,
    /// Connections end because the exporter does.
    is_stopping: bool,
}

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// The other end is closed.
const HUNG_UP: EpollFlags = EpollFlags::EPOLLHUP.union(EpollFlags::EPOLLERR);

/// What a round ended with.
#[derive(PartialEq, Eq)]
enum Round {
    Continue,
    Stop,
}

/// What a connection's turn ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There may be more to read.
    More,
    /// There is nothing for now.
    Wait,
    /// The connection is over.
    End,
}

impl Feed {
    /// Makes the poll sets. `reload` holds the settings to begin with; `state` is what the journal has kept.
    pub(crate) fn new(
        parts: FeedParts,
        state: State,
        journal: Option<Journal>,
        reload: &Reload,
    ) -> io::Result<Self> {
        let FeedParts { socket, control, metrics, wanted_names, liveness, connections_max } = parts;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let urgent = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for set in [&epoll, &urgent] {
            set.add(control.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        }
        let acceptor = Acceptor::new(&epoll, vec![socket], LISTENER, "producers")?;
        let now = Instant::now();
        let limits = Limits {
            connections_max: 0,
            line_max: 0,
            grace: Duration::ZERO,
            expect: Vec::new(),
            peers: Peers::default(),
        };
        let mut feed = Feed {
            control,
            metrics,
            wanted_names,
            liveness,
            connections_allowed: connections_max,
            acceptor,
            epoll,
            urgent,
            limits,
            connections: Connections::default(),
            store: Store::new(state, journal),
            expiry: Expiry::default(),
            awaiting: Vec::new(),
            paused: Vec::new(),
            replies_bytes: 0,
            scrapes: Vec::new(),
            scans: Scans::new(),
            rates: LineRates::new(0, now),
            coalescing: Coalescing::new(now),
            gather_until: None,
            started: now,
            refused_uids: HashSet::new(),
            is_full_logged: false,
            buffer: Vec::new(),
            round_bytes: 0,
            exposition_bytes: 0,
            is_stopping: false,
        };
        feed.store.note_boot();
        feed.reload(reload);
        feed.rates = LineRates::new(status::lines(&feed.store.state.engine), now);
        feed.wait_for_all_sessions();
        Ok(feed)
    }

    /// Runs until it is told to stop, then applies what has arrived.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let result = loop {
            self.liveness.heartbeat();
            match self.round() {
                Ok(Round::Continue) => {}
                Ok(Round::Stop) => break Ok(()),
                Err(error) => break Err(format!("polling the producers failed: {error}")),
            }
        };
        self.drain();
        result
    }

    /// One poll, and a turn for everyone who is ready.
    fn round(&mut self) -> io::Result<Round> {
        if let Some(timeout) = self.holds_producers_back(Instant::now()) {
            return self.round_of_mailbox(timeout);
        }
        self.round_bytes = 0;
        let (_, is_woken) = self.poll_all(self.timeout())?;
        let now = Instant::now();
        self.gather_until = self.coalescing.delay(self.round_bytes, now).map(|delay| now + delay);
        self.upkeep(now);
        if is_woken { self.answer() } else { Ok(Round::Continue) }
    }

    /// For how long producers are not read: while scrapes wait for the journal, and while lines gather.
    fn holds_producers_back(&self, now: Instant) -> Option<Duration> {
        if !self.scrapes.is_empty() {
            return Some(limits::SCRAPE_POLL);
        }
        self.gather_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A round in which only the mailbox is polled.
    fn round_of_mailbox(&mut self, timeout: Duration) -> io::Result<Round> {
        let timeout = EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::ZERO);
        let is_woken = wait(&self.urgent, &mut [EpollEvent::empty()], timeout)? > 0;
        if !is_woken && self.scrapes.is_empty() {
            self.gather_until = None;
            self.settle();
            return Ok(Round::Continue);
        }
        let round = self.answer();
        self.settle();
        round
    }

    fn timeout(&self) -> EpollTimeout {
        let now = Instant::now();
        let deadlines = [self.acceptor.deadline(), self.expiry.next(), self.store.deadline()];
        let next = deadlines.into_iter().flatten().min();
        // Rounded up, so that it does not wake just before.
        let left = next.map(|next| next.saturating_duration_since(now) + Duration::from_millis(1));
        let wait = left.map_or(limits::ROLE_IDLE_MAX, |left| left.min(limits::ROLE_IDLE_MAX));
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    /// Polls and serves connections. Returns how many were ready and whether there is something in the mailbox.
    fn poll_all(&mut self, timeout: EpollTimeout) -> io::Result<(usize, bool)> {
        let mut events = [EpollEvent::empty(); limits::POLL_EVENTS_MAX];
        let count = wait(&self.epoll, &mut events, timeout)?;
        let mut is_woken = false;
        for event in &events[..count] {
            match event.data() {
                LISTENER => self.accept(),
                WAKE => is_woken = true,
                slot => {
                    self.turn(slot as usize, event.events());
                }
            }
        }
        Ok((count - usize::from(is_woken), is_woken))
    }

    /// What has to be done from time to time.
    fn upkeep(&mut self, now: Instant) {
        self.acceptor.keep_deadline(&self.epoll, now);
        self.store.rejections.summarize(now);
        if self.rates.is_due(now) {
            self.rates.note(status::lines(&self.store.state.engine), now);
        }
        for due in self.expiry.due(now) {
            match due {
                Due::Abandon(id) => self.store.abandon(id, clock::unix_seconds()),
                Due::Forget(id) => self.forget(id),
            }
        }
        self.unpause(now);
        if self.store.adopt_recovered() {
            self.end_sessions();
        }
        self.store.is_written(now);
        self.store.snapshot_if_wanted();
        self.settle();
        self.store.hand_over_if_due(now);
    }

    // Connections

    /// Takes the connections that wait, a bounded number at a time.
    fn accept(&mut self) {
        self.acceptor.begin_turn(LISTENER);
        while let Ok(Some(stream)) = self.acceptor.next(&self.epoll, Instant::now()) {
            self.admit(stream);
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        let refused = |reason: &str| self.metrics.connections_refused.with_label_values(&[reason]).inc();
        let peer = getsockopt(&stream, sockopt::PeerCredentials).ok();
        if !peer.is_some_and(|peer| self.limits.peers.allow(peer.uid(), peer.gid())) {
            refused(REFUSED_PEER_CREDENTIALS);
            let uid = peer.map_or(u32::MAX, |peer| peer.uid());
            if self.refused_uids.len() < limits::REFUSED_UIDS_MAX && self.refused_uids.insert(uid) {
                log::warn!(
                    "a producer of user id {uid} was refused ([events] allowed_users, allowed_groups); logged once"
                );
            }
            return;
        }
        let open = self.connections.open();
        if open >= self.limits.connections_max {
            refused(REFUSED_MAX_CONNECTIONS);
            if !std::mem::replace(&mut self.is_full_logged, true) {
                log::warn!("a producer was refused: {open} are connected ([events] max_connections)");
            }
            return;
        }
        if let Err(error) = self.connections.add(&self.epoll, stream, peer.map(|peer| peer.uid())) {
            log::error!("a producer cannot be polled: {error}");
        }
    }

    /// A turn for one connection: one batch of what it has written, and what it takes of its replies. Returns whether there
    /// may be more to read.
    fn turn(&mut self, slot: usize, ready: EpollFlags) -> bool {
        let Some(connection) = self.connections.get(slot) else { return false };
        let turn = if connection.reads() && ready.intersects(HUNG_UP | EpollFlags::EPOLLIN) {
            self.read(slot)
        } else if !connection.reads() && ready.intersects(HUNG_UP) {
            Turn::End
        } else {
            Turn::Wait
        };
        if turn == Turn::End {
            self.end(slot);
        } else {
            self.send_replies(slot);
        }
        self.ask_for_names();
        turn == Turn::More && self.connections.get(slot).is_some_and(Connection::polls_input)
    }

    /// Reads and applies one batch.
    fn read(&mut self, slot: usize) -> Turn {
        let at = clock::unix_seconds();
        let Some(connection) = self.connections.get_mut(slot) else { return Turn::End };
        // The batch lies in the buffer while other parts of the feed change.
        let mut buffer = std::mem::take(&mut self.buffer);
        let batch = connection.framing.read(&connection.stream, &mut buffer, self.limits.line_max);
        let turn = match batch {
            Batch::Nothing => Turn::Wait,
            Batch::End => Turn::End,
            Batch::Lines(lines) => {
                self.round_bytes += lines.block.len();
                if let Some(line) = &lines.too_long {
                    self.reject(slot, &state::too_long(self.limits.line_max), line);
                }
                match self.decide_protocol(slot, lines.block, at) {
                    Ok(block) => {
                        self.apply(slot, block, at);
                        self.reject_endless_line(slot);
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
    fn decide_protocol<'a>(&mut self, slot: usize, block: &'a [u8], at: f64) -> Result<&'a [u8], Refused> {
        let Some(connection) = self.connections.get_mut(slot) else { return Err(Refused) };
        let lines = || block.split_inclusive(|&byte| byte == b'\n');
        let (Protocol::Undecided, Some(first)) =
            (&connection.protocol, lines().position(|line| !state::is_blank(line)))
        else {
            return Ok(block);
        };
        connection.protocol = Protocol::Plain;
        let before: usize = lines().take(first).map(<[u8]>::len).sum();
        let line = lines().nth(first).unwrap_or_default();
        match read_hello(line, self.limits.line_max) {
            None => Ok(block),
            Some(Ok(hello)) => {
                self.begin_session(slot, &hello, at);
                Ok(&block[before + line.len()..])
            }
            Some(Err(rejection)) => {
                self.store.reject(None, &rejection, line);
                if let Some(connection) = self.connections.get(slot) {
                    // As far as it listens.
                    let mut outbox = Outbox::default();
                    outbox.reject(0, &rejection);
                    let _ = outbox.send(&connection.stream, Instant::now());
                }
                Err(Refused)
            }
        }
    }

    /// Applies whole lines.
    fn apply(&mut self, slot: usize, block: &[u8], at: f64) {
        if block.is_empty() {
            return;
        }
        match self.connections.get_mut(slot).map(|connection| &mut connection.protocol) {
            None => {}
            Some(Protocol::Undecided | Protocol::Plain) => self.store.apply(block, at),
            Some(Protocol::Session(session)) => {
                let outbox = &mut session.outbox;
                let mut rejected = |number: u64, rejection: &Rejection| outbox.reject(number, rejection);
                let applied = self.store.apply_for(session.id, &session.name, block, at, &mut rejected);
                let (position, lsn) = (applied.position, applied.lsn);
                session.take(if applied.is_bye {
                    Input::Bye { position, lsn }
                } else {
                    Input::Applied { position, lsn }
                });
            }
        }
    }

    /// Counts a line that was not whole.
    fn reject(&mut self, slot: usize, rejection: &Rejection, line: &[u8]) {
        let session = self.connections.get_mut(slot).and_then(Connection::session);
        let Some(session) = session else {
            self.store.reject(None, rejection, line);
            return;
        };
        let applied = self.store.reject(Some((session.id, &session.name)), rejection, line);
        session.outbox.reject(applied.position, rejection);
        session.take(Input::Applied { position: applied.position, lsn: applied.lsn });
    }

    /// Counts a line that is too long already and has no end yet. In a session it may come again with its end: until
    /// then it is no line.
    fn reject_endless_line(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.session().is_none()
            && let Some(line) = connection.framing.take_too_long()
        {
            connection.protocol = Protocol::Plain;
            self.store.reject(None, &state::too_long(self.limits.line_max), &line);
        }
    }

    /// A connection has ended.
    fn end(&mut self, slot: usize) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        self.is_full_logged = false;
        if let Some(session) = connection.session() {
            self.replies_bytes -= session.counted_bytes;
            let id = session.id;
            // Another connection may have taken it over.
            if self.expiry.connection(id) == Some(slot) {
                for action in session.take(Input::HungUp) {
                    match action {
                        Action::Forget => self.forget(id),
                        Action::Disconnect if !self.is_stopping => self.disconnect(id),
                        _ => {}
                    }
                }
            }
            return;
        }
        let rest = connection.framing.unfinished();
        if !state::is_blank(rest) {
            let what = "the connection ended within the line, expected its end, \\n";
            self.store.reject(None, &Rejection::new(Reason::Truncated, what), rest);
        }
    }

    // Sessions

    fn begin_session(&mut self, slot: usize, hello: &Hello, at: f64) {
        let Hello { producer, instance, owner } = hello;
        // What was written before counts before: by this run on another connection, or by runs that have ended.
        let known = self.store.state.sessions.find(producer, instance);
        match known.and_then(|id| self.expiry.connection(id)) {
            Some(other) => self.read_out(other),
            None if *owner => self.ended_runs(producer).into_iter().for_each(|run| self.read_out(run)),
            None => {}
        }
        if known.is_none() {
            self.make_room(at);
        }
        let uid = self.connections.get(slot).and_then(|connection| connection.uid);
        let Some((id, name)) = self.store.hello(producer, instance, *owner, uid, at) else { return };
        let session = Session::new(id, name, self.store.position(id), self.store.lsn());
        let taken_over = self.expiry.connection(id).filter(|other| *other != slot);
        self.expiry.connect(id, slot);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.protocol = Protocol::Session(Box::new(session));
        }
        if let Some(other) = taken_over {
            log::info!(
                "producer {producer}: instance {instance} has connected again, its former connection is closed"
            );
            self.end(other);
        }
    }

    /// Reads what a connection has written so far, and its end if that has come.
    fn read_out(&mut self, slot: usize) {
        let mut batches = limits::TAKE_OVER_BATCHES_MAX;
        while batches > 0 && self.turn(slot, EpollFlags::EPOLLIN) {
            batches -= 1;
        }
    }

    /// The connections of a producer's runs whose other end is closed, though that may not have been read yet.
    fn ended_runs(&self, producer: &str) -> Vec<usize> {
        let runs = self.store.state.sessions.iter();
        let runs = runs.filter(|(_, run)| run.owner && run.name.producer == producer);
        let connected = runs.filter_map(|(id, _)| self.expiry.connection(id));
        let found: Vec<(usize, &Connection)> =
            connected.filter_map(|slot| Some((slot, self.connections.get(slot)?))).collect();
        let mut polled: Vec<PollFd<'_>> =
            found.iter().map(|(_, run)| PollFd::new(run.stream.as_fd(), PollFlags::empty())).collect();
        if let Err(error) = poll(&mut polled, PollTimeout::ZERO) {
            log::error!("the runs of producer {producer} cannot be polled: {error}");
            return Vec::new();
        }
        let ended = found.iter().zip(&polled).filter(|(_, polled)| polled.any().unwrap_or(true));
        ended.map(|((slot, _), _)| *slot).collect()
    }

    /// Forgets a session if there are too many: of those that are not connected one that loses least, and of these the one that
    /// has been gone for longest.
    fn make_room(&mut self, at: f64) {
        let sessions = &self.store.state.sessions;
        if sessions.len() < limits::SESSIONS_MAX {
            return;
        }
        let loss = |id| sessions.get(id).map(|session| (session.may_own(), session.position > 0));
        if let Some(id) = self.expiry.eviction_candidate(loss) {
            self.store.abandon(id, at);
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u32) {
        self.expiry.forget(id);
        self.store.forget(id);
    }

    /// The connection of a session has ended before its session has.
    fn disconnect(&mut self, id: u32) {
        self.expiry.disconnect(id, self.limits.grace, Instant::now());
        self.store.disconnect(id);
    }

    /// Every session has its grace from now on.
    fn wait_for_all_sessions(&mut self) {
        self.expiry = Expiry::default();
        for (id, _) in self.store.state.sessions.iter() {
            self.expiry.disconnect(id, self.limits.grace, Instant::now());
        }
    }

    /// The state of a former run is in force: sessions come back to it.
    fn end_sessions(&mut self) {
        self.expiry = Expiry::default();
        for slot in self.connections.slots() {
            if self.connections.get_mut(slot).and_then(Connection::session).is_some() {
                self.end(slot);
            }
        }
        self.awaiting.clear();
        self.paused.clear();
        self.wait_for_all_sessions();
    }

    /// Gives acknowledgements to the sessions that wait for the journal, as far as it has come.
    fn settle(&mut self) {
        if self.awaiting.is_empty() {
            return;
        }
        if self.gather_until.is_some() {
            // The journal writes while lines gather; a wake-up for each batch would cost more than the lines.
            self.store.confirm();
            return;
        }
        // Asked first: what becomes durable behind this ends in a wake-up.
        self.store.await_durable();
        for slot in std::mem::take(&mut self.awaiting) {
            if let Some(session) = self.connections.get_mut(slot).and_then(Connection::session) {
                session.is_listed = false;
                self.send_replies(slot);
            }
        }
    }

    /// Gives a session the acknowledgements that it can have, sends what it takes of its replies, and polls what it needs.
    fn send_replies(&mut self, slot: usize) {
        let durable = self.store.durable();
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
        // Together replies must not fill memory: who has most of them waiting at that moment loses rejections at once.
        let others = self.replies_bytes - session.counted_bytes;
        if others + session.outbox.bytes() > limits::REPLIES_BYTES_ALL_MAX {
            session.outbox.shed();
        }
        session.counted_bytes = session.outbox.bytes();
        self.replies_bytes = others + session.counted_bytes;
        if session.awaits() && !std::mem::replace(&mut session.is_listed, true) {
            self.awaiting.push(slot);
        }
        let id = session.id;
        let mut wanted = EpollFlags::empty();
        wanted.set(EpollFlags::EPOLLOUT, session.is_greeted() && !session.outbox.is_empty());
        wanted.set(EpollFlags::EPOLLIN, session.reads() && !session.outbox.is_full());
        let pauses = session.reads();
        match self.connections.poll(&self.epoll, slot, wanted) {
            Ok(is_paused) if is_paused && pauses => self.paused.push(slot),
            Ok(_) => {}
            Err(error) => {
                log::error!("a producer cannot be polled: {error}");
                self.end(slot);
                return;
            }
        }
        for action in actions {
            match action {
                Action::Forget => self.forget(id),
                Action::Disconnect => self.disconnect(id),
                _ => self.end(slot),
            }
        }
    }

    /// Reads on from those that have not read their replies for too long; they lose some of them.
    fn unpause(&mut self, now: Instant) {
        for slot in std::mem::take(&mut self.paused) {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            let is_paused = !connection.polls_input();
            if let Some(session) = connection.session()
                && is_paused
                && session.reads()
            {
                if session.outbox.expire(now) {
                    self.send_replies(slot);
                } else {
                    self.paused.push(slot);
                }
            }
        }
    }

    // The mailbox

    /// Answers the requests of other threads.
    fn answer(&mut self) -> io::Result<Round> {
        // Emptied before the queue is, so that no request is missed.
        let _ = self.control.wake.read();
        while let Ok(control) = self.control.queue.try_recv() {
            match control {
                Control::Scrape(scrape) => {
                    self.catch_up()?;
                    self.scrapes.push(scrape);
                }
                Control::Status(reply) => {
                    let status = status::gather(self);
                    // A worker that has given up waiting is no concern here.
                    let _ = reply.send(status);
                }
                Control::Scanned(report) => {
                    if let Some(state) = self.scans.get_mut(&report.name) {
                        ScanState::note(state, &report);
                        self.store.scanned(&report);
                    }
                }
                Control::Named(ip, Some(name)) => self.store.record(&Record::Named { ip, name: &name }, ""),
                Control::Named(_, None) => {}
                Control::Reload(reload) => self.reload(&reload),
                Control::Stop => {
                    self.answer_scrapes();
                    return Ok(Round::Stop);
                }
            }
        }
        if !self.scrapes.is_empty() {
            self.store.await_written();
            if self.store.is_written(Instant::now()) {
                self.answer_scrapes();
            }
        }
        Ok(Round::Continue)
    }

    /// A scrape shows what was written before it was asked for, unless producers are far ahead.
    fn catch_up(&mut self) -> io::Result<()> {
        let until = Instant::now() + limits::SCRAPE_CATCH_UP_MAX;
        while self.poll_all(EpollTimeout::ZERO)?.0 > 0 && Instant::now() < until {}
        self.settle();
        Ok(())
    }

    fn answer_scrapes(&mut self) {
        for scrape in std::mem::take(&mut self.scrapes) {
            self.expose(&scrape);
        }
    }

    fn expose(&mut self, scrape: &Scrape) {
        let now = clock::unix_seconds();
        let families = if scrape.systems.is_empty() {
            let figures = status::figures(self);
            let own = metrics::encode_engine(&self.store.state.engine, &figures, &self.scans, now);
            metrics::merge(own, scrape.families.clone())
        } else {
            Vec::new()
        };
        // As much as last time, so that the text need not move while it grows.
        let mut text = Vec::with_capacity(self.exposition_bytes);
        let result = self.store.state.engine.render(&scrape.systems, &families, now, &mut text);
        self.exposition_bytes = text.len() + text.len() / 16;
        // A worker that has given up waiting is no concern here.
        let _ = scrape.reply.send(result.map(|()| text));
    }

    fn reload(&mut self, reload: &Reload) {
        let settings = &reload.settings;
        let connections_max = settings.max_connections.min(self.connections_allowed);
        if connections_max < settings.max_connections {
            log::warn!(
                "[events] max_connections: {} are configured, but the limit of descriptors leaves room for {connections_max}; raise LimitNOFILE",
                settings.max_connections,
            );
        }
        self.limits = Limits {
            connections_max,
            line_max: settings.max_line,
            grace: settings.grace,
            expect: settings.expect.clone(),
            peers: reload.peers.clone(),
        };
        if let Some(journal) = &mut self.store.journal {
            journal.set_sync(settings.sync);
        }
        let former = std::mem::take(&mut self.scans);
        let scans = settings
            .scans
            .iter()
            .map(|scan| (scan.name.clone(), former.get(&scan.name).cloned().unwrap_or_default()));
        self.scans = scans.collect();
        self.store.configure(&reload.catalogs, EngineSettings::from(&**settings));
    }

    fn ask_for_names(&mut self) {
        for ip in self.store.state.engine.take_wanted_names() {
            if self.wanted_names.try_send(ip).is_err() {
                self.store.state.engine.forget_name(ip);
            }
        }
    }

    // The end

    /// At a stop: what producers have written so far is applied, in a bounded time, and the state is saved.
    fn drain(&mut self) {
        self.accept();
        let until = Instant::now() + limits::DRAIN_MAX;
        let mut busy: Vec<usize> = self.connections.slots().collect();
        while !busy.is_empty() && Instant::now() < until {
            self.liveness.heartbeat();
            busy.retain(|&slot| self.turn(slot, EpollFlags::EPOLLIN));
        }
        self.store.await_durable();
        let until_durable = until.min(Instant::now() + limits::STOP_ACK_MAX);
        while !self.awaiting.is_empty() && !self.store.is_durable() && Instant::now() < until_durable {
            let timeout = EpollTimeout::try_from(limits::SCRAPE_POLL).unwrap_or(EpollTimeout::ZERO);
            let _ = wait(&self.urgent, &mut [EpollEvent::empty()], timeout);
            let _ = self.control.wake.read();
        }
        self.gather_until = None;
        self.settle();
        self.is_stopping = true;
        let mut cut = 0;
        for slot in self.connections.slots() {
            let Some(connection) = self.connections.get(slot) else { continue };
            cut += usize::from(!state::is_blank(connection.framing.unfinished()));
            self.end(slot);
        }
        if cut > 0 || Instant::now() >= until {
            log::warn!("stopped with {cut} unfinished lines; producers may have sent more than was read");
        }
        let liveness = &self.liveness;
        self.store.finish(|| liveness.heartbeat());
    }
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

/// Polls. An interrupted call counts as one that found nothing.
fn wait(epoll: &Epoll, events: &mut [EpollEvent], timeout: EpollTimeout) -> io::Result<usize> {
    match epoll.wait(events, timeout) {
        Ok(count) => Ok(count),
        Err(nix::errno::Errno::EINTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
