//! Rejections: why a line was not applied. Each line is either applied or rejected for one of these reasons.

use std::fmt;
use std::ops::Deref;

/// The `reason` label of `lifecycle_exporter_events_rejected_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// The line is not a JSON object in UTF-8, or a field that the event uses occurs twice.
    Malformed,
    /// The line is longer than `[events] max_line`.
    TooLong,
    /// The connection closed before the end of the line.
    Truncated,
    /// No catalog defines the event.
    UnknownEvent,
    /// The event's system is not in `[systems] enabled`.
    DisabledSystem,
    /// A required field is missing or null.
    MissingField,
    /// A field has the wrong type or is out of range.
    BadValue,
    /// An entity with this key is open.
    AlreadyOpen,
    /// No entity with this key is open.
    NotOpen,
    /// The system has as many open entities as `[limits] entities` allows.
    EntityLimit,
    /// A field of a key is longer than 1,024 bytes.
    LabelTooLong,
    /// A hello under a name that another user's producer holds.
    NameTaken,
}

impl Reason {
    /// In the order of declaration.
    pub(crate) const ALL: [Reason; 12] = [
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
        Reason::NameTaken,
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
            Reason::NameTaken => "name_taken",
        }
    }
}

/// A line that was not applied. A pointer, so that whatever may be rejected is returned in a register.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejection(Box<Told>);

/// What a rejection tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) reason: Reason,
    /// What is wrong and what was expected.
    pub(crate) detail: String,
    /// The event's name, if a catalog defines it.
    pub(crate) event: Option<String>,
}

impl Rejection {
    /// A rejection without an event.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Rejection(Box::new(Told { reason, detail: detail.into(), event: None }))
    }

    /// The same, about an event of a catalog.
    #[cold]
    pub(crate) fn about(mut self, event: &str) -> Self {
        self.0.event = Some(event.to_owned());
        self
    }
}

impl Deref for Rejection {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.reason.name(), self.detail)
    }
}
