//! The order in which a family's series are shown, kept up cheaply: new series are sorted among themselves and
//! merged in when a scrape asks, and the others stay where they are.

use std::cmp::Ordering;

/// Slots in sorted order, and those that wait to be sorted in.
#[derive(Debug, Default)]
pub(super) struct Order {
    sorted: Vec<u32>,
    fresh: Vec<u32>,
}

impl Order {
    pub(super) fn add(&mut self, slot: u32) {
        self.fresh.push(slot);
    }

    /// Forgets all that `keep` does not want.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.sorted.retain(|&slot| keep(slot));
        self.fresh.retain(|&slot| keep(slot));
    }

    pub(super) fn clear(&mut self) {
        *self = Order::default();
    }

    /// All slots in order; `compare` must not have changed its mind about those sorted before.
    pub(super) fn settle(&mut self, compare: impl Fn(u32, u32) -> Ordering) -> &[u32] {
        if !self.fresh.is_empty() {
            self.fresh.sort_unstable_by(|&a, &b| compare(a, b));
            let mut merged = Vec::with_capacity(self.sorted.len() + self.fresh.len());
            let mut rest = self.sorted.as_slice();
            for &slot in &self.fresh {
                let (before, after) =
                    rest.split_at(rest.partition_point(|&other| compare(other, slot).is_lt()));
                merged.extend_from_slice(before);
                merged.push(slot);
                rest = after;
            }
            merged.extend_from_slice(rest);
            self.sorted = merged;
            self.fresh = Vec::new();
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
        fn any_sequence_of_changes_ends_sorted(steps in prop::collection::vec((0_u32..200, 0_u8..4), 0..100)) {
            let (mut order, mut expected) = (Order::default(), std::collections::BTreeSet::new());
            for (slot, step) in steps {
                match step {
                    0 => {
                        expected.remove(&slot);
                        order.retain(|other| other != slot);
                    }
                    1 => prop_assert_eq!(order.settle(|a, b| a.cmp(&b)), expected.iter().copied().collect::<Vec<_>>()),
                    _ => if expected.insert(slot) { order.add(slot) },
                }
            }
            prop_assert_eq!(order.settle(|a, b| a.cmp(&b)), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
