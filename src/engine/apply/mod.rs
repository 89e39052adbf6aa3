//! Applies one event to its system, completely or not at all.
//!
//! [`Scratch::resolve`] comes first: it looks up keys, fills labels and reads values for every effect, without
//! changing the system. All rejections happen there. [`Scratch::commit`] then executes the effects in order and
//! cannot fail. An event may open and close several entities: while it is resolved, the scratch memory
//! records what its earlier steps will do. When a server restarts, `engine::restart` has its entities abandoned
//! between two calls of `resolve`.
//!
//! This file holds the types that both halves share. `touch` resolves what is done to entities, `labels` fills
//! labels, and `rejections` says what is wrong.

mod commit;
mod labels;
mod rejections;
mod resolve;
mod touch;

use hashbrown::DefaultHashBuilder;

use super::EngineSettings;
use super::entities::{EntityId, EntityOwner, Key};
use super::rdns_cache::RdnsCache;
use super::system::System;
use crate::catalog::model::{EntityIndex, EventPlan, FieldIndex};
use crate::config::Privacy;
use crate::protocol::line::{Fields, Value};

/// An event and the plan that its catalog has for it.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) plan: &'a EventPlan,
    pub(super) line: &'a str,
    pub(super) fields: &'a Fields,
    /// Unix seconds.
    pub(super) time: f64,
    /// The owner of the entities that the event opens.
    pub(super) entity_owner: EntityOwner,
}

/// What resolving needs besides the event and the system.
pub(super) struct Context<'a> {
    pub(super) privacy: Privacy,
    pub(super) rdns: &'a mut RdnsCache,
    pub(super) hasher: &'a DefaultHashBuilder,
    /// `[limits] entities`, for each system.
    pub(super) entities_max: usize,
    /// The owners whose entities an `abandon` step abandons.
    pub(super) abandoned_owners: &'a [EntityOwner],
}

impl<'a> Context<'a> {
    pub(super) fn new(
        settings: &EngineSettings,
        rdns: &'a mut RdnsCache,
        hasher: &'a DefaultHashBuilder,
        abandoned_owners: &'a [EntityOwner],
    ) -> Self {
        Context {
            privacy: settings.privacy,
            rdns,
            hasher,
            entities_max: settings.entities_max,
            abandoned_owners,
        }
    }
}

/// An entity that an event touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Handle {
    /// It was open before the event.
    Existing(EntityId),
    /// The event opens it. An index into [`Bound::openings`].
    New(usize),
}

/// A range of [`Bound::keys`] or [`Filled::texts`].
type Range = std::ops::Range<usize>;

/// An entity that the event opens.
struct Opening {
    kind: EntityIndex,
    /// A range of [`Bound::keys`]: the key and the labels.
    text: Range,
    key: Key,
    /// A range of [`Bound::parents`].
    parents: Range,
}

/// The labels of a series that the event changes.
#[derive(Clone)]
enum Set {
    Unfilled,
    /// A label has no value: the changes of the series are skipped.
    Incomplete,
    /// A range of [`Filled::texts`] and its hash.
    Ready(Range, u64),
}

/// A resolved step.
#[derive(Clone)]
enum Resolved {
    /// An optional field is missing, or the condition does not hold.
    Skip,
    /// Opens a new entity.
    Open,
    /// Executes the step as the plan has it.
    Execute,
    Change {
        amount: f64,
        owner: Option<Handle>,
        /// For a total without an owner: a range of [`Filled::texts`] with its labels before any transform.
        raw: Option<Range>,
    },
}

/// Working memory for one event, reused for the next.
#[derive(Default)]
pub(super) struct Scratch {
    bound: Bound,
    filled: Filled,
    sets: Vec<Set>,
    resolved: Vec<Resolved>,
    opened: Vec<EntityId>,
}

/// The event's values and entities, as far as its steps have bound them, and what they close.
#[derive(Default)]
struct Bound {
    /// Those of the plan's fields, and perhaps others behind them.
    values: Vec<Option<Value>>,
    /// Keys and labels of entities.
    keys: Vec<u8>,
    handles: Vec<Option<Handle>>,
    openings: Vec<Opening>,
    parents: Vec<Handle>,
    closed: Vec<Handle>,
    /// An earlier step resets the system: later steps take its entities as closed.
    reset: bool,
    /// An earlier step abandons entities: later steps take them as closed.
    abandons: bool,
}

/// What is filled: labels, and how many were cut.
#[derive(Default)]
struct Filled {
    /// Labels of series.
    texts: Vec<u8>,
    /// One label after its transform.
    value: Vec<u8>,
    cuts: Cuts,
}

impl Scratch {
    /// Where the values of the fields are put, if not by [`Self::bind_fields`].
    pub(super) fn values(&mut self) -> &mut Vec<Option<Value>> {
        &mut self.bound.values
    }

    /// How many labels the event has cut.
    pub(super) fn cuts(&self) -> u64 {
        // Counting bits is slow without an instruction for it, and there are hardly ever any.
        match self.filled.cuts {
            Cuts { fields: 0, others } => others,
            Cuts { fields, others } => u64::from(fields.count_ones()) + others,
        }
    }
}

/// The labels that an event has cut.
#[derive(Default, Clone, Copy)]
struct Cuts {
    /// A bit for each field that fills one: a field counts once, however many labels it fills.
    fields: u64,
    /// How many came from other sources.
    others: u64,
}

impl Cuts {
    fn note(&mut self, field: Option<FieldIndex>) {
        match field {
            Some(field) => self.fields |= 1 << field,
            None => self.others += 1,
        }
    }
}
