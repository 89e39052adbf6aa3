//! Converts a family to and from the format on disk. Series are numbered without gaps; a restored series gets
//! its number as its slot.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::ops::Range;

use super::family::{Family, Slot};
use crate::format::{self, Corrupt, Reader, ensure, v1};

impl Family {
    /// Appends the series of these slots. The counts of the family itself are in its [`v1::Metric`].
    pub(crate) fn write(&self, slots: Range<usize>, out: &mut Vec<u8>) {
        let series = slots.clone().zip(&self.slots[slots]);
        for (slot, series) in series.filter(|(_, series)| series.alive) {
            let buckets = self.buckets.get(slot).map_or(&[][..], |buckets| buckets);
            let (labels, value) = (&series.text, series.value);
            format::put(out, &v1::Series { labels, value, buckets: Cow::Borrowed(buckets) });
        }
    }

    /// Whether a slot holds a series.
    pub(crate) fn is_alive(&self, slot: u32) -> bool {
        self.slots[slot as usize].alive
    }

    /// The slots that may hold a series.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// For each slot, the number of its series in the order of [`Self::write`].
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let mut next = 0;
        let number = |slot: &Slot| {
            let number = next;
            next += u32::from(slot.alive);
            number
        };
        self.slots.iter().map(number).collect()
    }

    /// Reads the series of a metric into an empty family. `is_live`: the values are not read, because the
    /// restored entities add them up again.
    pub(crate) fn read_v1(
        &mut self,
        image: &mut Reader<'_>,
        metric: &v1::Metric<'_>,
        is_live: bool,
    ) -> Result<(), Corrupt> {
        let buckets = self.shape().buckets();
        for slot in 0..metric.series {
            let series: v1::Series<'_> = image.take()?;
            ensure(series.buckets.len() == buckets, "as many buckets as the metric has")?;
            ensure(std::str::from_utf8(series.labels).is_ok(), "labels in UTF-8")?;
            let hash = self.hasher.hash_one(series.labels);
            ensure(self.find(series.labels, hash).is_none(), "each label tuple once")?;
            let value = if is_live { 0.0 } else { series.value };
            self.claim.take(self.bytes_of(series.labels));
            self.slots.push(Slot { text: series.labels.into(), value, owners: 0, alive: true });
            if buckets > 0 {
                self.buckets.push(series.buckets.into());
            }
            self.list(slot, hash);
        }
        self.overflowed = metric.overflowed;
        self.overflow = metric.overflow;
        ensure(
            metric.overflow.is_none_or(|slot| slot < metric.series),
            "the overflow series among the others",
        )
    }

    /// The slot of the series that takes the changes of a full family.
    pub(crate) fn overflow(&self) -> Option<u32> {
        self.overflow
    }
}
