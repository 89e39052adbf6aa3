//! The slowest scrape while a thousand producers write as much as they can, beside an idle exporter's.

use std::time::Instant;

use crate::RUNS;
use crate::report::report;
use crate::support::flood::KINDS;
use crate::support::{Exporter, wait_until};

const PRODUCERS: usize = 1_000;
const SCRAPES: usize = 100;

pub fn fairness() {
    for kind in &KINDS {
        let (mut idle, mut flooded, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let alone = slowest(&Exporter::start(&(kind.config)()));
            let exporter = Exporter::start(&(kind.config)());
            let _flood = (kind.begin)(&exporter.socket, PRODUCERS);
            let connected = || exporter.value("lifecycle_exporter_producers") >= Some(PRODUCERS as f64 * 0.9);
            wait_until(connected, || "the producers do not connect".to_owned());
            let crowded = slowest(&exporter);
            idle.push(alone);
            flooded.push(crowded);
            ratio.push(crowded / alone);
        }
        report(&format!("slowest scrape of 100, 1000 producers, {}: ms", kind.name), flooded);
        report("  of an idle exporter: ms", idle);
        report("  times as long", ratio);
    }
}

/// The slowest scrape in milliseconds.
fn slowest(exporter: &Exporter) -> f64 {
    let one = || {
        let started = Instant::now();
        assert_eq!(exporter.get("/metrics").status, 200);
        started.elapsed().as_secs_f64() * 1_000.0
    };
    (0..SCRAPES).map(|_| one()).fold(0.0, f64::max)
}
