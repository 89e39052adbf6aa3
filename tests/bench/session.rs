//! What it costs that nothing is lost: sessions with a journal, and snapshots.

use std::io::Write;
use std::time::Instant;

use lifecycle_exporter::internals::Bench;

use crate::mix;
use crate::report::report;
use crate::support::Exporter;
use crate::support::session::Session;
use crate::tools::{blocks, cpu_seconds, feed, opened};
use crate::{EVENTS, RUNS};

/// The same as a reliable session: CPU-seconds per million events.
fn feed_session(exporter: &Exporter, blocks: &[Vec<u8>], events: usize) -> f64 {
    let (session, _) = Session::begin(&exporter.socket, "bench", "1");
    let before = cpu_seconds(exporter.child.id());
    let mut stream = session.stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut session = session;
        session.wait_for_ack(events as u64);
        session
    });
    for block in blocks {
        stream.write_all(block).unwrap();
    }
    drop(reader.join().unwrap());
    (cpu_seconds(exporter.child.id()) - before) * 1e6 / events as f64
}

pub fn session() {
    let lines = mix::lines(EVENTS, 1_000);
    let blocks = blocks(&lines, 65_536);
    for sync in ["never", "interval", "always"] {
        let (mut ratio, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let plain = feed(&opened(""), &blocks, EVENTS).0;
            let kept = opened(&format!("[state]\ndirectory = {{directory}}/state\nsync = {sync}\n"));
            let ours = feed_session(&kept, &blocks, EVENTS);
            ratio.push(ours / plain);
            cpu.push(ours);
        }
        report(&format!("reliable session, sync = {sync}: CPU-s per million"), cpu);
        report("  times the CPU of the plain feed", ratio);
    }
}

/// How long the feed stands still for a snapshot: the state is copied by its thread, and written by another.
pub fn snapshot() {
    for series in [10_000, 100_000] {
        let mut bench = Bench::new();
        let lines = mix::opening()
            + &(0..series)
                .map(|index| format!("{{\"event\":\"signaling.message.received\",\"type\":\"a-type-of-message-{index:010}\"}}\n"))
                .collect::<String>();
        bench.apply(mix::NOW, lines.as_bytes());
        let mut bytes = 0;
        let times = (0..15)
            .map(|_| {
                let started = Instant::now();
                bytes = std::hint::black_box(bench.save()).len();
                started.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        report(&format!("pause for a snapshot, {series} series: ms"), times);
        report("  its size: MiB", vec![bytes as f64 / 1_048_576.0]);
        let image = bench.save();
        let restored = (0..5)
            .map(|_| {
                let started = Instant::now();
                std::hint::black_box(Bench::restore(&image));
                started.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        report("  reading it at a start: ms", restored);
    }
}
