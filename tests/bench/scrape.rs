//! A whole `GET /metrics`, beside what others take for as many series; and ingest while many scrape.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus::{Encoder, IntCounterVec, Opts, Registry, TextEncoder};

use crate::RUNS;
use crate::mix;
use crate::peers;
use crate::report::{report, skipped};
use crate::support::wait_until;
use crate::tools::{APPLIED, ROOM, blocks, exporter, opened, read_so_far, resident_mib};

pub fn scrape() {
    for series in [10_000_usize, 100_000] {
        let exporter = exporter();
        let lines: String = (0..series)
            .map(|index| format!("{{\"event\":\"signaling.message.received\",\"type\":\"a-type-of-message-{index:010}\"}}\n"))
            .collect();
        exporter.feed(&lines);
        wait_until(|| read_so_far(&exporter, APPLIED) >= series as f64, || exporter.log());
        let registry = Registry::new();
        let vec =
            IntCounterVec::new(Opts::new("signaling_server_messages_total", "help"), &["type"]).unwrap();
        registry.register(Box::new(vec.clone())).unwrap();
        for index in 0..series {
            vec.with_label_values(&[format!("a-type-of-message-{index:010}")]).inc();
        }
        let address = exporter.address;
        let ours = rounds(series, || get(address, "GET /metrics HTTP/1.1\r\n\r\n"));
        let ours = report(&format!("scrape over HTTP, {series} series: ms"), ours);
        let gzip = "GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
        report("  gzip: ms", rounds(series / 20, || get(address, gzip)));
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let theirs = server.server_addr().to_ip().unwrap();
        let thread = std::thread::spawn(move || {
            for request in server.incoming_requests() {
                let mut text = Vec::new();
                TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
                let stop = request.url() == "/stop";
                request.respond(tiny_http::Response::from_data(text)).unwrap();
                if stop {
                    break;
                }
            }
        });
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let crate_times = rounds(series, || get(theirs, request));
        let crate_median = report("  the prometheus crate's registry behind tiny_http: ms", crate_times);
        report("  times as long as ours", vec![crate_median / ours]);
        get(theirs, "GET /stop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        thread.join().unwrap();
        match peers::exposition(series) {
            Ok((_peer, address)) => {
                let times = rounds(series, || get(address, request));
                let median = report("  Python's prometheus_client: ms", times);
                report("  times as long as ours", vec![median / ours]);
            }
            Err(why) => skipped("  Python's prometheus_client", why),
        }
        report("  resident after the scrapes: MiB", vec![resident_mib(&exporter)]);
    }
}

/// A whole response, of which only the bytes are counted, so that it is the server that is measured.
pub fn get(address: SocketAddr, request: &str) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut bytes, mut buffer) = (0, vec![0; 262_144]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        bytes += count;
    }
    bytes
}

/// Milliseconds, each server by itself, after a round that is not counted: taken in turns they would empty each other's caches.
pub fn rounds(least: usize, measure: impl Fn() -> usize) -> Vec<f64> {
    let one = || {
        let started = Instant::now();
        let bytes = measure();
        assert!(bytes > least, "{bytes} bytes");
        started.elapsed().as_secs_f64() * 1_000.0
    };
    one();
    (0..11).map(|_| one()).collect()
}

/// Ten scrapers at ten a second, on 100,000 series, while events come in flat out.
pub fn crowd() {
    let series = 100_000;
    let blocks = blocks(&mix::lines(2_000_000, series), 65_536);
    let run = |scrapers: usize| {
        let exporter = opened(ROOM);
        let all: String = (0..series).map(|kind| mix::message(kind, 0)).collect();
        exporter.feed(all);
        wait_until(|| read_so_far(&exporter, APPLIED) >= (series + mix::SESSIONS) as f64, || exporter.log());
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
