//! `demo` placeholder
use super::Overrides;
/// Runs.
pub fn run(overrides: Overrides, _speed: f64) -> Result<(), String> {
    crate::process::supervise::serve(overrides, |_| {})
}
