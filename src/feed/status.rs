//! What the status page shows, as the feed knows it. Gathered on the feed's thread, made into a page by a worker of `http`.

use crate::scan::ScanState;

/// Everything at one moment.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Unix seconds.
    pub(crate) now: f64,
    /// Seconds since the start.
    pub(crate) uptime_seconds: f64,
    /// Lines a second, of stretches of [`crate::limits::HISTORY_STRETCH`], the latest last.
    pub(crate) rates: Vec<f64>,
    /// Lines applied.
    pub(crate) applied: u64,
    /// Connections of producers.
    pub(crate) connections: usize,
    /// The systems shown.
    pub(crate) systems: Vec<SystemStatus>,
    /// By reason.
    pub(crate) rejections: Vec<RejectionStatus>,
    /// Producers with sessions, at most [`crate::limits::STATUS_PRODUCERS_MAX`].
    pub(crate) producers: Vec<ProducerStatus>,
    /// How many of all are not connected.
    pub(crate) producers_away: usize,
    /// How many more there are.
    pub(crate) producers_more: usize,
    /// Each configured scan.
    pub(crate) scans: Vec<(String, ScanState)>,
    /// None: state is in memory only.
    pub(crate) journal: Option<JournalStatus>,
}

/// A system.
#[derive(Debug)]
pub(crate) struct SystemStatus {
    /// As its events are named.
    pub(crate) name: String,
    /// For people.
    pub(crate) title: String,
    /// Its kinds of entities.
    pub(crate) entities: Vec<EntityStatus>,
}

/// A kind of entity.
#[derive(Debug)]
pub(crate) struct EntityStatus {
    /// Its name.
    pub(crate) name: String,
    /// How many are open.
    pub(crate) open: usize,
    /// How many were abandoned by their producer.
    pub(crate) abandoned: u64,
    /// Age in seconds of the one that has been open for longest, and its key, unless `[privacy]` hides parts of events.
    pub(crate) oldest: Option<(f64, Option<String>)>,
}

/// Lines of one reason.
#[derive(Debug)]
pub(crate) struct RejectionStatus {
    /// As in replies and metrics.
    pub(crate) reason: &'static str,
    /// How many there were.
    pub(crate) count: u64,
    /// The latest since the start.
    pub(crate) latest: Option<RejectionExample>,
}

/// A rejected line.
#[derive(Debug)]
pub(crate) struct RejectionExample {
    /// Unix seconds.
    pub(crate) at: f64,
    /// None where `[privacy]` hides parts of events.
    pub(crate) told: Option<Told>,
}

/// What a rejected line said.
#[derive(Debug)]
pub(crate) struct Told {
    /// What was wrong and what was expected.
    pub(crate) detail: String,
    /// The line, cut.
    pub(crate) line: String,
}

/// A producer with sessions.
#[derive(Debug)]
pub(crate) struct ProducerStatus {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is connected.
    pub(crate) connected: bool,
    /// Lines of its sessions whose positions are kept.
    pub(crate) lines: u64,
}

/// The journal.
#[derive(Debug)]
pub(crate) struct JournalStatus {
    /// Whether it takes what is written.
    pub(crate) healthy: bool,
    /// Its size.
    pub(crate) bytes: u64,
    /// Failures to write.
    pub(crate) errors: u64,
    /// Unix seconds; 0: never.
    pub(crate) snapshot_at: f64,
}
