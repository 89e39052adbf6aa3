//! When to let lines gather. A wake-up costs more than an event, so after each batch the feed waits until some more
//! are likely to be there: for milliseconds where little arrives, for a fraction of one where much does. It never waits
//! for so long that a producer has to: a socket holds some 280 lines that are written one by one, however short.

use std::time::{Duration, Instant};

/// So many bytes gather, which is less than a socket holds of any lines. A round that reads as many is worth its wake-up.
const GATHERED_BYTES: usize = 4_096;
/// The longest time for which lines gather; also the most that it delays an event.
const DELAY_MAX: Duration = Duration::from_millis(20);
/// The shortest. A sleep cannot be much shorter.
const DELAY_MIN: Duration = Duration::from_micros(100);
/// Over this much time the rate is measured.
const WINDOW: Duration = Duration::from_millis(10);

pub(super) struct Coalescing {
    window_began: Instant,
    window_bytes: usize,
    /// Bytes that arrive in a window: in the former one, or in this one if it is more already.
    rate: usize,
}

impl Coalescing {
    pub(super) fn new(now: Instant) -> Self {
        Coalescing { window_began: now, window_bytes: 0, rate: 0 }
    }

    /// A round has read so many bytes. Returns how long lines should gather.
    pub(super) fn delay(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        if bytes == 0 {
            return None;
        }
        self.window_bytes += bytes;
        let length = now.duration_since(self.window_began);
        if length < WINDOW {
            self.rate = self.rate.max(self.window_bytes);
        } else {
            self.rate = (self.window_bytes as f64 * WINDOW.div_duration_f64(length)) as usize;
            self.window_began = now;
            self.window_bytes = 0;
        }
        let delay = WINDOW.mul_f64(GATHERED_BYTES as f64 / self.rate.max(1) as f64);
        (bytes < GATHERED_BYTES).then_some(delay.clamp(DELAY_MIN, DELAY_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long lines gather after rounds of so many bytes, so many microseconds apart.
    fn delay_after(bytes: usize, apart: u64) -> Option<Duration> {
        let start = Instant::now();
        let mut coalescing = Coalescing::new(start);
        let rounds = (1..=(100_000 / apart).max(3))
            .map(|round| coalescing.delay(bytes, start + Duration::from_micros(round * apart)));
        rounds.last().flatten()
    }

    #[test]
    fn the_more_arrives_the_shorter_it_waits() {
        let milliseconds = |bytes, apart| delay_after(bytes, apart).map(|delay| delay.as_secs_f64() * 1e3);
        assert_eq!(delay_after(100, 1_000_000), Some(DELAY_MAX), "a line a second");
        assert_eq!(delay_after(2_000, 20_000), Some(DELAY_MAX), "a thousand lines a second");
        assert!((3.5..4.5).contains(&milliseconds(1_000, 1_000).unwrap()), "ten thousand");
        assert!((0.35..0.45).contains(&milliseconds(1_000, 100).unwrap()), "a hundred thousand");
        assert_eq!(delay_after(200, 2), Some(DELAY_MIN), "a flood of lines written one by one");
        assert_eq!(delay_after(65_536, 100), None, "large writes");
    }

    #[test]
    fn a_flood_is_noticed_within_its_first_window() {
        let start = Instant::now();
        let mut coalescing = Coalescing::new(start);
        assert_eq!(coalescing.delay(100, start + Duration::from_secs(1)), Some(DELAY_MAX));
        let floods = (1..10)
            .map(|round| coalescing.delay(4_000, start + Duration::from_micros(1_000_000 + round * 50)));
        assert!(floods.last().flatten().unwrap() < 2 * DELAY_MIN * 10);
    }

    #[test]
    fn a_producer_of_the_shortest_lines_is_not_held_up() {
        // A full socket of lines of 29 bytes after each delay: it must get shorter.
        let mut now = Instant::now();
        let mut coalescing = Coalescing::new(now);
        let full = 280 * 29;
        let mut delay = DELAY_MAX;
        for _ in 0..20 {
            now += delay;
            // It is read in two rounds, of which the second is small.
            coalescing.delay(full - 1_000, now);
            delay = coalescing.delay(1_000, now).unwrap();
        }
        assert!(delay < Duration::from_millis(1), "{delay:?}");
    }
}
