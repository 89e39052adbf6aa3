//! The first half of applying an event: resolves its steps, or rejects it, without changing the system.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Bound, Context, Cuts, Event, Handle, Opening, Range, Resolved, Scratch, Set, System};
use crate::catalog::model::{
    Amount, AmountRange, AmountSource, Change, EntityIndex, EventPlan, FieldDef, FieldIndex, FieldUse,
    MetricIndex, Step, Then, Verb,
};
use crate::engine::entities::{EntityId, EntityOwner, Key, PART_END, bytes_of};
use crate::engine::transform;
use crate::limits;
use crate::protocol::line::Value;
use crate::protocol::rejection::{Reason, Rejection};

impl Scratch {
    /// Binds the fields and resolves every step.
    pub(in crate::engine) fn resolve(
        &mut self,
        event: Event<'_>,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        self.bind_fields(event)?;
        self.resolve_bound(event, system, context)
    }

    /// Resolves every effect. The fields are bound.
    pub(in crate::engine) fn resolve_bound(
        &mut self,
        event: Event<'_>,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        self.clear_for(event.plan);
        if !event.plan.steps.is_empty() {
            self.resolve_steps(event, system, context)?;
        }
        for addition in &event.plan.additions {
            self.fill_once(event, addition.set, system, context)?;
        }
        Ok(())
    }

    fn resolve_steps(
        &mut self,
        event: Event<'_>,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        self.clear_for_steps(event.plan);
        for (index, step) in event.plan.steps.iter().enumerate() {
            self.resolved[index] = match step {
                Step::Open { .. } => self.resolve_open(event, step, system, context)?,
                Step::Find { .. } => self.resolve_find(event, step, system, context)?,
                Step::Reset => {
                    self.bound.reset = true;
                    self.bound.closed.extend((0..self.bound.openings.len()).map(Handle::New));
                    Resolved::Execute
                }
                Step::Abandon => {
                    self.bound.abandons = !context.abandoned_owners.is_empty();
                    Resolved::Execute
                }
                Step::Change(_) => Resolved::Skip,
            };
        }
        self.resolve_changes(event, system, context, |_| true)
    }

    /// Clears the memory of labels for an event with this plan.
    fn clear_for(&mut self, plan: &EventPlan) {
        self.filled.texts.clear();
        self.filled.cuts = Cuts::default();
        self.sets.clear();
        self.sets.resize(plan.sets.len(), Set::Unfilled);
    }

    /// Clears the rest of the memory, which only steps use.
    fn clear_for_steps(&mut self, plan: &EventPlan) {
        let Bound { values: _, keys, handles, openings, parents, closed, reset, abandons } = &mut self.bound;
        keys.clear();
        handles.clear();
        handles.resize(plan.handles, None);
        openings.clear();
        parents.clear();
        closed.clear();
        (*reset, *abandons) = (false, false);
        self.resolved.clear();
        self.resolved.resize(plan.steps.len(), Resolved::Skip);
        self.opened.clear();
        self.raw_tuples.clear();
    }

    /// Resolves the gauges of an open entity, to set them again, for the metrics that `wanted` selects.
    /// `event` has the gauges of the entity's kind as its plan and no fields.
    pub(in crate::engine) fn resolve_gauges(
        &mut self,
        event: Event<'_>,
        id: EntityId,
        system: &System,
        context: &mut Context<'_>,
        wanted: &dyn Fn(MetricIndex) -> bool,
    ) -> Result<(), Rejection> {
        self.clear_for(event.plan);
        self.clear_for_steps(event.plan);
        self.bound.handles[0] = Some(Handle::Existing(id));
        self.resolve_changes(event, system, context, wanted)
    }

    fn resolve_changes(
        &mut self,
        event: Event<'_>,
        system: &System,
        context: &mut Context<'_>,
        wanted: impl Fn(MetricIndex) -> bool,
    ) -> Result<(), Rejection> {
        for (index, step) in event.plan.steps.iter().enumerate() {
            if let Step::Change(change) = step
                && wanted(change.metric)
            {
                self.resolved[index] = self.resolve_change(event, index, change, system, context)?;
            }
        }
        Ok(())
    }

    /// Stores the value of each field of the plan. Rejects a line with a field twice or without a required
    /// one.
    pub(in crate::engine) fn bind_fields(&mut self, event: Event<'_>) -> Result<(), Rejection> {
        let plan = event.plan;
        self.bound.values.clear();
        self.bound.values.resize(plan.fields.len(), None);
        let mut seen = 0_u64;
        for (key, value) in event.fields.iter(event.line) {
            let Some(index) = plan.field(key) else { continue };
            if seen & (1 << index) != 0 {
                let name = &plan.fields[index].name;
                return Err(Rejection::of_field(Reason::Malformed, name, "occurs twice, expected once"));
            }
            seen |= 1 << index;
            self.bound.values[index] = (value != Value::Null).then_some(value);
        }
        let is_missing = |(field, value): &(&FieldDef, &Option<Value>)| {
            field.used == FieldUse::Required && value.is_none()
        };
        match plan.fields.iter().zip(&self.bound.values).find(is_missing) {
            Some((field, _)) => Err(missing(&field.name)),
            None => Ok(()),
        }
    }

    /// Appends the parts of an entity's text to `keys`. The first `needed` parts are its key: if one is
    /// missing, returns `None`. Returns the range of the text and the length of the key.
    fn push_parts(
        &mut self,
        event: Event<'_>,
        fields: &[FieldIndex],
        needed: usize,
    ) -> Result<Option<(Range, usize)>, Rejection> {
        let start = self.bound.keys.len();
        let mut key_end = start;
        for (index, &field) in fields.iter().enumerate() {
            match self.bound.field_text(event, field)? {
                Some(text) if index < needed => {
                    check_key(&event.plan.fields[field].name, text)?;
                    self.bound.keys.extend_from_slice(text);
                }
                Some(text) => {
                    self.count_cut(field, text);
                    transform::push_cut(&mut self.bound.keys, text);
                }
                None if index < needed => return Ok(None),
                None => {}
            }
            self.bound.keys.push(PART_END);
            if index + 1 == needed {
                key_end = self.bound.keys.len();
            }
        }
        Ok(Some((start..self.bound.keys.len(), key_end - start)))
    }

    /// Whether the event opens an entity.
    pub(in crate::engine) fn opens(&self) -> bool {
        !self.bound.openings.is_empty()
    }

    fn resolve_open(
        &mut self,
        event: Event<'_>,
        step: &Step,
        system: &System,
        context: &Context<'_>,
    ) -> Result<Resolved, Rejection> {
        let Step::Open { entity, handle, parts, parents, ensure } = step else { return Ok(Resolved::Skip) };
        let key_count = system.catalog.entities[*entity].key.len();
        let Some((text, key_bytes)) = self.push_parts(event, parts, key_count)? else {
            return Ok(Resolved::Skip);
        };
        let key = text.start..text.start + key_bytes;
        let hash = system.entities.hash(&self.bound.keys[key.clone()]);
        if let Some(found) = self.bound.find(*entity, key.clone(), hash, system, context.abandoned_owners) {
            if ensure.is_some() {
                self.bound.handles[*handle] = Some(found);
                return Ok(Resolved::Execute);
            }
            return Err(self.bound.rejected(Reason::AlreadyOpen, "already an open", *entity, key, system));
        }
        let first_parent = self.bound.parents.len();
        for (kind, fields) in parents {
            let Some((key, _)) = self.push_parts(event, fields, fields.len())? else {
                return Ok(Resolved::Skip);
            };
            let hash = system.entities.hash(&self.bound.keys[key.clone()]);
            match self.bound.find(*kind, key.clone(), hash, system, context.abandoned_owners) {
                Some(parent) => self.bound.parents.push(parent),
                None => return Err(self.bound.not_open(*kind, key, system)),
            }
        }
        // Entities that the event closes make room. Their children make room, too, but are not counted here:
        // the limit is only stricter for that.
        let is_reported = |kind: EntityIndex| !system.catalog.entities[kind].closes_when_empty;
        let open_before = if self.bound.reset { 0 } else { system.reported() };
        let open =
            open_before + self.bound.openings.iter().filter(|opening| is_reported(opening.kind)).count();
        if is_reported(*entity) && open >= context.entities_max + self.bound.closed.len() {
            let catalog = Arc::clone(&system.catalog);
            return Err(Rejection::worded(Reason::EntityLimit, move |out| {
                let system = &catalog.name;
                write!(
                    out,
                    "{open} entities of {system} are open, expected room for another ([limits] entities)"
                )
            }));
        }
        let opened =
            self.bound.openings.iter().map(|opening| bytes_of(&self.bound.keys[opening.text.clone()]));
        let bytes = opened.sum::<usize>() + bytes_of(&self.bound.keys[text.clone()]);
        // An event that closes makes room, too, whatever it opens.
        if self.bound.closed.is_empty() && !self.bound.reset && !system.entities.has_room(bytes) {
            return Err(Rejection::worded(Reason::EntityLimit, move |out| {
                write!(out, "no memory is left, expected room for {bytes} more bytes ([limits] memory)")
            }));
        }
        self.bound.handles[*handle] = Some(Handle::New(self.bound.openings.len()));
        self.bound.openings.push(Opening {
            kind: *entity,
            text,
            key: Key { bytes: key_bytes, hash },
            parents: first_parent..self.bound.parents.len(),
        });
        Ok(Resolved::Open)
    }

    fn resolve_find(
        &mut self,
        event: Event<'_>,
        step: &Step,
        system: &System,
        context: &Context<'_>,
    ) -> Result<Resolved, Rejection> {
        let Step::Find { entity, handle, key, then } = step else { return Ok(Resolved::Skip) };
        let Some((key, _)) = self.push_parts(event, key, key.len())? else { return Ok(Resolved::Skip) };
        let hash = system.entities.hash(&self.bound.keys[key.clone()]);
        let Some(found) = self.bound.find(*entity, key.clone(), hash, system, context.abandoned_owners)
        else {
            return Err(self.bound.not_open(*entity, key, system));
        };
        self.bound.handles[*handle] = Some(found);
        match then {
            Then::Close => self.bound.closed.push(found),
            Then::Reference => {}
            Then::Update(parts) => {
                for &(_, field) in parts {
                    if let Some(text) = self.bound.field_text(event, field)? {
                        self.count_cut(field, text);
                    }
                }
            }
        }
        Ok(Resolved::Execute)
    }

    fn resolve_change(
        &mut self,
        event: Event<'_>,
        index: usize,
        change: &Change,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<Resolved, Rejection> {
        if let Some((field, wanted)) = &change.condition
            && !self.bound.field_equals(event, *field, wanted)?
        {
            return Ok(Resolved::Skip);
        }
        if let Verb::Count(handle) = change.verb
            && self.bound.handles[handle].is_none()
        {
            return Ok(Resolved::Skip);
        }
        let amount = match &change.amount {
            None => 1.0,
            Some(amount) => match self.bound.amount(event, amount, system)? {
                Some(amount) => amount,
                None => return Ok(Resolved::Skip),
            },
        };
        let owner = match &change.owner {
            None => None,
            Some(path) => match self.bound.follow_path(path, system) {
                Some(owner) => Some(owner),
                None => return Ok(Resolved::Skip),
            },
        };
        self.fill_once(event, change.set, system, context)?;
        if !matches!(self.sets[change.set], Set::Ready(..)) {
            return Ok(Resolved::Skip);
        }
        if matches!(change.verb, Verb::Follow | Verb::Remove) && owner.is_none() {
            let raw = self.raw_tuple(event, change.set, system)?;
            self.raw_tuples.push((index, raw));
        }
        Ok(Resolved::Change { amount, owner })
    }
}

impl Bound {
    /// Finds an open entity by its key, as if the earlier steps were committed.
    fn find(
        &self,
        kind: EntityIndex,
        key: Range,
        hash: u64,
        system: &System,
        owners: &[EntityOwner],
    ) -> Option<Handle> {
        let key = &self.keys[key];
        let existing = system.entities.find_hashed(kind, key, hash).map(Handle::Existing);
        let opened = self.openings.iter().rposition(|opening| {
            opening.kind == kind && self.keys[opening.text.start..][..opening.key.bytes] == *key
        });
        let is_open = |handle: &Handle| !self.is_closed(*handle, system, owners);
        opened.map(Handle::New).filter(is_open).or_else(|| existing.filter(is_open))
    }

    /// Whether an earlier step of the event closes the entity.
    #[inline]
    fn is_closed(&self, handle: Handle, system: &System, owners: &[EntityOwner]) -> bool {
        let closes = !self.closed.is_empty() || self.reset || self.abandons;
        closes && self.closes_with(handle, system, owners)
    }

    fn closes_with(&self, handle: Handle, system: &System, owners: &[EntityOwner]) -> bool {
        // An entity closes with any of its ancestors. Each is visited once, however many paths lead to it.
        let mut to_visit = vec![handle];
        let mut next = 0;
        while let Some(&handle) = to_visit.get(next) {
            next += 1;
            let is_existing_closed =
                |id| self.reset || (self.abandons && system.is_abandoned_with(id, owners));
            let parents: SmallVec<[Handle; 2]> = match handle {
                _ if self.closed.contains(&handle) => return true,
                Handle::Existing(id) if is_existing_closed(id) => return true,
                Handle::Existing(id) => system.entities.parents(id).map(Handle::Existing).collect(),
                Handle::New(opening) => self.parents[self.openings[opening].parents.clone()].into(),
            };
            for parent in parents {
                if !to_visit.contains(&parent) {
                    to_visit.push(parent);
                }
            }
        }
        false
    }

    fn not_open(&self, kind: EntityIndex, key: Range, system: &System) -> Rejection {
        self.rejected(Reason::NotOpen, "no open", kind, key, system)
    }

    /// Rejects an event for an entity that is or is not open.
    fn rejected(
        &self,
        reason: Reason,
        what: &'static str,
        kind: EntityIndex,
        key: Range,
        system: &System,
    ) -> Rejection {
        let (catalog, key) = (Arc::clone(&system.catalog), Box::<[u8]>::from(&self.keys[key]));
        Rejection::worded(reason, move |out| {
            let def = &catalog.entities[kind];
            write!(out, "{what} {} for ", def.name)?;
            let values = key.split(|&byte| byte == PART_END);
            let mut separator = "";
            def.key.iter().zip(values).try_for_each(|(name, value)| {
                write!(out, "{separator}{name}={}", String::from_utf8_lossy(value))?;
                separator = ", ";
                Ok(())
            })
        })
    }

    /// Whether a field has this text, or is a number that equals it.
    fn field_equals(&self, event: Event<'_>, field: FieldIndex, wanted: &str) -> Result<bool, Rejection> {
        let Some(text) = self.field_text(event, field)? else { return Ok(false) };
        let is_number = || {
            let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
            matches!(self.values[field], Some(Value::Number(_)))
                && number(text).is_some_and(|number| wanted.parse() == Ok(number))
        };
        Ok(text == wanted.as_bytes() || is_number())
    }

    fn amount(&self, event: Event<'_>, amount: &Amount, system: &System) -> Result<Option<f64>, Rejection> {
        for source in &amount.alternatives {
            let value = match source {
                AmountSource::Number(number) => *number,
                AmountSource::Now => event.time,
                AmountSource::Elapsed(handle) => match self.handles[*handle] {
                    Some(Handle::Existing(id)) => (event.time - system.entities.opened(id)).max(0.0),
                    Some(Handle::New(_)) => 0.0,
                    None => continue,
                },
                AmountSource::Field(field) => match self.values[*field] {
                    None | Some(Value::Null) => continue,
                    Some(value) => read_number(event, *field, value, amount.range)?,
                },
            };
            return Ok(Some(value));
        }
        match amount.needed {
            Some(field) => Err(missing(&event.plan.fields[field].name)),
            None => Ok(None),
        }
    }
}

fn read_number(
    event: Event<'_>,
    field: FieldIndex,
    value: Value,
    range: AmountRange,
) -> Result<f64, Rejection> {
    let number = match value {
        Value::Number(text) => event.fields.text(event.line, text).parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| range.contains(*number)).ok_or_else(|| {
        let name = &event.plan.fields[field].name;
        let (name, expected) = (Arc::clone(name), range.expected());
        Rejection::worded(Reason::BadValue, move |out| write!(out, "{name}: expected {expected}"))
    })
}

/// Rejects a part of a key that is empty, or too long for a label: keys are never cut.
fn check_key(field: &Arc<str>, text: &[u8]) -> Result<(), Rejection> {
    if text.is_empty() {
        return Err(Rejection::of_field(Reason::BadValue, field, "empty, expected a value"));
    }
    if transform::is_too_long(text) {
        let (field, bytes) = (Arc::clone(field), limits::LABEL_BYTES_MAX);
        return Err(Rejection::worded(Reason::LabelTooLong, move |out| {
            write!(out, "{field}: expected at most {bytes} bytes")
        }));
    }
    Ok(())
}

fn missing(field: &Arc<str>) -> Rejection {
    Rejection::of_field(Reason::MissingField, field, "missing, expected a value")
}
