//! What is open: `GET /api/v1/open`, and the command that shows it as a table.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};
use support::session::Session;
use support::{Exporter, binary};

/// Two recordings of a producer and one of nobody, and a room with a peer.
fn exporter(config: &str) -> (Exporter, Session) {
    let exporter = Exporter::start(config);
    let hello = "{\"hello\":\"recorder\",\"instance\":\"1\",\"owner\":true}";
    let (mut session, _) = Session::begin_with(&exporter.socket, hello);
    for (name, time) in [("second", 20.0), ("first", 10.0)] {
        session.send(&recording(name, time));
    }
    session.wait_for_ack(2);
    exporter.feed(recording("third", 30.0) + "\n");
    exporter.feed(
        "{\"event\":\"edumeet.room.opened\",\"room_id\":\"r\"}\n\
         {\"event\":\"edumeet.peer.joined\",\"room_id\":\"r\",\"peer_id\":\"p\",\"display_name\":\"\\\"Ä\\\"\"}\n",
    );
    exporter.wait_for_events(5);
    (exporter, session)
}

/// Begun so many seconds after an hour ago.
fn recording(name: &str, after: f64) -> String {
    let time = now() - 3_600.0 + after;
    format!(
        "{{\"event\":\"recording.started\",\"time\":{time},\"backend\":\"https://b/\",\"recording\":\"{name}\"}}"
    )
}

fn now() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

fn open(exporter: &Exporter, query: &str) -> Vec<Value> {
    let response = exporter.get(&format!("/api/v1/open{query}"));
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.head.contains("\r\nContent-Type: application/json\r\n"), "{}", response.head);
    serde_json::from_str(&response.body).unwrap()
}

/// One field of the key of each.
fn keys(found: &[Value], field: &str) -> Vec<String> {
    found.iter().map(|entity| entity["key"][field].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn what_is_open_is_listed_oldest_first() {
    let (exporter, _session) = exporter("");
    let mut all = open(&exporter, "");
    assert_eq!(keys(&all, "recording"), ["first", "second", "third", "-", "-"]);
    let opened = all[0]["opened"].as_f64().unwrap();
    assert!((now() - 3_590.0 - opened).abs() < 60.0, "{opened}");
    let order: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    assert_eq!(order, ["entity", "key", "labels", "opened", "producer", "system"]);
    for entity in &mut all {
        entity["opened"] = 0.into();
    }
    assert_eq!(
        all[0],
        json!({"system": "recording", "entity": "recording", "opened": 0, "producer": "recorder",
               "key": {"backend": "https://b/", "recording": "first"}, "labels": {}})
    );
    assert_eq!((&all[2]["producer"], &all[3]["producer"]), (&Value::Null, &Value::Null));
    let peer = all.iter().find(|entity| entity["entity"] == "peer").unwrap();
    assert_eq!((&peer["key"], &peer["labels"]["display_name"]), (&json!({"peer_id": "p"}), &json!("\"Ä\"")));
}

#[test]
fn systems_kinds_and_a_limit_can_be_named() {
    let (exporter, _session) = exporter("");
    let count = |query: &str| open(&exporter, query).len();
    assert_eq!(keys(&open(&exporter, "?limit=2"), "recording"), ["first", "second"]);
    assert_eq!([count("?limit=0"), count("?limit=5"), count("?limit=999999999")], [0, 5, 5]);
    assert_eq!([count("?system=recording"), count("?system=edumeet&system=recording")], [3, 5]);
    assert_eq!([count("?entity=peer"), count("?entity=room&entity=peer&system=edumeet")], [1, 2]);
    // They exist, but nothing is open.
    assert_eq!(
        [count("?system=vlog"), count("?entity=job"), count("?system=recording&entity=upload")],
        [0, 0, 0]
    );
    for (query, why) in [
        ("?system=x", "\"x\": unknown system, expected one of recording, "),
        ("?entity=x", "\"x\": unknown entity, expected one of "),
        ("?system=recording&entity=peer", "\"peer\": unknown entity, expected one of recording, upload"),
        ("?limit=-1", "limit: expected a whole number"),
        ("?limit=99999999999999999999999", "limit: expected a whole number"),
    ] {
        let response = exporter.get(&format!("/api/v1/open{query}"));
        assert_eq!(response.status, 400, "{query}");
        assert!(response.body.contains(why), "{query}: {}", response.body);
    }
}

#[test]
fn privacy_hides_what_events_said() {
    for privacy in ["deidentify", "quiet"] {
        let (exporter, _session) = exporter(&format!("[privacy]\n{privacy} = yes\n"));
        for entity in open(&exporter, "") {
            assert_eq!((&entity["key"], &entity["labels"]), (&json!({}), &json!({})), "{privacy}");
        }
    }
}

/// `open` with these words, asking this exporter.
fn command(exporter: &Exporter, words: &[&str]) -> Output {
    let address = exporter.address.to_string();
    binary().args(["open", "--config", "/dev/null", "--listen", &address]).args(words).output().unwrap()
}

/// What it prints.
fn shown(exporter: &Exporter, words: &[&str]) -> String {
    let output = command(exporter, words);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says instead.
fn refused(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn the_command_shows_a_table() {
    let (exporter, _session) = exporter("");
    let table = shown(&exporter, &[]);
    let lines: Vec<&str> = table.lines().collect();
    let first: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(
        first,
        ["59m", "recording", "recording", "backend=https://b/", "recording=first", "-", "recorder"]
    );
    let is_third = lines[3].contains("recording=third") && lines[3].ends_with("  -");
    assert!(lines.len() == 6 && lines[2].contains("recording=second") && is_third, "{table}");
    assert!(table.contains(" peer_id=p ") && table.contains(" display_name=\"\\\"Ä\\\"\" "), "{table}");
    let at = |line: &str, column: usize| line.chars().nth(column).unwrap();
    for name in ["SYSTEM", "ENTITY", "KEY", "LABELS", "PRODUCER"] {
        let column = lines[0].find(name).unwrap();
        let is_aligned = |line: &&str| at(line, column - 1) == ' ' && at(line, column) != ' ';
        assert!(lines.iter().all(is_aligned), "{name}:\n{table}");
    }
    assert_eq!(shown(&exporter, &["edumeet"]).lines().count(), 3);
    assert_eq!(shown(&exporter, &["edumeet", "room"]).lines().count(), 2);
    assert_eq!(shown(&exporter, &["recording", "upload"]), "nothing is open\n");
}

#[test]
fn the_command_shows_json_as_it_came() {
    let (exporter, _session) = exporter("");
    let body = exporter.get("/api/v1/open?system=recording&entity=recording").body;
    assert_eq!(shown(&exporter, &["--format", "json", "recording", "recording"]), body + "\n");
    assert_eq!(shown(&exporter, &["vlog", "--format", "json"]), "[]\n");
}

#[test]
fn a_value_cannot_write_to_the_terminal() {
    let exporter = Exporter::start("");
    exporter.feed(
        "{\"event\":\"recording.started\",\"backend\":\"b\\u001b]0;x\\u0007\\u009b2J\",\"recording\":\"a\\nb\\r\\u202ec\"}\n",
    );
    exporter.wait_for_events(1);
    let table = shown(&exporter, &[]);
    assert!(!table.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}'), "{table:?}");
    assert!(table.lines().count() == 2 && table.contains("b\\u{1b}]0;x\\u{7}\\u{9b}2J"), "{table}");
}

#[test]
fn the_command_asks_where_the_configuration_says() {
    let exporter = Exporter::start_at("0.0.0.0", "", |_| {}, binary());
    let config = exporter.directory.path().join("other.conf");
    fs::write(&config, format!("[http]\nlisten = {}, 192.0.2.1:1\n", exporter.address)).unwrap();
    let output = binary().args(["open", "--config"]).arg(&config).output().unwrap();
    assert!(output.status.success() && output.stdout == b"nothing is open\n", "{output:?}");
}

#[test]
fn the_command_says_why_it_shows_nothing() {
    let exporter = Exporter::start("");
    let said = refused(&command(&exporter, &["x&y=ü%"]));
    assert!(said.contains("\"x&y=ü%\": unknown system, expected one of recording, "), "{said}");
    let said = refused(&command(&exporter, &["recording", "peer"]));
    assert!(said.contains("\"peer\": unknown entity, expected one of recording, upload"), "{said}");
    let closed = Exporter::start("[stats]\nallowed_ips = 192.0.2.1\n");
    let said = refused(&command(&closed, &[]));
    assert!(said.contains("denied: 127.0.0.1 ") && said.contains("not in [stats] allowed_ips"), "{said}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = binary().args(["open", "--config", "/dev/null", "--listen", &nobody]).output().unwrap();
    let said = refused(&output);
    assert!(said.contains(&format!("nobody listens at {nobody}; is the exporter running?")), "{said}");
    assert!(said.contains("systemctl status lifecycle-exporter"), "{said}");
}
