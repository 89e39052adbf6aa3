//! What the feed tells the status page.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Feed;
use crate::clock;
use crate::journal::Journal;
use crate::limits;
use crate::status::{
    EntityStatus, JournalStatus, ProducerStatus, RejectionExample, RejectionStatus, Status, SystemStatus,
    Told,
};

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
            producers_away: producers.values().filter(|(connected, _)| !connected).count(),
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

    /// Every producer with sessions: whether it is connected, and the lines of its sessions.
    pub(super) fn producers(&self) -> BTreeMap<&str, (bool, u64)> {
        let mut by_name: BTreeMap<&str, (bool, u64)> = BTreeMap::new();
        for (id, session) in self.state.sessions.iter() {
            let (connected, lines) = by_name.entry(&session.name.producer).or_default();
            *connected |= self.attendance.connection(id).is_some();
            *lines += session.position;
        }
        by_name
    }
}

/// The first of them, those who are connected before the others.
fn shown(producers: BTreeMap<&str, (bool, u64)>) -> Vec<ProducerStatus> {
    let mut producers: Vec<(&str, (bool, u64))> = producers.into_iter().collect();
    producers.sort_by_key(|(_, (connected, _))| !connected);
    let first = producers.into_iter().take(limits::STATUS_PRODUCERS_MAX);
    let shown = first.map(|(name, (connected, lines))| ProducerStatus {
        name: cut(name, limits::STATUS_VALUE_CHARS_MAX),
        connected,
        lines,
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
