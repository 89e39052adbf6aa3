//! Events that wait: each happens when its time is over, unless another event about the same comes before. Some logs
//! say that something ends in a way that may yet turn out not to be its end.
//!
//! What waits is a part of the position: every change is told to the batch that is being gathered.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::matcher::Event;
use crate::format::position::{Change, Waiter};
use crate::limits;

/// What waits at some place, by key.
pub(super) type Waiters = BTreeMap<String, Waiter>;

/// Carries out a change.
pub(super) fn apply(change: &Change, waiters: &mut Waiters) {
    match change {
        Change::Waits(waiter) => {
            waiters.insert(waiter.key.clone(), waiter.clone());
        }
        Change::Ends(key) => {
            waiters.remove(key);
        }
    }
}

/// What a change costs in memory and in a position file, in bytes.
pub(super) fn cost(change: &Change) -> usize {
    match change {
        Change::Waits(waiter) => waiter_cost(waiter),
        Change::Ends(key) => key.len() + limits::WAITING_EVENT_BYTES,
    }
}

fn waiter_cost(waiter: &Waiter) -> usize {
    waiter.key.len() + waiter.line.len() + limits::WAITING_EVENT_BYTES
}

/// What waits, and up to when.
pub(super) struct Waiting {
    by_key: HashMap<String, (Waiter, Instant)>,
    /// What all of them cost.
    bytes: usize,
    /// Before that nothing becomes due, by our time and by the log's.
    soonest: Option<Instant>,
    soonest_in_log: f64,
}

impl Waiting {
    /// What waited where reading goes on begins to wait anew, since what comes next in the log may be long past.
    pub(super) fn new(waiters: Waiters) -> Self {
        let mut waiting =
            Waiting { by_key: HashMap::new(), bytes: 0, soonest: None, soonest_in_log: f64::INFINITY };
        for waiter in waiters.into_values() {
            waiting.hold(waiter);
        }
        waiting
    }

    fn hold(&mut self, waiter: Waiter) {
        let until = Instant::now() + Duration::from_millis(waiter.milliseconds);
        self.soonest = Some(self.soonest.map_or(until, |soonest| soonest.min(until)));
        self.soonest_in_log = self.soonest_in_log.min(waiter.until.unwrap_or(f64::INFINITY));
        self.release(&waiter.key);
        self.bytes += waiter_cost(&waiter);
        self.by_key.insert(waiter.key.clone(), (waiter, until));
    }

    fn release(&mut self, key: &str) -> Option<Waiter> {
        let (waiter, _) = self.by_key.remove(key)?;
        self.bytes -= waiter_cost(&waiter);
        Some(waiter)
    }

    /// Takes an event of a line that was written at this time. Returns it unless it waits now.
    pub(super) fn take(
        &mut self,
        event: Event,
        time: Option<f64>,
        changes: &mut Vec<Change>,
    ) -> Option<String> {
        if event.ends_all {
            changes.extend(self.by_key.drain().map(|(key, _)| Change::Ends(key)));
            self.bytes = 0;
        }
        let ended = event.about.into_iter().filter(|key| self.release(key).is_some());
        changes.extend(ended.map(Change::Ends));
        let Some((key, after)) = event.waits else { return Some(event.line) };
        let (milliseconds, until) = (after.as_millis() as u64, time.map(|time| time + after.as_secs_f64()));
        let waiter = Waiter { key, line: event.line, milliseconds, until };
        changes.push(Change::Waits(waiter.clone()));
        self.hold(waiter);
        None
    }

    /// The next event whose time is over, by the log's own time or by ours.
    pub(super) fn next_due(
        &mut self,
        log_time: Option<f64>,
        now: Option<Instant>,
    ) -> Option<(String, Change)> {
        let is_full = self.bytes > limits::WAITING_BYTES_MAX;
        let may_be = now.zip(self.soonest).is_some_and(|(now, soonest)| soonest <= now)
            || log_time.is_some_and(|time| self.soonest_in_log <= time);
        if !is_full && !may_be {
            return None;
        }
        let is_due = |(waiter, until): &(Waiter, Instant)| {
            now.is_some_and(|now| *until <= now)
                || log_time.zip(waiter.until).is_some_and(|(time, until)| until <= time)
        };
        let due = self.by_key.values().filter(|held| is_full || is_due(held));
        let Some((waiter, _)) = due.min_by(|one, other| (one.1, &one.0.key).cmp(&(other.1, &other.0.key)))
        else {
            self.look_again();
            return None;
        };
        let key = waiter.key.clone();
        let waiter = self.release(&key)?;
        Some((waiter.line, Change::Ends(key)))
    }

    /// Some may have ended that were the soonest.
    fn look_again(&mut self) {
        self.soonest = self.by_key.values().map(|(_, until)| *until).min();
        let in_log = self.by_key.values().filter_map(|(waiter, _)| waiter.until);
        self.soonest_in_log = in_log.fold(f64::INFINITY, f64::min);
    }

    /// How long nothing becomes due by itself; `None`: for ever.
    pub(super) fn patience(&self) -> Option<Duration> {
        Some(self.soonest?.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str, waits: Option<u64>) -> Event {
        let waits = waits.map(|seconds| ("id=1".to_owned(), Duration::from_secs(seconds)));
        Event { line: line.to_owned(), about: vec!["id=1".to_owned()], ends_all: false, waits }
    }

    fn due(waiting: &mut Waiting, log_time: f64) -> Option<String> {
        waiting.next_due(Some(log_time), None).map(|(line, _)| line)
    }

    #[test]
    fn an_event_happens_when_its_time_is_over_by_the_log() {
        let (mut waiting, mut changes) = (Waiting::new(Waiters::new()), Vec::new());
        assert_eq!(waiting.take(event("left", Some(35)), Some(100.0), &mut changes), None);
        assert_eq!(due(&mut waiting, 134.0), None);
        assert_eq!(due(&mut waiting, 135.0), Some("left".to_owned()));
        assert_eq!((due(&mut waiting, 200.0), waiting.patience()), (None, None));
    }

    #[test]
    fn another_one_about_the_same_comes_instead() {
        let (mut waiting, mut changes) = (Waiting::new(Waiters::new()), Vec::new());
        waiting.take(event("left", Some(35)), Some(100.0), &mut changes);
        // The wait begins anew.
        waiting.take(event("left again", Some(35)), Some(120.0), &mut changes);
        assert_eq!(due(&mut waiting, 140.0), None);
        assert_eq!(waiting.take(event("seen", None), Some(141.0), &mut changes), Some("seen".to_owned()));
        assert_eq!(due(&mut waiting, 1_000.0), None);
        waiting.take(event("left", Some(35)), Some(200.0), &mut changes);
        let restarted = Event { about: Vec::new(), ends_all: true, ..event("restarted", None) };
        assert_eq!(waiting.take(restarted, None, &mut changes), Some("restarted".to_owned()));
        assert_eq!(due(&mut waiting, 1_000.0), None);
        // Whoever carries the changes out comes to the same.
        let mut waiters = Waiters::new();
        for change in &changes {
            apply(change, &mut waiters);
        }
        assert!(waiters.is_empty() && changes.len() == 6, "{changes:?}");
    }

    #[test]
    fn no_more_wait_than_can_be_kept() {
        let (mut waiting, mut changes) = (Waiting::new(Waiters::new()), Vec::new());
        let mut wait = |waiting: &mut Waiting, key: &str| {
            let waits = Some((key.to_owned(), Duration::from_secs(60)));
            let event = Event { line: "x".repeat(100_000), about: Vec::new(), ends_all: false, waits };
            waiting.take(event, None, &mut changes);
        };
        for number in 0..11 {
            wait(&mut waiting, &number.to_string());
        }
        // One that waits anew takes no second place.
        wait(&mut waiting, "0");
        let mut next = || waiting.next_due(None, None).map(|(_, change)| change);
        assert_eq!(next(), Some(Change::Ends("1".to_owned())));
        assert_eq!(next(), None);
    }
}
