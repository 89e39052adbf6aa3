//! Everything that producers, clients and disks can fill has a bound. `[limits] memory`: what does not fit is refused
//! by name or goes on in `_overflow`, and nothing else stops. HTTP responses are in `http`, directory scans in
//! `process`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_collect,
    reason = "a failure here is a failed test"
)]

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;

use support::session::Session;
use support::{Exporter, wait_until};

const SNAPSHOT: &str = "lifecycle_exporter_snapshot_timestamp_seconds";
const CONFIG: &str = "[limits]\nmemory = 16M\n[state]\ndirectory = {directory}/state\n";

fn joined(number: usize) -> String {
    format!(r#"{{"event":"proxy.session.created","session":"{number:0900}"}}"#)
}

#[test]
fn entities_fill_the_memory_and_no_more() {
    let mut exporter = Exporter::start(CONFIG);
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    let before = exporter.resident_bytes();
    // 40 MB of keys.
    let lines: String = (0..40_000).map(|number| format!("{}\n", joined(number))).collect();
    let mut writer = session.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writer.write_all(lines.as_bytes()).unwrap());
    let replies = session.wait_for_ack(40_000);
    writer.join().unwrap();
    let open = exporter.value("lifecycle_exporter_entities{system=\"proxy\",entity=\"session\"}").unwrap();
    assert!((14_000.0..17_000.0).contains(&open), "{open} are open");
    assert!(replies[0].contains("entity_limit") && replies[0].contains("[limits] memory"), "{}", replies[0]);
    assert!(exporter.resident_bytes() - before < 64 << 20, "{} bytes", exporter.resident_bytes());

    // What closes makes room for as much, and what is at hand goes on counting.
    session.send(r#"{"event":"proxy.server_started"}"#);
    session.send(&joined(0).replace("created", "closed"));
    session.send(&joined(50_000));
    session.send(&joined(50_001));
    session.wait_for_ack(40_004);
    exporter.wait_for("signaling_proxy_sessions", open);

    // And so it is after a restart.
    exporter.crash();
    assert_eq!(exporter.value("signaling_proxy_sessions"), Some(open));
    let mut session = Session::begin(&exporter.socket, "p", "i").0;
    session.send(&joined(50_002));
    let replies = session.wait_for_ack(40_005);
    assert!(replies.iter().any(|reply| reply.contains("entity_limit")), "{replies:?}");
}

#[test]
fn series_fill_the_memory_and_go_on_in_one() {
    let exporter = Exporter::start("[limits]\nmemory = 1M\nseries_per_metric = 1000000\n");
    let line =
        |number: usize| format!("{{\"event\":\"signaling.message.received\",\"type\":\"{number:0900}\"}}\n");
    exporter.feed((0..5_000).map(line).collect::<String>());
    exporter.wait_for("lifecycle_exporter_events_total{event=\"signaling.message.received\"}", 5_000.0);
    let metrics = exporter.metrics();
    let sum = support::sum(&metrics, "signaling_server_messages_total");
    assert!((sum - 5_000.0).abs() < 0.5, "{sum}");
    let overflow = support::value(&metrics, "signaling_server_messages_total{type=\"_overflow\"}").unwrap();
    assert!((3_900.0..4_300.0).contains(&overflow), "{overflow}");
    assert!(exporter.resident_bytes() < 64 << 20);
}

/// More sessions than are remembered, with names as long as names may be.
#[test]
fn sessions_that_have_ended_take_bounded_memory() {
    let exporter = Exporter::start("");
    let before = exporter.resident_bytes();
    let play = |numbers: std::ops::Range<usize>| {
        for chunk in numbers.step_by(500) {
            let said = (chunk..chunk + 500).map(|number| {
                let mut session = Session::connect(&exporter.socket);
                session.send(&format!("{{\"hello\":\"{number:0200}\",\"instance\":\"{number:0200}\"}}"));
                session.send(r#"{"event":"signaling.session.resume_failed"}"#);
                session
            });
            said.collect::<Vec<Session>>().iter_mut().for_each(|session| drop(session.wait_for_ack(1)));
        }
        // What is shown of them counts, too.
        assert_eq!(exporter.get("/").status, 200);
        assert_eq!(exporter.get("/metrics").status, 200);
        exporter.resident_bytes()
    };
    let full = play(0..19_000);
    // The first scrape of so many producers makes room for its response, once.
    let (first, last) = (play(19_000..20_000), play(20_000..23_000));
    println!("resident: {before}, {full} after 19,000 sessions, {first} after 20,000, {last} after 23,000");
    assert!(first - before < 64 << 20, "{before} bytes before, {first} after");
    assert!(last < first + (2 << 20), "{first} bytes when it is full, {last} after more");
}

/// Producers that write nothing but what is rejected, and read none of the replies.
#[test]
fn replies_that_nobody_reads_take_bounded_memory() {
    const PRODUCERS: usize = 600;
    const LINES: usize = 4_000;
    let exporter = Exporter::start("");
    let before = exporter.resident_bytes();
    let mut producers: Vec<UnixStream> = (0..PRODUCERS)
        .map(|number| {
            let mut stream = UnixStream::connect(&exporter.socket).unwrap();
            stream.write_all(format!("{{\"hello\":\"p{number}\",\"instance\":\"i\"}}\n").as_bytes()).unwrap();
            stream
        })
        .collect();
    // Far more replies than a socket holds and than wait for one producer.
    let lines = "1\n".repeat(LINES);
    for stream in &mut producers {
        stream.write_all(lines.as_bytes()).unwrap();
    }
    let rejected = "lifecycle_exporter_events_rejected_total{reason=\"malformed\"}";
    exporter.wait_for(rejected, (PRODUCERS * LINES) as f64);
    let most = exporter.resident_bytes_max();
    println!("resident: {before}, at most {most} with replies that nobody reads");
    assert!(most - before > 32 << 20, "{most} bytes: the replies do not fill their memory");
    assert!(most - before < 128 << 20, "{most} bytes");
    let (mut honest, _) = Session::begin(&exporter.socket, "honest", "i");
    honest.send("1");
    assert_eq!(honest.wait_for_ack(1).len(), 1);
}

/// Standard error is a pipe that nobody reads: the feed does not wait for it.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let exporter = Exporter::start("");
    let before = exporter.resident_bytes();
    let held = exporter.hold_log();
    // Each mark takes eight bytes in the log, so that fifty lines are more than a pipe holds.
    let marks = "\u{202e}".repeat(200);
    let catalogs = support::catalogs();
    let events = catalogs.iter().flat_map(|catalog| catalog["events"].as_array().unwrap());
    let line = |event: &serde_json::Value| format!("{{\"x\":\"{marks}\",\"event\":{}}}\n", event["name"]);
    exporter.feed(events.map(line).collect::<String>().repeat(3));
    exporter.feed("{\"event\":\"signaling.session.resume_failed\"}\n");
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 4.0);
    for number in 0..1_000 {
        // A session that ends is a line in the log.
        let (mut session, _) = Session::begin(&exporter.socket, &format!("p{number}"), "i");
        session.send("{\"bye\":true}");
    }
    assert_eq!(exporter.get("/-/healthy").status, 200);
    let after = exporter.resident_bytes();
    assert!(after - before < 16 << 20, "{before} bytes before, {after} after");
    drop(held);
    let (code, log) = exporter.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
}

/// Memory is full, and all of it is written while it is scraped: the unit's `MemoryMax` is four times `[limits] memory`.
#[test]
fn a_snapshot_of_a_full_memory_takes_bounded_memory() {
    const LIMIT: u64 = 64 << 20;
    let long = |number: usize| joined(number) + "\n";
    let short = |number: usize| format!("{{\"event\":\"proxy.session.created\",\"session\":\"{number}\"}}\n");
    let series =
        |number: usize| format!("{{\"event\":\"signaling.message.received\",\"type\":\"{number}\"}}\n");
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    for (name, count, lines) in [
        ("long keys", 80_000, lines(80_000, &long)),
        ("short keys", 500_000, lines(500_000, &short)),
        ("series", 700_000, lines(700_000, &series)),
    ] {
        let exporter = Exporter::start(
            "[limits]\nmemory = 64M\nseries_per_metric = 10000000\nentities = 10000000\n\
             [state]\ndirectory = {directory}/state\nsync = never\n",
        );
        exporter.feed(lines);
        let read = || {
            let metrics = exporter.metrics();
            support::sum(&metrics, "lifecycle_exporter_events_total")
                + support::sum(&metrics, "lifecycle_exporter_events_rejected_total")
        };
        wait_until(|| read() >= f64::from(count), || exporter.log());
        let metrics = exporter.metrics();
        let over = support::sum(&metrics, "lifecycle_exporter_series_overflow_total")
            + support::sum(&metrics, "lifecycle_exporter_events_rejected_total");
        assert!(over > 1_000.0, "{name}: the memory is not full");
        let (filled, taken) = (exporter.resident_bytes(), exporter.value(SNAPSHOT).unwrap());
        // So long a journal asks for another one.
        let padding = format!("{{\"event\":\"signaling.session.resume_failed\",\"x\":\"{:060000}\"}}\n", 0);
        exporter.feed(padding.repeat(600));
        wait_until(
            || exporter.value(SNAPSHOT).unwrap() > taken,
            || format!("no snapshot:\n{}", exporter.log()),
        );
        let most = exporter.resident_bytes_max();
        println!(
            "{name}: resident {:.2} times the limit, at most {:.2}",
            filled as f64 / LIMIT as f64,
            most as f64 / LIMIT as f64
        );
        assert!(most < 4 * LIMIT, "{name}: {most} bytes");
    }
}
