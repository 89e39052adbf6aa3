//! The commands. `args` parses the command line, and each command has a file or folder of its own; `serve` is
//! in `daemon`. `ask` is the client of those that ask a running exporter, and `table` aligns what some print. `complete` answers the
//! completions of shells.

mod alive;
mod args;
mod ask;
mod catalog;
mod check;
mod complete;
pub(crate) mod demo;
mod follow;
mod open;
mod send;
mod table;
mod try_events;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::daemon::supervise;
use args::Command;

/// Runs a command line. The exit code is 0 on success, 1 on error and 2 on invalid usage. Errors go to
/// standard error.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (command, overrides) = match args::parse(words) {
        Ok(parsed) => parsed,
        Err(error) => return fail(&error, 2),
    };
    let result = match command {
        Command::Serve => supervise::serve(overrides, |_| {}),
        Command::Check { client, forwarded } => told(check::run(&overrides, client, &forwarded)),
        Command::TryEvents(file) => told(try_events::run(&overrides, &file)),
        Command::CheckAlive => alive::run(&overrides).and_then(print),
        Command::Catalog { system, format } => {
            catalog::run(&overrides, system.as_deref(), format).and_then(print)
        }
        Command::Open { system, entity, format } => {
            open::run(&overrides, system.as_deref(), entity.as_deref(), format).and_then(print)
        }
        Command::Follow(orders) => follow::run(&overrides, &orders),
        Command::Try { system, log, format } => follow::try_patterns(&overrides, &system, &log, format),
        Command::Send { words, progress } => send::run(&overrides, &words, progress),
        Command::Demo { speed } => demo::run(overrides, speed),
        Command::Version => print(format!("lifecycle-exporter {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Complete(words) => print(complete::run(&words)),
        Command::Help(command) => print(args::help(command)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Prints what a check has found; its faults are the error.
fn told(report: check::Report) -> Result<(), String> {
    print(report.text)?;
    report.faults.or(()).map_err(String::from)
}

fn print(text: impl AsRef<str>) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref().as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Prints each fault on a line of its own.
fn fail(error: &str, status: u8) -> ExitCode {
    for fault in error.lines() {
        let _ = writeln!(std::io::stderr(), "lifecycle-exporter: {fault}");
    }
    ExitCode::from(status)
}
