//! How many lines came in the last minutes, from what is counted anyway: nothing is done for it per line.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;

/// Lines of each stretch of time, the latest last.
pub(super) struct LineRates {
    stretches: VecDeque<u64>,
    /// The total when the present stretch began.
    total: u64,
    began: Instant,
}

impl LineRates {
    /// `total` is the number of lines so far.
    pub(super) fn new(total: u64, now: Instant) -> Self {
        LineRates { stretches: VecDeque::new(), total, began: now }
    }

    /// Whether the present stretch is over, so that [`Self::note`] has something to do.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.began) >= limits::HISTORY_STRETCH
    }

    /// Ends the present stretch, and those that passed meanwhile.
    pub(super) fn note(&mut self, total: u64, now: Instant) {
        let mut lines = total.saturating_sub(self.total);
        self.total = total;
        while self.is_due(now) {
            self.began += limits::HISTORY_STRETCH;
            self.stretches.push_back(std::mem::take(&mut lines));
            if self.stretches.len() > limits::HISTORY_STRETCHES {
                self.stretches.pop_front();
            }
        }
    }

    /// Lines a second in each stretch, as many as there can be: before the start there were none.
    pub(super) fn rates(&self) -> Vec<f64> {
        let missing = limits::HISTORY_STRETCHES - self.stretches.len();
        let counts = std::iter::repeat_n(0, missing).chain(self.stretches.iter().copied());
        counts.map(|lines| lines as f64 / limits::HISTORY_STRETCH.as_secs_f64()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_has_its_lines_and_silence_has_none() {
        let start = Instant::now();
        let after = |stretches: f64| start + limits::HISTORY_STRETCH.mul_f64(stretches);
        let mut rates = LineRates::new(1_000, start);
        assert!(!rates.is_due(after(0.9)));
        rates.note(1_050, after(1.0));
        rates.note(1_050, after(3.0));
        rates.note(1_060, after(4.5));
        let found = rates.rates();
        assert_eq!(found.len(), limits::HISTORY_STRETCHES);
        assert_eq!(found[found.len() - 5..], [0.0, 5.0, 0.0, 0.0, 1.0]);
        rates.note(1_060, after(1_000.0));
        assert!(rates.rates().iter().all(|rate| *rate == 0.0));
    }
}
