//! What the status page and the exporter's own metrics show of the feed. Gathered on the feed's thread;
//! `http` makes a page of it and `metrics` families.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Feed;
use crate::clock;
use crate::engine::Engine;
use crate::journal::Journal;
use crate::limits;
use crate::metrics::FeedStats;
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
    /// Age in seconds of the one that has been open for longest, and its key, unless `[privacy]` hides parts
    /// of events.
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

/// Everything at this moment.
pub(super) fn gather(feed: &mut Feed) -> Status {
    let now = clock::unix_seconds();
    let journal = feed.store.journal.as_mut().map(journal_status);
    let engine = &feed.store.state.engine;
    let producers = producers(feed);
    let scans = feed.scans.iter().map(|(name, state)| (name.clone(), state.clone()));
    Status {
        now,
        uptime_seconds: feed.started.elapsed().as_secs_f64(),
        rates: feed.rates.rates(),
        applied: applied(engine),
        connections: feed.producers.connections.open(),
        systems: systems(engine, now),
        rejections: rejections(feed),
        producers_away: producers.values().filter(|producer| producer.connected == 0).count(),
        producers_more: producers.len().saturating_sub(limits::STATUS_PRODUCERS_MAX),
        producers: first_producers(producers),
        scans: scans.take(limits::STATUS_ROWS_MAX).collect(),
        journal,
    }
}

/// What the exporter's own metrics say of the feed.
pub(super) fn figures(feed: &mut Feed) -> FeedStats {
    let now = Instant::now();
    let state_writable = feed.store.journal.as_mut().is_none_or(|journal| journal.is_durable(now));
    let journal = feed.store.journal.as_ref();
    let producers = producers(feed).into_iter();
    // A name may be written twice.
    let expected = feed.expect.iter().cloned().collect();
    FeedStats {
        connections: feed.producers.connections.open(),
        producers: producers.map(|(name, producer)| (name.to_owned(), producer.connected)).collect(),
        expected,
        state_writable,
        journal_bytes: journal.map_or(0, Journal::bytes),
        journal_errors: journal.map_or(0, Journal::errors),
        snapshot_at: journal.map_or(0.0, Journal::snapshot_at),
    }
}

/// Lines applied and rejected.
pub(super) fn lines(engine: &Engine) -> u64 {
    applied(engine) + engine.rejected().map(|(_, count)| count).sum::<u64>()
}

fn applied(engine: &Engine) -> u64 {
    engine.applied().map(|(_, count)| count).sum()
}

/// Whether text of events may be shown as it came: `[privacy]` hides addresses and ids in metrics, so it
/// hides them here, too.
pub(super) fn shows_text(engine: &Engine) -> bool {
    let privacy = engine.settings().privacy;
    !privacy.deidentify && !privacy.quiet
}

fn systems(engine: &Engine, now: f64) -> Vec<SystemStatus> {
    let systems = engine.counts(now).into_iter().take(limits::STATUS_ROWS_MAX).map(|counts| SystemStatus {
        name: counts.catalog.name.clone(),
        title: counts.catalog.title.clone(),
        entities: counts
            .kinds
            .iter()
            .take(limits::STATUS_ROWS_MAX)
            .map(|kind| EntityStatus {
                name: kind.entity.to_owned(),
                open: kind.open,
                abandoned: kind.abandoned,
                oldest: kind
                    .oldest
                    .as_ref()
                    .map(|oldest| (oldest.age_seconds, shows_text(engine).then(|| format_key(&oldest.key)))),
            })
            .collect(),
    });
    systems.collect()
}

fn rejections(feed: &Feed) -> Vec<RejectionStatus> {
    let engine = &feed.store.state.engine;
    let by_reason =
        engine.rejected().filter(|(_, count)| *count > 0).map(|(reason, count)| RejectionStatus {
            reason: reason.name(),
            count,
            latest: feed.store.rejections.latest(reason).map(|latest| RejectionExample {
                at: latest.at,
                told: shows_text(engine).then(|| Told {
                    detail: cut(&latest.detail, limits::STATUS_LINE_CHARS_MAX),
                    line: cut(&latest.line(), limits::STATUS_LINE_CHARS_MAX),
                }),
            }),
        });
    by_reason.collect()
}

/// A producer with its runs.
#[derive(Default)]
struct Producer {
    /// Runs that are connected.
    connected: usize,
    /// Lines of the runs whose positions are kept.
    lines: u64,
}

/// The producers that own what they open and are connected or may still come back, and all that are expected.
fn producers(feed: &Feed) -> BTreeMap<&str, Producer> {
    let expect = &feed.expect;
    let mut by_name: BTreeMap<&str, Producer> =
        expect.iter().map(|name| (name.as_str(), Producer::default())).collect();
    for (id, session) in feed.store.state.sessions.iter() {
        let name = session.name.producer.as_str();
        let connected = feed.producers.expiry.connection(id).is_some();
        let is_waited_for = feed.producers.expiry.is_in_grace(id) && !session.has_expired();
        let counts = session.owner && (connected || is_waited_for);
        if counts || by_name.contains_key(name) {
            let is_expected = expect.iter().any(|expected| expected == name);
            let producer = by_name.entry(name).or_default();
            producer.connected += usize::from(connected && (session.owner || is_expected));
            producer.lines += session.position;
        }
    }
    by_name
}

/// The first of them, those that are away before the others.
fn first_producers(producers: BTreeMap<&str, Producer>) -> Vec<ProducerStatus> {
    let mut producers: Vec<(&str, Producer)> = producers.into_iter().collect();
    producers.sort_by_key(|(_, producer)| producer.connected > 0);
    let first = producers.into_iter().take(limits::STATUS_PRODUCERS_MAX);
    let first = first.map(|(name, producer)| ProducerStatus {
        name: cut(name, limits::STATUS_VALUE_CHARS_MAX),
        connected: producer.connected > 0,
        lines: producer.lines,
    });
    first.collect()
}

fn journal_status(journal: &mut Journal) -> JournalStatus {
    JournalStatus {
        healthy: journal.is_durable(Instant::now()),
        bytes: journal.bytes(),
        errors: journal.errors(),
        snapshot_at: journal.snapshot_at(),
    }
}

/// An entity's key for people.
fn format_key(fields: &[(&str, &[u8])]) -> String {
    let field = |(name, value): &(&str, &[u8])| format!("{name}={}", String::from_utf8_lossy(value));
    cut(&fields.iter().map(field).collect::<Vec<String>>().join(" "), limits::STATUS_VALUE_CHARS_MAX)
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
