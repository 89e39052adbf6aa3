//! A family as a part of an image. Slots keep their numbers, since entities refer to them.

use std::borrow::Cow;
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use super::family::{Family, Shape, Slot};
use crate::format::{self, Corrupt, Reader, ensure};

#[derive(Serialize, Deserialize)]
struct FamilyHead {
    overflow: Option<u32>,
    overflowed: u64,
    /// Places for series, free ones included.
    slots: u32,
    series: u32,
}

#[derive(Serialize, Deserialize)]
struct SeriesImage<'a> {
    slot: u32,
    owners: u32,
    value: f64,
    #[serde(borrow, with = "serde_bytes")]
    text: &'a [u8],
    #[serde(borrow)]
    buckets: Cow<'a, [u64]>,
}

impl Family {
    /// Appends all series.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let head = FamilyHead {
            overflow: self.overflow,
            overflowed: self.overflowed,
            slots: self.slots.len() as u32,
            series: self.len() as u32,
        };
        format::put(out, &head);
        for (slot, series) in self.slots.iter().enumerate().filter(|(_, series)| series.alive) {
            let series = SeriesImage {
                slot: slot as u32,
                owners: series.owners,
                value: series.value,
                text: &series.text,
                buckets: Cow::Borrowed(self.buckets.get(slot).map_or(&[], |buckets| buckets)),
            };
            format::put(out, &series);
        }
    }

    /// Takes the series of an image into an empty family of the same metric.
    pub(crate) fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), Corrupt> {
        let head: FamilyHead = image.take()?;
        ensure(head.series <= head.slots, "a slot for each series")?;
        let buckets = match self.shape() {
            Shape::Histogram(bounds) => bounds.len() + 1,
            Shape::Number | Shape::Age => 0,
        };
        for _ in 0..head.series {
            let series: SeriesImage<'_> = image.take()?;
            let next = self.slots.len() as u32;
            ensure((next..head.slots).contains(&series.slot), "slots that rise")?;
            ensure(series.buckets.len() == buckets, "as many buckets as the metric has")?;
            ensure(std::str::from_utf8(series.text).is_ok(), "labels in UTF-8")?;
            self.free.extend(next..series.slot);
            self.slots.resize_with(series.slot as usize, Slot::default);
            let hash = self.hasher.hash_one(series.text);
            ensure(self.find(series.text, hash).is_none(), "each label tuple once")?;
            self.slots.push(Slot {
                text: series.text.into(),
                value: series.value,
                owners: series.owners,
                alive: true,
            });
            if buckets > 0 {
                self.buckets.resize_with(self.slots.len(), Box::default);
                self.buckets[series.slot as usize] = series.buckets.into();
            }
            let (hasher, slots) = (&self.hasher, &self.slots);
            self.index.insert_unique(hash, series.slot, |&slot| hasher.hash_one(&*slots[slot as usize].text));
            self.order.add(series.slot);
        }
        self.overflowed = head.overflowed;
        self.overflow = head.overflow;
        ensure(head.overflow.is_none_or(|slot| self.is_alive(slot)), "the overflow series among the others")
    }

    /// Whether there is a series in this slot.
    pub(crate) fn is_alive(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|series| series.alive)
    }
}
