//! Nothing lost, nothing twice: the exporter is killed at random moments under load, producers break their connections at
//! random, and afterwards every number equals what the producers sent.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::session::ack;
use support::{Exporter, pass, sum, value, wait_for_exit};

const CONFIG: &str = "[state]\ndirectory = {directory}/state\n[events]\ngrace = 1h\n";
const PRODUCERS: u64 = 4;

/// What a run did to the exporter.
#[derive(Debug, Default)]
struct Kills {
    under_load: u64,
    while_starting: u64,
    while_stopping: u64,
    while_reloading: u64,
    /// Of all these, those that left a snapshot half-written.
    within_a_snapshot: u64,
}

impl Kills {
    fn all(&self) -> u64 {
        self.under_load + self.while_starting + self.while_stopping + self.while_reloading
    }
}

/// The line of a producer with this number, from 1. Of four lines one opens a recording, and half of these are closed by
/// the next; one is counted by type; one is rejected.
fn line(producer: u64, number: u64) -> String {
    let recording = |event: &str, recording: u64| {
        format!(
            "{{\"event\":\"recording.{event}\",\"backend\":\"b{producer}\",\"recording\":\"{recording}\"}}\n"
        )
    };
    match number % 4 {
        1 => recording("started", number),
        2 if number % 8 == 2 => recording("stopped", number - 1),
        3 => recording("stopped", number),
        _ => format!("{{\"event\":\"signaling.message.received\",\"type\":\"t{producer}\"}}\n"),
    }
}

/// What all lines of a producer come to.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    started: f64,
    open: f64,
    messages: f64,
    rejected: f64,
}

fn sums(lines: u64) -> Sums {
    let mut sums = Sums::default();
    for number in 1..=lines {
        match number % 4 {
            1 => {
                sums.started += 1.0;
                sums.open += 1.0;
            }
            2 if number % 8 == 2 => sums.open -= 1.0,
            3 => sums.rejected += 1.0,
            _ => sums.messages += 1.0,
        }
    }
    sums
}

/// How far all producers have come together, and how far each may go for now: kills are spread over all lines.
#[derive(Default)]
struct Progress {
    acked: AtomicU64,
    allowed: AtomicU64,
}

/// Sends lines until all are acknowledged, over as many connections as that takes.
fn produce(socket: &Path, producer: u64, lines: u64, progress: &Progress) {
    let mut random = fastrand::Rng::with_seed(producer);
    let mut acked = 0;
    while acked < lines {
        let connected = converse(socket, producer, lines, &mut acked, &mut random, progress);
        if connected.is_none() {
            pass(Duration::from_micros(random.u64(100..3_000)));
        }
    }
}

/// One connection, up to its end.
fn converse(
    socket: &Path,
    producer: u64,
    lines: u64,
    acked: &mut u64,
    random: &mut fastrand::Rng,
    progress: &Progress,
) -> Option<()> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let replies = std::io::BufReader::new(stream.try_clone().ok()?);
    let mut replies = std::io::BufRead::lines(replies).map_while(Result::ok);
    writeln!(stream, "{{\"hello\":\"p{producer}\",\"instance\":\"i\"}}").ok()?;
    let take = |number: u64, acked: &mut u64| {
        assert!(number >= *acked, "acknowledged {acked}, now {number}");
        progress.acked.fetch_add(number - *acked, Ordering::Relaxed);
        *acked = number;
    };
    let position = ack(&replies.next()?).expect("the hello's answer");
    take(position, acked);
    while *acked < lines {
        let allowed = lines.min(progress.allowed.load(Ordering::Relaxed));
        if *acked >= allowed {
            pass(Duration::from_micros(200));
            continue;
        }
        let until = allowed.min(*acked + random.u64(1..1_500));
        let mut block: String = (*acked + 1..=until).map(|number| line(producer, number)).collect();
        let breaks = random.u8(..) < 8;
        if breaks {
            block.truncate(random.usize(..block.len()));
        }
        stream.write_all(block.as_bytes()).ok()?;
        if breaks {
            return None;
        }
        while *acked < until {
            if let Some(number) = ack(&replies.next()?) {
                take(number, acked);
            }
        }
    }
    Some(())
}

/// Kills the exporter so many times while so many lines come in, then compares all numbers.
fn run(kills_wanted: u64, lines: u64) {
    let mut exporter = Exporter::start(CONFIG);
    let (progress, done) = (Arc::new(Progress::default()), Arc::new(AtomicBool::new(false)));
    let each = lines / PRODUCERS;
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let (socket, progress) = (exporter.socket.clone(), Arc::clone(&progress));
            thread::spawn(move || produce(&socket, producer, each, &progress))
        })
        .collect();
    let all_done = Arc::clone(&done);
    let waiter = thread::spawn(move || {
        for producer in producers {
            producer.join().unwrap();
        }
        all_done.store(true, Ordering::Relaxed);
    });
    let (mut random, mut kills) = (fastrand::Rng::with_seed(lines), Kills::default());
    let mut alternate = false;
    while !done.load(Ordering::Relaxed) {
        // Each kill waits for its share of the lines, and the lines wait for it.
        let step = each / (kills_wanted + 2);
        let share = ((kills.all() + 1) * step).min(each);
        progress
            .allowed
            .store(if kills.all() < kills_wanted { share + step } else { each }, Ordering::Relaxed);
        while progress.acked.load(Ordering::Relaxed) < share * PRODUCERS && !done.load(Ordering::Relaxed) {
            pass(Duration::from_micros(200));
        }
        if done.load(Ordering::Relaxed) {
            break;
        }
        pass(Duration::from_micros(random.u64(..4_000)));
        match random.u8(..8) {
            0 => {
                // It ends with a snapshot, which is soon written.
                exporter.signal("TERM");
                let until = Instant::now() + Duration::from_micros(random.u64(..20_000));
                while Instant::now() < until && !has_unfinished(&exporter) {
                    thread::yield_now();
                }
                kills.while_stopping += 1;
            }
            1 => {
                alternate = !alternate;
                let entities = if alternate { 900_000 } else { 1_000_000 };
                exporter.configure(&format!("{CONFIG}[limits]\nentities = {entities}\n"));
                exporter.signal("HUP");
                pass(Duration::from_micros(random.u64(..5_000)));
                kills.while_reloading += 1;
            }
            _ => kills.under_load += 1,
        }
        kill(&mut exporter, &mut kills);
        exporter.spawn_again();
        while random.u8(..4) == 0 {
            pass(Duration::from_micros(random.u64(..15_000)));
            kill(&mut exporter, &mut kills);
            exporter.spawn_again();
            kills.while_starting += 1;
        }
        exporter.wait_for_start();
    }
    waiter.join().unwrap();
    println!("{lines} lines, {} kills: {kills:?}", kills.all());
    assert!(kills.all() >= kills_wanted, "{kills:?}");
    compare(&exporter, each);
    // And once more from what is on the disk.
    exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut exporter.child), Some(0));
    exporter.spawn_again();
    exporter.wait_for_start();
    compare(&exporter, each);
}

fn kill(exporter: &mut Exporter, kills: &mut Kills) {
    exporter.kill();
    kills.within_a_snapshot += u64::from(has_unfinished(exporter));
}

/// Whether a snapshot is half-written.
fn has_unfinished(exporter: &Exporter) -> bool {
    let files = std::fs::read_dir(exporter.directory.path().join("state")).unwrap();
    let unfinished = |path: &Path| path.extension().is_some_and(|extension| extension == "new");
    files.map_while(Result::ok).any(|file| unfinished(&file.path()))
}

fn compare(exporter: &Exporter, each: u64) {
    let metrics = exporter.metrics();
    let expected = sums(each);
    let mut rejected = 0.0;
    for producer in 0..PRODUCERS {
        let of = |name: &str| value(&metrics, &format!("{name}{{backend=\"b{producer}\"}}")).unwrap();
        let messages = format!("signaling_server_messages_total{{type=\"t{producer}\"}}");
        let counted = Sums {
            started: of("recording_recordings_total"),
            open: of("recording_recordings_current"),
            messages: value(&metrics, &messages).unwrap(),
            rejected: expected.rejected,
        };
        assert_eq!(counted, expected, "producer {producer}");
        rejected += expected.rejected;
    }
    assert!((sum(&metrics, "lifecycle_exporter_events_rejected_total") - rejected).abs() < 0.5);
    exporter.assert_law(each * PRODUCERS);
}

#[test]
fn kills_lose_nothing_and_count_nothing_twice() {
    run(40, 60_000);
}

#[test]
#[ignore = "takes minutes; meant for a release build: cargo test --release --test kills -- --ignored --nocapture"]
fn a_thousand_kills_lose_nothing_and_count_nothing_twice() {
    run(1_000, 2_000_000);
}
