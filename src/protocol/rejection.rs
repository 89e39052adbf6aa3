//! Why a line was not applied. Every line read is either applied or rejected for one of these reasons.

use std::fmt;

/// The `reason` label of `lifecycle_exporter_events_rejected_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// No flat JSON object in UTF-8, or a field that the event uses stands twice.
    Malformed,
    /// Longer than `[events] max_line`.
    TooLong,
    /// The connection ended before the line did.
    Truncated,
    /// No catalog has the event.
    UnknownEvent,
    /// Its system is not in `[systems] enabled`.
    DisabledSystem,
    /// A field that the event needs is absent or null.
    MissingField,
    /// A field is not of the kind, or not in the range, that the event needs.
    BadValue,
    /// An entity with that key is open.
    AlreadyOpen,
    /// No entity with that key is open.
    NotOpen,
    /// As many entities are open as `[limits] entities` allows.
    EntityLimit,
    /// A label value of over 1,024 bytes.
    LabelTooLong,
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Reason; 11] = [
        Reason::Malformed,
        Reason::TooLong,
        Reason::Truncated,
        Reason::UnknownEvent,
        Reason::DisabledSystem,
        Reason::MissingField,
        Reason::BadValue,
        Reason::AlreadyOpen,
        Reason::NotOpen,
        Reason::EntityLimit,
        Reason::LabelTooLong,
    ];

    /// The reason of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// As it is written in labels and replies.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::TooLong => "too_long",
            Reason::Truncated => "truncated",
            Reason::UnknownEvent => "unknown_event",
            Reason::DisabledSystem => "disabled_system",
            Reason::MissingField => "missing_field",
            Reason::BadValue => "bad_value",
            Reason::AlreadyOpen => "already_open",
            Reason::NotOpen => "not_open",
            Reason::EntityLimit => "entity_limit",
            Reason::LabelTooLong => "label_too_long",
        }
    }
}

/// A line that was not applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// For machines.
    pub(crate) reason: Reason,
    /// For people: what is wrong and what was expected.
    pub(crate) detail: String,
    /// The event, where the line named one that a catalog has.
    pub(crate) event: Option<String>,
}

impl Rejection {
    /// A rejection before it is known which event it is.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Rejection { reason, detail: detail.into(), event: None }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.reason.name(), self.detail)
    }
}
