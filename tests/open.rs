//! What is open: `GET /api/v1/open`, and the command that shows it as a table.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use serde_json::{Value, json};
use support::Exporter;
use support::session::Session;

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
    all.iter_mut().for_each(|entity| entity["opened"] = 0.into());
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
