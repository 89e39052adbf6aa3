//! When to let lines gather. A wake-up costs more than an event, so when little arrives the feed waits a few
//! milliseconds after each batch. When much arrives it never waits: a producer's socket holds only some 280
//! short lines.

use std::time::{Duration, Instant};

/// How long lines gather; also the most that it delays an event.
const DELAY: Duration = Duration::from_millis(10);
/// Over this much time the rate is measured.
const WINDOW: Duration = Duration::from_millis(10);
/// From this many bytes in a window on there is no delay; far fewer than sockets hold meanwhile.
const WINDOW_BYTES_BUSY: usize = 16_384;

pub(super) struct Coalescing {
    window_began: Instant,
    window_bytes: usize,
    busy: bool,
}

impl Coalescing {
    pub(super) fn new(now: Instant) -> Self {
        Coalescing { window_began: now, window_bytes: 0, busy: false }
    }

    /// A round has read so many bytes. Returns how long lines should gather.
    pub(super) fn delay(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
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
        (!self.busy).then_some(DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_when_little_arrives_and_never_when_much_does() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut coalescing = Coalescing::new(start);
        assert_eq!(coalescing.delay(100, at(0)), Some(DELAY));
        assert_eq!(coalescing.delay(0, at(1)), None);
        assert_eq!(coalescing.delay(20_000, at(6)), None);
        assert_eq!(coalescing.delay(100, at(7)), None, "the remainder of that window");
        for step in 8..60 {
            assert_eq!(coalescing.delay(2_000, at(step)), None, "a flood in small reads, at {step}");
        }
        coalescing.delay(100, at(80));
        assert_eq!(coalescing.delay(100, at(100)), Some(DELAY));
    }
}
