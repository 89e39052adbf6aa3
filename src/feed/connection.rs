//! The connections of producers: what each is, which of them are open, what is polled of them, and whose turn
//! it is.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::framing::Framing;
use super::session::Session;

/// A producer's connection.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// The user of the process at the other end.
    pub(super) uid: u32,
    pub(super) framing: Framing,
    pub(super) protocol: Protocol,
    /// When it last sent whole lines.
    pub(super) heard: Instant,
    /// What the poll has reported since its latest turn.
    ready: EpollFlags,
    /// What is polled for.
    polled: EpollFlags,
}

/// How a producer talks. Its first line decides.
pub(super) enum Protocol {
    /// It has not said anything yet.
    Undecided,
    /// Events, and no replies.
    Plain,
    Session(Box<Session>),
}

impl Connection {
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.protocol {
            Protocol::Session(session) => Some(session),
            Protocol::Undecided | Protocol::Plain => None,
        }
    }

    /// Whether it is read from.
    pub(super) fn reads(&self) -> bool {
        match &self.protocol {
            Protocol::Session(session) => session.reads(),
            Protocol::Undecided | Protocol::Plain => true,
        }
    }

    /// Whether input is polled for.
    pub(super) fn polls_input(&self) -> bool {
        self.polled.contains(EpollFlags::EPOLLIN)
    }
}

/// All open connections, each in a slot whose number is its key in the poll set.
#[derive(Default)]
pub(super) struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Slots that have something to read or to send, in the order in which they get their turns.
    ready: VecDeque<usize>,
    by_user: HashMap<u32, usize>,
}

impl Connections {
    pub(super) fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slots that may hold a connection.
    pub(super) fn slots(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    pub(super) fn get(&self, slot: usize) -> Option<&Connection> {
        self.slots.get(slot)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Takes a connection in, and polls its input.
    pub(super) fn add(&mut self, epoll: &Epoll, stream: UnixStream, uid: u32) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let slot = self.free.last().copied().unwrap_or(self.slots.len());
        let polled = EpollFlags::EPOLLIN;
        epoll.add(&stream, EpollEvent::new(polled, slot as u64))?;
        let connection = Connection {
            stream,
            uid,
            framing: Framing::default(),
            protocol: Protocol::Undecided,
            heard: Instant::now(),
            ready: EpollFlags::empty(),
            polled,
        };
        *self.by_user.entry(uid).or_default() += 1;
        if self.free.pop().is_some() {
            self.slots[slot] = Some(connection);
        } else {
            self.slots.push(Some(connection));
        }
        Ok(())
    }

    /// Takes a connection out. Dropping it closes its descriptor, which takes it out of the poll set, too.
    pub(super) fn remove(&mut self, slot: usize) -> Option<Connection> {
        let connection = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        if let Some(count) = self.by_user.get_mut(&connection.uid) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(&connection.uid);
            }
        }
        Some(connection)
    }

    /// The connection that gives up its place to a new one of user `newcomer`: of the user with most of them,
    /// one whose other end is closed already, else the one that has been silent for longest.
    pub(super) fn eviction_candidate(&self, newcomer: u32) -> Option<usize> {
        let count = |uid: u32, open: usize| (open + usize::from(uid == newcomer), uid == newcomer);
        let (&uid, _) = self.by_user.iter().max_by_key(|(uid, open)| count(**uid, **open))?;
        let numbered = self.slots.iter().enumerate();
        let open = numbered.filter_map(|(slot, connection)| Some((slot, connection.as_ref()?)));
        let of_user: Vec<(usize, &Connection)> =
            open.filter(|(_, connection)| connection.uid == uid).collect();
        let silent = of_user.iter().min_by_key(|(_, connection)| connection.heard).map(|(slot, _)| *slot);
        hung_up(&of_user).first().copied().or(silent)
    }

    /// The connection in this slot gets a turn, after all that wait for theirs already.
    pub(super) fn queue(&mut self, slot: usize, ready: EpollFlags) {
        if let Some(Some(connection)) = self.slots.get_mut(slot) {
            if connection.ready.is_empty() {
                self.ready.push_back(slot);
            }
            connection.ready |= ready;
        }
    }

    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whose turn it is, and for what.
    pub(super) fn next_turn(&mut self) -> Option<(usize, EpollFlags)> {
        while let Some(slot) = self.ready.pop_front() {
            if let Some(Some(connection)) = self.slots.get_mut(slot) {
                let ready = std::mem::replace(&mut connection.ready, EpollFlags::empty());
                // Empty: another one has come into this slot.
                if !ready.is_empty() {
                    return Some((slot, ready));
                }
            }
        }
        None
    }

    /// Changes what is polled of a connection. Says whether that has stopped its input.
    pub(super) fn poll(&mut self, epoll: &Epoll, slot: usize, wanted: EpollFlags) -> io::Result<bool> {
        let Some(connection) = self.get_mut(slot).filter(|connection| connection.polled != wanted) else {
            return Ok(false);
        };
        epoll.modify(&connection.stream, &mut EpollEvent::new(wanted, slot as u64))?;
        let had_input = connection.polls_input();
        connection.polled = wanted;
        let has_input = connection.polls_input();
        // The poll does not know of lines that were put back.
        if has_input && !had_input && connection.framing.has_put_back() {
            self.queue(slot, EpollFlags::EPOLLIN);
        }
        Ok(had_input && !has_input)
    }
}

/// Those of these connections whose other end is closed, though that may not have been read yet.
pub(super) fn hung_up(connections: &[(usize, &Connection)]) -> Vec<usize> {
    let polled = connections.iter().map(|(_, connection)| connection.stream.as_fd());
    let mut polled: Vec<PollFd<'_>> = polled.map(|stream| PollFd::new(stream, PollFlags::empty())).collect();
    if let Err(error) = poll(&mut polled, PollTimeout::ZERO) {
        log::error!("producers cannot be polled: {error}");
        return Vec::new();
    }
    let ended = connections.iter().zip(&polled).filter(|(_, polled)| polled.any().unwrap_or(true));
    ended.map(|((slot, _), _)| *slot).collect()
}
