//! Which sessions are connected, on which connection, and until when the others may stay away.
//!
//! Time here runs evenly whatever the clock is set to, and begins anew with the process: an exporter that was away cannot
//! know how long its producers have been.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::limits;
use crate::state::sessions::SessionId;

/// Who is there and who is not. The default knows nobody.
#[derive(Default)]
pub(super) struct Attendance {
    /// By the number of the connection.
    here: HashMap<SessionId, usize>,
    away: HashMap<SessionId, Away>,
    /// Not later than whatever is due next.
    next: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    /// What it has open is given up then; `None`: that has happened.
    abandon: Option<Instant>,
    /// Its position is forgotten then.
    forget: Instant,
}

/// What is due for a session that stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Abandon(SessionId),
    Forget(SessionId),
}

impl Attendance {
    /// A session is on this connection from now on.
    pub(super) fn arrive(&mut self, id: SessionId, connection: usize) {
        self.away.remove(&id);
        self.here.insert(id, connection);
    }

    /// A session's connection has ended.
    pub(super) fn leave(&mut self, id: SessionId, grace: Duration, now: Instant) {
        self.here.remove(&id);
        let abandon = now + grace;
        let forget = now + limits::SESSION_KEPT.max(grace);
        self.away.insert(id, Away { abandon: Some(abandon), forget });
        self.next = Some(self.next.map_or(abandon, |next| next.min(abandon)));
    }

    /// A session is no more.
    pub(super) fn forget(&mut self, id: SessionId) {
        self.here.remove(&id);
        self.away.remove(&id);
    }

    /// The connection that a session is on.
    pub(super) fn connection(&self, id: SessionId) -> Option<usize> {
        self.here.get(&id).copied()
    }

    /// Whether a session is away and its grace time is not over.
    pub(super) fn is_in_grace(&self, id: SessionId) -> bool {
        self.away.get(&id).is_some_and(|away| away.abandon.is_some())
    }

    /// Of the sessions that are away one with the least loss, and of these the one away for longest.
    pub(super) fn most_dispensable<L: Ord>(&self, loss: impl Fn(SessionId) -> L) -> Option<SessionId> {
        self.away.iter().min_by_key(|(id, away)| (loss(**id), away.forget)).map(|(id, _)| *id)
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
        self.away.retain(|&id, away| {
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
        self.next = self.away.values().map(|away| away.abandon.unwrap_or(away.forget)).min();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_away_is_abandoned_after_the_grace_time_and_forgotten_after_a_day() {
        let (mut attendance, start) = (Attendance::default(), Instant::now());
        let (grace, day) = (Duration::from_secs(30), limits::SESSION_KEPT);
        attendance.arrive(1, 7);
        attendance.arrive(2, 8);
        assert_eq!((attendance.connection(1), attendance.next()), (Some(7), None));
        attendance.leave(1, grace, start);
        attendance.leave(2, grace, start);
        assert_eq!(attendance.due(start + grace / 2), []);
        attendance.arrive(2, 9);
        assert!(attendance.is_in_grace(1) && !attendance.is_in_grace(2));
        assert_eq!(attendance.due(start + grace), [Due::Abandon(1)]);
        assert!(!attendance.is_in_grace(1));
        assert_eq!(attendance.due(start + grace), []);
        assert_eq!((attendance.next(), attendance.most_dispensable(|_| 0)), (Some(start + day), Some(1)));
        assert_eq!(attendance.due(start + day), [Due::Forget(1)]);
        assert_eq!((attendance.next(), attendance.connection(2)), (None, Some(9)));
    }
}
