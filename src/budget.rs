//! The bytes that open entities and series may take: `[limits] memory`.
//!
//! What they take is reckoned from the lengths of their texts, not measured. So the same state takes the same
//! bytes in every process, and a replay of the journal decides as the feed did. Whoever keeps entities or
//! series holds a [`Claim`] on the budget; what does not fit is decided where it would be made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of all systems. Only one thread changes them.
#[derive(Debug)]
pub(crate) struct Budget {
    max: AtomicUsize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Budget { max: AtomicUsize::new(max), used: AtomicUsize::new(0) })
    }

    /// Changes the bound. What is there stays.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Whether so many more bytes fit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.used.load(Ordering::Relaxed) + bytes <= self.max.load(Ordering::Relaxed)
    }
}

/// What one holder takes of the budget. It is given back when the claim is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Claim {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Claim { budget: Arc::clone(budget), bytes: 0 }
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_all_back(&mut self) {
        self.give_back(self.bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.give_all_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_share_a_budget_and_give_back_what_they_took() {
        let budget = Budget::new(10);
        let (mut one, mut other) = (Claim::new(&budget), Claim::new(&budget));
        one.take(4);
        other.take(6);
        assert!(budget.has_room(0) && !budget.has_room(1));
        one.give_back(1);
        assert!(budget.has_room(1));
        drop(other);
        assert!(budget.has_room(7) && !budget.has_room(8));
        budget.set_max(3);
        assert!(!budget.has_room(1), "what is there stays");
        one.give_all_back();
        assert!(budget.has_room(3));
    }
}
