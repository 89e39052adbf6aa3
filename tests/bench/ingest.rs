//! Events into the feed: flat out, one write each, and at a steady pace.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::mix;
use crate::report::report;
use crate::tools::{Meter, ROOM, blocks, cpu_of_counter, feed, feed_counter, opened};
use crate::{EVENTS, RUNS};

pub fn ingest() {
    for types in [1_000, 100_000] {
        let lines = mix::lines(EVENTS, types);
        let average = lines.iter().map(String::len).sum::<usize>() / lines.len();
        let blocks = blocks(&lines, 65_536);
        let (mut cpu, mut rate, mut limit) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let exporter = opened(ROOM);
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

/// Lines of the length of the mix's that are rejected, for each thing that may be wrong with a line.
pub fn rejected() {
    let events = EVENTS / 4;
    // Nobody of these has joined.
    let message = |number: usize| mix::message(number % 1_000, mix::SESSIONS + number);
    let kinds: [(&str, &dyn Fn(usize) -> String); 6] = [
        ("no JSON", &|number| message(number).replace('}', "")),
        ("an unknown event", &|number| message(number).replace("message", "massage")),
        ("a field is missing", &|number| message(number).replace("\"type\"", "\"kind\"")),
        ("not open", &|number| message(number).replace("message.received", "session.left")),
        ("already open", &|number| mix::joined(number % mix::SESSIONS)),
        ("of one byte", &|_| "1\n".to_owned()),
    ];
    for (name, line) in kinds {
        let lines: Vec<String> = (0..events).map(line).collect();
        let rejected = blocks(&lines, 65_536);
        let applied = blocks(&mix::lines(events, 1_000), 65_536);
        let (mut cpu, mut ratio) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let exporter = opened(ROOM);
            let an_event = feed(&exporter, &applied, events).0;
            let exporter = opened(ROOM);
            let meter = Meter::of_rejected(&exporter);
            let mut stream = UnixStream::connect(&exporter.socket).unwrap();
            for block in &rejected {
                stream.write_all(block).unwrap();
            }
            let a_line = meter.cpu_of(events) * 1e6 / events as f64;
            cpu.push(a_line);
            ratio.push(a_line / an_event);
        }
        report(&format!("rejected lines, {name}: CPU-s per million"), cpu);
        report("  times that of applied events", ratio);
    }
}

pub fn one_write_an_event() {
    let events = EVENTS / 4;
    let lines = mix::lines(events, 1_000);
    let blocks: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
    let (mut ratio, mut cpu, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let exporter = opened(ROOM);
        let (ours, millions) = feed(&exporter, &blocks, events);
        ratio.push(ours / feed_counter(&blocks, events));
        cpu.push(ours);
        rate.push(millions);
    }
    report("one write an event: CPU-s per million", cpu);
    report("  million events a second", rate);
    report("  times the CPU of the newline counter", ratio);
}

pub fn paced() {
    for rate in [1_000_u32, 10_000] {
        let lines = mix::lines(rate as usize * 5, 1_000);
        let (mut ratio, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let exporter = opened(ROOM);
            let meter = Meter::start(&exporter);
            pace(UnixStream::connect(&exporter.socket).unwrap(), &lines, rate);
            let ours = meter.cpu_of(lines.len());
            ratio.push(ours / cpu_of_counter(|stream| pace(stream, &lines, rate)));
            cpu.push(ours * 1e6 / lines.len() as f64);
        }
        report(&format!("paced at {rate} events a second: CPU-s per million"), cpu);
        report("  times the CPU of the newline counter, paced alike", ratio);
    }
}

/// Writes lines one by one, each when it is due.
fn pace(mut stream: UnixStream, lines: &[String], rate: u32) {
    let started = Instant::now();
    for (index, line) in lines.iter().enumerate() {
        let due = Duration::from_secs(1) * index as u32 / rate;
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        stream.write_all(line.as_bytes()).unwrap();
    }
}
