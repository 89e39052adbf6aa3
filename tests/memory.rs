//! `[limits] memory`: what does not fit is refused by name or goes on in `_overflow`, and nothing else stops.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_collect,
    reason = "a failure here is a failed test"
)]

mod support;

use support::Exporter;
use support::session::Session;

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
    let writer =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, lines.as_bytes()).unwrap());
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
