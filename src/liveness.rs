//! Liveness of the roles: each sends heartbeats as it makes progress, and the watchdog, `/-/healthy` and the
//! status page look at them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits;

/// The liveness of one role, shared by the role and those that watch it.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    name: &'static str,
    created: Instant,
    /// Milliseconds from `created` to the latest heartbeat.
    heartbeat: Arc<AtomicU64>,
}

impl Liveness {
    /// The role counts as alive at first.
    pub(crate) fn new(name: &'static str) -> Self {
        Liveness { name, created: Instant::now(), heartbeat: Arc::default() }
    }

    /// Notes that the role makes progress.
    pub(crate) fn heartbeat(&self) {
        self.heartbeat.store(self.created.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the latest heartbeat is younger than [`limits::ROLE_TIMEOUT`].
    pub(crate) fn is_alive(&self) -> bool {
        let heartbeat = Duration::from_millis(self.heartbeat.load(Ordering::Relaxed));
        self.created.elapsed().saturating_sub(heartbeat) <= limits::ROLE_TIMEOUT
    }
}
