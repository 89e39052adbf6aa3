//! Carries entities over: to and from the format on disk, and to a changed catalog.

use std::ops::Range;

use super::{Entities, Entity, EntityId, EntityOwner, FREE, Index, Key, PART_END, SeriesRef, UNOWNED};
use crate::catalog::model::EntityIndex;
use crate::engine::migrate::Mapping;
use crate::format::{self, v1};
use crate::limits;

impl Entities {
    /// For each id, the number of its entity in the order of [`Self::write`].
    pub(in crate::engine) fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![0; self.entities.len()];
        for (number, id) in self.all().enumerate() {
            numbers[id as usize] = number as u32;
        }
        numbers
    }

    /// Appends the open ones among the entities with these ids. `numbers` are those of all entities, `series`
    /// converts references to series.
    pub(in crate::engine) fn write(
        &self,
        ids: Range<usize>,
        numbers: &[u32],
        out: &mut Vec<u8>,
        series: impl Fn(&[SeriesRef]) -> Vec<v1::SeriesRef>,
    ) {
        let ids = ids.map(|id| id as EntityId);
        for id in ids.filter(|id| self.is_open(*id)) {
            let entity = self.get(id);
            let owner = self.owner(id);
            let totals = entity.extra().totals.iter();
            let written = v1::Entity {
                kind: self.kind(id) as u32,
                session: (owner != UNOWNED).then_some(owner),
                opened_at: self.opened(id),
                values: &entity.text,
                parents: self.parents(id).map(|parent| numbers[parent as usize]).collect(),
                counted_by: series(&entity.counted_by),
                owns: series(&entity.extra().owned),
                totals: totals
                    .map(|total| v1::OwnedTotal {
                        metric: u32::from(total.metric),
                        fixed: &total.fixed,
                        last: total.last,
                    })
                    .collect(),
            };
            format::put(out, &written);
        }
    }

    /// Opens a stored entity; [`Self::link`] adds its parents later. The first `key_parts` of the values are
    /// its key. Returns `None` if the key is open already or there are too many entities.
    pub(in crate::engine) fn restore(
        &mut self,
        kind: EntityIndex,
        key_parts: usize,
        values: &[u8],
        opened: f64,
        owner: EntityOwner,
    ) -> Option<EntityId> {
        let end = memchr::memchr_iter(PART_END, values).nth(key_parts.checked_sub(1)?)?;
        let hash = self.hash(&values[..=end]);
        let key = Key { bytes: end + 1, hash };
        let is_new = self.find_hashed(kind, &values[..=end], hash).is_none();
        (is_new && self.entities.len() < limits::ENTITY_IDS_MAX)
            .then(|| self.open(kind, values, key, &[], opened, owner))
    }

    /// Renumbers kinds and metrics. Entities of kinds without a new number must be closed before. Series and
    /// totals of metrics without a new number are forgotten. `new_text` returns the new key and labels of an
    /// entity, if they change.
    pub(in crate::engine) fn migrate(
        mut self,
        depths: Vec<usize>,
        mapping: &Mapping,
        new_text: impl Fn(EntityIndex, &Entity) -> Option<Box<[u8]>>,
    ) -> Self {
        let mut changed = Vec::new();
        for (id, &kind) in self.kinds.iter().enumerate().filter(|(_, kind)| **kind != FREE) {
            if let Some(text) = new_text(kind as EntityIndex, &self.entities[id]) {
                changed.push((id as EntityId, text));
            }
        }
        for (id, text) in changed {
            self.set_text(id, &text);
        }
        let mut index: Vec<Index> = depths.iter().map(|_| Index::default()).collect();
        let mut counts = vec![0; depths.len()];
        self.depths = depths;
        for (old, table) in self.index.drain(..).enumerate() {
            if let Some(new) = mapping.kinds[old] {
                index[new] = table;
                counts[new] = self.counts[old];
            }
        }
        (self.index, self.counts) = (index, counts);
        for kind in self.kinds.iter_mut().filter(|kind| **kind != FREE) {
            *kind = mapping.kinds[*kind as usize].map_or(FREE, |new| new as u16);
        }
        for entity in &mut self.entities {
            entity.counted_by = entity.counted_by.iter().filter_map(|&old| mapping.series(old)).collect();
            let Some(extra) = &mut entity.extra else { continue };
            extra.owned = extra.owned.iter().filter_map(|&old| mapping.series(old)).collect();
            extra.totals.retain_mut(|total| {
                let new = mapping.totals[total.metric as usize];
                new.inspect(|&new| total.metric = new).is_some()
            });
        }
        let owned_series: Vec<_> =
            self.owned_series.drain().filter_map(|(id, old)| Some((id, mapping.series(old)?))).collect();
        self.owned_series.extend(owned_series);
        self
    }
}
