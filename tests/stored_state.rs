//! The format on disk is a promise: a state directory of every version lies in `tests/stored`, with the
//! `/metrics` that it must give. `UPDATE_STORED_STATE=1 cargo test --test stored_state` makes the one of the
//! present version, where there is none yet.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::session::Session;
use support::{Exporter, binary, wait_for_exit};

/// The version that this program writes.
fn version() -> String {
    let source = include_str!("../src/format/mod.rs");
    let number = source.split_once("const VERSION: u32 = ").and_then(|(_, rest)| rest.split(';').next());
    format!("v{}", number.unwrap())
}

const CONFIG: &str = "[events]\ngrace = 1h\n[systems]\ncatalog_directory = {directory}/catalogs\n\
    [state]\ndirectory = {directory}/state\n[limits]\nseries_per_metric = 8\n\
    [startup]\nevent = recording.backend_configured backend=configured\n";

/// What no built-in catalog has: a kind that outlives its producer, a group, totals without an owner, an
/// overflow.
const CATALOG: &str = "[system]\nname = shop\ntitle = A shop\n\
    [entity till]\nkey = till\nowned = no\n\
    [entity queue]\nkey = queue\nowned = no\nwhen_empty = close\n\
    [entity customer]\nkey = customer\nlabels = queue, mood\nwithin = queue\nabandoned = shop.left\n\
    [metric shop_tills]\ntype = gauge\nhelp = Tills\nlive = till\n\
    [metric shop_customers]\ntype = gauge\nhelp = Customers\nlabels = queue, mood\nlive = customer\nowner = queue\n\
    [metric shop_left_total]\ntype = counter\nhelp = Customers that left\n\
    [metric shop_sold_total]\ntype = counter\nhelp = Things sold\nlabels = kind\n\
    [metric shop_paid]\ntype = histogram\nhelp = What was paid\nlabels = till\nbuckets = 1, 10, 100\n\
    [event shop.opened]\nopen = till\n\
    [event shop.came]\nensure = queue\nopen = customer\n\
    [event shop.left]\nclose = customer\ninc = shop_left_total\n\
    [event shop.sold]\nfollow = shop_sold_total from total\n\
    [event shop.paid]\nobserve = shop_paid from amount\n";

/// What the snapshot holds.
const BEFORE: &str = r#"{"event":"recording.started","backend":"b","recording":"1"}
{"event":"recording.started","backend":"b","recording":"2"}
{"event":"recording.stopped","backend":"b","recording":"2","duration":2.5}
{"event":"signaling.session.joined","session":"s","backend":"b","clienttype":"client","country":"DE"}
{"event":"signaling.room.opened","backend":"b","room":"r"}
{"event":"signaling.room.joined","backend":"b","room":"r","session":"s"}
{"event":"signaling.call.joined","backend":"b","room":"r","session":"s"}
{"event":"signaling.client.rtt","rtt":12.5}
{"event":"edumeet.room.opened","room_id":"a"}
{"event":"edumeet.peer.joined","room_id":"a","peer_id":"x","display_name":"Ünïcödé \"quoted\""}
{"event":"vlog.task.succeeded","task_name":"tidy","duration":0.25}
{"event":"shop.opened","till":"1"}
{"event":"shop.came","customer":"c","queue":"long","mood":"good"}
{"event":"shop.sold","kind":"shoe","total":5}
{"event":"shop.paid","till":"1","amount":7.5}
{"event":"signaling.nothing"}
no JSON
"#;

/// What the journal behind it holds.
const AFTER: &str = r#"{"event":"recording.stopped","backend":"b","recording":"1","duration":1.5}
{"event":"shop.sold","kind":"shoe","total":7}
{"event":"shop.came","customer":"d","queue":"short","mood":"bad"}
{"event":"shop.left","customer":"d"}
"#;

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored")
}

/// The program in a boot of the machine of its own, the same wherever it runs.
fn program() -> Command {
    let mut command = binary();
    command.env("LIFECYCLE_BOOT_ID", "0123456789abcdef0123456789abcdef");
    command
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// An exporter that goes on from a copy of a stored directory.
fn start(state: &Path) -> Exporter {
    let prepare = |directory: &Path| {
        fs::create_dir(directory.join("catalogs")).unwrap();
        fs::write(directory.join("catalogs/shop.ini"), CATALOG).unwrap();
        if state.exists() {
            copy(state, &directory.join("state"));
        }
    };
    Exporter::start_by(CONFIG, prepare, program())
}

/// The samples of a scrape that are not 0, without what the time of day or the process changes. Metrics that
/// later catalogs add begin at 0, and help texts may be reworded: neither is part of the promise.
fn lasting(exporter: &Exporter) -> String {
    let changes = [
        "process_",
        "build_info",
        "journal_bytes",
        "snapshot_timestamp",
        "http_requests",
        "oldest_entity",
        "config_last",
        "state_writable",
        "lifecycle_exporter_series{",
        "_age_seconds",
    ];
    let metrics = exporter.metrics();
    let lasting = metrics.lines().filter(|line| {
        !line.starts_with('#') && !line.ends_with(" 0") && !changes.iter().any(|name| line.contains(name))
    });
    lasting.map(|line| line.to_owned() + "\n").collect()
}

/// Makes a state directory as a crash leaves it: a snapshot, and a journal behind it.
fn make(directory: &Path) {
    let mut exporter = start(Path::new("/nonexistent"));
    let (mut session, _) = Session::begin(&exporter.socket, "stored", "1");
    for number in 1..=12 {
        session.send(&format!("{{\"event\":\"signaling.message.received\",\"type\":\"t{number}\"}}"));
    }
    session.send("{\"event\":\"recording.started\",\"backend\":\"session\",\"recording\":\"1\"}");
    session.wait_for_ack(13);
    exporter.feed(BEFORE);
    exporter.wait_for("shop_customers{queue=\"long\",mood=\"good\"}", 1.0);
    exporter.signal("TERM");
    wait_for_exit(&mut exporter.child);
    exporter.spawn_again_by(program());
    exporter.wait_for_start();
    exporter.feed(AFTER);
    exporter.wait_for("shop_left_total", 1.0);
    exporter.kill();
    let state = exporter.directory.path().join("state");
    fs::remove_file(state.join("lock")).unwrap();
    copy(&state, &directory.join("state"));
    fs::write(directory.join("metrics"), lasting(&start(&state))).unwrap();
}

#[test]
fn every_stored_state_is_read() {
    let present = stored().join(version());
    if support::switches::updates_stored_state() && !present.exists() {
        make(&present);
    }
    assert!(present.exists(), "there is no example of {}; UPDATE_STORED_STATE=1 makes it", version());
    for entry in fs::read_dir(stored()).unwrap() {
        let version = entry.unwrap().path();
        let expected = fs::read_to_string(version.join("metrics")).unwrap();
        let mut exporter = start(&version.join("state"));
        let actual = lasting(&exporter);
        let differing = actual.lines().zip(expected.lines()).find(|(actual, expected)| actual != expected);
        assert!(actual == expected, "{}: (now, then) {differing:?}", version.display());
        // Its session is known, too, and is gone on with.
        let (mut session, position) = Session::begin(&exporter.socket, "stored", "1");
        assert_eq!(position, 13);
        session.send(
            "{\"event\":\"recording.stopped\",\"backend\":\"session\",\"recording\":\"1\",\"duration\":1}",
        );
        session.wait_for_ack(14);
        // What this version makes of it can be read by this version.
        exporter.crash();
        assert_eq!(exporter.value("recording_recordings_current{backend=\"session\"}"), Some(0.0));
    }
}
