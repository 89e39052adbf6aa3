//! The order in which a family's series are exposed. A scrape sorts the series that are new and merges them
//! into those that are sorted already. If it sorted all of them with `slice::sort_by`, a scrape after a
//! hundred new series among ten thousand would take twice the instructions; see tests/bench/README.md.

use std::cmp::Ordering;

/// Sorted slots, and new ones that wait for the next scrape.
#[derive(Debug, Default)]
pub(super) struct Order {
    sorted: Vec<u32>,
    unsorted: Vec<u32>,
}

impl Order {
    pub(super) fn add(&mut self, slot: u32) {
        self.unsorted.push(slot);
    }

    /// Removes the slots for which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.sorted.retain(|&slot| keep(slot));
        self.unsorted.retain(|&slot| keep(slot));
    }

    pub(super) fn clear(&mut self) {
        *self = Order::default();
    }

    /// All slots, sorted. `compare` must order the slots of earlier calls as it did then.
    pub(super) fn sorted(&mut self, compare: impl Fn(u32, u32) -> Ordering) -> &[u32] {
        if !self.unsorted.is_empty() {
            self.unsorted.sort_unstable_by(|&a, &b| compare(a, b));
            let mut merged = Vec::with_capacity(self.sorted.len() + self.unsorted.len());
            let mut rest = self.sorted.as_slice();
            for &slot in &self.unsorted {
                let (before, after) =
                    rest.split_at(rest.partition_point(|&other| compare(other, slot).is_lt()));
                merged.extend_from_slice(before);
                merged.push(slot);
                rest = after;
            }
            merged.extend_from_slice(rest);
            self.sorted = merged;
            self.unsorted = Vec::new();
        }
        &self.sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_sequence_of_changes_ends_sorted(
            steps in prop::collection::vec((0_u32..200, 0_u8..4), 0..100),
        ) {
            let (mut order, mut expected) = (Order::default(), std::collections::BTreeSet::new());
            for (slot, step) in steps {
                match step {
                    0 => {
                        expected.remove(&slot);
                        order.retain(|other| other != slot);
                    }
                    1 => {
                        let expected: Vec<u32> = expected.iter().copied().collect();
                        prop_assert_eq!(order.sorted(|a, b| a.cmp(&b)), expected);
                    }
                    _ => if expected.insert(slot) { order.add(slot) },
                }
            }
            prop_assert_eq!(order.sorted(|a, b| a.cmp(&b)), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
