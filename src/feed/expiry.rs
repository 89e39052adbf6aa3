//! Which sessions are connected, on which connection, and when those that are not expire.
//!
//! The clock is monotonic: setting the time of day changes nothing. It begins anew with the process, because an
//! exporter that was down does not know how long its producers have been gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::limits;
use crate::state::sessions::SessionId;

/// The default knows no session.
#[derive(Default)]
pub(super) struct Expiry {
    /// By the number of the connection.
    connected: HashMap<SessionId, usize>,
    absent: HashMap<SessionId, Absence>,
    /// Not later than whatever is due next.
    next: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Absence {
    /// When what it has open is abandoned; `None`: that has happened.
    abandon: Option<Instant>,
    /// When its position is forgotten.
    forget: Instant,
}

/// What is due for a session that has not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Abandon(SessionId),
    Forget(SessionId),
}

impl Expiry {
    /// A session is on this connection from now on.
    pub(super) fn connect(&mut self, id: SessionId, connection: usize) {
        self.absent.remove(&id);
        self.connected.insert(id, connection);
    }

    /// A session's connection has ended.
    pub(super) fn disconnect(&mut self, id: SessionId, grace: Duration, now: Instant) {
        self.connected.remove(&id);
        let abandon = now + grace;
        let forget = now + limits::SESSION_TTL.max(grace);
        self.absent.insert(id, Absence { abandon: Some(abandon), forget });
        self.next = Some(self.next.map_or(abandon, |next| next.min(abandon)));
    }

    /// A session is no more.
    pub(super) fn forget(&mut self, id: SessionId) {
        self.connected.remove(&id);
        self.absent.remove(&id);
    }

    /// The connection that a session is on.
    pub(super) fn connection(&self, id: SessionId) -> Option<usize> {
        self.connected.get(&id).copied()
    }

    /// Whether a session is away and its grace time is not over.
    pub(super) fn is_in_grace(&self, id: SessionId) -> bool {
        self.absent.get(&id).is_some_and(|away| away.abandon.is_some())
    }

    /// Of the sessions that are away and have a `loss`, one with the least, and of these the one away for
    /// longest.
    pub(super) fn eviction_candidate<L: Ord>(
        &self,
        loss: impl Fn(SessionId) -> Option<L>,
    ) -> Option<SessionId> {
        let candidates = self.absent.iter().filter_map(|(id, away)| Some((loss(*id)?, away.forget, *id)));
        candidates.min().map(|(_, _, id)| id)
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// What is due now, each once.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Due> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut due = Vec::new();
        self.absent.retain(|&id, away| {
            if away.abandon.is_some_and(|at| at <= now) {
                away.abandon = None;
                due.push(Due::Abandon(id));
            }
            let keep = now < away.forget;
            if !keep {
                due.push(Due::Forget(id));
            }
            keep
        });
        self.next = self.absent.values().map(|away| away.abandon.unwrap_or(away.forget)).min();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_away_is_abandoned_after_the_grace_time_and_forgotten_after_a_day() {
        let (mut expiry, start) = (Expiry::default(), Instant::now());
        let (grace, day) = (Duration::from_secs(30), limits::SESSION_TTL);
        expiry.connect(1, 7);
        expiry.connect(2, 8);
        assert_eq!((expiry.connection(1), expiry.next()), (Some(7), None));
        expiry.disconnect(1, grace, start);
        expiry.disconnect(2, grace, start);
        assert_eq!(expiry.due(start + grace / 2), []);
        expiry.connect(2, 9);
        assert!(expiry.is_in_grace(1) && !expiry.is_in_grace(2));
        assert_eq!(expiry.due(start + grace), [Due::Abandon(1)]);
        assert!(!expiry.is_in_grace(1));
        assert_eq!(expiry.due(start + grace), []);
        assert_eq!((expiry.next(), expiry.eviction_candidate(|_| Some(0))), (Some(start + day), Some(1)));
        assert_eq!(expiry.due(start + day), [Due::Forget(1)]);
        assert_eq!((expiry.next(), expiry.connection(2)), (None, Some(9)));
    }
}
