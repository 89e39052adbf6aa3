//! Applying one event to its system, all of it or nothing.
//!
//! First [`Scratch::resolve`] works out every step without changing anything: keys are looked up, labels are filled, values are
//! read. Whatever can be refused is refused there. Then [`Scratch::commit`] does the steps in the order written, and nothing in
//! it can fail. An event may open and close several entities; what its earlier steps will have done is kept beside the state
//! until then. What an abandonment does is done before both, by `restart`.
//!
//! This file holds what the two share. `labels` fills the labels of both; `count` is the short way of events that only count.

mod commit;
mod count;
mod labels;
mod resolve;

pub(super) use count::only_count;

use hashbrown::DefaultHashBuilder;

use super::Rules;
use super::entities::{EntityId, Key, Opener};
use super::rdns_cache::RdnsCache;
use super::system::System;
use crate::catalog::model::{EntityIndex, EventPlan};
use crate::config::Privacy;
use crate::protocol::line::{Fields, Value};

/// One event on its way into the state.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) plan: &'a EventPlan,
    pub(super) line: &'a str,
    pub(super) fields: &'a Fields,
    /// Unix seconds.
    pub(super) time: f64,
    /// To whom belongs what it opens.
    pub(super) opener: Opener,
}

/// What resolving needs beside the system.
pub(super) struct Context<'a> {
    pub(super) privacy: Privacy,
    pub(super) names: &'a mut RdnsCache,
    pub(super) hasher: &'a DefaultHashBuilder,
    /// For each system.
    pub(super) entities_max: usize,
    /// Whose entities an `abandon` of the event gives up.
    pub(super) former: &'a [Opener],
}

impl<'a> Context<'a> {
    pub(super) fn new(
        rules: &Rules,
        names: &'a mut RdnsCache,
        hasher: &'a DefaultHashBuilder,
        former: &'a [Opener],
    ) -> Self {
        Context { privacy: rules.privacy, names, hasher, entities_max: rules.entities_max, former }
    }
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
    key: Key,
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
    /// The entity is new.
    Open,
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
    /// What the event abandons is closed, as far as its later steps are concerned.
    abandons: bool,
    resolved: Vec<Resolved>,
    opened: Vec<EntityId>,
    /// The fields whose labels were cut, a bit each.
    cut_fields: u64,
    /// How many labels that no field of the event holds were cut.
    cut_lent: u64,
    /// For steps that follow a total and have no owner: the step, and its labels before any transform, a range of `texts`.
    raw_tuples: Vec<(usize, Range)>,
}

impl Scratch {
    /// Labels that the event has cut.
    pub(super) fn cuts(&self) -> u64 {
        u64::from(self.cut_fields.count_ones()) + self.cut_lent
    }
}
