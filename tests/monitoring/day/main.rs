//! Writes a working day of all five systems as `OpenMetrics`, for `promtool tsdb create-blocks-from openmetrics`:
//! `day MIDNIGHT > day.om`, where MIDNIGHT is the beginning of the day in Unix seconds.

#![allow(clippy::print_stderr, unreachable_pub, reason = "a program, and a module of a test")]

#[path = "mod.rs"]
mod day;

use std::io::{self, BufWriter};
use std::process::ExitCode;

fn main() -> ExitCode {
    let midnight = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let written = match midnight {
        Some(midnight) => day::write(midnight, 0.0..24.0, &mut BufWriter::new(io::stdout().lock())),
        None => Err(io::Error::other("expected the beginning of the day in Unix seconds")),
    };
    let Err(error) = written else { return ExitCode::SUCCESS };
    eprintln!("day: {error}");
    ExitCode::FAILURE
}
