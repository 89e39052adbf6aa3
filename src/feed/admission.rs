//! Who may connect. Who gives up a place when all are taken is decided by `connection`.

use std::collections::HashSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::epoll::Epoll;
use nix::sys::socket::{getsockopt, sockopt};

use super::listener::FeedSocket;
use super::peers::Peers;
use crate::accept::Acceptor;
use crate::limits;
use crate::metrics::{Metrics, REFUSED_MAX_CONNECTIONS, REFUSED_PEER_CREDENTIALS};

/// The key of the listener in the poll set.
pub(super) const LISTENER: u64 = u64::MAX;

/// The door: connections that may come in are handed on, others are closed and counted.
pub(super) struct Admission {
    acceptor: Acceptor<FeedSocket>,
    metrics: Arc<Metrics>,
    /// Users whose refusal is in the log.
    refused_uids: HashSet<u32>,
    is_eviction_logged: bool,
}

impl Admission {
    /// Begins to poll the listener.
    pub(super) fn new(epoll: &Epoll, socket: FeedSocket, metrics: Arc<Metrics>) -> io::Result<Self> {
        let acceptor = Acceptor::new(epoll, vec![socket], LISTENER, "producers")?;
        Ok(Admission { acceptor, metrics, refused_uids: HashSet::new(), is_eviction_logged: false })
    }

    /// When [`Self::keep_deadline`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.acceptor.deadline()
    }

    pub(super) fn keep_deadline(&mut self, epoll: &Epoll, now: Instant) {
        self.acceptor.keep_deadline(epoll, now);
    }

    /// Begins a turn, in which a bounded number of connections is taken.
    pub(super) fn begin_turn(&mut self) {
        self.acceptor.begin_turn(LISTENER);
    }

    /// The next connection of this turn that may come in, and its user.
    pub(super) fn next(&mut self, epoll: &Epoll, peers: &Peers) -> Option<(UnixStream, u32)> {
        while let Ok(Some(stream)) = self.acceptor.next(epoll, Instant::now()) {
            let peer = getsockopt(&stream, sockopt::PeerCredentials).ok();
            match peer.filter(|peer| peers.allow(peer.uid(), peer.gid())) {
                None => self.refuse_user(peer.map_or(u32::MAX, |peer| peer.uid())),
                Some(peer) => return Some((stream, peer.uid())),
            }
        }
        None
    }

    fn refuse_user(&mut self, uid: u32) {
        self.count(REFUSED_PEER_CREDENTIALS);
        if self.refused_uids.len() < limits::REFUSED_UIDS_MAX && self.refused_uids.insert(uid) {
            log::warn!(
                "a producer of user id {uid} was refused ([events] allowed_users, allowed_groups); logged once"
            );
        }
    }

    /// A connection of this user gives up its place.
    pub(super) fn note_eviction(&mut self, uid: u32) {
        self.count(REFUSED_MAX_CONNECTIONS);
        if !std::mem::replace(&mut self.is_eviction_logged, true) {
            log::warn!(
                "all places for producers are taken ([events] max_connections): user id {uid} has most of \
                 them, its connection that has been silent for longest is closed"
            );
        }
    }

    /// A place is free again: the next eviction is logged.
    pub(super) fn note_room(&mut self) {
        self.is_eviction_logged = false;
    }

    fn count(&self, reason: &str) {
        self.metrics.connections_refused.with_label_values(&[reason]).inc();
    }
}
