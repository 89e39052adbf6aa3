//! The first half: what an event will do, or why it is refused. Changes nothing.

use std::hash::BuildHasher;

use super::{Context, Event, Handle, Opening, Range, Resolved, Scratch, Set, System};
use crate::catalog::model::{
    Amount, AmountSource, Change, EntityIndex, FieldDef, FieldIndex, FieldUse, LabelSource, Place, Step,
    Then, Verb,
};
use crate::event::line::Value;
use crate::event::rejection::{Reason, Rejection};
use crate::lifecycles::entities::{Key, PART_END};
use crate::lifecycles::transform;
use crate::limits;
use crate::series;

impl Scratch {
    /// Works out every step. Changes nothing of the system.
    pub(in crate::lifecycles) fn resolve(
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
    pub(super) fn bind(&mut self, event: Event<'_>) -> Result<(), Rejection> {
        let plan = event.plan;
        self.values.clear();
        self.values.resize(plan.fields.len(), None);
        let mut seen = 0_u64;
        for (name, bytes, value) in event.fields.named(event.line) {
            let is_it =
                |field: &FieldDef| field.short == name && (name.is_whole() || field.name.as_bytes() == bytes);
            let Some(index) = plan.fields.iter().position(is_it) else { continue };
            if seen & (1 << index) != 0 {
                let name = &plan.fields[index].name;
                return Err(Rejection::new(
                    Reason::Malformed,
                    format!("{name}: stands twice, expected once"),
                ));
            }
            seen |= 1 << index;
            self.values[index] = (value != Value::Null).then_some(value);
        }
        let lacking = |(field, value): &(&FieldDef, &Option<Value>)| {
            field.used == FieldUse::Required && value.is_none()
        };
        match plan.fields.iter().zip(&self.values).find(lacking) {
            Some((field, _)) => Err(missing(&field.name)),
            None => Ok(()),
        }
    }

    /// The text of a field as a label takes it.
    pub(super) fn field_text<'a>(
        &self,
        event: Event<'a>,
        field: FieldIndex,
    ) -> Result<Option<&'a [u8]>, Rejection> {
        match self.values[field] {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text) | Value::Number(text) | Value::Boolean(text)) => {
                Ok(Some(event.fields.bytes(event.line, text)))
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
                Some(text) if transform::is_too_long(text) => {
                    return Err(too_long(&event.plan.fields[field].name));
                }
                Some(text) => self.keys.extend_from_slice(text),
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
    fn find(&self, kind: EntityIndex, key: Range, hash: u64, system: &System) -> Option<Handle> {
        let key = &self.keys[key];
        let existing = system.entities.find_hashed(kind, key, hash).map(Handle::Existing);
        let opened = self.openings.iter().rposition(|opening| {
            opening.kind == kind && self.keys[opening.text.start..][..opening.key.bytes] == *key
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
        let hash = system.entities.hash(&self.keys[key.clone()]);
        if self.find(*entity, key.clone(), hash, system).is_some() {
            let what = self.describe(*entity, key, system);
            return Err(Rejection::new(Reason::AlreadyOpen, format!("already an open {what}")));
        }
        let first_parent = self.parents.len();
        for (kind, fields) in parents {
            let Some((key, _)) = self.push_parts(event, fields, fields.len())? else { return Ok(false) };
            let hash = system.entities.hash(&self.keys[key.clone()]);
            match self.find(*kind, key.clone(), hash, system) {
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
            key: Key { bytes: key_bytes, hash },
            parents: first_parent..self.parents.len(),
        });
        Ok(true)
    }

    fn resolve_find(&mut self, event: Event<'_>, step: &Step, system: &System) -> Result<bool, Rejection> {
        let Step::Find { entity, handle, key, then } = step else { return Ok(false) };
        let Some((key, _)) = self.push_parts(event, key, key.len())? else { return Ok(false) };
        let hash = system.entities.hash(&self.keys[key.clone()]);
        let Some(found) = self.find(*entity, key.clone(), hash, system) else {
            return Err(self.not_open(*entity, key, system));
        };
        self.handles[*handle] = Some(found);
        match then {
            Then::Close => self.closed.push(found),
            Then::Lend => {}
            Then::Update(parts) => {
                for &(_, field) in parts {
                    if self.field_text(event, field)?.is_some_and(transform::is_too_long) {
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
            && self.field_text(event, *field)? != Some(wanted.as_bytes())
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

    pub(super) fn fill_set(
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
                    Some(text) => text,
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
