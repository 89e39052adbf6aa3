//! Applying one event to its system, all of it or nothing.
//!
//! First [`Scratch::resolve`] works out every step without changing anything: keys are looked up, labels are
//! filled, values are read. Whatever can be refused is refused here. Then [`Scratch::commit`] does the steps in
//! the order written, and nothing in it can fail. An event may open and close several entities; what its earlier
//! steps will have done is kept beside the state until then.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::entities::{EntityId, PART_END, SeriesRef, Total};
use super::names::Names;
use super::system::System;
use super::transform;
use crate::catalog::model::{
    Amount, AmountSource, Change, EntityIndex, EventPlan, FieldIndex, FieldUse, LabelSource, MetricKind,
    Place, Step, Then, Verb,
};
use crate::config::Privacy;
use crate::event::line::{Fields, Value};
use crate::event::rejection::{Reason, Rejection};
use crate::limits;
use crate::series::{self, Family};

/// One event on its way into the state.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) plan: &'a EventPlan,
    pub(super) line: &'a str,
    pub(super) fields: &'a Fields,
    /// Unix seconds.
    pub(super) time: f64,
}

/// What resolving needs beside the system.
pub(super) struct Context<'a> {
    pub(super) privacy: Privacy,
    pub(super) names: &'a mut Names,
    pub(super) hasher: &'a DefaultHashBuilder,
    /// Open entities of all systems.
    pub(super) entities_open: usize,
    pub(super) entities_max: usize,
}

/// An entity that an event touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Handle {
    /// Open before the event.
    Existing(EntityId),
    /// Opened by it: an index into [`Scratch::openings`].
    New(usize),
}

/// A range of [`Scratch::keys`] or [`Scratch::texts`].
type Range = std::ops::Range<usize>;

struct Opening {
    kind: EntityIndex,
    text: Range,
    key_bytes: usize,
    /// A range of [`Scratch::parents`].
    parents: Range,
}

#[derive(Clone)]
enum Set {
    NotYet,
    Lacking,
    Ready(Range, u64),
}

/// A step worked out.
#[derive(Clone, Copy)]
enum Resolved {
    /// It lacks an optional field, or its condition does not hold.
    Skip,
    Do,
    Change {
        amount: f64,
        owner: Option<Handle>,
    },
}

/// Memory of one event, reused for the next.
#[derive(Default)]
pub(super) struct Scratch {
    values: Vec<Option<Value>>,
    keys: Vec<u8>,
    texts: Vec<u8>,
    value: Vec<u8>,
    sets: Vec<Set>,
    handles: Vec<Option<Handle>>,
    openings: Vec<Opening>,
    parents: Vec<Handle>,
    closed: Vec<Handle>,
    reset: bool,
    resolved: Vec<Resolved>,
    opened: Vec<EntityId>,
}

impl Scratch {
    /// Works out every step. Changes nothing of the system.
    pub(super) fn resolve(
        &mut self,
        event: Event<'_>,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        let plan = event.plan;
        self.keys.clear();
        self.texts.clear();
        self.openings.clear();
        self.parents.clear();
        self.closed.clear();
        self.reset = false;
        self.sets.clear();
        self.sets.resize(plan.sets.len(), Set::NotYet);
        self.handles.clear();
        self.handles.resize(plan.handles, None);
        self.resolved.clear();
        self.resolved.resize(plan.steps.len(), Resolved::Skip);
        self.bind(event)?;
        for (index, step) in plan.steps.iter().enumerate() {
            let done = match step {
                Step::Open { .. } => self.resolve_open(event, step, system, context)?,
                Step::Find { .. } => self.resolve_find(event, step, system)?,
                Step::Reset => {
                    self.reset = true;
                    self.closed.extend((0..self.openings.len()).map(Handle::New));
                    true
                }
                Step::Change(_) => false,
            };
            if done {
                self.resolved[index] = Resolved::Do;
            }
        }
        for (index, step) in plan.steps.iter().enumerate() {
            if let Step::Change(change) = step {
                self.resolved[index] = self.resolve_change(event, change, system, context)?;
            }
        }
        Ok(())
    }

    /// Puts the line's fields into the places of the plan's.
    fn bind(&mut self, event: Event<'_>) -> Result<(), Rejection> {
        let plan = event.plan;
        self.values.clear();
        self.values.resize(plan.fields.len(), None);
        let mut seen = 0_u64;
        for (key, value) in event.fields.iter(event.line) {
            let Some(index) = plan.fields.iter().position(|field| field.name == key) else { continue };
            if seen & (1 << index) != 0 {
                return Err(Rejection::new(Reason::Malformed, format!("{key}: stands twice, expected once")));
            }
            seen |= 1 << index;
            self.values[index] = (value != Value::Null).then_some(value);
        }
        let lacking = |(field, value): &(&crate::catalog::model::FieldDef, &Option<Value>)| {
            field.used == FieldUse::Required && value.is_none()
        };
        match plan.fields.iter().zip(&self.values).find(lacking) {
            Some((field, _)) => Err(missing(&field.name)),
            None => Ok(()),
        }
    }

    /// The text of a field as a label takes it.
    fn field_text<'a>(&self, event: Event<'a>, field: FieldIndex) -> Result<Option<&'a str>, Rejection> {
        match self.values[field] {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text) | Value::Number(text) | Value::Boolean(text)) => {
                Ok(Some(event.fields.text(event.line, text)))
            }
            Some(Value::Unusable) => {
                let name = &event.plan.fields[field].name;
                Err(Rejection::new(
                    Reason::BadValue,
                    format!("{name}: expected a string, a number or a boolean"),
                ))
            }
        }
    }

    /// Appends the text of an entity's parts to `keys`. A lack among the first `needed` ones gives `None`.
    fn push_parts(
        &mut self,
        event: Event<'_>,
        fields: &[FieldIndex],
        needed: usize,
    ) -> Result<Option<(Range, usize)>, Rejection> {
        let start = self.keys.len();
        let mut key_end = start;
        for (index, &field) in fields.iter().enumerate() {
            match self.field_text(event, field)? {
                Some(text) if transform::is_too_long(text.as_bytes()) => {
                    return Err(too_long(&event.plan.fields[field].name));
                }
                Some(text) => self.keys.extend_from_slice(text.as_bytes()),
                None if index < needed => return Ok(None),
                None => {}
            }
            self.keys.push(PART_END);
            if index + 1 == needed {
                key_end = self.keys.len();
            }
        }
        Ok(Some((start..self.keys.len(), key_end - start)))
    }

    /// Finds an open entity by its key, as earlier steps of the event will have left it.
    fn find(&self, kind: EntityIndex, key: Range, system: &System) -> Option<Handle> {
        let key = &self.keys[key];
        let existing = system.entities.find(kind, key).map(Handle::Existing);
        let opened = self.openings.iter().rposition(|opening| {
            opening.kind == kind && self.keys[opening.text.start..][..opening.key_bytes] == *key
        });
        [opened.map(Handle::New), existing]
            .into_iter()
            .flatten()
            .find(|&handle| !self.is_closed(handle, system))
    }

    fn is_closed(&self, handle: Handle, system: &System) -> bool {
        if self.closed.is_empty() && !self.reset {
            return false;
        }
        self.closed.contains(&handle)
            || match handle {
                Handle::Existing(id) => {
                    self.reset
                        || system
                            .entities
                            .parents(id)
                            .any(|parent| self.is_closed(Handle::Existing(parent), system))
                }
                Handle::New(opening) => {
                    let parents = self.openings[opening].parents.clone();
                    self.parents[parents].iter().any(|&parent| self.is_closed(parent, system))
                }
            }
    }

    fn resolve_open(
        &mut self,
        event: Event<'_>,
        step: &Step,
        system: &System,
        context: &Context<'_>,
    ) -> Result<bool, Rejection> {
        let Step::Open { entity, handle, parts, parents } = step else { return Ok(false) };
        let key_count = system.catalog.entities[*entity].key.len();
        let Some((text, key_bytes)) = self.push_parts(event, parts, key_count)? else { return Ok(false) };
        let key = text.start..text.start + key_bytes;
        if self.find(*entity, key.clone(), system).is_some() {
            let what = self.describe(*entity, key, system);
            return Err(Rejection::new(Reason::AlreadyOpen, format!("already an open {what}")));
        }
        let first_parent = self.parents.len();
        for (kind, fields) in parents {
            let Some((key, _)) = self.push_parts(event, fields, fields.len())? else { return Ok(false) };
            match self.find(*kind, key.clone(), system) {
                Some(parent) => self.parents.push(parent),
                None => return Err(self.not_open(*kind, key, system)),
            }
        }
        // Those that the event itself closes make room; what goes with them is not counted, which errs on the safe side.
        let open = context.entities_open + self.openings.len();
        if open >= context.entities_max + self.closed.len() {
            let what = format!(
                "{} entities are open, expected room for another ([limits] entities)",
                context.entities_open
            );
            return Err(Rejection::new(Reason::EntityLimit, what));
        }
        self.handles[*handle] = Some(Handle::New(self.openings.len()));
        self.openings.push(Opening {
            kind: *entity,
            text,
            key_bytes,
            parents: first_parent..self.parents.len(),
        });
        Ok(true)
    }

    fn resolve_find(&mut self, event: Event<'_>, step: &Step, system: &System) -> Result<bool, Rejection> {
        let Step::Find { entity, handle, key, then } = step else { return Ok(false) };
        let Some((key, _)) = self.push_parts(event, key, key.len())? else { return Ok(false) };
        let Some(found) = self.find(*entity, key.clone(), system) else {
            return Err(self.not_open(*entity, key, system));
        };
        self.handles[*handle] = Some(found);
        match then {
            Then::Close => self.closed.push(found),
            Then::Lend => {}
            Then::Update(parts) => {
                for &(_, field) in parts {
                    if self
                        .field_text(event, field)?
                        .is_some_and(|text| transform::is_too_long(text.as_bytes()))
                    {
                        return Err(too_long(&event.plan.fields[field].name));
                    }
                }
            }
        }
        Ok(true)
    }

    fn describe(&self, kind: EntityIndex, key: Range, system: &System) -> String {
        let def = &system.catalog.entities[kind];
        let values = self.keys[key].split(|&byte| byte == PART_END);
        let pairs: Vec<String> = def
            .key
            .iter()
            .zip(values)
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        format!("{} for {}", def.name, pairs.join(", "))
    }

    fn not_open(&self, kind: EntityIndex, key: Range, system: &System) -> Rejection {
        Rejection::new(Reason::NotOpen, format!("no open {}", self.describe(kind, key, system)))
    }

    fn resolve_change(
        &mut self,
        event: Event<'_>,
        change: &Change,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<Resolved, Rejection> {
        if let Some((field, wanted)) = &change.condition
            && self.field_text(event, *field)? != Some(wanted)
        {
            return Ok(Resolved::Skip);
        }
        if let Verb::Count(handle) = change.verb
            && self.handles[handle].is_none()
        {
            return Ok(Resolved::Skip);
        }
        let amount = match &change.amount {
            None => 1.0,
            Some(amount) => match self.amount(event, amount, system)? {
                Some(amount) => amount,
                None => return Ok(Resolved::Skip),
            },
        };
        let owner = match &change.owner {
            None => None,
            Some(place) => match self.walk(place, system) {
                Some(owner) => Some(owner),
                None => return Ok(Resolved::Skip),
            },
        };
        if matches!(self.sets[change.set], Set::NotYet) {
            self.sets[change.set] = self.fill_set(event, change.set, system, context)?;
        }
        Ok(match self.sets[change.set] {
            Set::Ready(..) => Resolved::Change { amount, owner },
            _ => Resolved::Skip,
        })
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
                    Some(value) => read_number(event, *field, value, amount.not_negative)?,
                },
            };
            return Ok(Some(value));
        }
        match amount.needed {
            Some(field) => Err(missing(&event.plan.fields[field].name)),
            None => Ok(None),
        }
    }

    fn walk(&self, place: &Place, system: &System) -> Option<Handle> {
        let start = self.handles[place.handle]?;
        Some(place.path.iter().fold(start, |handle, &parent| match handle {
            Handle::Existing(id) => Handle::Existing(system.entities.parent(id, parent)),
            Handle::New(opening) => self.parents[self.openings[opening].parents.start + parent],
        }))
    }

    fn fill_set(
        &mut self,
        event: Event<'_>,
        set: usize,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<Set, Rejection> {
        let start = self.texts.len();
        for label in &event.plan.sets[set].labels {
            self.texts.extend_from_slice(label.opening.as_bytes());
            let mut texts = std::mem::take(&mut self.texts);
            let mut value = std::mem::take(&mut self.value);
            let filled = self.fill_label(event, &label.sources, system, |text| {
                let text = match &label.transform {
                    None => text,
                    Some(transform) => {
                        value.clear();
                        let text = std::str::from_utf8(text).unwrap_or_default();
                        transform::apply(transform, text, context.privacy, context.names, &mut value);
                        &value
                    }
                };
                if transform::is_too_long(text) {
                    return Err(too_long(label.opening.trim_matches([',', '=', '"'])));
                }
                series::text::push_escaped(&mut texts, text);
                Ok(())
            });
            self.texts = texts;
            self.value = value;
            if !filled? {
                return Ok(Set::Lacking);
            }
            self.texts.push(b'"');
        }
        let range = start..self.texts.len();
        let hash = context.hasher.hash_one(&self.texts[range.clone()]);
        Ok(Set::Ready(range, hash))
    }

    /// Gives the first source that there is to `put`. Says whether there was one.
    fn fill_label(
        &self,
        event: Event<'_>,
        sources: &[LabelSource],
        system: &System,
        put: impl FnOnce(&[u8]) -> Result<(), Rejection>,
    ) -> Result<bool, Rejection> {
        for source in sources {
            let text = match source {
                LabelSource::Text(text) => text.as_bytes(),
                LabelSource::Empty => b"",
                LabelSource::Field(field) => match self.field_text(event, *field)? {
                    Some(text) => text.as_bytes(),
                    None => continue,
                },
                LabelSource::Entity(place, part) => match self.walk(place, system) {
                    Some(Handle::Existing(id)) => system.entities.get(id).part(*part),
                    Some(Handle::New(opening)) => {
                        let text = self.openings[opening].text.clone();
                        self.keys[text].split(|&byte| byte == PART_END).nth(*part).unwrap_or_default()
                    }
                    None => continue,
                },
            };
            put(text)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Does what was worked out. Nothing here can fail.
    pub(super) fn commit(&mut self, event: Event<'_>, system: &mut System, hasher: &DefaultHashBuilder) {
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
        let id = system.entities.open(opening.kind, text, opening.key_bytes, &parents, event.time);
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
            text.extend_from_slice(new.map_or(old, str::as_bytes));
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
            let totals = &mut system.entities.get_mut(id).totals;
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

fn read_number(
    event: Event<'_>,
    field: FieldIndex,
    value: Value,
    not_negative: bool,
) -> Result<f64, Rejection> {
    let number = match value {
        Value::Number(text) => event.fields.text(event.line, text).parse::<f64>().ok(),
        _ => None,
    };
    if let Some(number) = number.filter(|number| number.is_finite() && !(not_negative && *number < 0.0)) {
        Ok(number)
    } else {
        let name = &event.plan.fields[field].name;
        let kind = if not_negative { "a finite number, not negative" } else { "a finite number" };
        Err(Rejection::new(Reason::BadValue, format!("{name}: expected {kind}")))
    }
}

fn missing(field: &str) -> Rejection {
    Rejection::new(Reason::MissingField, format!("{field}: missing, expected a value"))
}

fn too_long(field: &str) -> Rejection {
    let what = format!("{field}: expected at most {} bytes", limits::LABEL_BYTES_MAX);
    Rejection::new(Reason::LabelTooLong, what)
}
