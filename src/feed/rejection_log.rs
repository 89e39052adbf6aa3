//! What is told of rejected lines. In the log the first of each reason and event whole, then one summary a
//! minute; on the status page the latest few of each reason. Of a flood, most lines are only counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::clock;
use crate::limits;
use crate::protocol::rejection::{Reason, Rejection};

/// Counts by reason and event. Bounded, since only events of catalogs have entries of their own.
#[derive(Default)]
pub(super) struct RejectionLog {
    counts: BTreeMap<(&'static str, Option<Arc<str>>), Count>,
    summary_due: Option<Instant>,
    /// In the order of the reasons.
    latest: [Latest; Reason::ALL.len()],
}

/// The latest rejected lines of a reason.
#[derive(Default)]
struct Latest {
    /// The latest last.
    examples: VecDeque<Example>,
    /// The second that is counted, and how many lines were kept in it.
    since: Option<Instant>,
    kept: u32,
}

/// A rejected line.
#[derive(Default)]
pub(super) struct Example {
    /// Unix seconds.
    pub(super) at: f64,
    /// What was wrong.
    pub(super) detail: String,
    /// The beginning of the line, as it came.
    line: Vec<u8>,
}

impl Example {
    /// The line as it is shown.
    pub(super) fn line(&self) -> String {
        shown(&self.line)
    }
}

#[derive(Default)]
struct Count {
    logged: u32,
    since_summary: u64,
}

impl RejectionLog {
    /// Logs a rejection, or keeps it for the next summary.
    pub(super) fn note(&mut self, rejection: &Rejection, line: &[u8], now: Instant) {
        self.latest[rejection.reason as usize].note(rejection, line, now);
        let count = self.counts.entry((rejection.reason.name(), rejection.event.clone())).or_default();
        if count.logged < limits::REJECTIONS_LOGGED_FIRST {
            count.logged += 1;
            let last = if count.logged == limits::REJECTIONS_LOGGED_FIRST {
                " (further ones are counted)"
            } else {
                ""
            };
            log::warn!("line rejected: {rejection}: {}{last}", shown(line));
        } else {
            count.since_summary += 1;
            self.summary_due.get_or_insert(now + limits::REJECTIONS_SUMMARY_EVERY);
        }
    }

    /// The latest rejections of this reason, the latest first.
    pub(super) fn latest(&self, reason: Reason) -> impl Iterator<Item = &Example> {
        self.latest[reason as usize].examples.iter().rev()
    }

    /// Logs the summary if one is due.
    pub(super) fn summarize(&mut self, now: Instant) {
        if self.summary_due.is_none_or(|due| now < due) {
            return;
        }
        self.summary_due = None;
        let mut parts = Vec::new();
        for ((reason, event), count) in &mut self.counts {
            if count.since_summary > 0 {
                let of = event.as_ref().map(|event| format!(" of {event}")).unwrap_or_default();
                parts.push(format!("{} {reason}{of}", count.since_summary));
                count.since_summary = 0;
            }
        }
        log::warn!("lines rejected since the last summary: {}", parts.join(", "));
    }
}

impl Latest {
    /// Keeps a line, unless so many have been kept in this second that nobody could read them.
    fn note(&mut self, rejection: &Rejection, line: &[u8], now: Instant) {
        if self.since.is_none_or(|since| now.duration_since(since) >= limits::REJECTIONS_KEPT_WITHIN) {
            (self.since, self.kept) = (Some(now), 0);
        }
        if self.kept == limits::REJECTIONS_KEPT_WITHIN_MAX {
            return;
        }
        self.kept += 1;
        if self.examples.len() >= limits::REJECTIONS_KEPT {
            self.examples.pop_front();
        }
        // Enough to tell that it is cut.
        let line = line[..line.len().min(limits::LOGGED_LINE_CHARS_MAX * 4 + 4)].to_vec();
        self.examples.push_back(Example {
            at: clock::unix_seconds(),
            detail: rejection.detail.to_string(),
            line,
        });
    }
}

/// A line as the log shows it: cut, with control characters escaped.
pub(super) fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(limits::LOGGED_LINE_CHARS_MAX * 4)]);
    let mut shown: String = text
        .chars()
        .take(limits::LOGGED_LINE_CHARS_MAX)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(limits::LOGGED_LINE_CHARS_MAX).is_some() || line.len() > text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lines_are_kept_and_of_a_flood_the_first_of_each_second() {
        let mut log = RejectionLog::default();
        let mut now = Instant::now();
        let mut lines = 0;
        let mut note = |log: &mut RejectionLog, count: u32, now| {
            for _ in 0..count {
                lines += 1;
                log.note(&Rejection::new(Reason::NotOpen, lines), b"x", now);
            }
        };
        let latest =
            |log: &RejectionLog| log.latest(Reason::NotOpen).map(|of| of.detail.clone()).collect::<Vec<_>>();
        note(&mut log, 7, now);
        assert_eq!(latest(&log), ["7", "6", "5", "4", "3"]);
        note(&mut log, 1_000, now);
        assert_eq!(latest(&log), ["100", "99", "98", "97", "96"]);
        now += limits::REJECTIONS_KEPT_WITHIN;
        note(&mut log, 2, now);
        assert_eq!(latest(&log), ["1009", "1008", "100", "99", "98"]);
        assert_eq!(log.latest(Reason::Malformed).count(), 0);
    }

    #[test]
    fn lines_are_cut_and_escaped() {
        assert_eq!(shown(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\u{fffd}");
        let long = "é".repeat(300);
        assert_eq!(shown(long.as_bytes()), format!("{}…", "é".repeat(200)));
    }
}
