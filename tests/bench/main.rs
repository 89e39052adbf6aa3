//! Side by side: the exporter and what it is compared with, on this machine, in this run. Prints, judges nothing.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::cast_possible_truncation,
    reason = "a program for a terminal"
)]

mod mix;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lifecycle_exporter::catalog;
use lifecycle_exporter::config::Settings;
use lifecycle_exporter::lifecycles::Rules;
use lifecycle_exporter::state::State;
use lifecycle_exporter::state::entry::Entry;
use mix::SESSIONS;
use prometheus::{Encoder, IntCounterVec, Opts, Registry, TextEncoder};
use support::session::Session;
use support::{Exporter, wait_until};

const EVENTS: usize = 2_000_000;
const RUNS: usize = 3;

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("count-newlines") {
        return count_newlines(&args.next().unwrap());
    }
    println!("{:<58} {:>9} {:>9} {:>9}", "", "min", "median", "max");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let parts: [(&str, fn()); 7] = [
        ("ingest", ingest),
        ("session", session),
        ("snapshot", snapshot),
        ("writes", one_write_an_event),
        ("paced", paced),
        ("scrape", scrape),
        ("size", size),
    ];
    for (_, part) in
        parts.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|other| other == name))
    {
        part();
    }
}

fn report(what: &str, mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let median = figures[figures.len() / 2];
    println!("{what:<58} {:>9.3} {median:>9.3} {:>9.3}", figures[0], figures[figures.len() - 1]);
    median
}

/// CPU-seconds of a process so far, its ended threads included.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

fn exporter() -> Exporter {
    Exporter::start("[limits]\nseries_per_metric = 1000000\n")
}

/// Feeds blocks and waits until all is applied. CPU-seconds per million events.
fn feed(exporter: &Exporter, blocks: &[Vec<u8>], events: usize) -> (f64, f64) {
    let before = cpu_seconds(exporter.child.id());
    let read_before = read_so_far(exporter);
    let started = Instant::now();
    let mut stream = UnixStream::connect(&exporter.socket).unwrap();
    for block in blocks {
        stream.write_all(block).unwrap();
    }
    drop(stream);
    let mut cpu = 0.0;
    wait_until(
        || {
            cpu = cpu_seconds(exporter.child.id()) - before;
            read_so_far(exporter) - read_before >= events as f64
        },
        || "not all events were applied".to_owned(),
    );
    let seconds = started.elapsed().as_secs_f64();
    let metrics = exporter.metrics();
    assert!(support::sum(&metrics, "lifecycle_exporter_events_rejected_total") < 0.5, "{}", exporter.log());
    (cpu * 1e6 / events as f64, events as f64 / seconds / 1e6)
}

/// Through a part of the metrics, so that asking costs little.
fn read_so_far(exporter: &Exporter) -> f64 {
    support::sum(&exporter.metrics(), "lifecycle_exporter_events_total")
}

fn blocks(lines: &[String], bytes: usize) -> Vec<Vec<u8>> {
    let all: Vec<u8> = lines.concat().into_bytes();
    all.chunks(bytes).map(<[u8]>::to_vec).collect()
}

fn start_counter() -> (Child, std::path::PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let child =
        Command::new(std::env::current_exe().unwrap()).arg("count-newlines").arg(&path).spawn().unwrap();
    wait_until(|| path.exists(), || "the counter does not start".to_owned());
    (child, path, directory)
}

/// The limit: reads and counts line ends, nothing else. Ends with its first connection, printing nothing.
fn count_newlines(path: &str) {
    let listener = UnixListener::bind(path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut buffer = vec![0; 65_536];
    let mut count = 0_usize;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        count += memchr::memchr_iter(b'\n', &buffer[..read]).count();
    }
    std::hint::black_box(count);
    // Stays for its CPU time to be read.
    let _ = fs::write(format!("{path}.done"), "");
    std::thread::park();
}

fn feed_counter(blocks: &[Vec<u8>], events: usize) -> f64 {
    let (mut child, path, _directory) = start_counter();
    let mut stream = UnixStream::connect(&path).unwrap();
    for block in blocks {
        stream.write_all(block).unwrap();
    }
    drop(stream);
    let done = std::path::PathBuf::from(format!("{}.done", path.display()));
    wait_until(|| done.exists(), || "the counter does not end".to_owned());
    let cpu = cpu_seconds(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    cpu * 1e6 / events as f64
}

fn ingest() {
    for types in [1_000, 100_000] {
        let lines = mix::lines(EVENTS, types);
        let average = lines.iter().map(String::len).sum::<usize>() / lines.len();
        let blocks = blocks(&lines, 65_536);
        let (mut cpu, mut rate, mut limit) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let exporter = exporter();
            exporter.feed(mix::opening());
            wait_until(|| read_so_far(&exporter) >= SESSIONS as f64, || exporter.log());
            let (seconds, millions) = feed(&exporter, &blocks, EVENTS);
            cpu.push(seconds);
            rate.push(millions);
            limit.push(feed_counter(&blocks, EVENTS));
        }
        report(&format!("ingest, {types} series, {average} bytes: CPU-s per million"), cpu);
        report("  million events a second", rate);
        report("  a reader that only counts newlines: CPU-s per million", limit);
    }
}

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

fn session() {
    let lines = mix::lines(EVENTS, 1_000);
    let blocks = blocks(&lines, 65_536);
    let opened = |config: &str| {
        let exporter = Exporter::start(config);
        exporter.feed(mix::opening());
        wait_until(|| read_so_far(&exporter) >= SESSIONS as f64, || exporter.log());
        exporter
    };
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
fn snapshot() {
    for series in [10_000, 100_000] {
        let mut state = State::default();
        let catalogs = catalog::load(None).unwrap();
        let rules = Rules { series_max: 1_000_000, ..Rules::from(&Settings::default()) };
        state.configure(&catalogs, rules, 0.0);
        let lines = mix::opening()
            + &(0..series)
                .map(|index| format!("{{\"event\":\"signaling.message.received\",\"type\":\"a-type-of-message-{index:010}\"}}\n"))
                .collect::<String>();
        state.apply(&Entry::Lines { at: 0.0, place: None, block: lines.as_bytes() }, &mut |_| {}).unwrap();
        let mut bytes = 0;
        let times = (0..15)
            .map(|_| {
                let started = Instant::now();
                bytes = std::hint::black_box(state.save()).len();
                started.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        report(&format!("pause for a snapshot, {series} series: ms"), times);
        report("  its size: MiB", vec![bytes as f64 / 1_048_576.0]);
        let image = state.save();
        let restored = (0..5)
            .map(|_| {
                let started = Instant::now();
                std::hint::black_box(State::restore(&image).unwrap());
                started.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        report("  reading it at a start: ms", restored);
    }
}

fn one_write_an_event() {
    let events = EVENTS / 4;
    let lines = mix::lines(events, 1_000);
    let blocks: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
    let (mut ratio, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let exporter = exporter();
        exporter.feed(mix::opening());
        wait_until(|| read_so_far(&exporter) >= SESSIONS as f64, || exporter.log());
        let ours = feed(&exporter, &blocks, events).0;
        ratio.push(ours / feed_counter(&blocks, events));
        cpu.push(ours);
    }
    report("one write an event: CPU-s per million", cpu);
    report("  times the CPU of the newline counter", ratio);
}

fn paced() {
    for rate in [1_000_u32, 10_000] {
        let exporter = exporter();
        exporter.feed(mix::opening());
        wait_until(|| read_so_far(&exporter) >= SESSIONS as f64, || exporter.log());
        let lines = mix::lines(rate as usize * 10, 1_000);
        let before = cpu_seconds(exporter.child.id());
        let mut stream = UnixStream::connect(&exporter.socket).unwrap();
        let started = Instant::now();
        for (index, line) in lines.iter().enumerate() {
            let due = Duration::from_secs(1) * index as u32 / rate;
            std::thread::sleep(due.saturating_sub(started.elapsed()));
            stream.write_all(line.as_bytes()).unwrap();
        }
        let cpu = cpu_seconds(exporter.child.id()) - before;
        report(
            &format!("paced at {rate} events a second: % of a core"),
            vec![cpu / started.elapsed().as_secs_f64() * 100.0],
        );
    }
}

fn scrape() {
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
        println!("{:<58} {:>19.1}", "  times faster, at the median", theirs / ours);
        report("  resident after the scrapes: MiB", vec![resident_mib(exporter.child.id())]);
    }
}

fn size() {
    let mut starts = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let exporter = Exporter::start("");
        starts.push(started.elapsed().as_secs_f64() * 1_000.0);
        idle.push(resident_mib(exporter.child.id()));
    }
    report("start to the line that says it listens: ms", starts);
    report("resident, idle: MiB", idle);
    let binary = fs::metadata(env!("CARGO_BIN_EXE_lifecycle-exporter")).unwrap().len();
    report("binary, stripped: MiB", vec![binary as f64 / 1_048_576.0]);
}
