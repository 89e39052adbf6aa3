//! Version 1 of the format on disk. Frozen: nothing here changes, not even the order of fields or variants.
//!
//! # Encoding
//!
//! Values are in postcard's wire format (<https://postcard.jamesmunns.com/wire-format>): the fields of a
//! struct one behind the other, variants by their number in the order below, integers as variable-length
//! ones, `f64` as eight bytes little-endian, texts and lists with their length before them. Texts are UTF-8.
//! Times are Unix seconds.
//!
//! # Files
//!
//! A state directory holds `journal.N` and `snapshot.N`; N is a generation, 1 or more, written in decimal.
//! Each file begins with the line `lifecycle-exporter journal 1` or `lifecycle-exporter snapshot 1`. Frames
//! follow (`frame` describes them):
//!
//! | file | first frame | further frames |
//! |---|---|---|
//! | journal | [`JournalStart`] | one [`Record`] each |
//! | snapshot | [`SnapshotStart`] | the image, cut into pieces of any length |
//!
//! `snapshot.N` is the state before the first record of `journal.N`. `journal.N+1` goes on where `journal.N`
//! ends, unless it follows its snapshot alone ([`Follows`]).
//!
//! # The image
//!
//! An image is these values, one behind the other:
//!
//! 1. one [`Head`],
//! 2. [`Head::sessions`] times a [`Session`],
//! 3. [`Head::systems`] times: one [`System`]; for each of its metrics as many [`Series`] and then as many [`Total`] as the metric says;
//!    then [`System::entities`] times an [`Entity`].
//!
//! Whatever belongs to a catalog is written by its name. A reader looks the names up in the catalogs that it
//! has and leaves out what they do not hold. Numbers that refer to something count from 0 within the same
//! system.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The first frame of a journal.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalStart {
    /// The N of the file's name.
    pub(crate) generation: u64,
    pub(crate) follows: Follows,
}

/// The state before a journal's first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Follows {
    /// No state at all.
    Nothing,
    /// The snapshot of the same generation, and nothing else.
    Snapshot,
    /// The journal of the generation before, up to this byte; or the snapshot of the same generation.
    Journal(u64),
}

/// The first frame of a snapshot.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SnapshotStart {
    /// The N of the file's name.
    pub(crate) generation: u64,
    pub(crate) taken_at: f64,
    /// The length of the image in bytes.
    pub(crate) image_bytes: u64,
}

/// One change of state, with everything that its result depends on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record<'a> {
    /// Settings and catalogs for all that follows.
    Configured {
        at: f64,
        #[serde(borrow)]
        settings: Vec<Setting<'a>>,
        #[serde(borrow)]
        catalogs: Vec<CatalogText<'a>>,
    },
    /// A session has begun, or its producer has come back to it.
    Hello {
        at: f64,
        producer: &'a str,
        instance: &'a str,
        /// Whether what the session opens belongs to it.
        owner: bool,
        /// The user whose process said it, where the system told.
        uid: Option<u32>,
    },
    /// Lines of one producer, as they came.
    Lines {
        at: f64,
        /// Where the first line stands in its session; `None`: the lines belong to no session.
        #[serde(borrow)]
        position: Option<Position<'a>>,
        /// Whole lines, each with its end.
        #[serde(with = "serde_bytes")]
        lines: &'a [u8],
    },
    /// A line that was rejected before it reached the engine: too long, torn, or a hello that cannot be taken.
    Rejected {
        #[serde(borrow)]
        position: Option<Position<'a>>,
        /// As in `lifecycle_exporter_events_rejected_total`.
        reason: &'a str,
    },
    /// The connection of a session has ended, though the exporter has not.
    Disconnected { producer: &'a str, instance: &'a str },
    /// What a session has open is abandoned.
    Abandoned { at: f64, producer: &'a str, instance: &'a str },
    /// The position of a session is no longer kept.
    Forgotten { producer: &'a str, instance: &'a str },
    /// The name of an address has become known.
    Named { ip: IpAddr, name: &'a str },
    /// The exporter has started, in this boot of the machine.
    Started {
        at: f64,
        #[serde(borrow)]
        boot: Boot<'a>,
    },
    /// Lines that the exporter made of the result of a directory scan.
    Scanned {
        at: f64,
        /// Whole lines, each with its end.
        #[serde(with = "serde_bytes")]
        lines: &'a [u8],
    },
}

/// A place in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position<'a> {
    pub(crate) producer: &'a str,
    pub(crate) instance: &'a str,
    /// The number of the line, from 1.
    pub(crate) line: u64,
}

/// One boot of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Boot<'a> {
    /// The kernel's boot id without hyphens.
    Id(&'a str),
    /// When the machine was started, where there is no id.
    At(f64),
}

/// A setting that state depends on: `section.key` and its value, both as in the configuration file. A key
/// that may be repeated there is repeated here. A reader leaves out keys that it does not know; a key that is
/// missing has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting<'a> {
    pub(crate) key: &'a str,
    #[serde(borrow)]
    pub(crate) value: Cow<'a, str>,
}

/// A catalog as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CatalogText<'a> {
    /// The file, or `built-in NAME.ini`.
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

/// The first value of an image.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow)]
    pub(crate) settings: Vec<Setting<'a>>,
    #[serde(borrow)]
    pub(crate) catalogs: Vec<CatalogText<'a>>,
    /// The latest boot of the machine in which the exporter was started.
    #[serde(borrow)]
    pub(crate) boot: Option<Boot<'a>>,
    /// Lines rejected, by reason.
    #[serde(borrow)]
    pub(crate) rejected: Vec<Count<'a>>,
    /// Event times that were too far off the clock.
    pub(crate) times_ignored: u64,
    /// Names of addresses, the oldest first.
    #[serde(borrow)]
    pub(crate) names: Vec<(IpAddr, &'a str)>,
    pub(crate) sessions: u32,
    pub(crate) systems: u32,
}

/// How often something has happened.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count<'a> {
    pub(crate) name: &'a str,
    pub(crate) count: u64,
}

/// A session whose position is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session<'a> {
    /// What [`Entity::session`] refers to. Rises from one session to the next, perhaps with gaps.
    pub(crate) id: u32,
    pub(crate) producer: &'a str,
    pub(crate) instance: &'a str,
    /// Whether what it opens belongs to it.
    pub(crate) owner: bool,
    /// The user whose process began it, where the system told.
    pub(crate) uid: Option<u32>,
    /// Lines that were applied or rejected.
    pub(crate) position: u64,
    /// Whether it may have something open.
    pub(crate) may_own: bool,
    pub(crate) presence: Presence,
}

/// Whether a session is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Presence {
    /// It is, or was when the exporter ended.
    Connected,
    /// Its connection has ended; it may come back.
    Disconnected,
    /// What it had open was abandoned; it may come back.
    Expired,
}

/// A system: its catalog's names, and what was counted of them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct System<'a> {
    pub(crate) name: &'a str,
    /// Whether its metrics are exposed.
    pub(crate) exposed: bool,
    /// Labels that were cut.
    pub(crate) label_cuts: u64,
    /// When the latest event of a producer was applied; 0: never.
    pub(crate) last_event_at: f64,
    /// Events applied.
    #[serde(borrow)]
    pub(crate) events: Vec<Count<'a>>,
    #[serde(borrow)]
    pub(crate) kinds: Vec<Kind<'a>>,
    #[serde(borrow)]
    pub(crate) metrics: Vec<Metric<'a>>,
    pub(crate) entities: u32,
}

/// A kind of entity.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kind<'a> {
    pub(crate) name: &'a str,
    /// The names of the fields of its key.
    #[serde(borrow)]
    pub(crate) key: Vec<&'a str>,
    /// The names of the labels that it carries beside them.
    #[serde(borrow)]
    pub(crate) labels: Vec<&'a str>,
    /// The numbers of the kinds of its parents.
    pub(crate) within: Vec<u32>,
    /// Entities that were abandoned.
    pub(crate) abandoned: u64,
}

/// A metric.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    #[serde(borrow)]
    pub(crate) labels: Vec<&'a str>,
    pub(crate) kind: MetricKind,
    /// The number of the kind of entity with which its series vanish.
    pub(crate) owner: Option<u32>,
    /// Changes that found the metric at its limit of series.
    pub(crate) overflowed: u64,
    /// The number of the series that took them, counted as [`SeriesRef::series`].
    pub(crate) overflow: Option<u32>,
    pub(crate) series: u32,
    pub(crate) totals: u32,
}

/// What a metric counts or measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
    /// Counts the open entities of the kind of this number.
    Live(u32),
    /// The upper bounds of its buckets, rising, without `+Inf`.
    Histogram(Vec<f64>),
    /// The time of the latest mark, exposed as its age; never marked: negative infinity.
    Age,
}

/// A series.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series<'a> {
    /// As exposed between the braces, escaped: `a="x",b="y"`.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) labels: &'a [u8],
    /// The sum, for a histogram.
    pub(crate) value: f64,
    /// What each bucket has by itself, the last one beyond all bounds; empty but for histograms.
    #[serde(borrow)]
    pub(crate) buckets: Cow<'a, [u64]>,
}

/// A running total that its source tells, of a metric without an owner.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Total<'a> {
    /// The values of the labels before any transform, each with a byte 0xff behind it.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) labels: &'a [u8],
    /// What the source told last.
    pub(crate) last: f64,
}

/// An open entity.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entity<'a> {
    /// The number of its kind.
    pub(crate) kind: u32,
    /// The session to which it belongs; `None`: to nobody.
    pub(crate) session: Option<u32>,
    pub(crate) opened_at: f64,
    /// The values of its key and then of its labels, each with a byte 0xff behind it.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) values: &'a [u8],
    /// The numbers of its parents among the entities of the system, in the order of [`Kind::within`].
    #[serde(borrow)]
    pub(crate) parents: Cow<'a, [u32]>,
    /// The series that count it.
    pub(crate) counted_by: Vec<SeriesRef>,
    /// The series that vanish with it.
    pub(crate) owns: Vec<SeriesRef>,
    /// The running totals whose source it is.
    #[serde(borrow)]
    pub(crate) totals: Vec<OwnedTotal<'a>>,
}

/// A series of the same system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesRef {
    /// The number of its metric.
    pub(crate) metric: u32,
    /// Its number among the series of the metric.
    pub(crate) series: u32,
}

/// A running total that an entity tells.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OwnedTotal<'a> {
    /// The number of its metric.
    pub(crate) metric: u32,
    /// The labels that the catalog fixes, sorted by name, as `a="x",b="y"` without escapes; an entity may have
    /// several totals of a metric.
    pub(crate) fixed: &'a str,
    pub(crate) last: f64,
}
