//! The second half: doing what was worked out, step by step. Nothing here can fail.

use super::{DefaultHashBuilder, Event, Handle, Resolved, Scratch, Set, System};
use crate::catalog::model::{Change, FieldIndex, MetricKind, Step, Then, Verb};
use crate::lifecycles::entities::{EntityId, PART_END, SeriesRef, Total};
use crate::limits;
use crate::series::{self, Family};

impl Scratch {
    /// Does what was worked out. Nothing here can fail.
    pub(in crate::lifecycles) fn commit(
        &mut self,
        event: Event<'_>,
        system: &mut System,
        hasher: &DefaultHashBuilder,
    ) {
        self.opened.clear();
        let resolved = std::mem::take(&mut self.resolved);
        for (step, resolved) in event.plan.steps.iter().zip(&resolved) {
            match (step, *resolved) {
                (_, Resolved::Skip) => {}
                (Step::Reset, _) => system.reset(hasher),
                (Step::Open { .. }, _) => self.commit_open(event, system),
                (Step::Find { handle, then, .. }, _) => {
                    let Some(id) = self.handles[*handle].and_then(|handle| self.id(handle, system)) else {
                        continue;
                    };
                    match then {
                        Then::Lend => {}
                        Then::Close => system.close(id),
                        Then::Update(parts) => self.commit_update(event, id, parts, system),
                    }
                }
                (Step::Change(change), Resolved::Change { amount, owner }) => {
                    self.commit_change(event, change, amount, owner, system);
                }
                (Step::Change(_), Resolved::Do) => {}
            }
        }
        self.resolved = resolved;
        system.entities.release();
    }

    /// The entity behind a handle, unless a step of the event has closed it.
    fn id(&self, handle: Handle, system: &System) -> Option<EntityId> {
        let id = match handle {
            Handle::Existing(id) => id,
            Handle::New(opening) => *self.opened.get(opening)?,
        };
        system.entities.is_open(id).then_some(id)
    }

    fn commit_open(&mut self, event: Event<'_>, system: &mut System) {
        let opening = &self.openings[self.opened.len()];
        let parents: Vec<EntityId> = self.parents[opening.parents.clone()]
            .iter()
            .filter_map(|&parent| self.id(parent, system))
            .collect();
        let text = &self.keys[opening.text.clone()];
        let id = system.entities.open(opening.kind, text, opening.key, &parents, event.time, event.opener);
        self.opened.push(id);
    }

    fn commit_update(
        &mut self,
        event: Event<'_>,
        id: EntityId,
        parts: &[(usize, FieldIndex)],
        system: &mut System,
    ) {
        let mut text = Vec::new();
        for (index, old) in system.entities.get(id).parts().enumerate() {
            let field = parts.iter().find(|(part, _)| *part == index).map(|(_, field)| *field);
            let new = field.and_then(|field| self.field_text(event, field).ok().flatten());
            text.extend_from_slice(new.unwrap_or(old));
            text.push(PART_END);
        }
        system.entities.retext(id, &text);
    }

    fn commit_change(
        &self,
        event: Event<'_>,
        change: &Change,
        amount: f64,
        owner: Option<Handle>,
        system: &mut System,
    ) {
        let Set::Ready(range, hash) = self.sets[change.set].clone() else { return };
        let owner = match owner.map(|handle| self.id(handle, system)) {
            None => None,
            Some(Some(id)) => Some(id),
            // Its owner was closed by an earlier step: there is nothing left to show.
            Some(None) => return,
        };
        let text = &self.texts[range];
        let family = &mut system.families[change.metric];
        let Some(slot) = place(family, change.verb, text, hash, &system.catalog.metrics[change.metric].kind)
        else {
            return;
        };
        let series = SeriesRef { metric: change.metric as u16, slot: slot.slot() };
        if let Some(owner) = owner
            && system.entities.own(owner, series)
        {
            family.own(series.slot);
        }
        match change.verb {
            Verb::Inc | Verb::Add => family.add(series.slot, amount),
            Verb::Sub => family.add(series.slot, -amount),
            Verb::Set => family.set(series.slot, amount),
            Verb::Observe => family.observe(series.slot, amount),
            Verb::Mark => family.mark(series.slot, event.time),
            Verb::Zero => {}
            Verb::Count(handle) => {
                if let Some(id) = self.handles[handle].and_then(|handle| self.id(handle, system)) {
                    count(system, id, series);
                }
            }
            Verb::Follow(source) => {
                let source = source.and_then(|source| self.handles[source]);
                let source = source.and_then(|handle| self.id(handle, system));
                let overflow_text = matches!(slot, series::Place::Overflow(_)).then_some(text);
                follow(system, source, series, overflow_text, amount);
            }
        }
    }
}

/// Where a change goes: values that cannot be summed have no place in a full family.
fn place(
    family: &mut Family,
    verb: Verb,
    text: &[u8],
    hash: u64,
    kind: &MetricKind,
) -> Option<series::Place> {
    let summed = match verb {
        Verb::Set | Verb::Mark => false,
        Verb::Zero => *kind != MetricKind::Age,
        _ => true,
    };
    if summed { Some(family.place(text, hash)) } else { family.place_own(text, hash).map(series::Place::Own) }
}

/// A live gauge counts an entity in this series, and no longer in another of the same metric.
fn count(system: &mut System, id: EntityId, series: SeriesRef) {
    let counted = &mut system.entities.get_mut(id).counted;
    let former = counted.iter().position(|other| other.metric == series.metric);
    let former = if let Some(position) = former {
        Some(std::mem::replace(&mut counted[position], series))
    } else {
        counted.push(series);
        None
    };
    let family = &mut system.families[series.metric as usize];
    family.add(series.slot, 1.0);
    if let Some(former) = former {
        family.add(former.slot, -1.0);
    }
}

/// Grows a counter by the growth of a total. A smaller total than before means that its source began anew at 0.
fn follow(
    system: &mut System,
    source: Option<EntityId>,
    series: SeriesRef,
    overflow_text: Option<&[u8]>,
    total: f64,
) {
    let family = &mut system.families[series.metric as usize];
    let last = match (source, overflow_text) {
        // Nothing tells the sources apart: the growth is not known.
        (None, Some(_)) => return,
        (None, None) => system.totals.insert(series, total).unwrap_or(0.0),
        (Some(id), text) => {
            let totals = &mut system.entities.get_mut(id).more_mut().totals;
            let known = totals
                .iter_mut()
                .find(|known| known.series == series && known.overflow_text.as_deref() == text);
            if let Some(known) = known {
                std::mem::replace(&mut known.last, total)
            } else if totals.len() < limits::TOTALS_PER_ENTITY_MAX {
                totals.push(Total { series, overflow_text: text.map(Into::into), last: total });
                0.0
            } else {
                family.count_overflow();
                return;
            }
        }
    };
    family.add(series.slot, if total >= last { total - last } else { total });
}
