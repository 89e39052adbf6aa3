//! A whole `GET /metrics`, beside what others take for as many series; and ingest while many scrape.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus::{Encoder, IntCounterVec, Opts, Registry, TextEncoder};

use crate::RUNS;
use crate::mix;
use crate::report::report;
use crate::support::wait_until;
use crate::tools::{ROOM, blocks, exporter, opened, read_so_far, resident_mib};

pub fn scrape() {
    for series in [10_000_usize, 100_000] {
        let exporter = exporter();
        let lines: String = (0..series)
            .map(|index| format!("{{\"event\":\"signaling.message.received\",\"type\":\"a-type-of-message-{index:010}\"}}\n"))
            .collect();
        exporter.feed(&lines);
        wait_until(|| read_so_far(&exporter) >= series as f64, || exporter.log());
        let registry = Registry::new();
        let vec =
            IntCounterVec::new(Opts::new("signaling_server_messages_total", "help"), &["type"]).unwrap();
        registry.register(Box::new(vec.clone())).unwrap();
        for index in 0..series {
            vec.with_label_values(&[format!("a-type-of-message-{index:010}")]).inc();
        }
        // A client that only takes the bytes, so that it is the exporter that is measured.
        let mut buffer = vec![0; 262_144];
        let mut timed = |request: &[u8]| {
            let started = Instant::now();
            let mut stream = TcpStream::connect(exporter.address).unwrap();
            stream.write_all(request).unwrap();
            let mut bytes = 0;
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                bytes += count;
            }
            assert!(bytes > series, "{bytes} bytes");
            started.elapsed().as_secs_f64() * 1_000.0
        };
        // Each by itself, after a round that is not counted: taken in turns they would empty each other's caches.
        let rounds = |measure: &mut dyn FnMut() -> f64| {
            measure();
            (0..15).map(|_| measure()).collect::<Vec<f64>>()
        };
        let ours = rounds(&mut || timed(b"GET /metrics HTTP/1.1\r\n\r\n"));
        let gzip = rounds(&mut || timed(b"GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n"));
        let theirs = rounds(&mut || {
            let started = Instant::now();
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            std::hint::black_box(&text);
            started.elapsed().as_secs_f64() * 1_000.0
        });
        let ours = report(&format!("scrape over HTTP, {series} series: ms"), ours);
        report("  gzip: ms", gzip);
        let theirs = report("  gather() + TextEncoder, in process: ms", theirs);
        report("  times as long as ours", vec![theirs / ours]);
        report("  resident after the scrapes: MiB", vec![resident_mib(exporter.child.id())]);
    }
}

/// Ten scrapers at ten a second, on 100,000 series, while events come in flat out.
pub fn crowd() {
    let series = 100_000;
    let blocks = blocks(&mix::lines(2_000_000, series), 65_536);
    let run = |scrapers: usize| {
        let exporter = opened(ROOM);
        let all: String = (0..series).map(|kind| mix::message(kind, 0)).collect();
        exporter.feed(all);
        wait_until(|| read_so_far(&exporter) >= (series + mix::SESSIONS) as f64, || exporter.log());
        let (stop, address) = (Arc::new(AtomicBool::new(false)), exporter.address);
        let threads: Vec<_> = (0..scrapers)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    let (mut slowest, mut buffer) = (0.0_f64, vec![0; 262_144]);
                    while !stop.load(Ordering::Relaxed) {
                        let started = Instant::now();
                        let mut stream = TcpStream::connect(address).unwrap();
                        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
                        while let Ok(1..) = stream.read(&mut buffer) {}
                        slowest = slowest.max(started.elapsed().as_secs_f64() * 1_000.0);
                        std::thread::park_timeout(
                            Duration::from_millis(100).saturating_sub(started.elapsed()),
                        );
                    }
                    slowest
                })
            })
            .collect();
        let started = Instant::now();
        let mut stream = UnixStream::connect(&exporter.socket).unwrap();
        for block in &blocks {
            stream.write_all(block).unwrap();
        }
        let rate = 2.0 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let slowest = threads.into_iter().map(|thread| thread.join().unwrap()).fold(0.0, f64::max);
        (rate, slowest)
    };
    let (mut lost, mut slowest) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (alone, crowded) = (run(0), run(10));
        lost.push((1.0 - crowded.0 / alone.0) * 100.0);
        slowest.push(crowded.1);
    }
    report("ten scrapers at 10 Hz on 100000 series: % of the throughput lost", lost);
    report("  the slowest scrape: ms", slowest);
}
