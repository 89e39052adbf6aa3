//! The event loop of the HTTP server: it accepts connections, turns what happens to their sockets into inputs
//! of their state machines (`connection`), and carries out the resulting actions.
//!
//! It waits in one place only, the poll, and never for a client or a worker. When all slots are taken, the
//! connection that has waited longest for the end of its head gives way, but not before every client had time
//! to send one. So neither idle clients nor those that come again and again keep a scraper out. The same
//! holds for the memory that responses take while clients are reading them.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::access::{Access, AtAccept};
use super::connection::{Action, Context, Input, Interest, State};
use super::handle::ServerHandle;
use super::slots::{Slots, Token};
use super::worker::Answer;
use crate::accept::{Acceptor, OutOfResources};
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;

/// The key of the wake-up among the events of the poll.
const WAKE: u64 = u64::MAX;
/// The key of the first listener.
const LISTENERS: u64 = 1 << 63;

pub(crate) struct Server {
    handle: Arc<ServerHandle>,
    metrics: Arc<Metrics>,
    liveness: Liveness,
    epoll: Epoll,
    acceptor: Acceptor<TcpListener>,
    slots: Slots,
    slots_max: usize,
    answers: Receiver<Answer>,
    /// Fetched from the handle after each poll.
    access: Arc<Access>,
}

impl Server {
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        handle: Arc<ServerHandle>,
        metrics: Arc<Metrics>,
        liveness: Liveness,
        answers: Receiver<Answer>,
        slots_max: usize,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(handle.wake_descriptor(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        let acceptor = Acceptor::new(&epoll, listeners, LISTENERS, "HTTP clients")?;
        let (slots, access) = (Slots::default(), handle.access());
        Ok(Server { handle, metrics, liveness, epoll, acceptor, slots, slots_max, answers, access })
    }

    /// Runs until [`ServerHandle::stop`], and then until no response is owed any more, for a bounded time.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let mut stop_by: Option<Instant> = None;
        loop {
            self.liveness.heartbeat();
            self.round().map_err(|error| format!("polling the HTTP clients failed: {error}"))?;
            if self.handle.is_stopping() {
                self.acceptor.pause(&self.epoll);
                let now = Instant::now();
                let is_busy = self.slots.iter().any(|(_, state)| state.owes_response());
                if !is_busy || now >= *stop_by.get_or_insert(now + limits::DRAIN_MAX) {
                    return Ok(());
                }
            }
        }
    }

    /// One poll, and everything that its events cause.
    fn round(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); limits::POLL_EVENTS_MAX];
        let count = match self.epoll.wait(&mut events, self.timeout()) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        self.access = self.handle.access();
        // Connections first: a new one may evict another, whose request may have arrived.
        for event in &events[..count] {
            match event.data() {
                WAKE => self.handle.acknowledge_wake(),
                key if self.acceptor.has_key(key) => {}
                key => self.ready(Token::from_key(key)),
            }
        }
        while let Ok(Answer { token, response }) = self.answers.try_recv() {
            self.input(token, Input::Answered(response));
        }
        for event in &events[..count] {
            if self.acceptor.has_key(event.data()) {
                self.accept(event.data());
            }
        }
        self.keep_deadlines();
        if !self.is_full(Instant::now()) && !self.handle.is_stopping() {
            self.acceptor.resume(&self.epoll);
        }
        self.make_room();
        Ok(())
    }

    /// Closes the connections that have been taking their responses longest, as long as others wait for the
    /// memory.
    fn make_room(&mut self) {
        while let Some((slowest, from)) = self.slots.slowest_reader()
            && from <= Instant::now()
            && self.is_short_of_room()
        {
            self.input(slowest, Input::Aborted);
        }
        self.handle.calls.look_again();
    }

    fn is_short_of_room(&self) -> bool {
        self.handle.calls.any(|request| !self.handle.has_room_for(request))
    }

    fn timeout(&self) -> EpollTimeout {
        let now = Instant::now();
        let candidate = self.slots.eviction_candidate().filter(|_| self.is_full(now));
        let slowest = self.slots.slowest_reader().filter(|_| self.is_short_of_room());
        let changes = [candidate, slowest].into_iter().flatten().map(|(_, from)| from);
        let deadlines = [self.slots.next_deadline(), self.acceptor.deadline()];
        let next = deadlines.into_iter().flatten().chain(changes).min();
        let wait = next.map_or(limits::ROLE_IDLE_MAX, |next| next.saturating_duration_since(now));
        // The kernel counts whole milliseconds; rounded up, so that the deadline has passed when the poll
        // ends.
        let wait = wait.min(limits::ROLE_IDLE_MAX) + Duration::from_millis(1);
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    fn keep_deadlines(&mut self) {
        let now = Instant::now();
        self.acceptor.keep_deadline(&self.epoll, now);
        for token in self.slots.overdue(now) {
            self.input(token, Input::DeadlinePassed);
        }
    }

    fn accept(&mut self, key: u64) {
        self.acceptor.begin_turn(key);
        loop {
            if self.is_full(Instant::now()) {
                return self.acceptor.pause(&self.epoll);
            }
            match self.acceptor.next(&self.epoll, Instant::now()) {
                Ok(Some((stream, address))) => self.admit(stream, address.ip()),
                Ok(None) => return,
                Err(OutOfResources) => return self.free_descriptors(),
            }
        }
    }

    /// No slot is free or can be freed now, but one will be as soon as a head has had its time or a worker
    /// answers: until then new connections wait in the kernel's queue.
    fn is_full(&self, now: Instant) -> bool {
        self.slots.serving() >= self.slots_max
            && match self.slots.eviction_candidate() {
                Some((_, from)) => from > now,
                None => self.slots.iter().any(|(_, state)| matches!(state, State::AwaitingResponse { .. })),
            }
    }

    fn admit(&mut self, stream: TcpStream, peer: IpAddr) {
        if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
            return;
        }
        let mut refusal = None;
        if self.access.at_accept(peer) == AtAccept::Deny {
            refusal = Some(Input::Denied);
        } else if self.slots.serving() >= self.slots_max {
            match self.slots.eviction_candidate() {
                Some((candidate, _)) => self.input(candidate, Input::Evicted),
                None => refusal = Some(Input::Evicted),
            }
        }
        let (token, slot) = self.slots.insert(stream, peer, State::new(Instant::now()));
        if self.epoll.add(&slot.stream, event(token, slot.state.interest())).is_err() {
            return self.slots.remove(token);
        }
        match refusal {
            Some(input) => self.input(token, input),
            // The request has often arrived already.
            None => self.carry_out(token, vec![Action::Read]),
        }
    }

    /// Closes every connection that only lingers, and the next one to be evicted, whether it had its time or
    /// not.
    fn free_descriptors(&mut self) {
        for token in self.slots.lingering() {
            self.input(token, Input::Aborted);
        }
        if let Some((candidate, _)) = self.slots.eviction_candidate() {
            self.input(candidate, Input::Evicted);
            self.input(candidate, Input::Aborted);
        }
    }

    /// The poll has reported a connection's socket.
    fn ready(&mut self, token: Token) {
        match self.slots.get(token).map(|slot| slot.state.interest()) {
            Some(Interest::Readable) => self.carry_out(token, vec![Action::Read]),
            Some(Interest::Writable) => self.carry_out(token, vec![Action::Write]),
            Some(Interest::HangUp) => self.input(token, Input::HungUp),
            None => {}
        }
    }

    fn input(&mut self, token: Token, input: Input<'_>) {
        let actions = self.step(token, input);
        self.carry_out(token, actions);
    }

    fn step(&mut self, token: Token, input: Input<'_>) -> Vec<Action> {
        let Some(slot) = self.slots.get_mut(token) else { return vec![] };
        let context = Context { now: Instant::now(), peer: slot.peer, access: &self.access };
        let state = mem::replace(&mut slot.state, State::Closed);
        let (state, actions) = state.step(input, &context);
        slot.state = state;
        actions
    }

    /// Carries out actions, and those that they lead to.
    fn carry_out(&mut self, token: Token, actions: Vec<Action>) {
        let mut buffer = [0; limits::HTTP_HEAD_BYTES_MAX];
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            let Some(slot) = self.slots.get(token) else { return };
            let input = match action {
                Action::Poll(interest) => {
                    let modified = self.epoll.modify(&slot.stream, &mut event(token, interest));
                    modified.err().map(|_| Input::Aborted)
                }
                Action::Read => read(&slot.stream, &mut buffer),
                Action::Write => Some(write(&slot.stream, &slot.state.unwritten())),
                Action::ShutDownWrite => {
                    slot.stream.shutdown(Shutdown::Write).err().map(|_| Input::WriteFailed)
                }
                Action::HandOver(request) => {
                    self.handle.calls.submit(request, token, Instant::now());
                    None
                }
                Action::CountStatus(status) => {
                    self.metrics.count_response(status);
                    None
                }
                Action::NoteDenied(client) => {
                    self.handle.denials.note(client);
                    None
                }
                Action::Close => {
                    self.handle.calls.withdraw(&token);
                    self.slots.remove(token);
                    None
                }
            };
            if let Some(input) = input {
                actions.extend(self.step(token, input));
            }
        }
        if let Some(surplus) = self.slots.surplus_lingering(limits::HTTP_LINGERING_MAX) {
            self.input(surplus, Input::Aborted);
        }
    }
}

/// What the poll reports of a connection, and by which key.
fn event(token: Token, interest: Interest) -> EpollEvent {
    let flags = match interest {
        Interest::Readable => EpollFlags::EPOLLIN,
        Interest::Writable => EpollFlags::EPOLLOUT,
        Interest::HangUp => EpollFlags::empty(),
    };
    EpollEvent::new(flags, token.key())
}

/// Reads once. Nothing to read is no input.
fn read<'a>(mut stream: &TcpStream, buffer: &'a mut [u8]) -> Option<Input<'a>> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Some(Input::EndOfStream),
            Ok(count) => return Some(Input::Received(&buffer[..count])),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return None,
                _ => return Some(Input::ReadFailed),
            },
        }
    }
}

/// Writes once.
fn write(mut stream: &TcpStream, bytes: &[IoSlice<'_>]) -> Input<'static> {
    loop {
        match stream.write_vectored(bytes) {
            Ok(0) => return Input::WriteFailed,
            Ok(count) => return Input::Wrote(count),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Input::WriteBlocked,
                _ => return Input::WriteFailed,
            },
        }
    }
}
