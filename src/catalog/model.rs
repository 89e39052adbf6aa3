//! What a catalog says once it has been checked: plain data that cannot be wrong.
//!
//! Names have become indices, label sources have been worked out, and every event is a plan of steps. Nothing
//! here reads files or changes state; `read` and `plan` make these types, `lifecycles` follows them.

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
    /// For people.
    pub(crate) title: String,
    /// Kinds of things that are opened and closed.
    pub(crate) entities: Vec<EntityDef>,
    /// Metric families.
    pub(crate) metrics: Vec<MetricDef>,
    /// What each event does.
    pub(crate) events: Vec<EventPlan>,
    /// Which events a directory scan of this system causes.
    pub(crate) scan: ScanEvents,
}

impl Catalog {
    /// How deep each kind of entity is within others: 0 where it has no parents.
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
    /// The fields that tell open ones apart; at least one.
    pub(crate) key: Vec<String>,
    /// Further fields it carries from its opening event.
    pub(crate) labels: Vec<String>,
    /// Its parents: closing one closes this.
    pub(crate) within: Vec<EntityIndex>,
    /// The event (an index into [`Catalog::events`]) that stands for its abandonment.
    pub(crate) abandoned: Option<usize>,
    /// Whether it belongs to its producer and is abandoned with it.
    pub(crate) owned: bool,
    /// Whether it closes as soon as nothing is within it any more.
    pub(crate) closes_when_empty: bool,
    /// The gauges that begin with it: live ones that count it and ages that it owns. Handle 0 is the entity; no step needs a
    /// field of a line, so the gauges can be filled again at any time.
    pub(crate) gauges: EventPlan,
}

impl EntityDef {
    /// Where a label stands among the key and the carried labels, keys first.
    pub(crate) fn part(&self, label: &str) -> Option<usize> {
        self.key.iter().chain(&self.labels).position(|name| name == label)
    }
}

/// A metric family as documented.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MetricDef {
    /// Unique over all catalogs.
    pub(crate) name: String,
    /// A second name that is shown where aliases are asked for.
    pub(crate) alias: Option<String>,
    /// What it counts or measures.
    pub(crate) kind: MetricKind,
    /// The documented text.
    pub(crate) help: String,
    /// In the documented order.
    pub(crate) labels: Vec<String>,
    /// The version of the system that brought it, where documented.
    pub(crate) since: Option<String>,
    /// Its series vanish when this entity closes.
    pub(crate) owner: Option<EntityIndex>,
    /// Whether it exists at 0 as soon as its system is shown, if it has no labels.
    pub(crate) zero: bool,
}

/// What a metric counts or measures.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) enum MetricKind {
    /// Only grows.
    #[default]
    Counter,
    /// Is set.
    Gauge,
    /// Counts the open entities of a kind; no effect sets it.
    Live(EntityIndex),
    /// Upper bounds of the buckets, rising, without `+Inf`.
    Histogram(Vec<f64>),
    /// Seconds since the latest mark, computed at each scrape.
    Age,
}

impl MetricKind {
    /// The type in Prometheus's words.
    pub(crate) fn prometheus_type(&self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge | MetricKind::Live(_) | MetricKind::Age => "gauge",
            MetricKind::Histogram(_) => "histogram",
        }
    }
}

/// What is done to a label's value before it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Transform {
    /// An URL path with its variable segments replaced; holds the segments whose successor is variable.
    Path(Vec<String>),
    /// Letters, digits, `_` and `-`, at most 50 characters.
    Slug,
    /// An address with an optional port, shown as `[privacy]` says.
    Address,
    /// Blank where `[privacy] quiet` is set.
    Quiet,
}

/// What an event does, step by step.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct EventPlan {
    /// With the system's prefix: `recording.started`.
    pub(crate) name: String,
    /// Every field that the event uses.
    pub(crate) fields: Vec<FieldDef>,
    /// In the order written.
    pub(crate) steps: Vec<Step>,
    /// The label tuples its steps need, each worked out once an event.
    pub(crate) sets: Vec<LabelSet>,
    /// How many entities its steps touch.
    pub(crate) handles: usize,
    /// Whether it tells that its server has been restarted: by a reset or an abandon, which is its first step.
    pub(crate) restarts: bool,
}

impl EventPlan {
    /// Those of these names that no effect of the event uses, and what to say of each. `event` and `time` are every event's.
    pub(crate) fn unknown_fields<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> impl Iterator<Item = (&'a str, String)> {
        let is_used = |name: &str| {
            matches!(name, "event" | "time") || self.fields.iter().any(|field| field.name == name)
        };
        names.into_iter().filter(move |name| !is_used(name)).map(|name| {
            let known: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            (name, format!("{}: {name}: unknown field, ignored; the event has {known}", self.name))
        })
    }

    /// The names of its fields of one use, in the order first needed.
    pub(crate) fn fields_used_as(&self, used: FieldUse) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |field| field.used == used).map(|field| field.name.as_str())
    }
}

/// A field of an event's line.
#[derive(Debug, PartialEq)]
pub(crate) struct FieldDef {
    /// The JSON key.
    pub(crate) name: String,
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
    /// An entity lends the label; a field of that name would go before it.
    Override,
}

/// One effect.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// A new entity.
    Open {
        /// Which kind.
        entity: EntityIndex,
        /// The name of the result for later steps.
        handle: HandleIndex,
        /// The fields of its key, then of its carried labels.
        parts: Vec<FieldIndex>,
        /// For each parent: its kind and the fields of its key.
        parents: Vec<(EntityIndex, Vec<FieldIndex>)>,
        /// What one that is open already takes (position in key and labels, field); `None`: it must not be open.
        ensure: Option<Vec<(usize, FieldIndex)>>,
    },
    /// An entity and all within it end, it must be open, or it takes new values.
    Find {
        /// Which kind.
        entity: EntityIndex,
        /// The name of the result for later steps.
        handle: HandleIndex,
        /// The fields of its key.
        key: Vec<FieldIndex>,
        /// What is done with it.
        then: Then,
    },
    /// A change of one series.
    Change(Change),
    /// All entities of the system are closed and all its series forgotten.
    Reset,
    /// What the restarted server had open is abandoned.
    Abandon,
}

/// What is done with an entity that was found open.
#[derive(Debug, PartialEq)]
pub(crate) enum Then {
    /// It ends, with all within it.
    Close,
    /// It lends its labels.
    Lend,
    /// It takes these fields for its parts (position in key and labels, field).
    Update(Vec<(usize, FieldIndex)>),
}

/// A change of one series.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    /// What is done.
    pub(crate) verb: Verb,
    /// To which family.
    pub(crate) metric: MetricIndex,
    /// To which series: an index into [`EventPlan::sets`].
    pub(crate) set: usize,
    /// By how much, where the verb takes a value.
    pub(crate) amount: Option<Amount>,
    /// The entity that the series belongs to.
    pub(crate) owner: Option<Place>,
    /// Done only if this field reads so.
    pub(crate) condition: Option<(FieldIndex, String)>,
    /// The labels that the catalog fixes, as it writes them.
    pub(crate) fixed: Box<str>,
}

/// What is done to a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Plus one.
    Inc,
    /// Plus the amount.
    Add,
    /// Minus the amount.
    Sub,
    /// Becomes the amount.
    Set,
    /// Becomes the amount, where the series is there.
    SetExisting,
    /// Grows as a running total elsewhere does.
    Follow,
    /// Into a histogram.
    Observe,
    /// The time of the event is the latest mark.
    Mark,
    /// The series is there.
    Zero,
    /// The series is there no longer.
    Remove,
    /// A live gauge counts the entity that was opened or, after an update, counts it here.
    Count(HandleIndex),
}

/// Alternatives for a value: the first that is present counts.
#[derive(Debug, PartialEq)]
pub(crate) struct Amount {
    /// In the order written; not empty.
    pub(crate) alternatives: Vec<AmountSource>,
    /// The field to name when none is present and the event may not go without.
    pub(crate) needed: Option<FieldIndex>,
    /// Which numbers are taken.
    pub(crate) range: AmountRange,
}

/// Which numbers an effect takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmountRange {
    /// Every finite number: it replaces what was there.
    Any,
    /// Up to [`AMOUNT_MAX`] in either direction: it is added up.
    Summed,
    /// From 0 to [`AMOUNT_MAX`]: a counter takes it.
    Counted,
}

/// The largest number that can be added up: above it an `f64` no longer tells whole numbers apart.
pub(crate) const AMOUNT_MAX: f64 = 9_007_199_254_740_992.0;

impl AmountRange {
    /// Whether a number is in it.
    pub(crate) fn contains(self, number: f64) -> bool {
        match self {
            AmountRange::Any => number.is_finite(),
            AmountRange::Summed => number.abs() <= AMOUNT_MAX,
            AmountRange::Counted => (0.0..=AMOUNT_MAX).contains(&number),
        }
    }

    /// For people.
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

/// An entity that can be reached from one that the event touches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// Where the way begins.
    pub(crate) handle: HandleIndex,
    /// Which parent to go to at each step (an index into [`EntityDef::within`]); empty: the entity itself.
    pub(crate) path: Vec<usize>,
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
    /// What goes before the value in the text of the tuple: `name="` or `",name="`.
    pub(crate) opening: String,
    /// Tried in order.
    pub(crate) sources: Vec<LabelSource>,
    /// Done to the value.
    pub(crate) transform: Option<Transform>,
}

/// Where a label's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LabelSource {
    /// The target's braces.
    Text(String),
    /// A field of the line.
    Field(FieldIndex),
    /// A part (key, then labels) of an entity.
    Entity(Place, usize),
    /// An optional label that the entity lacks.
    Empty,
}

/// The events that a directory scan causes, as `EVENT KEY=VALUE…` with `{bytes}`, `{files}`, `{duration}`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ScanEvents {
    /// After a complete scan.
    pub(crate) succeeded: Vec<String>,
    /// After one that ran out of time or files, or met an unreadable folder.
    pub(crate) partial: Vec<String>,
    /// After one that could not begin.
    pub(crate) failed: Vec<String>,
}
