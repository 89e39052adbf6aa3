//! The feed: the one thread that reads all producers and owns the state that their lines make.
//!
//! It polls every connection and gives each in turn one batch, so a flood or a stall delays the others by no more than
//! that. What it reads is appended to the journal and applied at once; when it is behind, producers wait in their `write`.
//! `admission` lets connections in, `session` holds the conversations of those that began with a hello, `requests`
//! answers other roles, `keeping` makes state last. It never waits for anybody: replies that are not read are kept or
//! dropped; names are looked up, directories scanned and snapshots written by roles of their own.

mod admission;
mod coalescing;
mod expiry;
mod framing;
pub(crate) mod listener;
pub(crate) mod mailbox;
mod outbox;
pub(crate) mod peers;
mod persistence;
mod rates;
mod rejection_log;
mod report;
mod requests;
mod session;
pub(crate) mod status;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::clock;
use crate::journal::Journal;
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::protocol::rejection::{Reason, Rejection};
use crate::scan::Scans;
use crate::state::record::Record;
use crate::state::{self, Note, State};
use mailbox::{ControlReceiver, Reload};

use coalescing::Pace;
use expiry::Attendance;
use framing::{Batch, Bye, Connection, Talk};
use listener::FeedSocket;
use peers::Peers;
use rates::History;
use rejection_log::Rejections;

/// What the feed is made of.
pub(crate) struct FeedParts {
    /// Where producers connect.
    pub(crate) socket: FeedSocket,
    /// Requests of other roles.
    pub(crate) control: ControlReceiver,
    /// Shared counters.
    pub(crate) telemetry: Arc<Metrics>,
    /// Where addresses go whose names are wanted.
    pub(crate) wanted_names: Sender<IpAddr>,
    /// Beaten in every round.
    pub(crate) heart: Liveness,
    /// Producers at once that descriptors allow for.
    pub(crate) connections_max: usize,
}

/// The feed's thread.
pub(crate) struct Feed {
    parts: FeedParts,
    state: State,
    /// Where state outlives the process; none where it need not.
    journal: Option<Journal>,
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    open: usize,
    /// Shared by all connections.
    buffer: Vec<u8>,
    max_connections: usize,
    max_line: usize,
    grace: Duration,
    /// `[events] expect`.
    expect: Vec<String>,
    peers: Peers,
    attendance: Attendance,
    /// Sessions that wait for an acknowledgement, and since when the first of them does.
    unconfirmed: Vec<usize>,
    unconfirmed_since: Instant,
    /// Bytes of replies that wait, of all sessions.
    replies_bytes: usize,
    /// Sessions from which nothing is read since they do not read either.
    paused: Vec<usize>,
    scans: Scans,
    rejections: Rejections,
    history: History,
    began: Instant,
    refused_uids: HashSet<u32>,
    accept_paused_until: Option<Instant>,
    full_logged: bool,
    pace: Pace,
    /// The size of the latest text of a scrape, and some more.
    text_bytes: usize,
    /// Bytes read in this round.
    round_bytes: usize,
    /// Holds the wake-up alone, to rest on.
    urgent: Epoll,
    /// Connections end because the exporter does.
    is_stopping: bool,
}

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// The other end is closed.
const GONE: EpollFlags = EpollFlags::EPOLLHUP.union(EpollFlags::EPOLLERR);

/// What a round ended with.
enum Round {
    Go,
    Stop,
}

/// What a connection's turn ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There may be more to read.
    More,
    /// There is nothing for now.
    Wait,
    /// It is over.
    End,
}

impl Feed {
    /// Makes the poll set. `reload` holds the settings to begin with; `state` is what the journal has kept.
    pub(crate) fn new(
        parts: FeedParts,
        state: State,
        journal: Option<Journal>,
        reload: &Reload,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&parts.socket.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(parts.control.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let urgent = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        urgent.add(parts.control.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let now = Instant::now();
        let mut feed = Feed {
            parts,
            state,
            journal,
            epoll,
            connections: Vec::new(),
            free: Vec::new(),
            open: 0,
            buffer: Vec::new(),
            max_connections: 0,
            max_line: 0,
            grace: Duration::ZERO,
            expect: Vec::new(),
            peers: Peers::default(),
            attendance: Attendance::default(),
            unconfirmed: Vec::new(),
            unconfirmed_since: now,
            replies_bytes: 0,
            paused: Vec::new(),
            scans: Scans::new(),
            rejections: Rejections::default(),
            history: History::new(0, now),
            began: now,
            refused_uids: HashSet::new(),
            accept_paused_until: None,
            full_logged: false,
            pace: Pace::new(now),
            round_bytes: 0,
            text_bytes: 0,
            urgent,
            is_stopping: false,
        };
        feed.note_boot();
        feed.reload(reload);
        feed.history = History::new(feed.lines_so_far(), now);
        for (id, _) in feed.state.sessions.iter() {
            feed.attendance.leave(id, feed.grace, now);
        }
        Ok(feed)
    }

    fn take_settings(&mut self, reload: &Reload) {
        let settings = &reload.settings;
        self.max_connections = settings.max_connections.min(self.parts.connections_max);
        if self.max_connections < settings.max_connections {
            log::warn!(
                "[events] max_connections: {} are configured, but the limit of descriptors leaves room for {}; raise LimitNOFILE",
                settings.max_connections,
                self.max_connections
            );
        }
        self.max_line = settings.max_line;
        self.grace = settings.grace;
        self.expect.clone_from(&settings.expect);
        self.peers = reload.peers.clone();
        if let Some(journal) = &mut self.journal {
            journal.set_sync(settings.sync);
        }
        let former = std::mem::take(&mut self.scans);
        for scan in &settings.scans {
            let state = former.get(&scan.name).cloned().unwrap_or_default();
            self.scans.insert(scan.name.clone(), state);
        }
    }

    /// Runs until it is told to stop, then drains what has arrived.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let result = loop {
            self.parts.heart.heartbeat();
            match self.round(self.timeout()) {
                Ok(Round::Go) => {}
                Ok(Round::Stop) => break Ok(()),
                Err(error) => break Err(format!("polling the producers failed: {error}")),
            }
        };
        self.drain();
        result
    }

    fn timeout(&self) -> EpollTimeout {
        let mut wait = limits::ROLE_IDLE_MAX;
        if self.accept_paused_until.is_some() {
            wait = limits::ACCEPT_PAUSE;
        }
        if let Some(next) = self.attendance.next() {
            // Rounded up, so that it does not wake just before.
            let left = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            wait = wait.min(left);
        }
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    /// One poll, and a turn for everyone who is ready.
    fn round(&mut self, timeout: EpollTimeout) -> io::Result<Round> {
        self.round_bytes = 0;
        let woken = self.poll_once(timeout)?.1;
        let now = Instant::now();
        if self.accept_paused_until.is_some_and(|until| now >= until) {
            self.accept_paused_until = None;
            self.listen(true);
        }
        self.upkeep(now);
        if woken {
            return self.answer();
        }
        if let Some(rest) = self.pace.rest(self.round_bytes, Instant::now()) {
            // A request ends the rest at once.
            let timeout = EpollTimeout::try_from(rest).unwrap_or(EpollTimeout::ZERO);
            match self.urgent.wait(&mut [EpollEvent::empty()], timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Round::Go)
    }

    /// Polls and serves connections. Returns how many were ready and whether there are requests.
    fn poll_once(&mut self, timeout: EpollTimeout) -> io::Result<(usize, bool)> {
        let mut events = [EpollEvent::empty(); limits::POLL_EVENTS_MAX];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut woken = false;
        for event in &events[..count] {
            match event.data() {
                LISTENER => self.accept(),
                WAKE => woken = true,
                index => {
                    self.serve(index as usize, event.events());
                }
            }
        }
        self.settle();
        Ok((count - usize::from(woken), woken))
    }

    /// What has to be done from time to time.
    fn upkeep(&mut self, now: Instant) {
        self.rejections.summarize(now);
        if self.history.is_due(now) {
            self.history.note(self.lines_so_far(), now);
        }
        self.give_up(now);
        self.unpause(now);
        if let Some(journal) = &mut self.journal {
            journal.collect(now);
        }
        self.keep_journal_short(now);
        // State may have become durable just now.
        self.settle();
    }

    /// A turn for one connection: one batch of what it has written, and what it takes of its replies.
    fn serve(&mut self, index: usize, ready: EpollFlags) -> bool {
        let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
            return false;
        };
        let mut turn = match connection.session().map(|session| session.bye) {
            None | Some(Bye::No) if ready.intersects(GONE | EpollFlags::EPOLLIN) => {
                self.hear(index, &mut connection)
            }
            None | Some(Bye::No) => Turn::Wait,
            Some(Bye::Said | Bye::Answered) if ready.intersects(GONE) => Turn::End,
            Some(Bye::Said | Bye::Answered) => Turn::Wait,
        };
        if turn != Turn::End && connection.session().is_some() {
            turn = self.converse(index, &mut connection, turn);
        }
        self.put_back(index, connection, turn);
        if self.journal.as_ref().is_some_and(Journal::is_long) {
            self.keep_journal_short(Instant::now());
        }
        self.ask_for_names();
        if !self.unconfirmed.is_empty() && self.should_settle() {
            self.settle();
        }
        turn == Turn::More
    }

    fn put_back(&mut self, index: usize, connection: Connection, turn: Turn) {
        if turn == Turn::End {
            self.end(index, connection);
        } else {
            self.connections[index] = Some(connection);
        }
    }

    /// Reads and applies one batch.
    fn hear(&mut self, index: usize, connection: &mut Connection) -> Turn {
        let mut buffer = std::mem::take(&mut self.buffer);
        let at = clock::unix_seconds();
        let turn = match connection.read(&mut buffer, self.max_line) {
            Batch::Nothing => Turn::Wait,
            Batch::End => Turn::End,
            Batch::Lines(lines) => {
                self.round_bytes += lines.block.len();
                if let Some(line) = lines.too_long.as_deref() {
                    self.reject(connection, &state::too_long(self.max_line), line);
                }
                let block = match connection.talk {
                    Talk::Unknown if state::is_blank(lines.block) => Ok(lines.block),
                    Talk::Unknown => self.begin(index, connection, lines.block, at),
                    Talk::Plain | Talk::Session(_) => Ok(lines.block),
                };
                match block {
                    Ok(block) => {
                        self.apply(connection, block, at);
                        // In a session it may come again with its end: until then it is no line.
                        if connection.session().is_none()
                            && let Some(line) = connection.take_too_long()
                        {
                            connection.talk = Talk::Plain;
                            self.reject(connection, &state::too_long(self.max_line), &line);
                        }
                        Turn::More
                    }
                    Err(()) => Turn::End,
                }
            }
        };
        self.buffer = buffer;
        turn
    }

    /// Records and applies whole lines.
    fn apply(&mut self, connection: &mut Connection, block: &[u8], at: f64) {
        if block.is_empty() {
            return;
        }
        let session = connection.session().map(|session| (session.id, Arc::clone(&session.name)));
        let place = session.as_ref().map(|(id, name)| self.place(*id, name));
        let entry = Record::Lines { at, place, block };
        self.append(&entry);
        let mut session = connection.session();
        let (rejections, mut now) = (&mut self.rejections, None);
        let applied = self.state.apply(&entry, &mut |note| match note {
            Note::Rejected { number, rejection, line } => {
                rejections.note(rejection, line, *now.get_or_insert_with(Instant::now));
                if let (Some(session), Some(number)) = (&mut session, number) {
                    session.replies.reject(number, rejection);
                }
            }
            Note::Said(text) => log::warn!("{text}"),
        });
        match applied {
            Ok(false) => {}
            Ok(true) => {
                if let Some(session) = session {
                    session.bye = Bye::Said;
                }
            }
            Err(misfit) => log::error!("lines do not go with the state: {}", misfit.0),
        }
    }

    /// Records a line that was not whole.
    fn reject(&mut self, connection: &mut Connection, rejection: &Rejection, line: &[u8]) {
        let session = connection.session().map(|session| (session.id, Arc::clone(&session.name)));
        let place = session.as_ref().map(|(id, name)| self.place(*id, name));
        if let (Some(place), Some(session)) = (&place, connection.session()) {
            session.replies.reject(place.first, rejection);
        }
        self.record_own(&Record::Rejected { place, reason: rejection.reason }, "");
        self.rejections.note(rejection, line, Instant::now());
    }

    /// A connection has ended.
    fn end(&mut self, index: usize, mut connection: Connection) {
        if let Some(session) = connection.session() {
            let (id, known) = (session.id, self.state.sessions.get(session.id));
            let ended_well = session.bye != Bye::No
                && known.is_some_and(|known| session.delivered == Some(known.position));
            self.replies_bytes -= session.replies_counted;
            if self.attendance.connection(id) == Some(index) {
                if ended_well {
                    self.forget(id);
                } else if !self.is_stopping {
                    self.leave(id);
                }
            }
        } else {
            let rest = connection.unfinished().to_vec();
            if !state::is_blank(&rest) {
                let what = "the connection ended within the line, expected its end, \\n";
                self.reject(&mut connection, &Rejection::new(Reason::Truncated, what), &rest);
            }
        }
        // Closing the descriptor takes it out of the poll set.
        drop(connection);
        self.free.push(index);
        self.open -= 1;
        self.full_logged = false;
    }

    fn ask_for_names(&mut self) {
        for ip in self.state.engine.take_wanted_names() {
            if self.parts.wanted_names.try_send(ip).is_err() {
                self.state.engine.forget_name(ip);
            }
        }
    }

    /// At a stop: whoever has connected is heard out, as far as bytes have arrived, for a bounded time.
    fn drain(&mut self) {
        self.accept();
        let until = Instant::now() + limits::DRAIN_MAX;
        let mut busy: Vec<usize> = (0..self.connections.len()).collect();
        while !busy.is_empty() && Instant::now() < until {
            self.parts.heart.heartbeat();
            busy.retain(|&index| self.serve(index, EpollFlags::EPOLLIN));
        }
        self.settle();
        self.is_stopping = true;
        let mut cut = 0;
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections[index].take() else { continue };
            cut += usize::from(!state::is_blank(connection.unfinished()));
            self.end(index, connection);
        }
        if cut > 0 || Instant::now() >= until {
            log::warn!("stopped with {cut} unfinished lines; producers may have sent more than was read");
        }
        if let Some(journal) = &mut self.journal {
            journal.finish(clock::unix_seconds(), || self.state.save(), &self.parts.heart);
        }
    }
}
