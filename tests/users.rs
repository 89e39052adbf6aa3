//! What one user can do to another's producers: nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::Exporter;
use support::other_user::OtherUser;
use support::session::Session;

const OPEN: &str = "[events]\nmode = 0666\n";

fn started(recording: &str) -> String {
    format!(r#"{{"event":"recording.started","backend":"b","recording":"{recording}"}}"#)
}

#[test]
fn a_name_belongs_to_the_user_who_said_hello_under_it() {
    if !OtherUser::is_possible() {
        return;
    }
    let exporter = Exporter::start(OPEN);
    let (mut session, _) = Session::begin(&exporter.socket, "talk-recording", "one");
    session.send(&started("r1"));
    session.wait_for_ack(1);
    for instance in ["one", "two"] {
        let mut other = OtherUser::connect(&exporter.socket);
        other.send(&format!(r#"{{"hello":"talk-recording","instance":"{instance}"}}"#));
        let reply = other.reply().expect("an answer");
        assert!(reply.starts_with(r#"{"rejected":0,"reason":"name_taken","detail":""#), "{reply}");
        assert_eq!(other.reply(), None, "and the connection is closed");
    }
    session.send(&started("r2"));
    session.wait_for_ack(2);
    exporter.wait_for("recording_recordings_current{backend=\"b\"}", 2.0);
    exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"name_taken\"}", 2.0);
    exporter.assert_law(4);
}

#[test]
fn a_name_is_held_through_a_restart_of_the_exporter_and_free_after_its_grace() {
    if !OtherUser::is_possible() {
        return;
    }
    let config = |grace: &str| format!("{OPEN}grace = {grace}\n[state]\ndirectory = {{directory}}/state\n");
    let mut exporter = Exporter::start(&config("1h"));
    let (mut session, _) = Session::begin(&exporter.socket, "p", "one");
    session.send(&started("r1"));
    session.wait_for_ack(1);
    exporter.crash();
    let hello = r#"{"hello":"p","instance":"two"}"#;
    let mut other = OtherUser::connect(&exporter.socket);
    other.send(hello);
    assert!(other.reply().unwrap().contains("name_taken"));
    exporter.configure(&config("1ms"));
    exporter.crash();
    exporter.wait_for("recording_recordings_failed_total{backend=\"b\"}", 1.0);
    let mut other = OtherUser::connect(&exporter.socket);
    other.send(hello);
    assert_eq!(other.reply().as_deref(), Some(r#"{"ack":0}"#));
}

#[test]
fn a_user_with_many_connections_gives_up_its_own() {
    if !OtherUser::is_possible() {
        return;
    }
    let exporter = Exporter::start(&format!("{OPEN}max_connections = 4\n"));
    let (mut session, _) = Session::begin(&exporter.socket, "p", "one");
    let mut others = Vec::new();
    for count in 2..10 {
        others.push(OtherUser::connect(&exporter.socket));
        exporter.wait_for("lifecycle_exporter_producers", f64::from(count.min(4)));
        let refused = "lifecycle_exporter_connections_refused_total{reason=\"max_connections\"}";
        exporter.wait_for(refused, f64::from((count - 4).max(0)));
    }
    // It has been silent for longest, but its user has one place only.
    session.send(&started("r1"));
    session.wait_for_ack(1);
    assert_eq!(others[0].reply(), None, "the first of the others has gone");
}

/// What `send` says as user `nobody`.
fn sent_by_nobody(exporter: &Exporter) -> String {
    let directory = exporter.socket.parent().unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.join("lifecycle-exporter");
    fs::copy(env!("CARGO_BIN_EXE_lifecycle-exporter"), &program).unwrap();
    let mut send = Command::new("setpriv");
    send.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    let output = send.args(["send", "--config", "/dev/null", "--socket"]).arg(&exporter.socket);
    let output = output.arg("vlog.video.viewed").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_user_without_permission_and_one_that_is_refused_get_different_messages() {
    if !OtherUser::is_possible() {
        return;
    }
    for (config, expected) in [
        ("[events]\nmode = 0660\ngroup = daemon\n", "may not write to this socket; join the group daemon ("),
        ("[events]\nmode = 0600\n", "may not write to this socket; see [events] mode and group"),
        (
            "[events]\nmode = 0666\nallowed_users = root\n",
            "the exporter refuses user nobody (id 65534); add the user to",
        ),
    ] {
        let exporter = Exporter::start(config);
        let said = sent_by_nobody(&exporter);
        assert!(said.contains(expected) && said.lines().count() == 1, "{said}");
    }
}
