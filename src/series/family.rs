//! One metric family: its series, their values, and their text.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use super::addresses::AddressIndex;
use super::order::Order;
use super::{number, text};
use crate::budget::{Budget, Claim};
use crate::limits;

/// The type of the values of a family's series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// One number, for counters and gauges.
    Number,
    /// The upper bounds of the buckets, ascending, without `+Inf`.
    Histogram(Vec<f64>),
    /// The time of the latest mark, exposed as its age.
    Age,
}

impl Shape {
    /// The buckets of each series; 0: it is no histogram.
    pub(super) fn buckets(&self) -> usize {
        match self {
            Shape::Histogram(bounds) => bounds.len() + 1,
            Shape::Number | Shape::Age => 0,
        }
    }
}

/// The series of one metric.
#[derive(Debug)]
pub(crate) struct Family {
    shape: Shape,
    pub(super) claim: Claim,
    series_max: usize,
    overflow_text: Box<[u8]>,
    pub(super) overflow: Option<u32>,
    /// Changes that came when the family was full.
    pub(super) overflowed: u64,
    pub(super) hasher: DefaultHashBuilder,
    pub(super) index: HashTable<u32>,
    pub(super) slots: Vec<Slot>,
    /// For histograms: the counts of each slot's buckets, of which the last is `+Inf`. The slot's value is
    /// the sum of observations.
    pub(super) buckets: Vec<Box<[u64]>>,
    pub(super) free: Vec<u32>,
    /// Removed slots that may still be in `order`, so they cannot be reused yet.
    removed: Vec<u32>,
    pub(super) order: Order,
    pub(super) addresses: Option<AddressIndex>,
}

/// One series. It fills one cache line, so most changes touch one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) text: SmallVec<[u8; 40]>,
    pub(super) value: f64,
    /// How many entities own the series. It is removed with the last of them.
    pub(super) owners: u32,
    pub(super) alive: bool,
}

/// The value of an age that was never marked.
const NEVER: f64 = f64::NEG_INFINITY;

impl Family {
    pub(crate) fn new(
        shape: Shape,
        labels: &[String],
        series_max: usize,
        hasher: DefaultHashBuilder,
        budget: &Arc<Budget>,
    ) -> Self {
        Family {
            shape,
            claim: Claim::new(budget),
            series_max,
            overflow_text: text::uniform(labels, "_overflow").into(),
            overflow: None,
            overflowed: 0,
            hasher,
            index: HashTable::new(),
            slots: Vec::new(),
            buckets: Vec::new(),
            free: Vec::new(),
            removed: Vec::new(),
            order: Order::default(),
            addresses: None,
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Changes the limit of series. Existing series stay.
    pub(crate) fn set_series_max(&mut self, series_max: usize) {
        self.series_max = series_max;
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many changes came when the family was full.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Counts a change that came when the family was full.
    pub(crate) fn count_overflow(&mut self) {
        self.overflowed += 1;
    }

    /// Removes all series.
    pub(crate) fn clear(&mut self) {
        self.claim.give_all_back();
        self.index.clear();
        self.slots.clear();
        self.buckets.clear();
        self.free.clear();
        self.removed.clear();
        self.order.clear();
        self.overflow = None;
        self.addresses = None;
    }

    /// The series of a label text. `hash` is the hash of the text.
    pub(crate) fn find(&self, text: &[u8], hash: u64) -> Option<u32> {
        self.index.find(hash, |&slot| *self.slots[slot as usize].text == *text).copied()
    }

    /// The series of a label text. A missing one is inserted at 0; if the family is full, it is the overflow
    /// series.
    pub(crate) fn get_or_insert(&mut self, text: &[u8], hash: u64) -> u32 {
        if let Some(slot) = self.find(text, hash) {
            return slot;
        }
        if !self.is_full(text) {
            return self.insert(text, hash);
        }
        self.overflowed += 1;
        self.overflow.unwrap_or_else(|| {
            let text = self.overflow_text.clone();
            let hash = self.hasher.hash_one(&*text);
            let slot = self.find(&text, hash).unwrap_or_else(|| self.insert(&text, hash));
            self.overflow = Some(slot);
            slot
        })
    }

    /// The same for values that cannot be summed: if the family is full, it counts the change and returns
    /// `None`.
    pub(crate) fn try_insert(&mut self, text: &[u8], hash: u64) -> Option<u32> {
        let found = self.find(text, hash);
        if found.is_none() && self.is_full(text) {
            self.overflowed += 1;
            return None;
        }
        Some(found.unwrap_or_else(|| self.insert(text, hash)))
    }

    /// Whether there is no room for a series with this text. The overflow series does not count towards the
    /// limit.
    fn is_full(&self, text: &[u8]) -> bool {
        self.index.len() - usize::from(self.overflow.is_some()) >= self.series_max
            || !self.claim.budget().has_room(self.bytes_of(text))
    }

    /// The bytes of a series with this text.
    pub(super) fn bytes_of(&self, text: &[u8]) -> usize {
        limits::SERIES_BYTES + text.len() + self.shape.buckets() * size_of::<u64>()
    }

    fn insert(&mut self, text: &[u8], hash: u64) -> u32 {
        let value = if self.shape == Shape::Age { NEVER } else { 0.0 };
        self.claim.take(self.bytes_of(text));
        let made = Slot { text: text.into(), value, owners: 0, alive: true };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = made;
            slot
        } else {
            self.slots.push(made);
            self.slots.len() as u32 - 1
        };
        let buckets = self.shape.buckets();
        if buckets > 0 {
            self.buckets.resize_with(self.slots.len(), Box::default);
            self.buckets[slot as usize] = vec![0; buckets].into();
        }
        self.list(slot, hash);
        slot
    }

    /// Makes a series known by its text. `hash` is the hash of the text.
    pub(super) fn list(&mut self, slot: u32, hash: u64) {
        let (hasher, slots) = (&self.hasher, &self.slots);
        self.index.insert_unique(hash, slot, |&slot| hasher.hash_one(&*slots[slot as usize].text));
        self.order.add(slot);
        if let Some(addresses) = &mut self.addresses {
            addresses.add(slot, &self.slots[slot as usize].text);
        }
    }

    /// Undoes [`Self::list`], but for the order.
    pub(super) fn unlist(&mut self, slot: u32) {
        let text = &self.slots[slot as usize].text;
        if let Ok(entry) = self.index.find_entry(self.hasher.hash_one(&**text), |&other| other == slot) {
            entry.remove();
        }
        if let Some(addresses) = &mut self.addresses {
            addresses.remove(slot, text);
        }
    }

    /// Removes a series that no entity owns or is counted in.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.unlist(slot);
        let bytes = self.bytes_of(&self.slots[slot as usize].text);
        self.claim.give_back(bytes);
        let removed = &mut self.slots[slot as usize];
        removed.alive = false;
        removed.text = SmallVec::default();
        if let Some(buckets) = self.buckets.get_mut(slot as usize) {
            *buckets = Box::default();
        }
        if self.overflow == Some(slot) {
            self.overflow = None;
        }
        self.removed.push(slot);
        // Usually a scrape reclaims them, but there may be no scrapes.
        if self.removed.len() > 1_024 + self.index.len() {
            self.reclaim();
        }
    }

    fn reclaim(&mut self) {
        if !self.removed.is_empty() {
            let slots = &self.slots;
            self.order.retain(|slot| slots[slot as usize].alive);
            self.free.append(&mut self.removed);
        }
    }

    /// Adds an owner.
    pub(crate) fn own(&mut self, slot: u32) {
        self.slots[slot as usize].owners += 1;
    }

    /// Removes an owner, and with the last one the series.
    pub(crate) fn disown(&mut self, slot: u32) {
        let owners = &mut self.slots[slot as usize].owners;
        *owners = owners.saturating_sub(1);
        if *owners == 0 {
            self.remove(slot);
        }
    }

    /// Adds to a number. The sum saturates at the largest finite `f64`.
    pub(crate) fn add(&mut self, slot: u32, amount: f64) {
        let value = &mut self.slots[slot as usize].value;
        *value = (*value + amount).clamp(f64::MIN, f64::MAX);
    }

    /// A number, or the latest mark of an age.
    pub(crate) fn value(&self, slot: u32) -> f64 {
        self.slots[slot as usize].value
    }

    pub(crate) fn set(&mut self, slot: u32, value: f64) {
        self.slots[slot as usize].value = value;
    }

    /// Marks an age. The latest call counts, not the latest time: a clock that was ahead for a while does no
    /// lasting harm.
    pub(crate) fn mark(&mut self, slot: u32, time: f64) {
        self.set(slot, time);
    }

    /// Adds an observation to a histogram.
    pub(crate) fn observe(&mut self, slot: u32, value: f64) {
        let Shape::Histogram(bounds) = &self.shape else { return };
        let bucket = bounds.partition_point(|bound| *bound < value);
        self.buckets[slot as usize][bucket] += 1;
        self.add(slot, value);
    }

    /// Appends the text of all series, sorted. `now` is the time of the scrape, Unix seconds.
    pub(crate) fn render(&mut self, name: &str, now: f64, out: &mut Vec<u8>) {
        self.reclaim();
        let slots = &self.slots;
        let order = self.order.sorted(|a, b| text::compare(&slots[a as usize].text, &slots[b as usize].text));
        for &index in order {
            let slot = &slots[index as usize];
            match &self.shape {
                Shape::Number => {
                    push_name(out, name, "", &slot.text);
                    number::push(out, slot.value);
                }
                Shape::Age => {
                    push_name(out, name, "", &slot.text);
                    let age = (now - slot.value).max(0.0);
                    number::push(out, (age * 1_000.0).round() / 1_000.0);
                }
                Shape::Histogram(bounds) => {
                    let mut count = 0;
                    for (bound, hits) in
                        bounds.iter().chain([&f64::INFINITY]).zip(&self.buckets[index as usize])
                    {
                        count += hits;
                        let mut limit = Vec::with_capacity(24);
                        limit.extend_from_slice(b"le=\"");
                        number::push(&mut limit, *bound);
                        limit.push(b'"');
                        push_name_le(out, name, &slot.text, &limit);
                        number::push_integer(out, count as i64);
                        out.push(b'\n');
                    }
                    push_name(out, name, "_sum", &slot.text);
                    number::push(out, slot.value);
                    out.push(b'\n');
                    push_name(out, name, "_count", &slot.text);
                    number::push_integer(out, count as i64);
                }
            }
            out.push(b'\n');
        }
    }
}

fn push_name(out: &mut Vec<u8>, name: &str, suffix: &str, text: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if !text.is_empty() {
        out.push(b'{');
        out.extend_from_slice(text);
        out.push(b'}');
    }
    out.push(b' ');
}

fn push_name_le(out: &mut Vec<u8>, name: &str, text: &[u8], limit: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"_bucket{");
    if !text.is_empty() {
        out.extend_from_slice(text);
        out.push(b',');
    }
    out.extend_from_slice(limit);
    out.extend_from_slice(b"} ");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(shape: Shape, series_max: usize) -> (Family, DefaultHashBuilder) {
        let hasher = DefaultHashBuilder::default();
        let budget = Budget::new(usize::MAX);
        (Family::new(shape, &["a".to_owned()], series_max, hasher.clone(), &budget), hasher)
    }

    fn shown(family: &mut Family) -> String {
        let mut out = Vec::new();
        family.render("m", 100.0, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn place(family: &mut Family, hasher: &DefaultHashBuilder, value: &str) -> u32 {
        let text = text::uniform(&["a".to_owned()], value);
        family.get_or_insert(&text, hasher.hash_one(&*text))
    }

    #[test]
    fn series_are_found_again_and_shown_in_order() {
        let (mut family, hasher) = family(Shape::Number, 10);
        for value in ["b", "a", "b!", "b"] {
            let slot = place(&mut family, &hasher, value);
            family.add(slot, 1.5);
        }
        assert_eq!(shown(&mut family), "m{a=\"a\"} 1.5\nm{a=\"b\"} 3\nm{a=\"b!\"} 1.5\n");
    }

    #[test]
    fn a_full_family_uses_its_overflow_series() {
        let (mut family, hasher) = family(Shape::Number, 1);
        for value in ["a", "b", "c", "a"] {
            let slot = place(&mut family, &hasher, value);
            family.add(slot, 1.0);
        }
        assert_eq!(shown(&mut family), "m{a=\"_overflow\"} 2\nm{a=\"a\"} 2\n");
        assert_eq!(family.overflowed(), 2);
        assert_eq!(family.try_insert(b"a=\"d\"", hasher.hash_one(b"a=\"d\"".as_slice())), None);
        assert_eq!(family.overflowed(), 3);
    }

    #[test]
    fn a_series_goes_with_its_last_owner_and_its_slot_comes_back() {
        let (mut family, hasher) = family(Shape::Number, 10);
        let first = place(&mut family, &hasher, "a");
        family.own(first);
        family.own(first);
        family.disown(first);
        assert_eq!(family.len(), 1);
        family.disown(first);
        assert_eq!(shown(&mut family), "");
        let second = place(&mut family, &hasher, "b");
        assert_eq!((second, shown(&mut family).as_str()), (first, "m{a=\"b\"} 0\n"));
    }

    #[test]
    fn slots_come_back_though_nobody_scrapes() {
        let (mut family, hasher) = family(Shape::Number, 10);
        for round in 0..10_000 {
            let slot = place(&mut family, &hasher, &round.to_string());
            family.own(slot);
            family.disown(slot);
        }
        assert!(family.slots.len() < 2_000, "{} slots", family.slots.len());
    }

    #[test]
    fn histograms_are_cumulative() {
        let (mut family, hasher) = family(Shape::Histogram(vec![0.1, 1.0]), 10);
        let slot = place(&mut family, &hasher, "x");
        for value in [0.1, 0.2, 5.0] {
            family.observe(slot, value);
        }
        assert_eq!(
            shown(&mut family),
            "m_bucket{a=\"x\",le=\"0.1\"} 1\nm_bucket{a=\"x\",le=\"1\"} 2\nm_bucket{a=\"x\",le=\"+Inf\"} 3\n\
             m_sum{a=\"x\"} 5.3\nm_count{a=\"x\"} 3\n"
        );
    }

    #[test]
    fn ages_count_from_the_mark_told_last() {
        let (mut family, hasher) = family(Shape::Age, 10);
        let slot = place(&mut family, &hasher, "x");
        assert_eq!(shown(&mut family), "m{a=\"x\"} +Inf\n");
        family.mark(slot, 200.0);
        family.mark(slot, 97.5);
        assert_eq!(shown(&mut family), "m{a=\"x\"} 2.5\n");
        family.mark(slot, 200.0);
        assert_eq!(shown(&mut family), "m{a=\"x\"} 0\n");
    }

    #[test]
    fn sums_stay_finite() {
        let (mut family, hasher) = family(Shape::Number, 10);
        let slot = place(&mut family, &hasher, "x");
        family.add(slot, f64::MAX);
        family.add(slot, f64::MAX);
        assert!(!shown(&mut family).contains("Inf"));
    }
}
