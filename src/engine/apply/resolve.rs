//! The first half of applying an event: resolves its effects, or rejects it, without changing the system. What is done
//! to entities stands in `touch`.

use super::rejections;
use super::{Bound, Context, Cuts, Event, Handle, Resolved, Scratch, Set, System};
use crate::catalog::model::{
    Amount, AmountRange, AmountSource, Change, EventPlan, FieldIndex, FieldUse, MetricIndex, Step, Verb,
};
use crate::engine::entities::EntityId;
use crate::protocol::line::Value;
use crate::protocol::rejection::Rejection;

impl Scratch {
    /// Binds the fields and resolves every effect.
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
        self.clear_labels(event.plan);
        // Without steps it touches no entity, and what is left of those of an earlier event is not looked at.
        debug_assert!(!event.plan.steps.is_empty() || event.plan.handles == 0);
        if !event.plan.steps.is_empty() {
            self.resolve_steps(event, system, context)?;
        }
        for addition in &event.plan.additions {
            self.fill_once(event, addition.set, system, context);
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
                Step::Open(open) => self.resolve_open(event, open, system, context)?,
                Step::Find(find) => self.resolve_find(event, find, system, context)?,
                Step::Reset => {
                    self.bound.reset = true;
                    self.bound.closed.extend((0..self.bound.openings.len()).map(Handle::New));
                    Resolved::Execute
                }
                Step::Abandon => {
                    self.bound.abandons = !context.abandoned_owners.is_empty();
                    Resolved::Execute
                }
                Step::Change(_) => continue,
            };
        }
        self.resolve_changes(event, system, context, |_| true)
    }

    /// Clears the memory of labels for an event with this plan.
    fn clear_labels(&mut self, plan: &EventPlan) {
        self.filled.texts.clear();
        self.filled.cuts = Cuts::default();
        self.sets.clear();
        self.sets.resize(plan.sets.len(), Set::Unfilled);
    }

    /// Clears the rest of the memory.
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
        self.clear_labels(event.plan);
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
                self.resolved[index] = self.resolve_change(event, change, system, context)?;
            }
        }
        Ok(())
    }

    /// Stores the value of each field of the plan. Rejects a line with a field twice, without a required one, or with
    /// one that holds no value.
    pub(in crate::engine) fn bind_fields(&mut self, event: Event<'_>) -> Result<(), Rejection> {
        let plan = event.plan;
        self.bound.values.clear();
        self.bound.values.resize(plan.fields.len(), None);
        let mut seen = 0_u64;
        for (key, value) in event.fields.iter(event.line) {
            let Some(index) = plan.field(key) else { continue };
            if seen & (1 << index) != 0 {
                return Err(rejections::twice(plan, index));
            }
            if value == Value::Unsupported {
                return Err(rejections::no_value(plan, index));
            }
            seen |= 1 << index;
            self.bound.values[index] = (value != Value::Null).then_some(value);
        }
        let fields = plan.fields.iter().zip(&self.bound.values);
        match fields
            .into_iter()
            .position(|(field, value)| field.used == FieldUse::Required && value.is_none())
        {
            Some(field) => Err(rejections::missing(plan, field)),
            None => Ok(()),
        }
    }

    fn resolve_change(
        &mut self,
        event: Event<'_>,
        change: &Change,
        system: &System,
        context: &mut Context<'_>,
    ) -> Result<Resolved, Rejection> {
        if let Some((field, wanted)) = &change.condition
            && !self.bound.field_equals(event, *field, wanted)
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
        self.fill_once(event, change.set, system, context);
        if !matches!(self.sets[change.set], Set::Ready(..)) {
            return Ok(Resolved::Skip);
        }
        let is_total = matches!(change.verb, Verb::Follow | Verb::Remove) && owner.is_none();
        let raw = is_total.then(|| self.raw_tuple(event, change.set, system));
        Ok(Resolved::Change { amount, owner, raw })
    }
}

impl Bound {
    /// Whether a field has this text, or is a number that equals it.
    fn field_equals(&self, event: Event<'_>, field: FieldIndex, wanted: &str) -> bool {
        let Some(text) = self.field_text(event, field) else { return false };
        let is_number = || {
            let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
            matches!(self.values[field], Some(Value::Number(_)))
                && number(text).is_some_and(|number| wanted.parse() == Ok(number))
        };
        text == wanted.as_bytes() || is_number()
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
            Some(field) => Err(rejections::missing(event.plan, field)),
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
    number
        .filter(|number| range.contains(*number))
        .ok_or_else(|| rejections::bad_number(event.plan, field, range))
}
