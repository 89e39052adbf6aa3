//! The series and totals that belong to entities. The values of the series are in `series::Family`: callers
//! keep both in step.

use std::collections::HashMap;

use super::{Entities, EntityId, SeriesRef, Total};

impl Entities {
    /// Makes an entity an owner of a series. Returns `false` if it was one already.
    pub(in crate::engine) fn own(&mut self, id: EntityId, series: SeriesRef) -> bool {
        let is_new = self.owned_series.insert((id, series));
        if is_new {
            self.entities[id as usize].extra_mut().owned.push(series);
        }
        is_new
    }

    /// Ends the ownership of a series. Returns `false` if the entity did not own it.
    pub(in crate::engine) fn disown(&mut self, id: EntityId, series: SeriesRef) -> bool {
        let was_owned = self.owned_series.remove(&(id, series));
        if was_owned {
            self.entities[id as usize].extra_mut().owned.retain(|other| *other != series);
        }
        was_owned
    }

    /// Stores the value of a running total that belongs to an entity. Returns its previous value.
    pub(in crate::engine) fn replace_total(
        &mut self,
        id: EntityId,
        metric: u16,
        fixed: &str,
        value: f64,
    ) -> Option<f64> {
        let totals = &mut self.entities[id as usize].extra_mut().totals;
        if let Some(total) = totals.iter_mut().find(|total| total.metric == metric && *total.fixed == *fixed)
        {
            return Some(std::mem::replace(&mut total.last, value));
        }
        totals.push(Total { metric, fixed: fixed.into(), last: value });
        None
    }

    /// Forgets which series count entities and which belong to them.
    pub(in crate::engine) fn forget_series(&mut self) {
        self.owned_series.clear();
        for entity in &mut self.entities {
            entity.counted_by.clear();
            if let Some(extra) = &mut entity.extra {
                extra.owned.clear();
            }
        }
    }

    /// Replaces series of a metric, given as pairs (from, to), wherever entities refer to them. Returns the series
    /// that entities own from now on.
    pub(in crate::engine) fn redirect(&mut self, metric: u16, slots: &[(u32, u32)]) -> Vec<u32> {
        let mut new_owned = Vec::new();
        if slots.is_empty() {
            return new_owned;
        }
        let slots: HashMap<u32, u32> = slots.iter().copied().collect();
        let new = |series: SeriesRef| {
            let slot = (series.metric == metric).then(|| slots.get(&series.slot)).flatten()?;
            Some(SeriesRef { metric, slot: *slot })
        };
        for id in 0..self.entities.len() as EntityId {
            let entity = &mut self.entities[id as usize];
            for series in &mut entity.counted_by {
                *series = new(*series).unwrap_or(*series);
            }
            let Some(extra) = &mut entity.extra else { continue };
            let moved: Vec<SeriesRef> = extra.owned.extract_if(.., |series| new(*series).is_some()).collect();
            for from in moved {
                self.owned_series.remove(&(id, from));
                if let Some(to) = new(from).filter(|to| self.own(id, *to)) {
                    new_owned.push(to.slot);
                }
            }
        }
        new_owned
    }
}
