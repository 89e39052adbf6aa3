//! Accepting connections: the part that an HTTP server and the feed have in common.
//!
//! A listener must survive every error of `accept`. The usual one is a process out of file descriptors: the
//! kernel then reports the listener as ready again and again, so an [`Acceptor`] stops polling for
//! [`limits::ACCEPT_PAUSE`] instead of spinning, and resumes on its own. Its owner can stop the polling, too,
//! while it has no room for another connection: clients then wait in the kernel's queue.
//!
//! This module decides nothing about a connection, and closes none.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::limits;

/// A non-blocking listening socket.
pub(crate) trait Listener: AsFd {
    type Connection;

    fn accept(&self) -> io::Result<Self::Connection>;
}

impl Listener for TcpListener {
    type Connection = (TcpStream, SocketAddr);

    fn accept(&self) -> io::Result<Self::Connection> {
        TcpListener::accept(self)
    }
}

/// `accept` failed for lack of descriptors or memory. The error is logged already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfResources;

/// Listeners that are polled together.
pub(crate) struct Acceptor<L> {
    listeners: Vec<L>,
    /// The clients in the plural, for the log.
    clients: &'static str,
    /// The key of the first listener among the events of the poll; the others follow it.
    first_key: u64,
    turn: Turn,
    /// The owner has no room.
    is_paused: bool,
    /// `accept` failed: not polled before this time.
    retry_at: Option<Instant>,
    /// The error of this series of failures is in the log.
    is_failure_logged: bool,
}

/// The listener whose connections are being accepted, and how many calls it has left.
struct Turn {
    index: usize,
    calls_left: usize,
}

impl<L: Listener> Acceptor<L> {
    /// Begins to poll the listeners, with `first_key` and the numbers after it as their keys.
    pub(crate) fn new(
        epoll: &Epoll,
        listeners: Vec<L>,
        first_key: u64,
        clients: &'static str,
    ) -> io::Result<Self> {
        for (key, listener) in (first_key..=u64::MAX).zip(&listeners) {
            epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        }
        let turn = Turn { index: 0, calls_left: 0 };
        Ok(Acceptor {
            listeners,
            clients,
            first_key,
            turn,
            is_paused: false,
            retry_at: None,
            is_failure_logged: false,
        })
    }

    /// Whether an event of the poll is about one of the listeners.
    pub(crate) fn has_key(&self, key: u64) -> bool {
        key.checked_sub(self.first_key).is_some_and(|index| index < self.listeners.len() as u64)
    }

    /// Begins the turn of one listener: [`next`](Self::next) then returns a bounded number of its
    /// connections.
    pub(crate) fn begin_turn(&mut self, key: u64) {
        let index = key.saturating_sub(self.first_key) as usize;
        self.turn = Turn { index, calls_left: limits::POLL_EVENTS_MAX };
    }

    /// The next connection of this turn; `None` when no other one waits, or the turn is over.
    pub(crate) fn next(
        &mut self,
        epoll: &Epoll,
        now: Instant,
    ) -> Result<Option<L::Connection>, OutOfResources> {
        let Some(listener) = self.listeners.get(self.turn.index) else { return Ok(None) };
        while self.turn.calls_left > 0 {
            self.turn.calls_left -= 1;
            match listener.accept() {
                Ok(connection) => {
                    self.is_failure_logged = false;
                    return Ok(Some(connection));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    io::ErrorKind::WouldBlock => return Ok(None),
                    _ => {
                        self.retry_later(epoll, now, &error);
                        return Err(OutOfResources);
                    }
                },
            }
        }
        Ok(None)
    }

    fn retry_later(&mut self, epoll: &Epoll, now: Instant, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failure_logged, true) {
            log::error!("cannot accept {}: {error}; retrying until it succeeds", self.clients);
        }
        self.retry_at = Some(now + limits::ACCEPT_PAUSE);
        self.poll(epoll);
    }

    /// Stops polling until [`resume`](Self::resume).
    pub(crate) fn pause(&mut self, epoll: &Epoll) {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.poll(epoll);
        }
    }

    pub(crate) fn resume(&mut self, epoll: &Epoll) {
        if std::mem::replace(&mut self.is_paused, false) {
            self.poll(epoll);
        }
    }

    /// When [`keep_deadline`](Self::keep_deadline) has something to do, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Polls again once the pause after an error is over.
    pub(crate) fn keep_deadline(&mut self, epoll: &Epoll, now: Instant) {
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
            self.poll(epoll);
        }
    }

    /// Tells the kernel whether to report connections that wait.
    fn poll(&self, epoll: &Epoll) {
        let is_polled = !self.is_paused && self.retry_at.is_none();
        let flags = if is_polled { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        for (key, listener) in (self.first_key..=u64::MAX).zip(&self.listeners) {
            if let Err(error) = epoll.modify(listener, &mut EpollEvent::new(flags, key)) {
                log::error!("cannot change whether {} are accepted: {error}", self.clients);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::io::ErrorKind;
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixStream;

    use nix::sys::epoll::{EpollCreateFlags, EpollTimeout};

    use super::*;

    const KEY: u64 = 7;

    /// Answers as scripted, and then has nobody waiting. Its descriptor is always ready.
    struct Scripted {
        ready: UnixStream,
        answers: RefCell<VecDeque<Result<u32, ErrorKind>>>,
    }

    impl AsFd for Scripted {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.ready.as_fd()
        }
    }

    impl Listener for Scripted {
        type Connection = u32;

        fn accept(&self) -> io::Result<u32> {
            let answer = self.answers.borrow_mut().pop_front().unwrap_or(Err(ErrorKind::WouldBlock));
            answer.map_err(io::Error::from)
        }
    }

    fn acceptor(scripts: &[&[Result<u32, ErrorKind>]]) -> (Epoll, Acceptor<Scripted>) {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let listeners = scripts.iter().map(|script| Scripted {
            // The other end is closed, which reads as an end of the stream.
            ready: UnixStream::pair().unwrap().0,
            answers: RefCell::new(script.iter().copied().collect()),
        });
        let acceptor = Acceptor::new(&epoll, listeners.collect(), KEY, "clients").unwrap();
        (epoll, acceptor)
    }

    /// The keys whose listeners the poll reports.
    fn polled(epoll: &Epoll) -> Vec<u64> {
        let mut events = [EpollEvent::empty(); 8];
        let count = epoll.wait(&mut events, EpollTimeout::ZERO).unwrap();
        let ready = events[..count].iter().filter(|event| event.events().contains(EpollFlags::EPOLLIN));
        let mut keys: Vec<u64> = ready.map(EpollEvent::data).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn each_listener_has_its_turn() {
        let (epoll, mut acceptor) = acceptor(&[&[Ok(1)], &[Ok(2), Ok(3)]]);
        let now = Instant::now();
        assert_eq!(polled(&epoll), [KEY, KEY + 1]);
        assert_eq!(
            [KEY - 1, KEY, KEY + 1, KEY + 2].map(|key| acceptor.has_key(key)),
            [false, true, true, false]
        );
        acceptor.begin_turn(KEY + 1);
        assert_eq!([(); 3].map(|()| acceptor.next(&epoll, now)), [Ok(Some(2)), Ok(Some(3)), Ok(None)]);
        acceptor.begin_turn(KEY);
        assert_eq!([(); 2].map(|()| acceptor.next(&epoll, now)), [Ok(Some(1)), Ok(None)]);
    }

    #[test]
    fn a_turn_is_bounded_and_passes_over_clients_that_gave_up() {
        let (epoll, mut acceptor) =
            acceptor(&[&[Err(ErrorKind::Interrupted), Err(ErrorKind::ConnectionAborted), Ok(1)]]);
        acceptor.begin_turn(KEY);
        assert_eq!(acceptor.next(&epoll, Instant::now()), Ok(Some(1)));
        assert_eq!(polled(&epoll), [KEY]);

        let endless = vec![Ok(1); limits::POLL_EVENTS_MAX + 1];
        let (epoll, mut acceptor) = self::acceptor(&[&endless]);
        acceptor.begin_turn(KEY);
        let now = Instant::now();
        let count = std::iter::from_fn(|| acceptor.next(&epoll, now).unwrap()).count();
        assert_eq!(count, limits::POLL_EVENTS_MAX);
        acceptor.begin_turn(KEY);
        assert_eq!(acceptor.next(&epoll, now), Ok(Some(1)));
    }

    #[test]
    fn an_error_stops_the_polling_for_a_while() {
        let (epoll, mut acceptor) = acceptor(&[&[Err(ErrorKind::OutOfMemory), Ok(1)], &[]]);
        let now = Instant::now();
        acceptor.begin_turn(KEY);
        assert_eq!(acceptor.next(&epoll, now), Err(OutOfResources));
        assert!(polled(&epoll).is_empty());
        let deadline = acceptor.deadline().unwrap();
        assert_eq!(deadline, now + limits::ACCEPT_PAUSE);
        acceptor.keep_deadline(&epoll, now);
        assert!(polled(&epoll).is_empty());
        acceptor.keep_deadline(&epoll, deadline);
        assert_eq!((polled(&epoll), acceptor.deadline()), (vec![KEY, KEY + 1], None));
        acceptor.begin_turn(KEY);
        assert_eq!(acceptor.next(&epoll, deadline), Ok(Some(1)));
    }

    #[test]
    fn a_pause_and_an_error_end_separately() {
        let (epoll, mut acceptor) = acceptor(&[&[Err(ErrorKind::OutOfMemory)]]);
        let now = Instant::now();
        acceptor.begin_turn(KEY);
        assert_eq!(acceptor.next(&epoll, now), Err(OutOfResources));
        acceptor.pause(&epoll);
        acceptor.keep_deadline(&epoll, now + limits::ACCEPT_PAUSE);
        assert!(polled(&epoll).is_empty(), "still paused");
        acceptor.resume(&epoll);
        assert_eq!(polled(&epoll), [KEY]);
    }
}
