//! The feed before hostile producers: every rejection, cut lines, floods, stalls, socket files, credentials, limits.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use support::{Exporter, binary, value, wait_for_exit, wait_until};

const REJECTED: &str = "lifecycle_exporter_events_rejected_total";

fn rejected(exporter: &Exporter, reason: &str) -> f64 {
    exporter.value(&format!("{REJECTED}{{reason=\"{reason}\"}}")).unwrap()
}

#[test]
fn every_reason_for_a_rejection() {
    let exporter = Exporter::start(
        "[systems]\nenabled = recording, signaling\n[limits]\nentities = 2\n[events]\nmax_line = 2000\n",
    );
    let long_key = format!("{{\"event\":\"signaling.session.left\",\"session\":\"{}\"}}", "x".repeat(1_025));
    let long_line = format!(
        "{{\"event\":\"signaling.message.received\",\"type\":\"x\",\"y\":\"{}\"}}",
        "x".repeat(2_000)
    );
    let opened = r#"{"event":"signaling.session.joined","session":"1","backend":"b","clienttype":"c"}"#;
    let cases: &[(&str, &[&str])] = &[
        (
            "malformed",
            &[
                "garbage",
                "[]",
                "{\"event\":\"signaling.message.received\",\"type\":\"a\",\"type\":\"b\"}",
                "{\"event\":\"a\",\"event\":\"b\"}",
                "{\"event\":\"signaling.message.received\",\"type\":\"\\ud800x",
            ],
        ),
        ("too_long", &[&long_line]),
        ("unknown_event", &["{\"event\":\"signaling.nothing\"}", "{\"event\":\"\"}"]),
        ("disabled_system", &["{\"event\":\"vlog.video.viewed\"}"]),
        (
            "missing_field",
            &[
                "{}",
                "{\"event\":null}",
                "{\"event\":\"signaling.message.received\"}",
                "{\"event\":\"signaling.message.received\",\"type\":null}",
            ],
        ),
        (
            "bad_value",
            &[
                "{\"event\":5}",
                "{\"event\":\"signaling.message.received\",\"type\":{}}",
                "{\"event\":\"signaling.message.received\",\"type\":\"a\",\"time\":\"now\"}",
                "{\"event\":\"signaling.session.left\",\"session\":\"\"}",
                "{\"event\":\"signaling.client.traffic\",\"direction\":\"in\",\"bytes\":9007199254740994}",
                "{\"event\":\"signaling.client.rtt\",\"rtt\":-1e300}",
                "{\"event\":\"signaling.client.traffic\",\"direction\":\"in\",\"bytes\":-1}",
                "{\"event\":\"signaling.client.traffic\",\"direction\":\"in\",\"bytes\":1e999}",
                "{\"event\":\"signaling.client.traffic\",\"direction\":\"in\",\"bytes\":\"1\"}",
            ],
        ),
        ("already_open", &[opened]),
        (
            "not_open",
            &[
                "{\"event\":\"signaling.session.left\",\"session\":\"2\"}",
                "{\"event\":\"signaling.room.joined\",\"backend\":\"b\",\"room\":\"r\",\"session\":\"1\"}",
            ],
        ),
        ("entity_limit", &["{\"event\":\"signaling.grpc.client_added\",\"target\":\"t2\"}"]),
        ("label_too_long", &[&long_key]),
    ];
    exporter.feed(format!("{opened}\n{{\"event\":\"signaling.grpc.client_added\",\"target\":\"t\"}}\n"));
    let mut lines = 2;
    for (reason, examples) in cases {
        let before = rejected(&exporter, reason);
        for example in *examples {
            exporter.feed(format!("{example}\n"));
        }
        lines += examples.len() as u64;
        exporter.wait_for(&format!("{REJECTED}{{reason=\"{reason}\"}}"), before + examples.len() as f64);
        exporter.assert_law(lines);
    }
    exporter.feed(b"{\"event\":\"signaling.message.received\",\"type\":\"\xff\"}\n{\"x\":\"\xc3\"}\n");
    exporter.feed("{\"event\":\"signaling.session.resume_failed\"}");
    exporter.wait_for(&format!("{REJECTED}{{reason=\"truncated\"}}"), 1.0);
    exporter.assert_law(lines + 3);
    exporter.wait_for_log("line rejected: not_open: no open session for session=2");
}

#[test]
fn a_rejected_event_changes_nothing() {
    let exporter = Exporter::start("");
    exporter.feed("{\"event\":\"recording.started\",\"backend\":\"b\",\"recording\":\"r\"}\n");
    let before = exporter.system("recording");
    exporter.feed(
        "{\"event\":\"recording.stopped\",\"backend\":\"b\",\"recording\":\"r\",\"duration\":-1}\n\
         {\"event\":\"recording.stopped\",\"backend\":\"b\",\"recording\":\"r\",\"duration\":\"x\"}\n\
         {\"event\":\"recording.started\",\"backend\":\"b\",\"recording\":\"r\"}\n",
    );
    exporter.assert_law(4);
    assert_eq!(exporter.system("recording"), before);
}

#[test]
fn what_is_allowed_in_a_line() {
    let exporter = Exporter::start("");
    exporter.feed(
        "\n  \r\n{\"event\":\"signaling.message.received\",\"type\":1.50}\r\n\
         {\"other\":{\"a\":[1]},\"other\":2,\"type\":true,\"event\":\"signaling.message.received\"}\n\
         {\"event\":\"signaling.message.received\",\"type\":\"a\\n\\\"\\u00e9\"}\n\
         {\"event\":\"signaling.message.received\",\"type\":\"t\",\"time\":1}\n\
         {\"event\":\"signaling.message.received\",\"type\":\"t\",\"time\":null}\n",
    );
    let metrics = exporter.metrics();
    for (label, count) in [("1.50", 1.0), ("true", 1.0), ("a\\n\\\"é", 1.0), ("t", 2.0)] {
        assert_eq!(
            value(&metrics, &format!("signaling_server_messages_total{{type=\"{label}\"}}")),
            Some(count)
        );
    }
    assert_eq!(value(&metrics, "lifecycle_exporter_event_times_ignored_total"), Some(1.0));
    exporter.assert_law(5);
}

#[test]
fn a_stalled_and_a_flooding_producer_delay_no_other() {
    let exporter = Exporter::start("");
    let mut stalled = UnixStream::connect(&exporter.socket).unwrap();
    stalled.write_all(b"{\"event\":\"signaling.mess").unwrap();
    let mut flood = UnixStream::connect(&exporter.socket).unwrap();
    let socket = exporter.socket.clone();
    let flooder = std::thread::spawn(move || {
        let block = "{\"event\":\"signaling.message.received\",\"type\":\"flood\"}\n".repeat(1_000);
        for _ in 0..100 {
            flood.write_all(block.as_bytes()).unwrap();
        }
        drop(socket);
    });
    exporter.feed("{\"event\":\"signaling.message.received\",\"type\":\"polite\"}\n");
    exporter.wait_for("signaling_server_messages_total{type=\"polite\"}", 1.0);
    flooder.join().unwrap();
    exporter.wait_for("signaling_server_messages_total{type=\"flood\"}", 100_000.0);
    drop(stalled);
    exporter.wait_for(&format!("{REJECTED}{{reason=\"truncated\"}}"), 1.0);
    exporter.assert_law(100_002);
}

#[test]
fn an_endless_line_is_counted_once_and_the_next_one_is_read() {
    let exporter = Exporter::start("");
    let mut stream = UnixStream::connect(&exporter.socket).unwrap();
    for _ in 0..200 {
        stream.write_all(&[b'x'; 10_000]).unwrap();
    }
    exporter.wait_for(&format!("{REJECTED}{{reason=\"too_long\"}}"), 1.0);
    stream.write_all(b"x\n{\"event\":\"signaling.session.resume_failed\"}\n").unwrap();
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 1.0);
    exporter.assert_law(2);
}

#[test]
fn when_all_places_are_taken_the_connection_that_has_been_silent_for_longest_gives_up_its_own() {
    let exporter = Exporter::start("[events]\nmax_connections = 2\n");
    let mut silent = UnixStream::connect(&exporter.socket).unwrap();
    exporter.wait_for("lifecycle_exporter_producers", 1.0);
    let mut kept = UnixStream::connect(&exporter.socket).unwrap();
    exporter.wait_for("lifecycle_exporter_producers", 2.0);
    // What it has written counts, though it is never spoken of again.
    silent.write_all(b"{\"event\":\"signaling.session.resume_failed\"}\n").unwrap();
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 1.0);
    kept.write_all(b"{\"event\":\"signaling.session.resume_failed\"}\n").unwrap();
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 2.0);
    exporter.feed("{\"event\":\"signaling.session.resume_failed\"}\n");
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    exporter.wait_for("lifecycle_exporter_connections_refused_total{reason=\"max_connections\"}", 1.0);
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 3.0);
    kept.write_all(b"{\"event\":\"signaling.session.resume_failed\"}\n").unwrap();
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 4.0);
    exporter.wait_for_log("all places");
    assert_eq!(exporter.log().matches("all places for producers are taken").count(), 1);
}

#[test]
fn peers_that_are_not_listed_are_refused() {
    let exporter = Exporter::start("[events]\nallowed_users = 4242\n");
    for _ in 0..2 {
        let mut stream = UnixStream::connect(&exporter.socket).unwrap();
        let _ = stream.write_all(b"{\"event\":\"signaling.session.resume_failed\"}\n");
        // Closed at once, perhaps with the line unread.
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    exporter.wait_for("lifecycle_exporter_connections_refused_total{reason=\"peer_credentials\"}", 2.0);
    exporter.assert_law(0);
    exporter.wait_for_log("was refused");
    assert_eq!(exporter.log().matches("was refused").count(), 1);
}

#[test]
fn the_socket_file_has_the_mode_that_is_configured() {
    let exporter = Exporter::start("[events]\nmode = 0600\n");
    assert_eq!(std::fs::metadata(&exporter.socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_live_socket_is_an_error_and_a_stale_one_is_replaced() {
    let exporter = Exporter::start("");
    let mut second = binary()
        .args(["--listen", "127.0.0.1:0", "--config", "/dev/null", "--socket"])
        .arg(&exporter.socket)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(wait_for_exit(&mut second), Some(1));
    let mut said = String::new();
    second.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("events.sock: another process listens there"), "{said}");
    let stale = Exporter::start_with("", |directory| {
        drop(UnixListener::bind(directory.join("events.sock")).unwrap());
    });
    stale.feed("{\"event\":\"signaling.session.resume_failed\"}\n");
    stale.wait_for("signaling_hub_sessions_resume_failed_total", 1.0);
}

#[test]
fn what_was_written_before_a_stop_counts() {
    let exporter = Exporter::start("");
    let mut stream = UnixStream::connect(&exporter.socket).unwrap();
    let block = "garbage\n".repeat(200);
    for _ in 0..20 {
        stream.write_all(block.as_bytes()).unwrap();
    }
    stream.write_all(b"cut").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let socket = exporter.socket.clone();
    let (code, log) = exporter.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("truncated"), "the last line was heard: {log}");
    assert!(!socket.exists());
}

#[test]
fn a_thousand_producers_at_once() {
    let exporter = Exporter::start("");
    let mut streams: Vec<UnixStream> = (0..1_000)
        .map(|_| {
            let mut stream = None;
            wait_until(
                || {
                    stream = UnixStream::connect(&exporter.socket).ok();
                    stream.is_some()
                },
                || "cannot connect".to_owned(),
            );
            stream.unwrap()
        })
        .collect();
    for stream in &mut streams {
        stream.write_all(b"{\"event\":\"signaling.session.resume_failed\"}\n").unwrap();
    }
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 1_000.0);
    exporter.wait_for("lifecycle_exporter_producers", 1_000.0);
    exporter.assert_law(1_000);
}
