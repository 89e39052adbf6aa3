//! What the status page shows, as the feed knows it. Gathered on the feed's thread, made into a page by a worker of `http`.

use crate::telemetry::ScanState;

/// Everything at one moment.
#[derive(Debug, Default)]
pub struct Status {
    /// Unix seconds.
    pub now: f64,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// Lines a second, of stretches of [`crate::limits::HISTORY_STRETCH`], the latest last.
    pub rates: Vec<f64>,
    /// Lines applied.
    pub applied: u64,
    /// Connections of producers.
    pub connections: usize,
    /// The systems shown.
    pub systems: Vec<SystemStatus>,
    /// By reason.
    pub rejections: Vec<RejectionStatus>,
    /// Producers with sessions, at most [`crate::limits::STATUS_PRODUCERS_MAX`].
    pub producers: Vec<ProducerStatus>,
    /// How many of all are not connected.
    pub producers_away: usize,
    /// How many more there are.
    pub producers_more: usize,
    /// Each configured scan.
    pub scans: Vec<(String, ScanState)>,
    /// None: state is in memory only.
    pub journal: Option<JournalStatus>,
}

/// A system.
#[derive(Debug)]
pub struct SystemStatus {
    /// As its events are named.
    pub name: String,
    /// For people.
    pub title: String,
    /// Its kinds of entities.
    pub entities: Vec<EntityStatus>,
}

/// A kind of entity.
#[derive(Debug)]
pub struct EntityStatus {
    /// Its name.
    pub name: String,
    /// How many are open.
    pub open: usize,
    /// How many were abandoned by their producer.
    pub abandoned: u64,
    /// Age in seconds of the one that has been open for longest, and its key, unless `[privacy]` hides parts of events.
    pub oldest: Option<(f64, Option<String>)>,
}

/// Lines of one reason.
#[derive(Debug)]
pub struct RejectionStatus {
    /// As in replies and metrics.
    pub reason: &'static str,
    /// How many there were.
    pub count: u64,
    /// The latest since the start.
    pub latest: Option<RejectionExample>,
}

/// A rejected line.
#[derive(Debug)]
pub struct RejectionExample {
    /// Unix seconds.
    pub at: f64,
    /// None where `[privacy]` hides parts of events.
    pub told: Option<Told>,
}

/// What a rejected line said.
#[derive(Debug)]
pub struct Told {
    /// What was wrong and what was expected.
    pub detail: String,
    /// The line, cut.
    pub line: String,
}

/// A producer with sessions.
#[derive(Debug)]
pub struct ProducerStatus {
    /// Its name.
    pub name: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Lines of its sessions whose positions are kept.
    pub lines: u64,
}

/// The journal.
#[derive(Debug)]
pub struct JournalStatus {
    /// Whether it takes what is written.
    pub healthy: bool,
    /// Its size.
    pub bytes: u64,
    /// Failures to write.
    pub errors: u64,
    /// Unix seconds; 0: never.
    pub snapshot_at: f64,
}
