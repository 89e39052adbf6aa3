//! The table of effects: every key of an `[event]` section that does something.
//!
//! The parser, its checks and messages, and the manual page derive from it. What a verb does to the state
//! stands in `engine::apply`. A new verb for metrics is a variant of [`Verb`], an entry here and a match arm
//! there.

use super::model::{MetricKind, Verb};

/// A key of an `[event]` section that does something.
pub(crate) struct VerbDef {
    pub(crate) key: &'static str,
    pub(super) action: Action,
    /// The text of the manual page; `*word*` is emphasised. Neighbours with the same text share a paragraph.
    pub(crate) help: &'static str,
}

/// What an effect works on.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// Names of entities.
    Entities(EntityVerb),
    /// The name of the system itself, whose server has been restarted.
    System(RestartVerb),
    /// Metrics of these kinds, each with labels in braces.
    Metrics { verb: Verb, kinds: &'static [Kind], value: Value },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntityVerb {
    Open,
    Ensure,
    Close,
    Of,
    Update,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartVerb {
    Abandon,
    Reset,
}

/// Whether `from VALUE` follows the metric, and what becomes of the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    None,
    /// It is added up.
    Summed,
    /// It replaces the former one.
    Replaces,
}

/// The kinds of metrics that effects tell apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    LiveGauge,
    Histogram,
    Age,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Counter, Kind::Gauge, Kind::LiveGauge, Kind::Histogram, Kind::Age];

    pub(super) fn of(kind: &MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Kind::Counter,
            MetricKind::Gauge => Kind::Gauge,
            MetricKind::Live(_) => Kind::LiveGauge,
            MetricKind::Histogram(_) => Kind::Histogram,
            MetricKind::Age => Kind::Age,
        }
    }

    /// With its article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "a counter",
            Kind::Gauge => "a gauge",
            Kind::LiveGauge => "a live gauge",
            Kind::Histogram => "a histogram",
            Kind::Age => "an age",
        }
    }

    /// What a message says that it expected.
    pub(super) fn expected(kinds: &[Kind]) -> String {
        let others: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !kinds.contains(kind)).collect();
        if let [other] = others.as_slice() {
            return format!("anything but {}", other.name());
        }
        kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ")
    }
}

impl VerbDef {
    /// What the value of the key is, in the words of the manual page.
    pub(crate) fn operand(&self) -> &'static str {
        match self.action {
            Action::Entities(_) => "ENTITY",
            Action::System(_) => "SYSTEM",
            Action::Metrics { value: Value::None, .. } => "TARGET",
            Action::Metrics { .. } => "TARGET from VALUE",
        }
    }
}

pub(super) fn find(key: &str) -> Option<&'static VerbDef> {
    VERBS.iter().find(|def| def.key == key)
}

const fn entities(key: &'static str, verb: EntityVerb, help: &'static str) -> VerbDef {
    VerbDef { key, action: Action::Entities(verb), help }
}

const fn restart(key: &'static str, verb: RestartVerb, help: &'static str) -> VerbDef {
    VerbDef { key, action: Action::System(verb), help }
}

const fn metrics(
    key: &'static str,
    verb: Verb,
    kinds: &'static [Kind],
    value: Value,
    help: &'static str,
) -> VerbDef {
    VerbDef { key, action: Action::Metrics { verb, kinds, value }, help }
}

const SUMS: &str = "Plus, minus, becomes. What is added or subtracted is at most 2^53.";

/// In the order of the manual page.
pub(crate) const VERBS: &[VerbDef] = &[
    entities("open", EntityVerb::Open, "A new one; its key must not be open, its parents must be."),
    entities(
        "ensure",
        EntityVerb::Ensure,
        "The same where its key is not open; where it is, the same as *update*.",
    ),
    entities("close", EntityVerb::Close, "It ends, and all within it."),
    entities("of", EntityVerb::Of, "It must be open; it lends its labels."),
    entities("update", EntityVerb::Update, "It takes the event's values for the labels that it carries."),
    metrics("inc", Verb::Inc, &[Kind::Counter], Value::None, "Plus one."),
    metrics("add", Verb::Add, &[Kind::Counter, Kind::Gauge], Value::Summed, SUMS),
    metrics("sub", Verb::Sub, &[Kind::Gauge], Value::Summed, SUMS),
    metrics("set", Verb::Set, &[Kind::Gauge], Value::Replaces, SUMS),
    metrics(
        "set_existing",
        Verb::SetExisting,
        &[Kind::Gauge],
        Value::Replaces,
        "Becomes, but only where the series exists.",
    ),
    metrics(
        "follow",
        Verb::Follow,
        &[Kind::Counter],
        Value::Summed,
        "A counter grows as a running total elsewhere does. The total belongs to the metric's owner, or to \
         the labels where it has none; a smaller total means that its source began anew at 0.",
    ),
    metrics("observe", Verb::Observe, &[Kind::Histogram], Value::Summed, "Into a histogram."),
    metrics(
        "mark",
        Verb::Mark,
        &[Kind::Age],
        Value::None,
        "An age: the seconds since the mark that was reported last.",
    ),
    metrics(
        "zero",
        Verb::Zero,
        &[Kind::Counter, Kind::Gauge, Kind::LiveGauge, Kind::Histogram],
        Value::None,
        "It is there, at 0.",
    ),
    metrics(
        "remove",
        Verb::Remove,
        &[Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Age],
        Value::None,
        "The series is gone.",
    ),
    restart(
        "abandon",
        RestartVerb::Abandon,
        "That server has been restarted: what it had open is abandoned, each entity by its *abandoned* \
         event. From a session this concerns what other runs of the same producer left whose connection has \
         ended; from anyone else, what no session owns. Counters go on, unless *[systems] restart = reset* \
         is set: then all series of the system are forgotten.",
    ),
    restart(
        "reset",
        RestartVerb::Reset,
        "All entities of the system are closed without their events, and all its series are forgotten.",
    ),
];
