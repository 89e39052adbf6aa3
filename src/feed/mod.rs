//! The feed: the one thread that reads all producers and owns the state that their lines make.
//!
//! It polls every connection and gives each in turn one batch, so a flood or a stall delays the others by no more than
//! that. It applies what it reads at once; when it is behind, producers wait in their `write`. Requests of
//! other roles come as messages (`control`). It never waits for anybody: replies go into channels, names are looked up
//! and directories are scanned by roles of their own.

mod connection;
mod pace;
pub mod peers;
mod rejections;
pub mod socket;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{getsockopt, sockopt};

use crate::clock;
use crate::control::{Control, ControlReceiver, Reload, ScanReport, ScanStatus, Scrape};
use crate::event::rejection::{Reason, Rejection};
use crate::event::words::EventWords;
use crate::lifecycles::{Engine, Rules};
use crate::limits;
use crate::process::heart::Heart;
use crate::telemetry::{
    self, REFUSED_MAX_CONNECTIONS, REFUSED_PEER_CREDENTIALS, ScanState, Scans, Telemetry,
};

use connection::{Batch, Connection};
use pace::Pace;
use peers::Peers;
use rejections::Rejections;
use socket::FeedSocket;

/// What the feed is made of.
pub struct FeedParts {
    /// Where producers connect.
    pub socket: FeedSocket,
    /// Requests of other roles.
    pub control: ControlReceiver,
    /// The state.
    pub engine: Engine,
    /// Shared counters.
    pub telemetry: Arc<Telemetry>,
    /// Where addresses go whose names are wanted.
    pub wanted_names: Sender<IpAddr>,
    /// Beaten in every round.
    pub heart: Heart,
    /// Producers at once that descriptors allow for.
    pub connections_max: usize,
}

/// The feed's thread.
pub struct Feed {
    parts: FeedParts,
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    open: usize,
    /// Shared by all connections.
    buffer: Vec<u8>,
    max_connections: usize,
    max_line: usize,
    peers: Peers,
    scans: Scans,
    rejections: Rejections,
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
}

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

impl Feed {
    /// Makes the poll set. `reload` holds the settings to begin with.
    pub fn new(parts: FeedParts, reload: &Reload) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&parts.socket.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(parts.control.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let urgent = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        urgent.add(parts.control.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let mut feed = Feed {
            parts,
            epoll,
            connections: Vec::new(),
            free: Vec::new(),
            open: 0,
            buffer: Vec::new(),
            max_connections: 0,
            max_line: 0,
            peers: Peers::default(),
            scans: Scans::new(),
            rejections: Rejections::default(),
            refused_uids: HashSet::new(),
            accept_paused_until: None,
            full_logged: false,
            pace: Pace::new(Instant::now()),
            round_bytes: 0,
            text_bytes: 0,
            urgent,
        };
        feed.take_settings(reload);
        for (line, rejection) in feed.parts.engine.start(clock::unix_seconds()) {
            log::error!("[startup] event {line}: {rejection}");
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
        self.peers = reload.peers.clone();
        let former = std::mem::take(&mut self.scans);
        for scan in &settings.scans {
            let state = former.get(&scan.name).cloned().unwrap_or_default();
            self.scans.insert(scan.name.clone(), state);
        }
    }

    /// Runs until it is told to stop, then drains what has arrived.
    pub fn run(mut self) -> Result<(), String> {
        let result = loop {
            self.parts.heart.beat();
            match self.round(self.timeout()) {
                Ok(Round::Go) => {}
                Ok(Round::Stop) => break Ok(()),
                Err(error) => break Err(format!("polling the producers failed: {error}")),
            }
            self.rejections.summarize(Instant::now());
        };
        self.drain();
        result
    }

    fn timeout(&self) -> EpollTimeout {
        let wait =
            if self.accept_paused_until.is_some() { limits::ACCEPT_PAUSE } else { limits::ROLE_IDLE_MAX };
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    /// One poll, and a turn for everyone who is ready.
    fn round(&mut self, timeout: EpollTimeout) -> io::Result<Round> {
        self.round_bytes = 0;
        let woken = self.poll_once(timeout)?.1;
        if self.accept_paused_until.is_some_and(|until| Instant::now() >= until) {
            self.accept_paused_until = None;
            self.listen(true);
        }
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
                    self.serve(index as usize);
                }
            }
        }
        Ok((count - usize::from(woken), woken))
    }

    fn answer(&mut self) -> io::Result<Round> {
        // Emptied before the queue is, so that no request is missed.
        let _ = self.parts.control.wake.read();
        while let Ok(control) = self.parts.control.queue.try_recv() {
            match control {
                Control::Scrape(scrape) => {
                    self.catch_up()?;
                    self.scrape(&scrape);
                }
                Control::Scanned(report) => self.scanned(&report),
                Control::Named(ip, Some(name)) => self.parts.engine.learn_name(ip, &name),
                Control::Named(_, None) => {}
                Control::Reload(reload) => self.reload(&reload),
                Control::Stop => return Ok(Round::Stop),
            }
        }
        Ok(Round::Go)
    }

    /// A scrape shows what was written before it was asked for, unless producers are far ahead.
    fn catch_up(&mut self) -> io::Result<()> {
        let until = Instant::now() + limits::SCRAPE_CATCH_UP_MAX;
        while self.poll_once(EpollTimeout::ZERO)?.0 > 0 && Instant::now() < until {}
        Ok(())
    }

    fn scrape(&mut self, scrape: &Scrape) {
        let now = clock::unix_seconds();
        let blocks = if scrape.systems.is_empty() {
            let own = telemetry::engine_blocks(&self.parts.engine, self.open, &self.scans, now);
            telemetry::merge(own, scrape.blocks.clone())
        } else {
            Vec::new()
        };
        // As much as last time, so that the text need not move while it grows.
        let mut text = Vec::with_capacity(self.text_bytes);
        let result = self.parts.engine.render(&scrape.systems, &blocks, now, &mut text);
        self.text_bytes = text.len() + text.len() / 16;
        // A worker that has given up waiting is no concern here.
        let _ = scrape.reply.send(result.map(|()| text));
    }

    fn scanned(&mut self, report: &ScanReport) {
        let Some(state) = self.scans.get_mut(&report.name) else { return };
        ScanState::note(state, report);
        let Some(events) = report.system.as_deref().and_then(|system| self.parts.engine.scan_events(system))
        else {
            return;
        };
        let templates = match report.status {
            ScanStatus::Succeeded => &events.succeeded,
            ScanStatus::Partial => &events.partial,
            ScanStatus::Failed => &events.failed,
        };
        for template in templates.clone() {
            let words = template
                .replace("{bytes}", &report.bytes.to_string())
                .replace("{files}", &report.files.to_string())
                .replace("{duration}", &report.duration_seconds.to_string());
            let Ok(event) = EventWords::parse(&words) else { continue };
            if let Err(rejection) = self.parts.engine.apply(&event.to_line(), report.ended) {
                log::warn!("[scan {}]: {words}: {rejection}", report.name);
            }
        }
    }

    fn reload(&mut self, reload: &Reload) {
        self.take_settings(reload);
        let rules = Rules::from(&*reload.settings);
        for dropped in self.parts.engine.reconfigure(&reload.catalogs, rules, clock::unix_seconds()) {
            log::warn!("{dropped}");
        }
    }

    fn listen(&self, on: bool) {
        let flags = if on { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        if let Err(error) =
            self.epoll.modify(&self.parts.socket.listener, &mut EpollEvent::new(flags, LISTENER))
        {
            log::error!("accepting producers cannot be switched: {error}");
        }
    }

    /// Takes the connections that wait, a bounded number at a time.
    fn accept(&mut self) {
        for _ in 0..limits::POLL_EVENTS_MAX {
            match self.parts.socket.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    if self.accept_paused_until.is_none() {
                        log::error!("a producer cannot be accepted: {error}; trying again");
                    }
                    self.accept_paused_until = Some(Instant::now() + limits::ACCEPT_PAUSE);
                    self.listen(false);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        let refused =
            |reason: &str| self.parts.telemetry.connections_refused.with_label_values(&[reason]).inc();
        let peer = getsockopt(&stream, sockopt::PeerCredentials).ok();
        if !peer.is_some_and(|peer| self.peers.allow(peer.uid(), peer.gid())) {
            refused(REFUSED_PEER_CREDENTIALS);
            let uid = peer.map_or(u32::MAX, |peer| peer.uid());
            if self.refused_uids.len() < limits::REFUSED_UIDS_MAX && self.refused_uids.insert(uid) {
                log::warn!(
                    "a producer of user id {uid} was refused ([events] allowed_users, allowed_groups); logged once"
                );
            }
            return;
        }
        if self.open >= self.max_connections {
            refused(REFUSED_MAX_CONNECTIONS);
            if !std::mem::replace(&mut self.full_logged, true) {
                log::warn!("a producer was refused: {} are connected ([events] max_connections)", self.open);
            }
            return;
        }
        let index = self.free.pop().unwrap_or(self.connections.len());
        let polled = stream.set_nonblocking(true).and_then(|()| {
            Ok(self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?)
        });
        if let Err(error) = polled {
            log::error!("a producer cannot be polled: {error}");
            if index < self.connections.len() {
                self.free.push(index);
            }
            return;
        }
        let connection = Some(Connection::new(stream));
        if index == self.connections.len() {
            self.connections.push(connection);
        } else {
            self.connections[index] = connection;
        }
        self.open += 1;
    }

    /// One batch of one producer.
    fn serve(&mut self, index: usize) -> bool {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return false };
        let mut buffer = std::mem::take(&mut self.buffer);
        let arrived = clock::unix_seconds();
        let mut go_on = true;
        match connection.read(&mut buffer, self.max_line) {
            Batch::Nothing => go_on = false,
            Batch::Lines(lines) => {
                self.round_bytes += lines.block.len();
                self.apply_block(lines.block, arrived);
                if let Some(line) = lines.too_long {
                    self.reject_too_long(line);
                }
            }
            Batch::End(rest) => {
                self.end(index, rest);
                go_on = false;
            }
        }
        self.buffer = buffer;
        self.ask_for_names();
        go_on
    }

    fn end(&mut self, index: usize, rest: &[u8]) {
        if !is_blank(rest) {
            let what = "the connection ended within the line, expected its end, \\n";
            self.reject(&Rejection::new(Reason::Truncated, what), rest);
        }
        self.close(index);
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            // Closing the descriptor takes it out of the poll set.
            drop(connection);
            self.free.push(index);
            self.open -= 1;
            self.full_logged = false;
        }
    }

    /// Applies whole lines. UTF-8 is checked for all of them at once, and line by line only where that fails.
    fn apply_block(&mut self, block: &[u8], arrived: f64) {
        if let Ok(text) = std::str::from_utf8(block) {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', block) {
                self.apply_line(&text[start..end], arrived);
                start = end + 1;
            }
            return;
        }
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            match std::str::from_utf8(line) {
                Ok(line) => self.apply_line(line.trim_end_matches('\n'), arrived),
                Err(_) => self.reject(&Rejection::new(Reason::Malformed, "expected UTF-8"), line),
            }
        }
    }

    fn apply_line(&mut self, line: &str, arrived: f64) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() > self.max_line {
            self.reject_too_long(line.as_bytes());
        } else if !is_blank(line.as_bytes())
            && let Err(rejection) = self.parts.engine.apply(line, arrived)
        {
            self.rejections.note(&rejection, line.as_bytes(), Instant::now());
        }
    }

    fn reject_too_long(&mut self, line: &[u8]) {
        let what = format!("expected at most {} bytes ([events] max_line)", self.max_line);
        self.reject(&Rejection::new(Reason::TooLong, what), line);
    }

    fn reject(&mut self, rejection: &Rejection, line: &[u8]) {
        self.parts.engine.count_rejection(rejection.reason);
        self.rejections.note(rejection, line, Instant::now());
    }

    fn ask_for_names(&mut self) {
        for ip in self.parts.engine.take_wanted_names() {
            if self.parts.wanted_names.try_send(ip).is_err() {
                self.parts.engine.forget_name(ip);
            }
        }
    }

    /// At a stop: whoever has connected is heard out, as far as bytes have arrived, for a bounded time.
    fn drain(&mut self) {
        self.accept();
        let until = Instant::now() + limits::DRAIN_MAX;
        let mut busy: Vec<usize> = (0..self.connections.len()).collect();
        while !busy.is_empty() && Instant::now() < until {
            self.parts.heart.beat();
            busy.retain(|&index| self.serve(index));
        }
        let mut cut = 0;
        for index in 0..self.connections.len() {
            let Some(connection) = &self.connections[index] else { continue };
            let rest = connection.unfinished().to_vec();
            cut += usize::from(!is_blank(&rest));
            self.end(index, &rest);
        }
        if cut > 0 || Instant::now() >= until {
            log::warn!("stopped with {cut} unfinished lines; producers may have sent more than was read");
        }
    }
}

enum Round {
    Go,
    Stop,
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}
