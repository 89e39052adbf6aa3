//! Requests that wait for a worker. Equal ones wait together and share one response: its making begins after all of them
//! have arrived, so each sees what it would have seen alone.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

/// A queue of keys, each with those who wait for it.
pub(super) struct Queue<K, W> {
    waiting: Mutex<VecDeque<(K, Vec<W>)>>,
    /// One message for each key.
    tickets: (Sender<()>, Receiver<()>),
}

impl<K: PartialEq, W> Queue<K, W> {
    pub(super) fn new() -> Self {
        Queue { waiting: Mutex::default(), tickets: unbounded() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(K, Vec<W>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts somebody into the queue.
    pub(super) fn join(&self, key: K, who: W) {
        let mut waiting = self.lock();
        if let Some((_, others)) = waiting.iter_mut().find(|(other, _)| *other == key) {
            others.push(who);
        } else {
            waiting.push_back((key, vec![who]));
            let _ = self.tickets.0.send(());
        }
    }

    /// Takes the first key and all who wait for it; nothing if none comes in time.
    pub(super) fn take(&self, wait: Duration) -> Option<(K, Vec<W>)> {
        match self.tickets.1.recv_timeout(wait) {
            Ok(()) => self.lock().pop_front(),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_are_taken_together() {
        let queue = Queue::new();
        for (key, who) in [("a", 1), ("b", 2), ("a", 3)] {
            queue.join(key, who);
        }
        assert_eq!(queue.take(Duration::ZERO), Some(("a", vec![1, 3])));
        queue.join("a", 4);
        assert_eq!(queue.take(Duration::ZERO), Some(("b", vec![2])));
        assert_eq!(queue.take(Duration::ZERO), Some(("a", vec![4])));
        assert_eq!(queue.take(Duration::ZERO), None);
    }
}
