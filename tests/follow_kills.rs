//! A log is followed while both sides are killed at random moments and the log is rotated in every way: afterwards every
//! number equals what was written to the log.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::follower::{Follower, exporter};
use support::{Exporter, pass, sum, value, wait_for_as_long};

/// A log that is written, torn and rotated.
struct Log {
    path: PathBuf,
    file: File,
    random: fastrand::Rng,
    rotations: u64,
    lines: u64,
    expected: Expected,
}

/// What all lines come to.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    opened: f64,
    open: f64,
    calls: [f64; 3],
}

impl Log {
    fn new(path: &Path, seed: u64) -> Self {
        let file = append(path);
        let random = fastrand::Rng::with_seed(seed);
        Log { path: path.to_owned(), file, random, rotations: 0, lines: 0, expected: Expected::default() }
    }

    /// The next line. Of ten, one opens an item, which the tenth after it may close, and three are calls.
    fn line(&mut self) -> String {
        self.lines += 1;
        let number = self.lines;
        match number % 10 {
            1 => {
                self.expected.opened += 1.0;
                self.expected.open += 1.0;
                format!("{number} start i{number}\n")
            }
            2 if number % 20 == 12 => {
                self.expected.open -= 1.0;
                format!("{number} end i{}\n", number - 11)
            }
            kind @ 3..=5 => {
                self.expected.calls[kind as usize - 3] += 1.0;
                format!("{number} call of k{kind}\n")
            }
            6 => format!("{number} heartbeat\n"),
            // It leaves, which counts later, unless it is seen before.
            7 if number % 20 == 17 => {
                self.expected.open -= 1.0;
                format!("{number} leaving i{}\n", number - 6)
            }
            8 if number % 40 == 18 => {
                self.expected.open += 1.0;
                format!("{number} seen i{}\n", number - 7)
            }
            _ => format!("{number} a line that means nothing to anyone\n"),
        }
    }

    /// Writes so many lines in pieces of any length, with rotations between whole lines.
    fn write(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            let some = self.random.u64(1..=left);
            left -= some;
            let text: String = (0..some).map(|_| self.line()).collect();
            let torn = self.random.usize(..=text.len());
            self.file.write_all(&text.as_bytes()[..torn]).unwrap();
            if self.random.u8(..4) == 0 {
                pass(Duration::from_micros(self.random.u64(..3_000)));
            }
            self.file.write_all(&text.as_bytes()[torn..]).unwrap();
            if self.random.u8(..8) == 0 {
                self.rotate();
            }
        }
    }

    fn rotate(&mut self) {
        self.rotations += 1;
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!("-{:08}", self.rotations));
        if self.random.bool() {
            fs::rename(&self.path, name).unwrap();
            // Whoever writes may go on for a moment in the former file.
            let line = self.line();
            self.file.write_all(line.as_bytes()).unwrap();
            self.file = append(&self.path);
        } else {
            fs::copy(&self.path, name).unwrap();
            self.file.set_len(0).unwrap();
        }
    }
}

fn append(path: &Path) -> File {
    File::options().append(true).create(true).open(path).unwrap()
}

/// Kills one side or the other so many times while so many lines are written, then compares all numbers.
fn run(kills: u64, lines: u64) {
    let mut exporter = exporter("");
    let path = exporter.directory.path().join("x.log");
    append(&path).write_all(b"0 heartbeat\n").unwrap();
    let mut follower = Follower::of_file(&exporter, &path);
    let mut log = Log::new(&path, lines);
    let (mut random, mut of_exporter) = (fastrand::Rng::with_seed(lines), 0);
    for _ in 0..kills {
        log.write(lines / kills);
        pass(Duration::from_micros(random.u64(..40_000)));
        let (hits_exporter, hits_follower) = (random.u8(..10) < 4, random.u8(..10) < 6);
        if hits_exporter {
            exporter.kill();
            of_exporter += 1;
        }
        if hits_follower || !hits_exporter {
            follower.kill();
            if random.u8(..4) == 0 {
                log.rotate();
            }
            follower.spawn_again();
        }
        if hits_exporter {
            exporter.spawn_again();
        }
    }
    println!(
        "{} lines, {kills} kills, {of_exporter} of the exporter, {} rotations",
        log.lines, log.rotations
    );
    exporter.wait_for_start();
    compare(&exporter, &follower, &log);
    // And once more from what is on the disk.
    exporter.restart();
    compare(&exporter, &follower, &log);
}

fn compare(exporter: &Exporter, follower: &Follower, log: &Log) {
    let counted = || {
        let metrics = exporter.metrics();
        let of = |series: &str| value(&metrics, series).unwrap_or_default();
        let calls = [3, 4, 5].map(|kind| of(&format!("t_calls_total{{kind=\"k{kind}\"}}")));
        Expected { opened: of("t_items_total"), open: of("t_items_current"), calls }
    };
    wait_for_as_long(
        Duration::from_secs(60),
        || counted() == log.expected,
        || format!("{:?}, expected {:?}\n{}", counted(), log.expected, follower.log()),
    );
    let rejected = sum(&exporter.metrics(), "lifecycle_exporter_events_rejected_total");
    assert!(rejected < 0.5, "{rejected} rejected\n{}", follower.log());
}

#[test]
fn kills_and_rotations_lose_no_line_and_count_none_twice() {
    run(40, 40_000);
}

#[test]
#[ignore = "takes minutes: cargo test --test follow_kills -- --ignored --nocapture"]
fn a_thousand_kills_lose_no_line_and_count_none_twice() {
    run(1_000, 1_000_000);
}
