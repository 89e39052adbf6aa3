//! The binary: a command line in, an exit code out. What it is made of is listed in `lib.rs`, in reading order.

use std::io::Write;
use std::process::ExitCode;

use lifecycle_exporter::cli::{self, args, args::Command};
use lifecycle_exporter::process;

fn main() -> ExitCode {
    let (command, overrides) = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return fail(&error, 2),
    };
    let result = match command {
        Command::Serve => process::supervise::serve(overrides, |_| {}),
        Command::Check { client, forwarded } => {
            let report = cli::check::run(&overrides, client, &forwarded);
            print(report.text).and_then(|()| report.faults.or(()).map_err(String::from))
        }
        Command::Catalog { system, format } => {
            cli::list::run(&overrides, system.as_deref(), format).and_then(print)
        }
        Command::Send { words, progress } => cli::send::run(&overrides, &words, progress),
        Command::Demo { speed } => cli::demo::run(overrides, speed),
        Command::Version => print(format!("lifecycle-exporter {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Help => print(args::HELP),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
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

/// Each fault is a line of its own.
fn fail(error: &str, status: u8) -> ExitCode {
    for fault in error.lines() {
        let _ = writeln!(std::io::stderr(), "lifecycle-exporter: {fault}");
    }
    ExitCode::from(status)
}
