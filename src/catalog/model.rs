//! A checked catalog, as plain data.
//!
//! Names are resolved to indices, the source of each label is known, and every event is a plan of steps and additions.
//! `read` and `plan` build these types, and `engine` executes them.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::{listed, meant};

/// What stands for the exporter's own metrics where systems are named. No catalog may have this name.
pub(crate) const OWN_METRICS: &str = "exporter";

/// An index into [`Catalog::entities`].
pub(crate) type EntityIndex = usize;
/// An index into [`Catalog::metrics`].
pub(crate) type MetricIndex = usize;
/// An index into [`EventPlan::fields`].
pub(crate) type FieldIndex = usize;
/// An index into the entities that one event touches, in the order of its steps.
pub(crate) type HandleIndex = usize;

/// One system: its entities, metrics and events.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Catalog {
    /// Events are named `NAME.…`.
    pub(crate) name: String,
    /// The name for people.
    pub(crate) title: String,
    /// Kinds of things that are opened and closed.
    pub(crate) entities: Vec<EntityDef>,
    pub(crate) metrics: Vec<MetricDef>,
    pub(crate) events: Vec<EventPlan>,
    /// The events that a directory scan of this system causes.
    pub(crate) scan: ScanEvents,
    /// Which lines of a log are which events; the first that matches counts.
    pub(crate) lines: Vec<LineDef>,
}

impl Catalog {
    /// The depth at which each kind of entity is nested: 0 if it has no parents.
    pub(crate) fn depths(&self) -> Vec<usize> {
        fn depth(of: EntityIndex, entities: &[EntityDef], known: &mut [Option<usize>]) -> usize {
            if let Some(depth) = known[of] {
                return depth;
            }
            let parents = entities[of].within.iter();
            let found = parents.map(|&parent| depth(parent, entities, known) + 1).max().unwrap_or(0);
            known[of] = Some(found);
            found
        }
        let mut known = vec![None; self.entities.len()];
        (0..self.entities.len()).map(|kind| depth(kind, &self.entities, &mut known)).collect()
    }
}

/// A kind of thing that is opened and closed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct EntityDef {
    /// Unique in its catalog.
    pub(crate) name: String,
    /// The fields that identify an open one; at least one.
    pub(crate) key: Vec<String>,
    /// Further fields, which it keeps from its opening event.
    pub(crate) labels: Vec<String>,
    /// Its parents: closing one closes this.
    pub(crate) within: Vec<EntityIndex>,
    /// The event that is applied when it is abandoned, an index into [`Catalog::events`].
    pub(crate) abandoned: Option<usize>,
    /// Whether it belongs to its producer and is abandoned with it.
    pub(crate) owned: bool,
    /// Whether it closes once nothing within it is open.
    pub(crate) closes_when_empty: bool,
    /// The gauges that start with it: live gauges that count it, and ages that it owns. Handle 0 is the
    /// entity. No step needs a field of a line, so the gauges can be recomputed at any time.
    pub(crate) gauges: EventPlan,
}

impl EntityDef {
    /// The position of a label among the fields of the key and the carried labels.
    pub(crate) fn part(&self, label: &str) -> Option<usize> {
        self.key.iter().chain(&self.labels).position(|name| name == label)
    }
}

/// A metric family as documented.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MetricDef {
    /// Unique over all catalogs.
    pub(crate) name: String,
    /// A second name, exposed if aliases are enabled.
    pub(crate) alias: Option<String>,
    pub(crate) kind: MetricKind,
    pub(crate) help: String,
    /// In the documented order.
    pub(crate) labels: Vec<String>,
    /// The transform of each label.
    pub(crate) transforms: Vec<Option<Transform>>,
    /// The version of the system that introduced it, if documented.
    pub(crate) since: Option<String>,
    /// Its series are removed when this entity closes.
    pub(crate) owner: Option<EntityIndex>,
    /// Whether a metric without labels exists at 0 as soon as its system is exposed.
    pub(crate) zero: bool,
}

impl MetricDef {
    /// The positions of the labels that show addresses.
    pub(crate) fn addresses(&self) -> Vec<usize> {
        let is_address = |position: &usize| self.transforms[*position] == Some(Transform::Address);
        (0..self.transforms.len()).filter(is_address).collect()
    }
}

/// What a metric counts or measures.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) enum MetricKind {
    /// Only grows.
    #[default]
    Counter,
    /// Set, or changed in both directions.
    Gauge,
    /// Counts the open entities of a kind; no effect sets it.
    Live(EntityIndex),
    /// Upper bounds of the buckets, rising, without `+Inf`.
    Histogram(Vec<f64>),
    /// Seconds since the latest mark, computed at each scrape.
    Age,
}

impl MetricKind {
    /// The type that Prometheus knows it by.
    pub(crate) fn prometheus_type(&self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge | MetricKind::Live(_) | MetricKind::Age => "gauge",
            MetricKind::Histogram(_) => "histogram",
        }
    }
}

/// What is done to the value of a label before it is exposed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Transform {
    /// Replaces the variable segments of a URL path. Holds the segments that precede a variable one.
    Path(Vec<String>),
    /// Keeps letters, digits, `_` and `-`, and at most 50 characters.
    Slug,
    /// Formats an address with an optional port as `[privacy]` says.
    Address,
    /// Empties the value if `[privacy] quiet` is set.
    Quiet,
}

/// What an event does, step by step.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct EventPlan {
    /// With the system's prefix: `recording.started`.
    pub(crate) name: Arc<str>,
    pub(crate) fields: Vec<FieldDef>,
    /// In the order written; an abandon comes first.
    pub(crate) steps: Vec<Step>,
    /// What only adds, in the order written, after the steps.
    pub(crate) additions: Vec<Addition>,
    /// The label tuples that its effects need, each computed once per event.
    pub(crate) sets: Vec<LabelSet>,
    /// The entities that supply labels.
    pub(crate) suppliers: Vec<EntityPath>,
    /// How many entities its steps touch.
    pub(crate) handles: usize,
    /// Whether it reports a restart of its server, by a reset or an abandon.
    pub(crate) restarts: bool,
}

impl EventPlan {
    /// Whether it abandons what its server had open, before anything else.
    pub(crate) fn abandons(&self) -> bool {
        self.steps.first() == Some(&Step::Abandon)
    }

    /// The field of a key.
    pub(crate) fn field(&self, key: &[u8]) -> Option<FieldIndex> {
        self.fields.iter().position(|field| field.name.as_bytes() == key)
    }

    /// Returns the names that no effect of the event uses, each with a warning. Every event has `event` and
    /// `time`.
    pub(crate) fn unknown_fields<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> impl Iterator<Item = (&'a str, String)> {
        let is_used = |name: &str| {
            matches!(name, "event" | "time") || self.fields.iter().any(|field| *field.name == *name)
        };
        names.into_iter().filter(move |name| !is_used(name)).map(|name| {
            let fields: Vec<&str> = self.fields.iter().map(|field| &*field.name).collect();
            let known = listed(fields.iter().copied());
            let known = if known.is_empty() { "none".to_owned() } else { known };
            let meant = meant(name, &fields);
            (name, format!("{}: {name}: unknown field, ignored; the event has {known}{meant}", self.name))
        })
    }

    /// The names of the fields with this use, in the order of their first use.
    pub(crate) fn fields_used_as(&self, used: FieldUse) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |field| field.used == used).map(|field| &*field.name)
    }
}

/// A field of an event's line.
#[derive(Debug, PartialEq)]
pub(crate) struct FieldDef {
    /// The JSON key.
    pub(crate) name: Arc<str>,
    /// What its absence means.
    pub(crate) used: FieldUse,
}

/// What the absence of a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldUse {
    /// The event is rejected.
    Required,
    /// The effects that need it are skipped.
    Optional,
    /// An entity supplies the label; a field of that name takes precedence.
    Override,
}

/// One effect.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Opens an entity.
    Open(Open),
    /// Finds an open entity.
    Find(Find),
    /// A change of one series.
    Change(Change),
    /// Closes all entities of the system and removes all its series.
    Reset,
    /// Abandons what the restarted server had open.
    Abandon,
}

/// Opens an entity.
#[derive(Debug, PartialEq)]
pub(crate) struct Open {
    pub(crate) entity: EntityIndex,
    /// Identifies the entity in later steps.
    pub(crate) handle: HandleIndex,
    /// The fields of its key, then of its carried labels.
    pub(crate) parts: Vec<FieldIndex>,
    /// For each parent: its kind and the fields of its key.
    pub(crate) parents: Vec<(EntityIndex, Vec<FieldIndex>)>,
    /// What an entity that is open already takes (position in key and labels, field). `None`: it must not be
    /// open.
    pub(crate) ensure: Option<Vec<(usize, FieldIndex)>>,
}

/// Finds an open entity.
#[derive(Debug, PartialEq)]
pub(crate) struct Find {
    pub(crate) entity: EntityIndex,
    /// Identifies the entity in later steps.
    pub(crate) handle: HandleIndex,
    /// The fields of its key.
    pub(crate) key: Vec<FieldIndex>,
    pub(crate) then: Then,
}

/// What is done with an entity that was found open.
#[derive(Debug, PartialEq)]
pub(crate) enum Then {
    /// Closes it and all within it.
    Close,
    /// Only refers to it, for its labels.
    Reference,
    /// Replaces its parts by these fields (position in key and labels, field).
    Update(Vec<(usize, FieldIndex)>),
}

/// Adds a fixed number to one series.
#[derive(Debug, PartialEq)]
pub(crate) struct Addition {
    pub(crate) metric: MetricIndex,
    /// The labels of the series, an index into [`EventPlan::sets`].
    pub(crate) set: usize,
    pub(crate) amount: f64,
}

/// A change of one series.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) verb: Verb,
    pub(crate) metric: MetricIndex,
    /// The labels of the series, an index into [`EventPlan::sets`].
    pub(crate) set: usize,
    /// The value, if the verb takes one.
    pub(crate) amount: Option<Amount>,
    /// The entity that the series belongs to.
    pub(crate) owner: Option<EntityPath>,
    /// The change happens only if this field has this value.
    pub(crate) condition: Option<(FieldIndex, String)>,
    /// The labels in the braces of the target, sorted.
    pub(crate) fixed: Box<str>,
}

/// What is done to a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Adds one.
    Inc,
    /// Adds the amount.
    Add,
    /// Subtracts the amount.
    Sub,
    /// Sets the amount.
    Set,
    /// Sets the amount if the series exists.
    SetExisting,
    /// Adds the growth of a running total that is kept elsewhere.
    Follow,
    /// Observes the amount in a histogram.
    Observe,
    /// Makes the time of the event the latest mark.
    Mark,
    /// Creates the series at 0 if it does not exist.
    Zero,
    /// Removes the series.
    Remove,
    /// Counts an entity in this series of a live gauge, and in no other.
    Count(HandleIndex),
}

/// Alternatives for a value: the first that is present counts.
#[derive(Debug, PartialEq)]
pub(crate) struct Amount {
    /// In the order written; not empty.
    pub(crate) alternatives: Vec<AmountSource>,
    /// The field that the rejection names if none is present. `None`: the effect is skipped.
    pub(crate) needed: Option<FieldIndex>,
    pub(crate) range: AmountRange,
}

/// The numbers that an effect accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmountRange {
    /// Every finite number, since it replaces the former one.
    Any,
    /// Up to [`AMOUNT_MAX`] in either direction, since it is summed.
    Summed,
    /// From 0 to [`AMOUNT_MAX`], since a counter only grows.
    Counted,
}

/// The largest number that is summed: beyond it an `f64` cannot hold every whole number.
pub(crate) const AMOUNT_MAX: f64 = 9_007_199_254_740_992.0;

impl AmountRange {
    pub(crate) fn contains(self, number: f64) -> bool {
        match self {
            AmountRange::Any => number.is_finite(),
            AmountRange::Summed => number.abs() <= AMOUNT_MAX,
            AmountRange::Counted => (0.0..=AMOUNT_MAX).contains(&number),
        }
    }

    /// What a message says that it expected.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            AmountRange::Any => "a finite number",
            AmountRange::Summed => "a number from -2^53 to 2^53",
            AmountRange::Counted => "a number from 0 to 2^53",
        }
    }
}

/// Where a value comes from.
#[derive(Debug, PartialEq)]
pub(crate) enum AmountSource {
    /// A field of the line, a number.
    Field(FieldIndex),
    /// A number in the catalog.
    Number(f64),
    /// The event's time, Unix seconds.
    Now,
    /// Seconds since this entity was opened.
    Elapsed(HandleIndex),
}

/// The path from an entity that the event touches to that entity or one of its ancestors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntityPath {
    pub(crate) start: HandleIndex,
    /// The parent at each step, an index into [`EntityDef::within`]. Empty: the start itself.
    pub(crate) parents: Vec<usize>,
}

/// A tuple of labels in the documented order, and where their values come from.
#[derive(Debug, PartialEq)]
pub(crate) struct LabelSet {
    /// One for each label of the metric.
    pub(crate) labels: Vec<LabelFill>,
}

/// One label of a set.
#[derive(Debug, PartialEq)]
pub(crate) struct LabelFill {
    /// The text before the value in the tuple: `name="` or `",name="`.
    pub(crate) opening: String,
    /// The field of the line whose value it takes.
    pub(crate) field: Option<FieldIndex>,
    /// What it takes if the line has none.
    pub(crate) otherwise: Otherwise,
    pub(crate) transform: Option<Transform>,
}

/// What a label takes if no field of the line has its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Otherwise {
    /// Nothing: the effect is skipped.
    Skip,
    /// A fixed text: that in the target's braces, or none for an optional label of an entity.
    Text(String),
    /// A part (key, then labels) of an entity, an index into [`EventPlan::suppliers`].
    Entity { supplier: usize, part: usize },
}

/// What lines of a log look like that are an event.
#[derive(Debug, PartialEq)]
pub(crate) struct LineDef {
    pub(crate) name: String,
    /// Regular expressions, found anywhere in the line. Their named groups are fields of the event.
    pub(crate) patterns: Vec<String>,
    /// An index into [`Catalog::events`]; `None`: the line is known and nothing happens.
    pub(crate) event: Option<usize>,
    /// Further fields, the same for each line.
    pub(crate) set: Vec<(String, String)>,
    /// The event happens so long after the line, unless another one about the same comes before.
    pub(crate) after: Option<Duration>,
}

/// The events that a directory scan causes, as `EVENT KEY=VALUE…` with `{bytes}`, `{files}`, `{duration}`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ScanEvents {
    /// After a complete scan.
    pub(crate) succeeded: Vec<String>,
    /// After a scan that ran out of time or files, or met an unreadable directory.
    pub(crate) partial: Vec<String>,
    /// After a scan that could not start.
    pub(crate) failed: Vec<String>,
}
