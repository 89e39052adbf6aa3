//! Rejections: why a line was not applied. Each line is either applied or rejected for one of these reasons.

use std::fmt::{self, Display, Formatter};
use std::ops::Deref;
use std::sync::Arc;

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

/// A line that was not applied. A pointer, so that whatever may be rejected is returned in registers.
pub(crate) struct Rejection(Box<Told>);

/// What a rejection tells.
pub(crate) struct Told<D: ?Sized = dyn Display> {
    pub(crate) reason: Reason,
    /// The event's name, if a catalog defines it.
    pub(crate) event: Option<Arc<str>>,
    /// What is wrong and what was expected. It is put into words only where somebody reads it: most lines of a flood
    /// are counted and nothing else.
    pub(crate) detail: D,
}

/// Puts a detail into words.
struct Worded<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Worded<F> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        (self.0)(out)
    }
}

impl Rejection {
    /// A rejection without an event.
    #[cold]
    pub(crate) fn new(reason: Reason, detail: impl Display + 'static) -> Self {
        Rejection(Box::new(Told { reason, event: None, detail }))
    }

    /// The same, with a detail that is written when it is read.
    #[cold]
    pub(crate) fn worded(
        reason: Reason,
        detail: impl Fn(&mut Formatter<'_>) -> fmt::Result + 'static,
    ) -> Self {
        Self::new(reason, Worded(detail))
    }

    /// A rejection for what a field is or is not.
    #[cold]
    pub(crate) fn of_field(reason: Reason, field: &Arc<str>, what: &'static str) -> Self {
        let field = Arc::clone(field);
        Self::worded(reason, move |out| write!(out, "{field}: {what}"))
    }

    /// The same, about an event of a catalog.
    #[cold]
    pub(crate) fn about(mut self, event: &Arc<str>) -> Self {
        self.0.event = Some(Arc::clone(event));
        self
    }
}

impl Deref for Rejection {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl Display for Rejection {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.reason.name(), &self.detail)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{self} ({:?})", self.event)
    }
}

/// As they are told.
impl PartialEq for Rejection {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string() && self.event == other.event
    }
}
