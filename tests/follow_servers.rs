//! Real servers and their logs: what `follow` makes of a log is what the server itself says in its `/metrics`, or what
//! its users have done. lifecycle-follow(7) says where the two differ; those places are tested, too.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test, and the support prints what it skips"
)]

mod support;
#[path = "follow_servers/sshd.rs"]
mod sshd;
#[path = "follow_servers/talk.rs"]
mod talk;
#[path = "follow_servers/websocket.rs"]
mod websocket;

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use serde_json::json;
use support::{Exporter, binary, has_program, value, wait_for_as_long, wait_until};

/// A running `follow` of a log file, from its start.
struct Follower(Child);

impl Follower {
    fn start(exporter: &Exporter, system: &str, log: &Path) -> Self {
        let mut command = binary();
        command.args(["follow", system, "--from-start", "--file"]).arg(log);
        command.arg("--position").arg(exporter.directory.path().join("position"));
        command.arg("--config").arg(exporter.directory.path().join("exporter.conf"));
        let says = File::create(exporter.directory.path().join("follower.log")).unwrap();
        command.arg("--socket").arg(&exporter.socket).stderr(says);
        Follower(command.spawn().unwrap())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SESSIONS: &str = "signaling_hub_sessions{backend=\"cloud\",clienttype=\"client\"}";
const JOINED: &str = "signaling_hub_sessions_total{backend=\"cloud\",clienttype=\"client\"}";
const RESUMED: &str = "signaling_hub_sessions_resume_total{backend=\"cloud\",clienttype=\"client\"}";
const BACKENDS: &str = "signaling_backend_current";

/// Waits until both say the same of these metrics, but for what the log does not tell: `more` of the first one.
fn assert_same(exporter: &Exporter, server: &talk::Server, metrics: &[&str], more: f64) {
    for (index, metric) in metrics.iter().enumerate() {
        let more = if index == 0 { more } else { 0.0 };
        let both = || {
            (exporter.value(metric).unwrap_or(0.0), value(&server.metrics(), metric).unwrap_or(0.0) + more)
        };
        let is_same = || matches!(both(), (ours, theirs) if (ours - theirs).abs() < 0.5);
        wait_until(is_same, || format!("{metric}: here and there {:?}\n{}", both(), server.metrics()));
    }
}

#[test]
fn the_log_of_the_signaling_server_makes_its_own_metrics() {
    if !has_program("nextcloud-spreed-signaling-server") {
        return;
    }
    let exporter = Exporter::start("");
    let directory = tempfile::tempdir().unwrap();
    let server = talk::Server::start(directory.path(), talk::start_backend(), 3);
    let _follower = Follower::start(&exporter, "signaling", &directory.path().join("server.log"));
    let all = [SESSIONS, JOINED, BACKENDS];
    exporter.wait_for(BACKENDS, 1.0);
    assert_same(&exporter, &server, &all, 0.0);

    let (alice, hello) = server.join("alice@cloud from 192.0.2.1 in FR");
    let (mut guest, _) = server.join("");
    exporter.wait_for(SESSIONS, 2.0);
    assert_same(&exporter, &server, &all, 0.0);

    // A lost connection ends nothing, and the session is taken up again. This version counts that and does not show it.
    alice.drop_connection();
    let (mut alice, resumed) = server.resume(&hello);
    assert_eq!(resumed["hello"]["sessionid"], hello["hello"]["sessionid"]);
    exporter.wait_for(RESUMED, 1.0);
    assert_same(&exporter, &server, &all, 0.0);

    // Who comes with the room session of another one takes his place.
    let room = json!({"id": "2", "type": "room", "room": {"roomid": "r", "sessionid": "room session"}});
    alice.send(&room);
    assert_eq!(alice.wait_for("room")["type"], "room");
    let (mut bob, _) = server.join("bob");
    bob.send(&room);
    assert_eq!(bob.wait_for("room")["type"], "room");
    exporter.wait_for(JOINED, 3.0);
    exporter.wait_for(SESSIONS, 2.0);
    assert_same(&exporter, &server, &all, 0.0);

    // One too many is registered and undone, which the server does not count.
    let (_carol, _) = server.join("carol");
    let (_dora, refused) = server.join("dora");
    assert_eq!(refused["error"]["code"], "session_limit_exceeded");
    exporter.wait_for(JOINED, 5.0);
    assert_same(&exporter, &server, &[JOINED], 1.0);
    assert_same(&exporter, &server, &[SESSIONS, BACKENDS], 0.0);

    // The log does not tell a goodbye from a lost connection at once. A session whose client stays away expires.
    guest.send(&json!({"id": "3", "type": "bye", "bye": {}}));
    guest.wait_for("bye");
    bob.drop_connection();
    let both_are_over = || exporter.value(SESSIONS) == Some(1.0);
    let why = || {
        let read = |path| fs::read_to_string(path).unwrap();
        let (logged, followed) =
            (directory.path().join("server.log"), exporter.directory.path().join("follower.log"));
        let logs = [read(logged), read(followed), exporter.log()].join("\n");
        format!("{:?} sessions are left, not 1\n{logs}", exporter.value(SESSIONS))
    };
    // It takes 36 s; a machine that stands still takes more.
    wait_for_as_long(Duration::from_secs(240), both_are_over, why);
    assert_same(&exporter, &server, &[SESSIONS], 0.0);

    // With the server all of its sessions have ended. It counts from 0 again.
    let server = server.crash(directory.path());
    exporter.wait_for(SESSIONS, 0.0);
    assert_same(&exporter, &server, &[SESSIONS, BACKENDS], 0.0);
    exporter.wait_for(JOINED, 5.0);
    assert!(
        support::sum(&exporter.metrics(), "lifecycle_exporter_events_rejected_total") < 0.5,
        "{}",
        exporter.log()
    );
}
