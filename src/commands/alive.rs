//! `check --alive`: asks the running exporter whether it is healthy. It reads the settings and nothing else, so
//! that a container can afford it as a health check.

use super::ask;
use crate::daemon::configuration::{Overrides, load_settings};
use crate::limits;

/// Returns the text to print. The error says what is wrong.
pub(super) fn run(overrides: &Overrides) -> Result<String, String> {
    let (settings, _) = load_settings(overrides)?;
    let address = ask::address(&settings)?;
    let answer = ask::get(address, "/-/healthy", limits::ASK_MAX)?;
    match answer.status {
        200 => Ok(format!("alive: {address}\n")),
        _ => Err(answer.refusal(address)),
    }
}
