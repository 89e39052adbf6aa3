//! Single flight: equal requests that wait for a worker are one call, whose response they share.
//!
//! Unlike other implementations, a request does not join a call that a worker has already begun: that
//! response might lack what happened before the request was made.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A queue of calls, each with those who wait for its result.
pub(super) struct SingleFlight<K, W> {
    calls: Mutex<VecDeque<(K, Vec<W>)>>,
    added: Condvar,
}

impl<K: PartialEq, W> SingleFlight<K, W> {
    pub(super) fn new() -> Self {
        SingleFlight { calls: Mutex::default(), added: Condvar::new() }
    }

    /// Adds a waiter to the call with this key, or a new call.
    pub(super) fn submit(&self, key: K, waiter: W) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, waiters)) = calls.iter_mut().find(|(other, _)| *other == key) {
            waiters.push(waiter);
        } else {
            calls.push_back((key, vec![waiter]));
            self.added.notify_one();
        }
    }

    /// Takes the oldest call and its waiters; `None` if there is none within `wait`.
    pub(super) fn next_call(&self, wait: Duration) -> Option<(K, Vec<W>)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.added.wait_timeout_while(calls, wait, |calls| calls.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_are_one_call_until_a_worker_takes_it() {
        let flights = SingleFlight::new();
        for (key, waiter) in [("a", 1), ("b", 2), ("a", 3)] {
            flights.submit(key, waiter);
        }
        assert_eq!(flights.next_call(Duration::ZERO), Some(("a", vec![1, 3])));
        flights.submit("a", 4);
        assert_eq!(flights.next_call(Duration::ZERO), Some(("b", vec![2])));
        assert_eq!(flights.next_call(Duration::ZERO), Some(("a", vec![4])));
        assert_eq!(flights.next_call(Duration::ZERO), None);
    }
}
