//! Memory, the binary, and the time to the first answer.

use std::fs;
use std::time::Instant;

use crate::report::report;
use crate::support::Exporter;
use crate::tools::resident_mib;

pub fn size() {
    let mut starts = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let exporter = Exporter::start("");
        starts.push(started.elapsed().as_secs_f64() * 1_000.0);
        idle.push(resident_mib(&exporter));
    }
    report("start to the line that says it listens: ms", starts);
    report("resident, idle: MiB", idle);
    let binary = fs::metadata(env!("CARGO_BIN_EXE_lifecycle-exporter")).unwrap().len();
    report("binary, stripped: MiB", vec![binary as f64 / 1_048_576.0]);
}
