//! Liveness of the roles: each one sends a heartbeat as it makes progress, so that others can tell whether it
//! is alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits;

/// The liveness of one role, shared by the role and those who check it.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    name: &'static str,
    created: Instant,
    /// Milliseconds from creation to the latest heartbeat.
    latest: Arc<AtomicU64>,
}

impl Liveness {
    /// Counts as a heartbeat.
    pub(crate) fn new(name: &'static str) -> Self {
        Liveness { name, created: Instant::now(), latest: Arc::default() }
    }

    pub(crate) fn heartbeat(&self) {
        self.latest.store(self.created.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the latest heartbeat is recent enough.
    pub(crate) fn is_alive(&self) -> bool {
        let latest = Duration::from_millis(self.latest.load(Ordering::Relaxed));
        self.created.elapsed().saturating_sub(latest) <= limits::ROLE_TIMEOUT
    }
}
