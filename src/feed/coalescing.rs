//! When to rest. Waking up costs more than an event, so when little arrives the feed rests for a few milliseconds after each
//! batch and lets lines gather. When much arrives it never rests: a producer's socket holds only some 280 short lines.

use std::time::{Duration, Instant};

/// How long a rest is; also the most that it delays an event.
const REST: Duration = Duration::from_millis(10);
/// Over this much time the rate is measured.
const WINDOW: Duration = Duration::from_millis(10);
/// Bytes in a window from which on there is no rest; far below what a socket holds during one.
const WINDOW_BYTES_BUSY: usize = 16_384;

pub(super) struct Pace {
    window_began: Instant,
    window_bytes: usize,
    busy: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Pace { window_began: now, window_bytes: 0, busy: false }
    }

    /// A round has read so many bytes. Says how long to rest.
    pub(super) fn rest(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        if bytes == 0 {
            return None;
        }
        self.window_bytes += bytes;
        if self.window_bytes >= WINDOW_BYTES_BUSY {
            self.busy = true;
        }
        if now.duration_since(self.window_began) >= WINDOW {
            self.busy = self.window_bytes >= WINDOW_BYTES_BUSY;
            self.window_began = now;
            self.window_bytes = 0;
        }
        (!self.busy).then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_when_little_arrives_and_never_when_much_does() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut pace = Pace::new(start);
        assert_eq!(pace.rest(100, at(0)), Some(REST));
        assert_eq!(pace.rest(0, at(1)), None);
        assert_eq!(pace.rest(20_000, at(6)), None);
        assert_eq!(pace.rest(100, at(7)), None, "the rest of that window");
        for step in 8..60 {
            assert_eq!(pace.rest(2_000, at(step)), None, "a flood in small reads, at {step}");
        }
        pace.rest(100, at(80));
        assert_eq!(pace.rest(100, at(100)), Some(REST));
    }
}
