//! The connections of producers: what each is, which of them are open, and what is polled of them.

use std::io;
use std::os::unix::net::UnixStream;

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
        let (framing, protocol) = (Framing::default(), Protocol::Undecided);
        let connection = Connection { stream, uid, framing, protocol, polled };
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
        Some(connection)
    }

    /// Changes what is polled of a connection. Says whether that has stopped its input.
    pub(super) fn poll(&mut self, epoll: &Epoll, slot: usize, wanted: EpollFlags) -> io::Result<bool> {
        let Some(connection) = self.get_mut(slot).filter(|connection| connection.polled != wanted) else {
            return Ok(false);
        };
        epoll.modify(&connection.stream, &mut EpollEvent::new(wanted, slot as u64))?;
        let had_input = connection.polls_input();
        connection.polled = wanted;
        Ok(had_input && !connection.polls_input())
    }
}
