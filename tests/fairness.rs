//! What one producer can do to others, and to scrapes, by writing as much as it can: little.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

#[path = "fairness/names.rs"]
mod names;

use support::Exporter;
use support::flood::KINDS;
use support::session::Session;

const PRODUCERS: usize = 128;

/// Scrapes are answered and sessions get their acknowledgements meanwhile.
fn assert_served(exporter: &Exporter) {
    let (mut session, _) = Session::begin(&exporter.socket, "honest", "i");
    for number in 1..=10 {
        session.send(r#"{"event":"signaling.session.resume_failed"}"#);
        session.wait_for_ack(number);
        let response = exporter.get("/metrics?system=exporter");
        assert_eq!(response.status, 200, "{}", response.body);
    }
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 10.0);
}

fn assert_served_beside(name: &str) {
    let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
    let exporter = Exporter::start(&(kind.config)());
    let _flood = (kind.begin)(&exporter.socket, PRODUCERS);
    assert_served(&exporter);
}

#[test]
fn garbage_holds_nobody_up() {
    assert_served_beside("garbage");
}

#[test]
fn rejected_lines_hold_nobody_up() {
    assert_served_beside("rejected lines");
}

#[test]
fn resets_with_many_startup_events_hold_nobody_up() {
    assert_served_beside("resets with 100 start-up events");
}

#[test]
fn hellos_hold_nobody_up() {
    assert_served_beside("hellos");
}

#[test]
fn single_bytes_hold_nobody_up() {
    assert_served_beside("single bytes");
}
