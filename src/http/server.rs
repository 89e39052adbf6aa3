//! The polling thread.
//!
//! A connection goes through four phases, each with an absolute deadline: its head is read, a worker makes the
//! response, the response is sent, and what the client still sends is drained, because closing with unread bytes
//! would reset the response away. A denied address goes to the last phase at once: its bytes are thrown away unparsed.
//! When all places are taken, whoever has kept the server waiting longest for its head has to go, so that idle
//! clients cannot keep a scraper out.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::access::{Access, AtAccept};
use super::request::{self, Head, Request};
use super::response::Response;
use super::single_flight::Queue;
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;

/// What the polling thread shares with the process.
pub(crate) struct Shared {
    /// Replaced by a reload.
    pub(crate) access: RwLock<Access>,
    /// Set to end it.
    pub(crate) stop: AtomicBool,
    wake: EventFd,
    /// Requests that wait for a worker.
    pub(super) jobs: Queue<Request, Token>,
}

impl Shared {
    /// To be shared.
    pub(crate) fn new(access: Access) -> io::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Shared { access: RwLock::new(access), stop: AtomicBool::new(false), wake, jobs: Queue::new() })
    }

    /// Lets the polling thread look up.
    pub(crate) fn wake(&self) {
        let _ = self.wake.write(1);
    }

    pub(super) fn access(&self) -> Access {
        self.access.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// A response on its way back.
pub(crate) struct Done {
    pub(super) place: Token,
    pub(super) response: Response,
}

/// A connection's place, and which of its tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    index: u32,
    tenant: u32,
}

enum Phase {
    Head(Vec<u8>),
    Working,
    Sending { response: Response, sent: usize },
    Lingering { drained: usize },
}

struct Connection {
    stream: TcpStream,
    peer: IpAddr,
    tenant: u32,
    phase: Phase,
    since: Instant,
    deadline: Instant,
}

/// The polling thread.
pub(crate) struct Server {
    shared: Arc<Shared>,
    telemetry: Arc<Metrics>,
    heart: Liveness,
    listeners: Vec<TcpListener>,
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    tenants: u32,
    connections_max: usize,
    done: Receiver<Done>,
    /// All places are taken by requests that are about to be answered: newcomers wait in the kernel's queue.
    full: bool,
    accept_paused_until: Option<Instant>,
}

const WAKE: u64 = u64::MAX;
const LISTENERS: u64 = 1 << 63;
const READ: EpollFlags = EpollFlags::EPOLLIN;

impl Server {
    /// Takes over listening sockets. At most `connections_max` connections are served at once.
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        shared: Arc<Shared>,
        telemetry: Arc<Metrics>,
        heart: Liveness,
        done: Receiver<Done>,
        connections_max: usize,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(shared.wake.as_fd(), EpollEvent::new(READ, WAKE))?;
        for (index, listener) in listeners.iter().enumerate() {
            listener.set_nonblocking(true)?;
            epoll.add(listener, EpollEvent::new(READ, LISTENERS | index as u64))?;
        }
        let connections = Vec::new();
        Ok(Server {
            shared,
            telemetry,
            heart,
            listeners,
            epoll,
            connections,
            tenants: 0,
            connections_max,
            done,
            full: false,
            accept_paused_until: None,
        })
    }

    /// Runs until it is told to stop; responses under way are still sent, for a bounded time.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let mut stop_by: Option<Instant> = None;
        loop {
            self.heart.heartbeat();
            self.round().map_err(|error| format!("polling the HTTP clients failed: {error}"))?;
            if self.shared.stop.load(Ordering::Relaxed) {
                let until = *stop_by.get_or_insert_with(|| {
                    self.listen(false);
                    Instant::now() + limits::DRAIN_MAX
                });
                let busy = self
                    .connections
                    .iter()
                    .flatten()
                    .any(|c| matches!(c.phase, Phase::Working | Phase::Sending { .. }));
                if !busy || Instant::now() >= until {
                    return Ok(());
                }
            }
        }
    }

    fn round(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); limits::POLL_EVENTS_MAX];
        let count = match self.epoll.wait(&mut events, self.timeout()) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        // Connections first: a listener's turn may give their places away.
        for event in &events[..count] {
            match event.data() {
                WAKE => {
                    let _ = self.shared.wake.read();
                }
                data if data & LISTENERS != 0 => {}
                data => {
                    let token = Token { index: data as u32, tenant: (data >> 32) as u32 };
                    self.ready(token, event.events());
                }
            }
        }
        while let Ok(done) = self.done.try_recv() {
            if self.tenant(done.place).is_some_and(|connection| matches!(connection.phase, Phase::Working)) {
                self.send(done.place, done.response);
            }
        }
        for event in &events[..count] {
            if event.data() != WAKE && event.data() & LISTENERS != 0 {
                self.accept((event.data() & !LISTENERS) as usize);
            }
        }
        self.keep_deadlines();
        if self.full && !self.is_full_for_a_moment() && !self.shared.stop.load(Ordering::Relaxed) {
            self.full = false;
            self.listen(true);
        }
        Ok(())
    }

    fn timeout(&self) -> EpollTimeout {
        let now = Instant::now();
        let deadlines = self.connections.iter().flatten().map(|connection| connection.deadline);
        let next = deadlines.chain(self.accept_paused_until).min();
        let wait = next.map_or(limits::ROLE_IDLE_MAX, |next| next.saturating_duration_since(now));
        // Rounded up, so that a deadline has passed when the poll ends.
        let wait = wait.min(limits::ROLE_IDLE_MAX) + Duration::from_millis(1);
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    fn listen(&self, on: bool) {
        let flags = if on { READ } else { EpollFlags::empty() };
        for (index, listener) in self.listeners.iter().enumerate() {
            if let Err(error) =
                self.epoll.modify(listener, &mut EpollEvent::new(flags, LISTENERS | index as u64))
            {
                log::error!("accepting HTTP clients cannot be switched: {error}");
            }
        }
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..limits::POLL_EVENTS_MAX {
            if self.is_full_for_a_moment() {
                self.full = true;
                self.listen(false);
                return;
            }
            match self.listeners[index].accept() {
                Ok((stream, address)) => self.admit(stream, address.ip()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    if self.accept_paused_until.is_none() {
                        log::error!("an HTTP client cannot be accepted: {error}; trying again");
                    }
                    self.accept_paused_until = Some(Instant::now() + limits::ACCEPT_PAUSE);
                    self.listen(false);
                    self.make_room();
                    return;
                }
            }
        }
    }

    /// Out of descriptors: those that are only drained, or idle, are given up.
    fn make_room(&mut self) {
        for place in &mut self.connections {
            if place.as_ref().is_some_and(|connection| matches!(connection.phase, Phase::Lingering { .. })) {
                *place = None;
            }
        }
        if let Some(idle) = self.longest_idle() {
            self.refuse(idle, 503);
            self.close(idle);
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: IpAddr) {
        if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
            return;
        }
        let denied = self.shared.access().at_accept(peer) == AtAccept::Deny;
        let mut refusal = denied.then_some(403);
        if !denied && self.serving() >= self.connections_max {
            match self.longest_idle() {
                Some(idle) => self.refuse(idle, 503),
                None => refusal = Some(503),
            }
        }
        let now = Instant::now();
        self.tenants = self.tenants.wrapping_add(1) & (u32::MAX >> 1);
        let connection = Connection {
            stream,
            peer,
            tenant: self.tenants,
            phase: Phase::Head(Vec::new()),
            since: now,
            deadline: now + limits::HTTP_HEAD_TIME_MAX,
        };
        let index = self.connections.iter().position(Option::is_none).unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let token = Token { index: index as u32, tenant: connection.tenant };
        if self.epoll.add(&connection.stream, EpollEvent::new(READ, token.data())).is_err() {
            return;
        }
        self.connections[index] = Some(connection);
        if let Some(status) = refusal {
            self.refuse(token, status);
        } else {
            // Its request is often there already.
            self.read_head(token);
        }
    }

    /// Connections that count against the limit.
    fn serving(&self) -> usize {
        self.connections.iter().flatten().filter(|c| !matches!(c.phase, Phase::Lingering { .. })).count()
    }

    /// No place is free or can be freed, but one will be as soon as a worker is done.
    fn is_full_for_a_moment(&self) -> bool {
        self.serving() >= self.connections_max
            && self.longest_idle().is_none()
            && self.connections.iter().flatten().any(|connection| matches!(connection.phase, Phase::Working))
    }

    /// Whoever has kept us waiting longest for its head, those without a byte of it first.
    fn longest_idle(&self) -> Option<Token> {
        let waiting = self.connections.iter().enumerate().filter_map(|(index, place)| match place {
            Some(connection) => match &connection.phase {
                Phase::Head(bytes) => Some((
                    (!bytes.is_empty(), connection.since),
                    Token { index: index as u32, tenant: connection.tenant },
                )),
                _ => None,
            },
            None => None,
        });
        waiting.min_by_key(|(rank, _)| *rank).map(|(_, token)| token)
    }

    fn tenant(&mut self, token: Token) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(token.index as usize)?.as_mut()?;
        (connection.tenant == token.tenant).then_some(connection)
    }

    fn close(&mut self, token: Token) {
        if self.tenant(token).is_some() {
            self.connections[token.index as usize] = None;
        }
    }

    fn ready(&mut self, token: Token, flags: EpollFlags) {
        let Some(connection) = self.tenant(token) else { return };
        match connection.phase {
            Phase::Head(_) => self.read_head(token),
            Phase::Sending { .. } => self.continue_sending(token),
            Phase::Lingering { .. } => self.drain(token),
            Phase::Working if flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) => {
                self.close(token);
            }
            Phase::Working => {}
        }
    }

    fn read_head(&mut self, token: Token) {
        let access = self.shared.access();
        let Some(connection) = self.tenant(token) else { return };
        let Phase::Head(bytes) = &mut connection.phase else { return };
        let mut chunk = [0; limits::HTTP_HEAD_BYTES_MAX];
        let room = limits::HTTP_HEAD_BYTES_MAX - bytes.len();
        match connection.stream.read(&mut chunk[..room]) {
            Ok(0) => return self.close(token),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return;
            }
            Err(_) => return self.close(token),
        }
        let parsed = request::parse(bytes);
        let peer = connection.peer;
        match parsed {
            Head::Partial => {}
            // Who asks is not known, so the proxy itself has to be allowed to be told more.
            Head::Refused(status) => {
                let allowed = access.decide(peer, []).allowed;
                self.refuse(token, if allowed { status } else { 403 });
            }
            Head::Whole(request) => {
                if !access.decide(peer, request.forwarded.iter().map(String::as_str)).allowed {
                    self.refuse(token, 403);
                } else if let Some(status) = request.refusal {
                    self.refuse(token, status);
                } else {
                    self.hand_over(token, request);
                }
            }
        }
    }

    fn hand_over(&mut self, token: Token, request: Request) {
        let Some(connection) = self.tenant(token) else { return };
        connection.phase = Phase::Working;
        connection.deadline = Instant::now() + limits::HTTP_RESPONSE_TIME_MAX;
        self.interest(token, EpollFlags::empty());
        // Who asks is settled, so it must not keep equal requests apart.
        let request = Request { forwarded: Vec::new(), ..request };
        self.shared.jobs.join(request, token);
    }

    fn interest(&mut self, token: Token, flags: EpollFlags) {
        let Some(connection) = self.connections.get(token.index as usize).and_then(Option::as_ref) else {
            return;
        };
        if self.epoll.modify(&connection.stream, &mut EpollEvent::new(flags, token.data())).is_err() {
            self.close(token);
        }
    }

    fn refuse(&mut self, token: Token, status: u16) {
        self.send(token, Response::refusal(status));
    }

    fn send(&mut self, token: Token, response: Response) {
        self.telemetry.count_response(response.status);
        let Some(connection) = self.tenant(token) else { return };
        connection.phase = Phase::Sending { response, sent: 0 };
        connection.deadline = Instant::now() + limits::HTTP_RESPONSE_TIME_MAX;
        self.continue_sending(token);
    }

    fn continue_sending(&mut self, token: Token) {
        let Some(connection) = self.tenant(token) else { return };
        let Phase::Sending { response, sent } = &mut connection.phase else { return };
        loop {
            let head = &response.head[(*sent).min(response.head.len())..];
            let body = &response.body[sent.saturating_sub(response.head.len())..];
            if head.is_empty() && body.is_empty() {
                break;
            }
            match connection.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(0) => return self.close(token),
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.interest(token, EpollFlags::EPOLLOUT);
                }
                Err(_) => return self.close(token),
            }
        }
        // Said by closing our half; what the client still sends must not reset the response away.
        if connection.stream.shutdown(Shutdown::Write).is_err() {
            return self.close(token);
        }
        connection.phase = Phase::Lingering { drained: 0 };
        connection.since = Instant::now();
        connection.deadline = connection.since + limits::HTTP_LINGER_TIME_MAX;
        self.interest(token, READ);
        self.drain(token);
        self.bound_lingering();
    }

    fn drain(&mut self, token: Token) {
        let Some(connection) = self.tenant(token) else { return };
        let Phase::Lingering { drained } = &mut connection.phase else { return };
        let mut waste = [0; 8_192];
        loop {
            match connection.stream.read(&mut waste) {
                Ok(count) if count > 0 && *drained < limits::HTTP_LINGER_BYTES_MAX => *drained += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return self.close(token),
            }
        }
    }

    fn bound_lingering(&mut self) {
        let mut lingering: Vec<(Instant, usize)> = Vec::new();
        for (index, place) in self.connections.iter().enumerate() {
            if let Some(Connection { phase: Phase::Lingering { .. }, since, .. }) = place {
                lingering.push((*since, index));
            }
        }
        if lingering.len() > limits::HTTP_LINGERING_MAX
            && let Some((_, oldest)) = lingering.into_iter().min()
        {
            self.connections[oldest] = None;
        }
    }

    fn keep_deadlines(&mut self) {
        let now = Instant::now();
        if self.accept_paused_until.is_some_and(|until| now >= until) {
            self.accept_paused_until = None;
            self.listen(true);
        }
        for index in 0..self.connections.len() {
            let Some(connection) = &self.connections[index] else { continue };
            if now < connection.deadline {
                continue;
            }
            let token = Token { index: index as u32, tenant: connection.tenant };
            match connection.phase {
                Phase::Head(_) => self.refuse(token, 408),
                Phase::Working => self.refuse(token, 503),
                Phase::Sending { .. } | Phase::Lingering { .. } => self.close(token),
            }
        }
    }
}

impl Token {
    fn data(self) -> u64 {
        u64::from(self.tenant) << 32 | u64::from(self.index)
    }
}
