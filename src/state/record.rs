//! Everything that changes state, as one kind of thing: what the journal holds, and what is applied from it.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::catalog::CatalogText;
use crate::engine::Rules;
use crate::protocol::rejection::Reason;
use crate::state::boot::Boot;

/// One change, with everything that its result depends on. Times are Unix seconds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record<'a> {
    /// The catalogs and rules for all that follows.
    Configure {
        /// When.
        at: f64,
        /// The rules.
        rules: Cow<'a, Rules>,
        /// The catalogs as they were written.
        catalogs: Cow<'a, [CatalogText]>,
    },
    /// A producer has begun a session, or come back to it.
    Hello {
        /// When.
        at: f64,
        /// Its name.
        #[serde(borrow)]
        producer: &'a str,
        /// The name of this run of it.
        instance: &'a str,
        /// Whether what it opens is its own.
        owner: bool,
    },
    /// Lines of one producer, as they came.
    Lines {
        /// When they arrived.
        at: f64,
        /// From where in which session; `None`: no session.
        #[serde(borrow)]
        place: Option<Place<'a>>,
        /// Whole lines with their ends.
        #[serde(with = "serde_bytes")]
        block: &'a [u8],
    },
    /// A line that was rejected before it was whole.
    Rejected {
        /// Where in which session it counts; `None`: no session.
        #[serde(borrow)]
        place: Option<Place<'a>>,
        /// Why.
        reason: Reason,
    },
    /// The connection of a session has ended, and not because the exporter has.
    Left {
        /// The session.
        #[serde(borrow)]
        producer: &'a str,
        /// The session.
        instance: &'a str,
    },
    /// What a session has opened is given up.
    Abandon {
        /// When.
        at: f64,
        /// The session.
        #[serde(borrow)]
        producer: &'a str,
        /// The session.
        instance: &'a str,
    },
    /// A session will not be gone on with.
    Forget {
        /// The session.
        #[serde(borrow)]
        producer: &'a str,
        /// The session.
        instance: &'a str,
    },
    /// An address has a name.
    Named {
        /// The address.
        ip: IpAddr,
        /// Its name.
        #[serde(borrow)]
        name: &'a str,
    },
    /// The exporter has been started, in this run of the machine.
    Booted {
        /// When.
        at: f64,
        /// Which run.
        boot: Cow<'a, Boot>,
    },
}

/// A place in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place<'a> {
    /// The session.
    pub(crate) producer: &'a str,
    /// The session.
    pub(crate) instance: &'a str,
    /// The number of the first line.
    pub(crate) first: u64,
}
