//! The wall clock. `engine`, `series`, `catalog` and `protocol` do not use it: their callers pass the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, with fraction; 0 for a clock set before 1970.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
