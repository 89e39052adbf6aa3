//! How many lines of each kind the log takes: a token bucket for each place in the sources that logs.
//!
//! What producers do can make the exporter say the same thing endlessly. Each kind of message has lines of
//! its own, so that those which a producer causes take no room from the exporter's own. This file asks for no
//! time and writes nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::limits;

/// A kind of message: the file and line that log it.
pub(super) type Kind = (&'static str, u32);

/// Counts the lines of each kind.
#[derive(Default)]
pub(super) struct Limiter {
    buckets: HashMap<Kind, Bucket>,
}

/// How many lines of one kind may still be written.
struct Bucket {
    /// Whole lines, and what has come in of the next one.
    lines: f64,
    filled_at: Instant,
    left_out: u64,
    /// The first message that was left out, and when.
    first: Option<(String, Instant)>,
}

/// What was left out of one kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) count: u64,
    /// The first of them.
    pub(super) example: String,
}

impl Limiter {
    /// Whether a message of this kind may be written now. If not, it is counted.
    pub(super) fn admits(&mut self, kind: Kind, now: Instant, message: impl FnOnce() -> String) -> bool {
        let full = f64::from(limits::LOG_LINES_AT_ONCE_MAX);
        let bucket = self.buckets.entry(kind).or_insert_with(|| Bucket {
            lines: full,
            filled_at: now,
            left_out: 0,
            first: None,
        });
        let minutes = now.saturating_duration_since(bucket.filled_at).as_secs_f64() / 60.0;
        bucket.filled_at = now;
        bucket.lines = (bucket.lines + minutes * f64::from(limits::LOG_LINES_PER_MINUTE)).min(full);
        if bucket.lines >= 1.0 {
            bucket.lines -= 1.0;
            return true;
        }
        bucket.left_out += 1;
        if bucket.first.is_none() {
            bucket.first = Some((message(), now));
        }
        false
    }

    /// What was left out for a minute or longer, and at a stop everything, each kind once.
    pub(super) fn summaries(&mut self, now: Instant, is_last: bool) -> Vec<LeftOut> {
        let is_due = |since: &Instant| is_last || now.saturating_duration_since(*since) >= EVERY;
        let mut due = Vec::new();
        for bucket in self.buckets.values_mut() {
            if let Some((example, _)) = bucket.first.take_if(|(_, since)| is_due(since)) {
                due.push(LeftOut { count: std::mem::take(&mut bucket.left_out), example });
            }
        }
        due
    }
}

const EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_lines_of_its_own_and_what_is_left_out_is_counted() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let mut admitted = 0;
        for number in 0..1_000 {
            admitted += u32::from(limiter.admits(("a", 1), start, || format!("message {number}")));
        }
        assert_eq!(admitted, limits::LOG_LINES_AT_ONCE_MAX);
        assert!(limiter.admits(("a", 2), start, || unreachable!()), "another kind");
        assert_eq!(limiter.summaries(start, false), []);
        let left_out = u64::from(1_000 - admitted);
        let expected = [LeftOut { count: left_out, example: format!("message {admitted}") }];
        assert_eq!(limiter.summaries(start + EVERY, false), expected);
        assert_eq!(limiter.summaries(start + 2 * EVERY, true), []);
    }

    #[test]
    fn lines_come_back_with_time() {
        let (mut limiter, mut now) = (Limiter::default(), Instant::now());
        let mut admitted = 0;
        for _ in 0..600 {
            now += Duration::from_secs(1);
            for _ in 0..100 {
                admitted += u32::from(limiter.admits(("a", 1), now, String::new));
            }
        }
        let expected = limits::LOG_LINES_AT_ONCE_MAX + 10 * limits::LOG_LINES_PER_MINUTE;
        assert!((expected - 2..=expected).contains(&admitted), "{admitted}");
    }
}
