//! What belongs to which user, so that no user takes from another: names of producers, and positions of
//! sessions. Places for connections are the business of `connection`.

use std::collections::HashMap;

use super::expiry::Expiry;
use crate::protocol::rejection::{Reason, Rejection};
use crate::state::sessions::{SessionId, Sessions};

/// Why this user cannot say hello under this name: another one holds it as long as a run of it is connected or
/// may come back. What a run has open is abandoned when it cannot come back any more.
pub(super) fn refuse_name(
    sessions: &Sessions,
    expiry: &Expiry,
    producer: &str,
    uid: u32,
) -> Option<Rejection> {
    let is_held = |id| expiry.connection(id).is_some() || expiry.is_in_grace(id);
    sessions.runs(producer).find(|(id, run)| run.uid.is_some_and(|other| other != uid) && is_held(*id)).map(
        |_| {
            let what = format!("the name {producer:?} belongs to another user, expected one that is free");
            Rejection::new(Reason::NameTaken, what)
        },
    )
}

/// The session whose position is forgotten when there are too many: of the user with most of them, one that is
/// not connected and loses least, and of these the one that has been gone for longest.
pub(super) fn position_to_forget(sessions: &Sessions, expiry: &Expiry) -> Option<SessionId> {
    let mut by_user: HashMap<Option<u32>, usize> = HashMap::new();
    for (_, session) in sessions.iter() {
        *by_user.entry(session.uid).or_default() += 1;
    }
    let mut users: Vec<(usize, Option<u32>)> = by_user.into_iter().map(|(uid, count)| (count, uid)).collect();
    users.sort_unstable();
    users.into_iter().rev().find_map(|(_, uid)| {
        let of_user = |id| sessions.get(id).filter(|session| session.uid == uid);
        expiry.eviction_candidate(|id| of_user(id).map(|session| (session.may_own(), session.position > 0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use crate::state::record::{Position, Record};
    use std::time::{Duration, Instant};

    const GRACE: Duration = Duration::from_secs(30);

    /// Sessions of these users, each with so many lines; none is connected.
    fn sessions(of: &[(u32, u64)]) -> (Sessions, Expiry) {
        let (mut state, mut expiry) = (State::default(), Expiry::default());
        let producer = "p";
        for (number, (uid, lines)) in of.iter().enumerate() {
            let instance = &number.to_string();
            let hello = Record::Hello { at: 1.0, producer, instance, owner: false, uid: Some(*uid) };
            let lines = (1..=*lines).map(|line| Position { producer, instance, line });
            let lines = lines.map(|position| Record::Rejected { position: Some(position), reason: None });
            for record in std::iter::once(hello).chain(lines) {
                state.apply(&record, &mut |_| {}).unwrap();
            }
            expiry.disconnect(state.sessions.find(producer, instance).unwrap(), GRACE, Instant::now());
        }
        (state.sessions, expiry)
    }

    #[test]
    fn a_name_is_held_until_its_grace_is_over() {
        let (sessions, mut expiry) = sessions(&[(1, 0)]);
        let reason = |expiry: &Expiry, name, uid| {
            refuse_name(&sessions, expiry, name, uid).map(|rejection| rejection.reason)
        };
        assert_eq!(reason(&expiry, "p", 2), Some(Reason::NameTaken));
        assert_eq!(reason(&expiry, "p", 1), None, "its own");
        assert_eq!(reason(&expiry, "q", 2), None, "another name");
        expiry.due(Instant::now() + GRACE);
        assert_eq!(reason(&expiry, "p", 2), None, "nobody comes back to it");
        expiry.connect(0, 7);
        assert_eq!(reason(&expiry, "p", 2), Some(Reason::NameTaken), "somebody has");
    }

    #[test]
    fn a_user_with_many_positions_loses_one_of_them() {
        let (sessions, mut expiry) = sessions(&[(1, 5), (2, 9), (2, 0), (2, 9)]);
        assert_eq!(position_to_forget(&sessions, &expiry), Some(2), "of its own, the one that loses least");
        for id in 1..4 {
            expiry.connect(id, id as usize);
        }
        assert_eq!(position_to_forget(&sessions, &expiry), Some(0), "the others are connected");
    }
}
