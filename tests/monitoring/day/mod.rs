//! A working day of all five systems on one host, played through the engine in simulated time, and what a scrape
//! every 15 seconds sees of it. The same midnight gives the same text; no clock is read.
//!
//! What cannot be told by `OpenMetrics` is missing: where a series ends, a real Prometheus writes that it is stale;
//! from this text, it shows the last value for five more minutes.

#![allow(clippy::float_cmp, reason = "times are whole numbers of steps")]

mod edumeet;
mod recording;
mod samples;
mod signaling;
mod vlog;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::Range;

use fastrand::Rng;
use lifecycle_exporter::internals::{Bench, Surroundings, line};

use samples::Samples;

/// Seconds between two scrapes. All events in between happen just before the second one.
const STEP: f64 = 15.0;
pub const HOUR: f64 = 3_600.0;
/// The exporter has been running since so many seconds before midnight.
const UPTIME: f64 = 9.0 * 24.0 * HOUR;

/// A system that is played: it says what happens in the step that ends at `at`, in seconds since midnight.
trait System {
    fn step(&mut self, at: f64, random: &mut Rng, feed: &mut Feed);
}

/// The lines of one step.
#[derive(Default)]
struct Feed(String);

impl Feed {
    /// An event as `send` takes it: `EVENT KEY=VALUE…`.
    fn say(&mut self, words: &str) {
        self.0.push_str(&line(words));
        self.0.push('\n');
    }
}

/// Writes the samples of these hours. The day is played from midnight whatever the hours are, so that an hour
/// alone is the same as in the whole day. `midnight` is Unix seconds.
pub fn write(midnight: f64, hours: Range<f64>, out: &mut impl Write) -> io::Result<()> {
    let mut random = Rng::with_seed(20_240);
    let mut systems: [Box<dyn System>; 4] = [
        Box::new(signaling::Talk::default()),
        Box::new(recording::Recorder::new()),
        Box::new(vlog::Platform::default()),
        Box::new(edumeet::Evening::default()),
    ];
    let started = midnight - UPTIME;
    let producers = ["edumeet", "proxy", "recording", "signaling", "vlog"];
    let (mut engine, mut around) = (Bench::new(), Surroundings::new(started, &producers));
    let (mut samples, mut text) = (Samples::default(), Vec::new());
    let (mut lines, mut bytes) = (0, 0);
    for number in 0..=(hours.end * HOUR / STEP) as u32 {
        let at = f64::from(number) * STEP;
        let mut feed = Feed::default();
        for system in &mut systems {
            system.step(at, &mut random, &mut feed);
        }
        engine.apply(midnight + at, feed.0.as_bytes());
        lines += feed.0.lines().count();
        bytes += feed.0.len();
        if at < hours.start * HOUR {
            continue;
        }
        let saved = at - at % HOUR;
        around.journal(4_096 + (bytes / 8 % 2_000_000) as u64, midnight + saved);
        let left = 1.0 + (at / HOUR / 6.0).floor();
        // What was not uploaded at 15:10 stays.
        let oldest = midnight + if at > 15.2 * HOUR { 15.15 * HOUR } else { saved - HOUR };
        around.scanned("recordings", midnight + at - at % 60.0, left, left * 4.1e7, oldest);
        text.clear();
        engine.scrape(midnight + at, &around, &mut text);
        let text = std::str::from_utf8(&text).expect("an exposition is text");
        samples.add(midnight + at, text);
        samples.add(midnight + at, &process(started, at, lines));
    }
    samples.write(out)
}

/// What a scrape shows of the process, and `up`, which Prometheus adds.
fn process(started: f64, at: f64, lines: usize) -> String {
    let mut text = String::new();
    for (name, kind, value) in [
        ("process_cpu_seconds_total", "counter", 40.0 + at * 2e-4 + lines as f64 * 4e-6),
        ("process_max_fds", "gauge", 524_288.0),
        ("process_open_fds", "gauge", 23.0),
        ("process_resident_memory_bytes", "gauge", 11_534_336.0 + (lines as f64 * 2.0).min(1_048_576.0)),
        ("process_start_time_seconds", "gauge", started),
        ("up", "gauge", 1.0),
    ] {
        let _ = write!(text, "# TYPE {name} {kind}\n{name} {value}\n");
    }
    text
}

/// A value that changes over the day, between points of hour and value.
fn curve(points: &[(f64, f64)], at: f64) -> f64 {
    let hour = at / HOUR;
    let next = points.iter().position(|(of, _)| *of > hour);
    let Some(next) = next.filter(|next| *next > 0) else { return points[points.len() - 1].1 };
    let ((from, low), (to, high)) = (points[next - 1], points[next]);
    low + (high - low) * (hour - from) / (to - from)
}

/// Whether something happens in this step that happens so many times an hour.
fn chance(random: &mut Rng, times_an_hour: f64) -> bool {
    random.f64() < times_an_hour * STEP / HOUR
}

/// A number in a range.
fn between(random: &mut Rng, from: f64, to: f64) -> f64 {
    // Producers send what a person could have measured.
    ((from + (to - from) * random.f64()) * 1e4).round() / 1e4
}

/// Whether it is so many seconds since midnight, or within these minutes.
fn within(at: f64, hour: f64, minute: f64, minutes: f64) -> bool {
    let from = hour * HOUR + minute * 60.0;
    (from..from + minutes * 60.0).contains(&at)
}
