//! Side by side: the exporter and what it is compared with, on this machine, in this run. Prints, judges nothing. `--write`
//! keeps the table and the plots beside these programs.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a program for a terminal"
)]

mod fairness;
mod follow;
mod growth;
mod ingest;
mod middleware;
mod mix;
mod peers;
mod plot;
mod producers;
#[path = "../producers/programs.rs"]
mod programs;
mod report;
mod scrape;
mod session;
mod size;
mod stalls;
#[path = "../support/mod.rs"]
mod support;
mod tools;

use std::fs;
use std::path::Path;

/// Events of one run.
const EVENTS: usize = 2_000_000;
/// Runs of each comparison.
const RUNS: usize = 7;

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("count-newlines") {
        return tools::count_newlines(&args.next().unwrap());
    }
    println!("{:<66} {:>9} {:>9} {:>9}", "", "min", "median", "max");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|other| other == name);
    let parts: [(&str, fn()); 16] = [
        ("ingest", ingest::ingest),
        ("rejected", ingest::rejected),
        ("peers", peers::peers),
        ("session", session::session),
        ("snapshot", session::snapshot),
        ("writes", ingest::one_write_an_event),
        ("paced", ingest::paced),
        ("million", growth::million),
        ("scrape", scrape::scrape),
        ("crowd", scrape::crowd),
        ("fairness", fairness::fairness),
        ("follow", follow::follow_logs),
        ("size", size::size),
        ("stalls", stalls::stalls),
        ("producers", producers::producers),
        ("middleware", middleware::middleware),
    ];
    for (_, part) in parts.iter().filter(|(name, _)| is_wanted(name)) {
        part();
    }
    let plots = if is_wanted("growth") { growth::growth() } else { Vec::new() };
    if std::env::args().any(|arg| arg == "--write") {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/figures");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("figures.md"), report::table()).unwrap();
        for (name, svg) in plots {
            fs::write(directory.join(name), svg).unwrap();
        }
    }
}
