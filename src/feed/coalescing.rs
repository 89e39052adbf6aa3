//! When to let lines gather. A wake-up costs more than an event, so when little arrives the feed waits a few
//! milliseconds after each batch. When much arrives it cannot wait for so long: a producer's socket holds only some 280
//! short lines. If a round then reads little, because each line is written by itself, the feed naps for less time than
//! it takes to fill the socket.

use std::time::{Duration, Instant};

/// How long lines gather; also the most that it delays an event.
const DELAY: Duration = Duration::from_millis(10);
/// Over this much time the rate is measured.
const WINDOW: Duration = Duration::from_millis(10);
/// From this many bytes in a window on lines do not gather for so long; far fewer than sockets hold meanwhile.
const WINDOW_BYTES_BUSY: usize = 16_384;

/// How long the feed naps.
const NAP: Duration = Duration::from_micros(100);
/// A round that reads so many bytes is worth its wake-up.
const NAP_BYTES_MAX: usize = 8_192;

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

    /// How long to nap when much arrives, but a round has read only so many bytes.
    pub(super) fn nap(&self, bytes: usize) -> Option<Duration> {
        let is_small = (1..NAP_BYTES_MAX).contains(&bytes);
        (self.busy && is_small).then_some(NAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_when_little_arrives_and_naps_when_much_arrives_in_small_pieces() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut coalescing = Coalescing::new(start);
        assert_eq!((coalescing.delay(100, at(0)), coalescing.nap(100)), (Some(DELAY), None));
        assert_eq!(coalescing.delay(0, at(1)), None);
        assert_eq!(coalescing.delay(20_000, at(6)), None);
        assert_eq!(coalescing.delay(100, at(7)), None, "the remainder of that window");
        for step in 8..60 {
            assert_eq!(coalescing.delay(2_000, at(step)), None, "a flood in small reads, at {step}");
            assert_eq!([0, 2_000, 20_000].map(|bytes| coalescing.nap(bytes)), [None, Some(NAP), None]);
        }
        coalescing.delay(100, at(80));
        assert_eq!(coalescing.delay(100, at(100)), Some(DELAY));
    }
}
