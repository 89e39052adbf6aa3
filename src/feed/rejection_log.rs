//! What is told of rejected lines. In the log the first of each reason and event whole, then one summary a
//! minute; on the status page the latest few of each reason.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::clock;
use crate::limits;
use crate::protocol::rejection::{Reason, Rejection};

/// Counts by reason and event. Bounded, since only events of catalogs have entries of their own.
#[derive(Default)]
pub(super) struct RejectionLog {
    counts: BTreeMap<(&'static str, String), Count>,
    summary_due: Option<Instant>,
    /// By reason, the latest last.
    latest: BTreeMap<&'static str, VecDeque<Example>>,
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
        self.keep(rejection, line);
        let event = rejection.event.clone().unwrap_or_default();
        let count = self.counts.entry((rejection.reason.name(), event)).or_default();
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

    /// Keeps the line as an example of its reason. The example that gives way lends its memory, so that a flood
    /// of rejections allocates nothing.
    fn keep(&mut self, rejection: &Rejection, line: &[u8]) {
        let examples = self.latest.entry(rejection.reason.name()).or_default();
        let is_full = examples.len() >= limits::REJECTIONS_KEPT;
        let mut example = if is_full { examples.pop_front() } else { None }.unwrap_or_default();
        example.at = clock::unix_seconds();
        rejection.detail.clone_into(&mut example.detail);
        example.line.clear();
        // Enough to tell that it is cut.
        example.line.extend_from_slice(&line[..line.len().min(limits::LOGGED_LINE_CHARS_MAX * 4 + 4)]);
        examples.push_back(example);
    }

    /// The latest rejections of this reason, the latest first.
    pub(super) fn latest(&self, reason: Reason) -> impl Iterator<Item = &Example> {
        self.latest.get(reason.name()).into_iter().flatten().rev()
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
                let of = if event.is_empty() { String::new() } else { format!(" of {event}") };
                parts.push(format!("{} {reason}{of}", count.since_summary));
                count.since_summary = 0;
            }
        }
        log::warn!("lines rejected since the last summary: {}", parts.join(", "));
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
    fn lines_are_cut_and_escaped() {
        assert_eq!(shown(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\u{fffd}");
        let long = "é".repeat(300);
        assert_eq!(shown(long.as_bytes()), format!("{}…", "é".repeat(200)));
    }
}
