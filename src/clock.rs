//! The time of day, where the world is touched. Pure modules are given theirs.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds with their fraction. A clock before 1970 reads as 0.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
