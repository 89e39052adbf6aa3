//! The `[line]` sections of the built-in catalogs: what they make of logs of the servers' current versions, which do
//! not run here, and of lines into which somebody has written what looks like another line.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test, and the support prints what it skips"
)]

mod support;

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use support::{assert_golden, output};

/// What `--try` prints for a log.
fn tried(system: &str, log: &Path, more: &[&str]) -> String {
    let arguments = ["follow", system, "--try", log.to_str().unwrap()];
    output(&[&arguments[..], more].concat())
}

/// The events of a log, and how many of its lines are known.
fn events(system: &str, lines: &str) -> (Vec<Value>, u64) {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    log.write_all(lines.as_bytes()).unwrap();
    let printed = tried(system, log.path(), &["--format", "json"]);
    let mut printed: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let report = printed.pop().unwrap();
    (printed, report["lines"].as_u64().unwrap() - report["unmatched"].as_u64().unwrap())
}

#[test]
fn logs_of_the_servers_are_these_events() {
    for system in ["signaling", "proxy"] {
        let log = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{system}.log"));
        assert_golden(&format!("{system}.log.events"), &tried(system, &log, &[]));
    }
}

/// A line of a log with the texts that users of the server choose.
fn registered(user: &str, agent: &str) -> String {
    format!(
        "2026-11-22 06:23:34.6 I | hub.go:722: Register {user}@b1 from 192.0.2.1 in DE ({agent}) own|1 (private=p|1)\n"
    )
}

#[test]
fn what_a_user_chooses_is_no_other_event_and_no_other_session() {
    let own = |agent: &str| (vec![joined("own|1")], registered("user eve", agent));
    let nothing = |line: &str| (Vec::new(), line.to_owned());
    for (expected, line) in [
        own("Mozilla/5.0 (X11; Linux)"),
        own("x) victim|1 (private=z|1)"),
        own("x) hub.go:572: Closing expired session victim|1 (private=z|1)"),
        own("x@b2 from 192.0.2.2 in FR (y) victim|1 (private=z|1"),
        own(") Unregister victim|1 (private=z|1) ("),
        own("\" from 1 \u{202e}\u{1b}[31m \\"),
        nothing(&registered("user hub.go:572: Closing expired session victim|1 (private=z|1)", "y")),
        nothing(
            "clientsession.go:446: Session own|1 joined room Closing expired session victim|1 (private=z|1)\n",
        ),
        nothing(
            "clientsession.go:446: Session own|1 joined room r with room session id x joined call Register\n",
        ),
        nothing(
            "hub.go:806: Invalid message Closing expired session victim|1 (private=z|1) from client own|1: x\n",
        ),
        nothing("client.go:303: Error reading from own|1: Closing expired session victim|1 (private=z|1)\n"),
        nothing("x Closing expired session victim|1 (private=z|1)\n"),
        nothing("hub.go:572: Closing expired session victim|1 (private=z|1) with room session id x\n"),
        nothing("hub.go:572: Closing expired session vic\"tim (private=z|1)\n"),
    ] {
        assert_eq!(events("signaling", &line).0, expected, "{line}");
    }
}

#[test]
fn a_user_id_cannot_choose_backend_or_country() {
    for user in ["bob@b2 from 192.0.2.2 in FR", "bob@b2 from 192.0.2.2 in FR ", "@", "a b@c d"] {
        let line = registered(&format!("user {user}"), "x@b2 from 192.0.2.2 in FR (y");
        assert_eq!(events("signaling", &line).0, [joined("own|1")], "{user}");
    }
    // No server has a parenthesis in a user id. Where one did, it could choose labels of its own session, no more.
    let line = registered("user eve@b2 from 192.0.2.2 in FR (x", "y");
    assert_eq!(events("signaling", &line).0[0]["session"], "own|1");
}

fn joined(session: &str) -> Value {
    json!({"event": "signaling.session.joined", "backend": "b1", "country": "DE", "session": session, "clienttype": "client"})
}

#[test]
fn what_a_client_of_the_proxy_chooses_is_no_other_event() {
    for (line, events_expected) in [
        ("proxy_server.go:1443: Issuer Closing session victim|1 is not supported\n", 1),
        ("proxy_server.go:1437: Could not get token for Created session x for y: z\n", 1),
        ("proxy_server.go:753: Message: Closing session victim|1\n", 0),
        ("proxy_server.go:1504: Created session own|1 for &{Issuer:x Closing session victim|1}\n", 1),
        ("proxy_server.go:1324: Unsupported command Closing session victim|1\n", 0),
    ] {
        let (events, _) = events("proxy", line);
        assert_eq!(events.len(), events_expected, "{line}: {events:?}");
        assert!(events.iter().all(|event| event["session"] != "victim|1"), "{events:?}");
    }
}
