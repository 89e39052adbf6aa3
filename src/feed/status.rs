//! What the status page and the exporter's own metrics show of the feed. Gathered on the feed's thread;
//! `http` makes a page of it and `metrics` families.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Feed;
use crate::catalog::Catalog;
use crate::catalog::model::{EventPlan, FieldUse, Step};
use crate::clock;
use crate::engine::Engine;
use crate::faults::cut;
use crate::journal::Journal;
use crate::limits;
use crate::metrics::FeedStats;
use crate::scan::ScanState;
use crate::state::State;

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
    /// An event that can be sent, as `send` takes it.
    pub(crate) example: Option<String>,
    /// Whether `[privacy]` lets addresses and parts of events be shown.
    pub(crate) shows_text: bool,
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
    /// Those that have been open for longest, the oldest first.
    pub(crate) oldest: Vec<OpenStatus>,
}

/// An open entity.
#[derive(Debug)]
pub(crate) struct OpenStatus {
    pub(crate) age_seconds: f64,
    /// None where `[privacy]` hides parts of events.
    pub(crate) key: Option<String>,
    /// Whose session owns it.
    pub(crate) producer: Option<String>,
}

/// Lines of one reason.
#[derive(Debug)]
pub(crate) struct RejectionStatus {
    /// As in replies and metrics.
    pub(crate) reason: &'static str,
    /// How many there were.
    pub(crate) count: u64,
    /// The latest few since the start, the latest first.
    pub(crate) latest: Vec<RejectionExample>,
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
    let state = &feed.store.state;
    let producers = producers(feed);
    let scans = feed.scans.iter().map(|(name, state)| (name.clone(), state.clone()));
    Status {
        now,
        uptime_seconds: feed.started.elapsed().as_secs_f64(),
        rates: feed.rates.rates(),
        applied: applied(&state.engine),
        connections: feed.producers.connections.open(),
        systems: systems(state, now),
        example: example(&state.engine),
        shows_text: shows_text(&state.engine),
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

/// The first event of a catalog that opens something.
fn example(engine: &Engine) -> Option<String> {
    let mut events = engine.catalogs().flat_map(|catalog| &catalog.events);
    let opens = |event: &&EventPlan| event.steps.iter().any(|step| matches!(step, Step::Open(_)));
    let event = events.find(opens)?;
    let fields = event.fields_used_as(FieldUse::Required).map(|field| format!(" {field}=example"));
    Some(format!("{}{}", event.name, fields.collect::<String>()))
}

fn systems(state: &State, now: f64) -> Vec<SystemStatus> {
    let systems = state.engine.counts(now).into_iter().take(limits::STATUS_ROWS_MAX);
    let systems = systems.map(|counts| SystemStatus {
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
                oldest: if kind.open > 0 { oldest(state, counts.catalog, kind.entity, now) } else { vec![] },
            })
            .collect(),
    });
    systems.collect()
}

fn oldest(state: &State, system: &Catalog, kind: &str, now: f64) -> Vec<OpenStatus> {
    let found = state.engine.open_entities(
        std::slice::from_ref(&system.name),
        &[kind.to_owned()],
        limits::STATUS_OPEN_MAX,
    );
    // Both names are those of a system that is shown.
    let oldest = found.unwrap_or_default().into_iter().map(|found| OpenStatus {
        age_seconds: (now - found.opened).max(0.0),
        key: shows_text(&state.engine).then(|| format_key(&found.key)),
        producer: state
            .sessions
            .get(found.owner)
            .map(|session| cut(&session.name.producer, limits::STATUS_VALUE_CHARS_MAX)),
    });
    oldest.collect()
}

fn rejections(feed: &Feed) -> Vec<RejectionStatus> {
    let engine = &feed.store.state.engine;
    let shows_text = shows_text(engine);
    let by_reason =
        engine.rejected().filter(|(_, count)| *count > 0).map(|(reason, count)| RejectionStatus {
            reason: reason.name(),
            count,
            latest: feed
                .store
                .rejections
                .latest(reason)
                .map(|example| RejectionExample {
                    at: example.at,
                    told: shows_text.then(|| Told {
                        detail: cut(&example.detail, limits::STATUS_LINE_CHARS_MAX),
                        line: cut(&example.line(), limits::STATUS_LINE_CHARS_MAX),
                    }),
                })
                .collect(),
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
