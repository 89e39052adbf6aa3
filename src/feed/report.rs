//! What the feed tells the status page.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Feed;
use super::status::{
    EntityStatus, JournalStatus, ProducerStatus, RejectionExample, RejectionStatus, Status, SystemStatus,
    Told,
};
use crate::clock;
use crate::journal::Journal;
use crate::limits;

impl Feed {
    /// Everything at this moment.
    pub(super) fn status(&self) -> Status {
        let now = clock::unix_seconds();
        let producers = self.producers();
        Status {
            now,
            uptime_seconds: Instant::now().duration_since(self.began).as_secs_f64(),
            rates: self.history.rates(),
            applied: self.applied_so_far(),
            connections: self.open,
            systems: self.systems(now),
            rejections: self.rejections_by_reason(),
            producers_away: producers.values().filter(|producer| producer.connected == 0).count(),
            producers_more: producers.len().saturating_sub(limits::STATUS_PRODUCERS_MAX),
            producers: shown(producers),
            scans: self
                .scans
                .iter()
                .map(|(name, state)| (name.clone(), state.clone()))
                .take(limits::STATUS_ROWS_MAX)
                .collect(),
            journal: self.journal.as_ref().map(journal),
        }
    }

    /// Lines applied and rejected.
    pub(super) fn lines_so_far(&self) -> u64 {
        self.applied_so_far() + self.state.engine.rejected().map(|(_, count)| count).sum::<u64>()
    }

    fn applied_so_far(&self) -> u64 {
        self.state.engine.applied().map(|(_, count)| count).sum()
    }

    /// Whether text of events may be shown as it came: `[privacy]` hides addresses and ids in metrics, so it hides them here, too.
    fn shows_text(&self) -> bool {
        let privacy = self.state.engine.rules().privacy;
        !privacy.deidentify && !privacy.quiet
    }

    fn systems(&self, now: f64) -> Vec<SystemStatus> {
        let systems = self.state.engine.census(now).into_iter().take(limits::STATUS_ROWS_MAX).map(|census| {
            SystemStatus {
                name: census.catalog.name.clone(),
                title: census.catalog.title.clone(),
                entities: census
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
                            .map(|oldest| (oldest.age_seconds, self.shows_text().then(|| key(&oldest.key)))),
                    })
                    .collect(),
            }
        });
        systems.collect()
    }

    fn rejections_by_reason(&self) -> Vec<RejectionStatus> {
        let engine = &self.state.engine;
        let by_reason =
            engine.rejected().filter(|(_, count)| *count > 0).map(|(reason, count)| RejectionStatus {
                reason: reason.name(),
                count,
                latest: self.rejections.latest(reason).map(|latest| RejectionExample {
                    at: latest.at,
                    told: self.shows_text().then(|| Told {
                        detail: cut(&latest.detail, limits::STATUS_LINE_CHARS_MAX),
                        line: cut(&latest.line(), limits::STATUS_LINE_CHARS_MAX),
                    }),
                }),
            });
        by_reason.collect()
    }

    /// The producers that own what they open and are connected or may still come back, and all that are expected.
    pub(super) fn producers(&self) -> BTreeMap<&str, Producer> {
        let mut by_name: BTreeMap<&str, Producer> =
            self.expect.iter().map(|name| (name.as_str(), Producer::default())).collect();
        for (id, session) in self.state.sessions.iter() {
            let name = session.name.producer.as_str();
            let connected = self.attendance.connection(id).is_some();
            let is_waited_for = self.attendance.is_in_grace(id) && !session.has_expired();
            let counts = session.owner && (connected || is_waited_for);
            if counts || by_name.contains_key(name) {
                let producer = by_name.entry(name).or_default();
                producer.connected += usize::from(connected && (session.owner || self.is_expected(name)));
                producer.lines += session.position;
            }
        }
        by_name
    }

    fn is_expected(&self, producer: &str) -> bool {
        self.expect.iter().any(|name| name == producer)
    }
}

/// A producer with its runs.
#[derive(Default)]
pub(super) struct Producer {
    /// Runs that are connected.
    pub(super) connected: usize,
    /// Lines of the runs whose positions are kept.
    lines: u64,
}

/// The first of them, those that are away before the others.
fn shown(producers: BTreeMap<&str, Producer>) -> Vec<ProducerStatus> {
    let mut producers: Vec<(&str, Producer)> = producers.into_iter().collect();
    producers.sort_by_key(|(_, producer)| producer.connected > 0);
    let first = producers.into_iter().take(limits::STATUS_PRODUCERS_MAX);
    let shown = first.map(|(name, producer)| ProducerStatus {
        name: cut(name, limits::STATUS_VALUE_CHARS_MAX),
        connected: producer.connected > 0,
        lines: producer.lines,
    });
    shown.collect()
}

fn journal(journal: &Journal) -> JournalStatus {
    JournalStatus {
        healthy: journal.is_durable(),
        bytes: journal.bytes(),
        errors: journal.errors(),
        snapshot_at: journal.snapshot_at(),
    }
}

/// An entity's key for people.
fn key(fields: &[(&str, &[u8])]) -> String {
    let shown = |(name, value): &(&str, &[u8])| format!("{name}={}", String::from_utf8_lossy(value));
    cut(&fields.iter().map(shown).collect::<Vec<String>>().join(" "), limits::STATUS_VALUE_CHARS_MAX)
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
