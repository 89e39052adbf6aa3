//! The second half of applying an event: executes the resolved steps. Nothing here can fail.

use smallvec::SmallVec;

use super::{DefaultHashBuilder, Event, Handle, Resolved, Scratch, Set, System};
use crate::catalog::model::{Change, FieldIndex, Find, HandleIndex, MetricKind, Open, Step, Then, Verb};
use crate::engine::entities::{EntityId, PART_END, SeriesRef, UNOWNED};
use crate::engine::system::Source;
use crate::engine::transform;
use crate::series::Family;

impl Scratch {
    pub(in crate::engine) fn commit(
        &mut self,
        event: Event<'_>,
        system: &mut System,
        hasher: &DefaultHashBuilder,
    ) {
        if !event.plan.steps.is_empty() {
            self.commit_steps(event, system, hasher);
        }
        for addition in &event.plan.additions {
            if let Set::Ready(range, hash) = &self.sets[addition.set] {
                let family = &mut system.families[addition.metric];
                let slot = family.get_or_insert(&self.filled.texts[range.clone()], *hash);
                family.add(slot, addition.amount);
            }
        }
    }

    fn commit_steps(&mut self, event: Event<'_>, system: &mut System, hasher: &DefaultHashBuilder) {
        for (index, step) in event.plan.steps.iter().enumerate() {
            match (step, &self.resolved[index]) {
                (_, Resolved::Skip) => {}
                (Step::Reset, _) => system.reset(hasher),
                (Step::Open(_), Resolved::Open) => self.commit_open(event, system),
                (Step::Open(Open { handle, ensure, .. }), _) => {
                    if let (Some(id), Some(parts)) = (self.open_entity(*handle, system), ensure) {
                        self.commit_update(event, id, parts, system);
                    }
                }
                (Step::Find(Find { handle, then, .. }), _) => {
                    let Some(id) = self.open_entity(*handle, system) else { continue };
                    match then {
                        Then::Reference => {}
                        Then::Close => system.close(id),
                        Then::Update(parts) => self.commit_update(event, id, parts, system),
                    }
                }
                (Step::Change(change), Resolved::Change { amount, owner, raw }) => {
                    let raw = raw.clone().map(|range| &self.filled.texts[range]);
                    self.commit_change(event, change, *amount, *owner, raw, system);
                }
                (Step::Change(_) | Step::Abandon, _) => {}
            }
        }
        system.close_emptied();
    }

    /// The entity of a step, unless an earlier step has closed it.
    fn open_entity(&self, handle: HandleIndex, system: &System) -> Option<EntityId> {
        self.bound.handles[handle].and_then(|handle| self.open_id(handle, system))
    }

    /// The entity of a handle, unless a step of the event has closed it.
    fn open_id(&self, handle: Handle, system: &System) -> Option<EntityId> {
        let id = match handle {
            Handle::Existing(id) => id,
            Handle::New(opening) => *self.opened.get(opening)?,
        };
        system.entities.is_open(id).then_some(id)
    }

    fn commit_open(&mut self, event: Event<'_>, system: &mut System) {
        let opening = &self.bound.openings[self.opened.len()];
        let parents: SmallVec<[EntityId; 2]> = self.bound.parents[opening.parents.clone()]
            .iter()
            .filter_map(|&parent| self.open_id(parent, system))
            .collect();
        let text = &self.bound.keys[opening.text.clone()];
        let owner = if system.catalog.entities[opening.kind].owned { event.entity_owner } else { UNOWNED };
        let id = system.entities.open(opening.kind, text, opening.key, &parents, event.time, owner);
        self.opened.push(id);
        if system.catalog.entities[opening.kind].closes_when_empty {
            system.emptied.push(id);
        }
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
            let new = field.and_then(|field| self.bound.field_text(event, field));
            transform::push_cut(&mut text, new.unwrap_or(old));
            text.push(PART_END);
        }
        system.entities.set_text(id, &text);
    }

    fn commit_change(
        &self,
        event: Event<'_>,
        change: &Change,
        amount: f64,
        owner: Option<Handle>,
        raw: Option<&[u8]>,
        system: &mut System,
    ) {
        let Set::Ready(range, hash) = self.sets[change.set].clone() else { return };
        let owner = match owner.map(|handle| self.open_id(handle, system)) {
            None => None,
            Some(Some(id)) => Some(id),
            // An earlier step has closed the owner, and the series with it.
            Some(None) => return,
        };
        let text = &self.filled.texts[range];
        let family = &mut system.families[change.metric];
        let kind = &system.catalog.metrics[change.metric].kind;
        let Some(slot) = target_slot(family, change.verb, text, hash, kind) else { return };
        let series = SeriesRef { metric: change.metric as u16, slot };
        if change.verb == Verb::Remove {
            if let Some(raw) = raw {
                system.forget_total(series.metric, raw);
            }
            return remove_series(system, owner, series);
        }
        if let Some(owner) = owner
            && system.entities.own(owner, series)
        {
            family.own(slot);
        }
        match change.verb {
            Verb::Inc | Verb::Add => family.add(slot, amount),
            Verb::Sub => family.add(slot, -amount),
            Verb::Set | Verb::SetExisting => family.set(slot, amount),
            Verb::Observe => family.observe(slot, amount),
            Verb::Mark => family.mark(slot, event.time),
            Verb::Zero => {
                if let Some(owner) = owner
                    && *kind == MetricKind::Age
                {
                    move_age(system, owner, series);
                }
            }
            Verb::Remove => {}
            Verb::Count(handle) => {
                if let Some(id) = self.open_entity(handle, system) {
                    count_entity(system, id, series);
                }
            }
            Verb::Follow => {
                let source = match (owner, raw) {
                    (Some(owner), _) => Source::Owner(owner, &change.fixed),
                    (None, Some(raw)) => Source::Labels(raw),
                    (None, None) => return,
                };
                if let Some(growth) = system.growth(series.metric, source, amount) {
                    system.families[change.metric].add(slot, growth);
                }
            }
        }
    }
}

/// Moves an age to the series of the entity's current labels, if the event has changed them.
fn move_age(system: &mut System, owner: EntityId, series: SeriesRef) {
    let owned = &system.entities.get(owner).extra().owned;
    let is_old = |other: &&SeriesRef| other.metric == series.metric && other.slot != series.slot;
    let old_series: Vec<SeriesRef> = owned.iter().filter(is_old).copied().collect();
    for old in old_series {
        let family = &mut system.families[series.metric as usize];
        family.mark(series.slot, family.value(old.slot).max(family.value(series.slot)));
        system.disown(owner, old);
    }
}

/// Finds or inserts the series that a change applies to. In a full family, changes that add go to the
/// overflow series, and other new values are dropped.
fn target_slot(family: &mut Family, verb: Verb, text: &[u8], hash: u64, kind: &MetricKind) -> Option<u32> {
    let summed = match verb {
        Verb::SetExisting | Verb::Remove => return family.find(text, hash),
        Verb::Set | Verb::Mark => false,
        Verb::Zero => *kind != MetricKind::Age,
        _ => true,
    };
    if summed { Some(family.get_or_insert(text, hash)) } else { family.try_insert(text, hash) }
}

/// Removes a series, or ends one entity's ownership of it.
fn remove_series(system: &mut System, owner: Option<EntityId>, series: SeriesRef) {
    match owner {
        None => system.families[series.metric as usize].remove(series.slot),
        Some(owner) => system.disown(owner, series),
    }
}

/// Counts an entity in this series of a live gauge, and no longer in the gauge's former series.
fn count_entity(system: &mut System, id: EntityId, series: SeriesRef) {
    let counted_by = &mut system.entities.get_mut(id).counted_by;
    let position = counted_by.iter().position(|other| other.metric == series.metric);
    let former = if let Some(position) = position {
        Some(std::mem::replace(&mut counted_by[position], series))
    } else {
        counted_by.push(series);
        None
    };
    let family = &mut system.families[series.metric as usize];
    family.add(series.slot, 1.0);
    if let Some(former) = former {
        family.add(former.slot, -1.0);
        // The entity may own the former series, too.
        if former != series {
            system.disown(id, former);
        }
    }
}
