//! Hearts: each role beats its own as it makes progress, so that others can tell whether it is alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits;

/// The heart of one role.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    name: &'static str,
    born: Instant,
    /// Milliseconds from birth to the latest beat.
    beat: Arc<AtomicU64>,
    /// How long it may be silent.
    silence_max: Duration,
}

impl Liveness {
    /// A heart that has just beaten.
    pub(crate) fn new(name: &'static str) -> Self {
        let silence_max = limits::ROLE_SILENCE_MAX;
        Liveness { name, born: Instant::now(), beat: Arc::default(), silence_max }
    }

    /// The role has made progress.
    pub(crate) fn heartbeat(&self) {
        self.beat.store(self.born.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// The role's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it has beaten lately.
    pub(crate) fn is_alive(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(beat) <= self.silence_max
    }
}
