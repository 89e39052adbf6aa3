//! Single flight: equal requests that wait for a worker are one call, whose response they share.
//!
//! Unlike other implementations, a request does not join a call that a worker has already begun: that
//! response might lack what happened before the request was made.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A queue of calls.
pub(super) struct SingleFlight<K, W> {
    calls: Mutex<VecDeque<Call<K, W>>>,
    changed: Condvar,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<K, W> {
    pub(super) key: K,
    /// Those who wait for the result.
    pub(super) waiters: Vec<W>,
    /// When the first of them began to wait.
    pub(super) since: Instant,
}

impl<K: PartialEq, W: PartialEq> SingleFlight<K, W> {
    pub(super) fn new() -> Self {
        SingleFlight { calls: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a waiter to the call with this key, or a new call.
    pub(super) fn submit(&self, key: K, waiter: W, now: Instant) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = calls.iter_mut().find(|call| call.key == key) {
            call.waiters.push(waiter);
        } else {
            calls.push_back(Call { key, waiters: vec![waiter], since: now });
            self.changed.notify_one();
        }
    }

    /// Takes the oldest call that may begin; `None` if there is none within `wait`.
    pub(super) fn next_call(
        &self,
        wait: Duration,
        may_begin: impl Fn(&Call<K, W>) -> bool,
    ) -> Option<Call<K, W>> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(calls, wait, |calls| !calls.iter().any(&may_begin));
        let mut calls = waited.unwrap_or_else(PoisonError::into_inner).0;
        calls.iter().position(may_begin).and_then(|index| calls.remove(index))
    }

    /// Removes a waiter, and its call if no other waits for it. A call that a worker has taken goes on.
    pub(super) fn withdraw(&self, waiter: &W) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter_mut().for_each(|call| call.waiters.retain(|other| other != waiter));
        calls.retain(|call| !call.waiters.is_empty());
    }

    /// Whether a call with such a key waits for a worker.
    pub(super) fn any(&self, is_such: impl Fn(&K) -> bool) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().any(|call| is_such(&call.key))
    }

    /// Makes the workers look again which of the waiting calls may begin.
    pub(super) fn look_again(&self) {
        if !self.calls.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(flights: &SingleFlight<&'static str, u32>) -> Option<(&'static str, Vec<u32>)> {
        flights.next_call(Duration::ZERO, |call| call.key != "held").map(|call| (call.key, call.waiters))
    }

    #[test]
    fn equal_requests_are_one_call_until_a_worker_takes_it() {
        let (flights, now) = (SingleFlight::new(), Instant::now());
        for (key, waiter) in [("a", 1), ("b", 2), ("a", 3)] {
            flights.submit(key, waiter, now);
        }
        assert_eq!(next(&flights), Some(("a", vec![1, 3])));
        flights.submit("a", 4, now);
        assert_eq!(next(&flights), Some(("b", vec![2])));
        assert_eq!(next(&flights), Some(("a", vec![4])));
        assert_eq!(next(&flights), None);
    }

    #[test]
    fn a_call_that_may_not_begin_holds_up_no_other() {
        let (flights, now) = (SingleFlight::new(), Instant::now());
        for (key, waiter) in [("held", 1), ("a", 2), ("held", 3)] {
            flights.submit(key, waiter, now);
        }
        assert_eq!(next(&flights), Some(("a", vec![2])));
        assert_eq!(next(&flights), None);
        assert!(flights.any(|key| *key == "held") && !flights.any(|key| *key == "a"));
        let call = flights.next_call(Duration::ZERO, |_| true).unwrap();
        assert_eq!(call, Call { key: "held", waiters: vec![1, 3], since: now });
    }
    #[test]
    fn a_call_lasts_as_long_as_somebody_waits_for_it() {
        let (flights, now) = (SingleFlight::new(), Instant::now());
        for (key, waiter) in [("a", 1), ("a", 2), ("b", 3)] {
            flights.submit(key, waiter, now);
        }
        flights.withdraw(&1);
        flights.withdraw(&3);
        assert_eq!(next(&flights), Some(("a", vec![2])));
        assert_eq!(next(&flights), None);
    }
}
