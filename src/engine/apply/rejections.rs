//! Why an event is not applied. Each reason is put into words only where somebody reads it.

use std::sync::Arc;

use super::System;
use crate::catalog::model::{AmountRange, AmountSource, EntityIndex, EventPlan, FieldIndex, Step};
use crate::engine::entities::PART_END;
use crate::limits;
use crate::protocol::rejection::{Reason, Rejection};

fn of_field(reason: Reason, plan: &EventPlan, field: FieldIndex, what: &'static str) -> Rejection {
    Rejection::of_field(reason, &plan.fields[field].name, what)
}

#[cold]
pub(super) fn twice(plan: &EventPlan, field: FieldIndex) -> Rejection {
    of_field(Reason::Malformed, plan, field, "occurs twice, expected once")
}

#[cold]
pub(super) fn missing(plan: &EventPlan, field: FieldIndex) -> Rejection {
    of_field(Reason::MissingField, plan, field, "missing, expected a value")
}

/// Of an object, an array or a text that is no Unicode.
#[cold]
pub(super) fn no_value(plan: &EventPlan, field: FieldIndex) -> Rejection {
    let amounts = plan.steps.iter().filter_map(|step| match step {
        Step::Change(change) => change.amount.as_ref(),
        _ => None,
    });
    match amounts.into_iter().find(|amount| amount.alternatives.contains(&AmountSource::Field(field))) {
        Some(amount) => bad_number(plan, field, amount.range),
        None => of_field(Reason::BadValue, plan, field, "expected a string, a number or a boolean"),
    }
}

#[cold]
pub(super) fn bad_number(plan: &EventPlan, field: FieldIndex, range: AmountRange) -> Rejection {
    let name = Arc::clone(&plan.fields[field].name);
    Rejection::worded(Reason::BadValue, move |out| write!(out, "{name}: expected {}", range.expected()))
}

/// Of a part of a key that is empty or too long.
#[cold]
pub(super) fn bad_key(plan: &EventPlan, field: FieldIndex, text: &[u8]) -> Rejection {
    if text.is_empty() {
        return of_field(Reason::BadValue, plan, field, "empty, expected a value");
    }
    let (name, bytes) = (Arc::clone(&plan.fields[field].name), limits::LABEL_BYTES_MAX);
    Rejection::worded(Reason::LabelTooLong, move |out| write!(out, "{name}: expected at most {bytes} bytes"))
}

#[cold]
pub(super) fn already_open(kind: EntityIndex, key: &[u8], system: &System) -> Rejection {
    of_entity(Reason::AlreadyOpen, "already an open", kind, key, system)
}

#[cold]
pub(super) fn not_open(kind: EntityIndex, key: &[u8], system: &System) -> Rejection {
    of_entity(Reason::NotOpen, "no open", kind, key, system)
}

fn of_entity(
    reason: Reason,
    what: &'static str,
    kind: EntityIndex,
    key: &[u8],
    system: &System,
) -> Rejection {
    let (catalog, key) = (Arc::clone(&system.catalog), Box::<[u8]>::from(key));
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

#[cold]
pub(super) fn too_many_open(open: usize, system: &System) -> Rejection {
    let catalog = Arc::clone(&system.catalog);
    Rejection::worded(Reason::EntityLimit, move |out| {
        let system = &catalog.name;
        write!(out, "{open} entities of {system} are open, expected room for another ([limits] entities)")
    })
}

#[cold]
pub(super) fn no_memory(bytes: usize) -> Rejection {
    Rejection::worded(Reason::EntityLimit, move |out| {
        write!(out, "no memory is left, expected room for {bytes} more bytes ([limits] memory)")
    })
}
