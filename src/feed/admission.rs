//! Who may connect, and how many at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::{getsockopt, sockopt};

use super::framing::Connection;
use super::listener::FeedSocket;
use super::{Feed, LISTENER};
use crate::accept::Listener;
use crate::limits;
use crate::metrics::{REFUSED_MAX_CONNECTIONS, REFUSED_PEER_CREDENTIALS};

impl Listener for FeedSocket {
    type Connection = UnixStream;

    fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }
}

impl AsFd for FeedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Feed {
    /// Takes the connections that wait, a bounded number at a time.
    pub(super) fn accept(&mut self) {
        self.acceptor.begin_turn(LISTENER);
        while let Ok(Some(stream)) = self.acceptor.next(&self.epoll, Instant::now()) {
            self.admit(stream);
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
}
