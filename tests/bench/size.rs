//! Memory, the binary, and the time to the first answer, of the binary as it is shipped. The benches' own is built with
//! what the test dependencies ask of the libraries, which is more.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::RUNS;
use crate::report::report;
use crate::support::{Exporter, run};
use crate::tools::resident_mib;

pub fn size() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/shipped");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(&directory);
    run(build.current_dir(env!("CARGO_MANIFEST_DIR")));
    let binary = directory.join("release/lifecycle-exporter");
    let mut starts = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        let exporter = Exporter::start_by("", |_| {}, Command::new(&binary));
        starts.push(started.elapsed().as_secs_f64() * 1_000.0);
        idle.push(resident_mib(&exporter));
    }
    report("start to the line that says it listens: ms", starts);
    report("resident, idle: MiB", idle);
    report("binary, stripped: MiB", vec![fs::metadata(&binary).unwrap().len() as f64 / 1_048_576.0]);
}
