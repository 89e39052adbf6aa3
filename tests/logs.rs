//! The log: nothing in it that a terminal obeys, a bounded number of lines, no address where they are hidden.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::io::Write;

use support::session::Session;
use support::{Exporter, wait_until};

#[test]
fn what_producers_choose_is_escaped() {
    let exporter = Exporter::start("[events]\ngrace = 0s\n");
    // The name comes into messages of its own; the line and its fields into those about rejections.
    let name = r"evil\u001b[31m\u0007\u202e\u2066\u0085\nforged";
    drop(Session::begin(&exporter.socket, name, "1"));
    exporter.feed("{\"event\":\"recording.stopped\",\"backend\":\"b\u{202e}\u{200f}\",\"recording\":\"\\u001b]0;x\\u0007\"}\n");
    exporter.wait_for_log("has ended; what it had open is abandoned");
    exporter.wait_for_log("not_open");
    let log = exporter.log();
    let raw: Vec<char> = log
        .chars()
        .filter(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{200f}' | '\u{202e}' | '\u{2066}'))
        .collect();
    assert!(raw.is_empty(), "{raw:?} in {log:?}");
    assert!(log.contains(r"evil\u{1b}[31m\u{7}\u{202e}\u{2066}\u{85}\nforged"), "{log}");
}

#[test]
fn a_name_as_long_as_a_line_is_cut() {
    let exporter = Exporter::start("");
    exporter.feed(format!("{{\"event\":\"{}\"}}\n", "x".repeat(60_000)));
    exporter.wait_for_log("unknown_event");
    let longest = exporter.log().lines().map(str::len).max();
    assert!(longest < Some(1_000), "{longest:?}");
}

#[test]
fn a_producer_cannot_fill_the_log_and_drowns_nothing() {
    let exporter = Exporter::start("");
    for _ in 0..200 {
        let (mut session, _) = Session::begin(&exporter.socket, "p", "1");
        session.stream.write_all(b"\n").unwrap();
        std::mem::forget(session);
    }
    exporter.configure("[stats]\naliases = perhaps\n");
    exporter.signal("HUP");
    exporter.wait_for_log("the previous one stays in force");
    let (code, log) = exporter.stop();
    assert_eq!(code, Some(0));
    let (lines, taken_over) = (log.lines().count(), log.matches("has connected again").count());
    assert!(lines < 100 && taken_over > 10, "{lines} lines:\n{log}");
    let left_out: usize = log
        .lines()
        .filter_map(|line| line.split_once(" more messages like this: "))
        .filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<usize>().ok())
        .sum();
    // The messages that are written, the example among those left out, and the others.
    assert_eq!(taken_over - 1 + left_out, 199, "{log}");
}

#[test]
fn no_address_is_logged_or_on_the_page_where_they_are_hidden() {
    let exporter = Exporter::start("[events]\ngrace = 0s\n[privacy]\ndeidentify = yes\n");
    let lines = "203.0.113.7 is no JSON\n\
                 {\"event\":\"edumeet.transport.closed\",\"transport_id\":\"203.0.113.7:5000\"}\n\
                 {\"event\":\"edumeet.room.closed\",\"room_id\":\"[2001:db8:1:2::17:1]:443\"}\n";
    exporter.feed(lines);
    drop(Session::begin(&exporter.socket, "203.0.113.7", "1"));
    exporter.wait_for_log("producer xx.xx.113.7: instance 1 has ended");
    exporter.wait_for_log("xx.xx.113.7 is no JSON");
    exporter.wait_for_log("xx:xx:xx:xx:xx:xx:17:1");
    let log = exporter.log();
    let page = exporter.get("/").body;
    assert!(page.contains("not_open") && page.contains("malformed"), "{page}");
    for shown in [log, page] {
        assert!(!shown.contains("203.0") && !shown.contains("2001:db8"), "{shown}");
    }
    exporter.configure("");
    exporter.signal("HUP");
    exporter.wait_for_log("was read again");
    exporter.feed("{\"event\":\"edumeet.peer.left\",\"peer_id\":\"203.0.113.7\"}\n");
    exporter.wait_for_log("203.0.113.7");
}

#[test]
fn a_start_up_event_that_is_rejected_is_logged_at_the_start_and_after_a_restart() {
    let config = "[systems]\nrestart = reset\n[startup]\n\
                  event = signaling.room.joined backend=b room=r session=s\n";
    let exporter = Exporter::start(config);
    let logged = || exporter.log().matches("[startup] event").count();
    wait_until(|| logged() == 1, || exporter.log());
    exporter.feed("{\"event\":\"signaling.server_started\"}\n");
    wait_until(|| logged() == 2, || exporter.log());
    assert_eq!(exporter.log().matches("not_open").count(), 2, "{}", exporter.log());
}
