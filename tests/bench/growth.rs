//! How cost grows with series and producers, and what a series and an open entity take. Draws it, too.

use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::RUNS;
use crate::mix;
use crate::plot::{Line, plot};
use crate::report::report;
use crate::scrape::{get, rounds};
use crate::support::Exporter;
use crate::tools::{Meter, exporter, resident_mib};

const EVENTS: usize = 1_000_000;

/// Returns the plots, as SVG.
pub fn growth() -> Vec<(&'static str, String)> {
    let (mut costs, mut scrapes) = (Vec::new(), Vec::new());
    for series in [10, 1_000, 100_000, 1_000_000] {
        let (exporter, bytes) = filled(series);
        let cost = cost_of_an_event(&exporter, series);
        report(&format!("growth, {series} series: CPU-ns an event"), vec![cost]);
        let took = scrape(&exporter);
        report("  a scrape: ms", vec![took]);
        if series >= 100_000 {
            report("  memory a series, before a scrape: bytes", vec![bytes]);
        }
        costs.push((series as f64, cost));
        scrapes.push((series as f64, took));
    }
    let mut by_producers = Vec::new();
    for producers in [1, 10, 100, 1_000] {
        let exporter = exporter();
        let share = EVENTS / producers;
        let lines: Vec<String> = (0..producers)
            .map(|producer| (0..share).map(|event| mix::message(event % 1_000, producer)).collect())
            .collect();
        let cost = apply(&exporter, &lines) * 1_000.0;
        report(&format!("growth, {producers} producers: CPU-ns an event"), vec![cost]);
        by_producers.push((producers as f64, cost));
    }
    let exporter = exporter();
    let idle = resident_mib(&exporter);
    apply(&exporter, &[(0..200_000).map(mix::joined).collect()]);
    let bytes = (resident_mib(&exporter) - idle) * 1_048_576.0 / 200_000.0;
    report("memory an open entity, its text of 60 bytes included: bytes", vec![bytes]);
    vec![
        (
            "events.svg",
            plot(
                "CPU-nanoseconds an event",
                "series, or producers",
                &[
                    Line { name: "by series", points: costs },
                    Line { name: "by producers", points: by_producers },
                ],
            ),
        ),
        (
            "scrapes.svg",
            plot("milliseconds a scrape", "series", &[Line { name: "GET /metrics", points: scrapes }]),
        ),
    ]
}

/// What an event costs more with many series.
pub fn million() {
    let cost_at = |series| cost_of_an_event(&filled(series).0, series);
    let ratio = (0..RUNS).map(|_| cost_at(1_000_000) / cost_at(1_000)).collect();
    report("an event at 1,000,000 series, times one at 1,000", ratio);
}

/// An exporter with so many series, and the bytes that each has taken.
fn filled(series: usize) -> (Exporter, f64) {
    let exporter = exporter();
    let idle = resident_mib(&exporter);
    apply(&exporter, &[(0..series).map(|kind| mix::message(kind, 0)).collect()]);
    let bytes = (resident_mib(&exporter) - idle) * 1_048_576.0 / series as f64;
    (exporter, bytes)
}

/// CPU-nanoseconds, over events of series in no order.
fn cost_of_an_event(exporter: &Exporter, series: usize) -> f64 {
    let mut random = fastrand::Rng::with_seed(3);
    let lines: String = (0..EVENTS).map(|_| mix::message(random.usize(0..series), 0)).collect();
    apply(exporter, &[lines]) * 1_000.0
}

/// Writes each text on a connection of its own, all at once. CPU-microseconds an event.
fn apply(exporter: &Exporter, texts: &[String]) -> f64 {
    let events: usize = texts.iter().map(|text| text.lines().count()).sum();
    let meter = Meter::start(exporter);
    let mut streams: Vec<UnixStream> =
        texts.iter().map(|_| UnixStream::connect(&exporter.socket).unwrap()).collect();
    let longest = texts.iter().map(String::len).max().unwrap_or(0);
    // In turns of what a socket holds.
    for start in (0..longest).step_by(65_536) {
        for (stream, text) in streams.iter_mut().zip(texts) {
            let part = text.as_bytes().get(start..text.len().min(start + 65_536)).unwrap_or_default();
            stream.write_all(part).unwrap();
        }
    }
    drop(streams);
    meter.cpu_of(events) * 1e6 / events as f64
}

/// The fastest of some scrapes, milliseconds.
fn scrape(exporter: &Exporter) -> f64 {
    let times = rounds(0, || get(exporter.address, "GET /metrics HTTP/1.1\r\n\r\n"));
    times.into_iter().fold(f64::INFINITY, f64::min)
}
