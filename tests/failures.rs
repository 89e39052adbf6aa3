//! The numbers when something fails: a server that crashes and is started again, several processes of one system, a machine that is
//! booted, values that users choose, catalogs and settings that change while things are open.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use support::session::Session;
use support::{Exporter, binary, value, wait_until};

fn recording(event: &str, recording: &str) -> String {
    format!("{{\"event\":\"recording.{event}\",\"backend\":\"b\",\"recording\":\"{recording}\"}}")
}

const RESTARTED: &str = r#"{"event":"recording.server_started"}"#;
const TOTAL: &str = "recording_recordings_total{backend=\"b\"}";
const FAILED: &str = "recording_recordings_failed_total{backend=\"b\"}";
const CURRENT: &str = "recording_recordings_current{backend=\"b\"}";
const UPLOADS_FAILED: &str = "recording_recordings_uploads_failed_total{backend=\"b\"}";

/// What a recording server has open when it crashes: two recordings and an upload.
fn open_all(send: &mut dyn FnMut(&str)) {
    for line in [
        recording("started", "1"),
        recording("started", "2"),
        recording("started", "3"),
        recording("stopped", "3"),
    ] {
        send(&line);
    }
}

fn assert_failed(exporter: &Exporter) {
    let metrics = exporter.metrics();
    for (series, expected) in [(TOTAL, 3.0), (FAILED, 2.0), (CURRENT, 0.0), (UPLOADS_FAILED, 1.0)] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}");
    }
}

#[test]
fn a_crash_and_an_immediate_restart_without_a_session_are_failed_recordings() {
    let exporter = Exporter::start("");
    exporter.feed(format!("{RESTARTED}\n"));
    open_all(&mut |line| exporter.feed(format!("{line}\n")));
    exporter.wait_for(TOTAL, 3.0);
    exporter.feed(format!("{RESTARTED}\n"));
    exporter.wait_for("lifecycle_exporter_events_total{event=\"recording.server_started\"}", 2.0);
    assert_failed(&exporter);
}

#[test]
fn a_crash_and_an_immediate_restart_with_a_session_are_failed_recordings() {
    let exporter = Exporter::start("");
    let (mut former, _) = Session::begin(&exporter.socket, "talk-recording", "1");
    former.send(RESTARTED);
    // Nothing of it need have been read when the next one begins.
    open_all(&mut |line| former.send(line));
    drop(former);
    let (mut next, _) = Session::begin(&exporter.socket, "talk-recording", "2");
    next.send(RESTARTED);
    next.wait_for_ack(1);
    assert_failed(&exporter);
}

#[test]
fn a_server_that_starts_again_within_its_session_abandons_what_its_former_run_left() {
    let exporter = Exporter::start("[events]\ngrace = 1h\n");
    let (mut former, _) = Session::begin(&exporter.socket, "p", "1");
    let (mut next, _) = Session::begin(&exporter.socket, "p", "2");
    open_all(&mut |line| former.send(line));
    former.wait_for_ack(4);
    next.send(RESTARTED);
    next.wait_for_ack(1);
    assert_eq!(exporter.value(CURRENT), Some(2.0), "a run that is connected goes on");
    drop(former);
    exporter.wait_for("lifecycle_exporter_producer_connected{producer=\"p\"}", 1.0);
    next.send(RESTARTED);
    next.wait_for_ack(2);
    assert_failed(&exporter);
}

#[test]
fn a_restart_can_begin_at_0_as_the_servers_themselves_do() {
    let exporter = Exporter::start("[systems]\nrestart = reset\n");
    open_all(&mut |line| exporter.feed(format!("{line}\n")));
    exporter.feed("{\"event\":\"vlog.worker.registered\",\"worker_id\":\"w\",\"worker_name\":\"w\",\"status\":\"online\"}\n");
    exporter.wait_for(TOTAL, 3.0);
    exporter.feed(format!("{RESTARTED}\n{{\"event\":\"vlog.server_started\",\"version\":\"1\"}}\n"));
    exporter.wait_for("vlog_info{version=\"1\",app=\"vlog\"}", 1.0);
    let metrics = exporter.metrics();
    assert!(!metrics.contains("\nrecording_recordings_"), "{metrics}");
    // What outlives the process is open still, so it is counted again.
    assert_eq!(value(&metrics, "vlog_workers_total{status=\"online\"}"), Some(1.0));
    assert_eq!(value(&metrics, "vlog_worker_heartbeat_age_seconds{worker_name=\"w\"}"), Some(f64::INFINITY));
}

#[test]
fn a_bandwidth_of_a_server_that_is_gone_is_0_and_no_new_one_appears() {
    let exporter = Exporter::start("");
    let bandwidth = "signaling_mcu_bandwidth{direction=\"incoming\"}";
    exporter.feed("{\"event\":\"signaling.server_started\"}\n");
    assert_eq!(exporter.value("signaling_grpc_clients"), Some(0.0));
    assert_eq!(exporter.value(bandwidth), None);
    exporter.feed("{\"event\":\"signaling.mcu.bandwidth\",\"incoming\":5,\"outgoing\":6}\n");
    exporter.wait_for(bandwidth, 5.0);
    exporter.feed("{\"event\":\"signaling.server_started\"}\n");
    exporter.wait_for(bandwidth, 0.0);
}

#[test]
fn a_limit_of_0_is_none_and_a_proxy_begins_with_all_its_gauges() {
    let exporter = Exporter::start("");
    let added = |backend: &str, limit: &str| {
        format!("{{\"event\":\"signaling.backend.added\",\"backend\":\"{backend}\",\"limit\":{limit}}}\n")
    };
    exporter.feed(added("a", "0") + &added("b", "0.0") + &added("c", "7"));
    exporter.feed("{\"event\":\"signaling.proxy_backend.added\",\"url\":\"u\"}\n");
    exporter.wait_for("signaling_backend_current", 3.0);
    let metrics = exporter.metrics();
    assert_eq!(metrics.matches("signaling_backend_session_limit{").count(), 1, "{metrics}");
    for metric in ["usage", "bandwidth"] {
        for direction in ["incoming", "outgoing"] {
            let series = format!("signaling_mcu_backend_{metric}{{url=\"u\",direction=\"{direction}\"}}");
            assert_eq!(value(&metrics, &series), Some(0.0), "{series}");
        }
    }
    let changed = |limit: u8| {
        format!("{{\"event\":\"signaling.backend.limit_changed\",\"backend\":\"c\",\"limit\":{limit}}}\n")
    };
    exporter.feed(changed(9) + &changed(0));
    exporter.wait_for("lifecycle_exporter_events_total{event=\"signaling.backend.limit_changed\"}", 2.0);
    assert!(!exporter.metrics().contains("signaling_backend_session_limit{"));
    // The backend closes as ever, though its series went before it.
    exporter.feed(changed(3) + "{\"event\":\"signaling.backend.removed\",\"backend\":\"c\"}\n");
    exporter.wait_for("signaling_backend_current", 2.0);
    assert!(!exporter.metrics().contains("signaling_backend_session_limit{"));
}

#[test]
fn start_up_events_come_again_only_where_what_they_open_is_gone() {
    let exporter = Exporter::start("[startup]\nevent = signaling.backend.added backend=b limit=5\n");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "1");
    session.send("{\"event\":\"signaling.server_started\"}");
    session.wait_for_ack(1);
    // It was opened by nobody, so a session's server does not give it up.
    assert_eq!(exporter.value("signaling_backend_current"), Some(1.0));
    exporter.feed("{\"event\":\"signaling.server_started\"}\n");
    exporter.wait_for("lifecycle_exporter_abandoned_total{system=\"signaling\",entity=\"backend\"}", 1.0);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, "signaling_backend_current"), Some(1.0));
    assert_eq!(value(&metrics, "signaling_backend_session_limit{backend=\"b\"}"), Some(5.0));
    assert!(support::sum(&metrics, "lifecycle_exporter_events_rejected_total") < 0.5, "{metrics}");
}

/// vlog is a public, an admin and a worker API, and the workers: each tells its part.
#[test]
fn what_one_process_of_a_system_tells_is_not_touched_by_anothers_restart_or_goodbye() {
    let exporter = Exporter::start("[events]\ngrace = 0s\n");
    let (mut admin, _) = Session::begin(&exporter.socket, "admin", "1");
    let (mut public, _) = Session::begin(&exporter.socket, "public", "1");
    let (mut worker, _) = Session::begin(&exporter.socket, "worker", "1");
    for line in [
        r#"{"event":"vlog.server_started","version":"1"}"#,
        r#"{"event":"vlog.video.added","video":"v","status":"ready"}"#,
        r#"{"event":"vlog.worker.registered","worker_id":"w","worker_name":"w","status":"online"}"#,
        r#"{"event":"vlog.job.started","job":"admin's"}"#,
    ] {
        admin.send(line);
    }
    admin.wait_for_ack(4);
    worker.send(r#"{"event":"vlog.job.started","job":"worker's"}"#);
    worker.wait_for_ack(1);
    public.send(r#"{"event":"vlog.server_started","version":"1"}"#);
    public.send(r#"{"event":"vlog.video.added","video":"v","status":"ready"}"#);
    assert_eq!(public.wait_for_ack(2), [""; 0], "a video that is known already is no fault");
    let jobs = "vlog_transcoding_jobs_active";
    assert_eq!(exporter.value(jobs), Some(2.0));
    admin.send(r#"{"bye":true}"#);
    admin.wait_for_end();
    drop(public);
    let metrics = exporter.metrics();
    for (series, expected) in [
        (jobs, 1.0),
        ("vlog_transcoding_jobs_total{status=\"failed\"}", 1.0),
        ("vlog_transcoding_jobs_total{status=\"started\"}", 2.0),
        ("vlog_videos_total{status=\"ready\"}", 1.0),
        ("vlog_workers_total{status=\"online\"}", 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}");
    }
    worker.send(r#"{"event":"vlog.job.completed","job":"worker's","worker_name":"w"}"#);
    worker.send(r#"{"event":"vlog.worker.heartbeat","worker_id":"w","result":"success"}"#);
    // A worker whose registration nobody heard.
    worker.send(r#"{"event":"vlog.worker.heartbeat","worker_id":"x","result":"success","worker_name":"x","status":"idle"}"#);
    assert_eq!(worker.wait_for_ack(4), [""; 0]);
    assert_eq!(exporter.value("vlog_workers_total{status=\"idle\"}"), Some(1.0));
    // A goodbye is no end of what outlives its producer.
    worker.send(r#"{"bye":true}"#);
    worker.wait_for_end();
    assert_eq!(exporter.value("vlog_workers_total{status=\"idle\"}"), Some(1.0));
}

#[test]
fn a_call_lasts_as_long_as_anyone_is_in_it_whoever_reports_them() {
    let exporter = Exporter::start("");
    let (mut one, _) = Session::begin(&exporter.socket, "node1", "1");
    let (mut other, _) = Session::begin(&exporter.socket, "node2", "1");
    exporter.feed("{\"event\":\"signaling.room.opened\",\"backend\":\"b\",\"room\":\"r\"}\n");
    exporter.wait_for("signaling_hub_rooms{backend=\"b\"}", 1.0);
    for (node, session, kind) in [(&mut one, "1", "client"), (&mut other, "2", "internal")] {
        node.send(&format!("{{\"event\":\"signaling.session.joined\",\"session\":\"{session}\",\"backend\":\"b\",\"clienttype\":\"{kind}\"}}"));
        for event in ["room", "call"] {
            node.send(&format!("{{\"event\":\"signaling.{event}.joined\",\"backend\":\"b\",\"room\":\"r\",\"session\":\"{session}\"}}"));
        }
        assert_eq!(node.wait_for_ack(3), [""; 0]);
    }
    let sessions =
        |kind: &str| format!("signaling_call_sessions{{backend=\"b\",room=\"r\",clienttype=\"{kind}\"}}");
    one.send("{\"bye\":true}");
    one.wait_for_end();
    assert_eq!(exporter.value(&sessions("internal")), Some(1.0));
    assert_eq!(exporter.value(&sessions("client")), Some(0.0), "the call goes on");
    other.send("{\"event\":\"signaling.call.left\",\"backend\":\"b\",\"room\":\"r\",\"session\":\"2\"}");
    assert_eq!(other.wait_for_ack(4), [""; 0]);
    let metrics = exporter.metrics();
    assert!(!metrics.contains("signaling_call_sessions{"), "its series go with its last session:\n{metrics}");
    assert_eq!(
        value(&metrics, "signaling_room_sessions{backend=\"b\",room=\"r\",clienttype=\"internal\"}"),
        Some(1.0)
    );
}

#[test]
fn several_runs_of_one_producer_are_connected_at_once_and_end_nobody() {
    let exporter = Exporter::start("[events]\ngrace = 1h\n");
    let connected = "lifecycle_exporter_producer_connected{producer=\"web\"}";
    let mut runs: Vec<Session> = (0..4)
        .map(|run| {
            let (mut session, _) = Session::begin(&exporter.socket, "web", &run.to_string());
            session.send(&recording("started", &run.to_string()));
            session.wait_for_ack(1);
            session
        })
        .collect();
    assert_eq!(exporter.value(connected), Some(4.0));
    assert_eq!(exporter.value(CURRENT), Some(4.0));
    // One is killed; what it had open fails when its successor comes, and the others go on.
    drop(runs.remove(0));
    exporter.wait_for(connected, 3.0);
    assert_eq!((exporter.value(CURRENT), exporter.value(FAILED)), (Some(4.0), Some(0.0)), "it may come back");
    let (_next, _) = Session::begin(&exporter.socket, "web", "next");
    assert_eq!((exporter.value(CURRENT), exporter.value(FAILED)), (Some(3.0), Some(1.0)));
    assert_eq!(exporter.value(connected), Some(4.0));
    for run in &mut runs {
        run.send(r#"{"event":"vlog.video.viewed"}"#);
        run.wait_for_ack(2);
    }
}

#[test]
fn what_several_runs_left_is_given_up_children_first() {
    let exporter = Exporter::start("");
    let (mut one, _) = Session::begin(&exporter.socket, "p", "1");
    let (mut other, _) = Session::begin(&exporter.socket, "p", "2");
    one.send(r#"{"event":"edumeet.room.opened","room_id":"r"}"#);
    one.wait_for_ack(1);
    other.send(r#"{"event":"edumeet.peer.joined","room_id":"r","peer_id":"x"}"#);
    other.wait_for_ack(1);
    drop((one, other));
    let (_next, _) = Session::begin(&exporter.socket, "p", "3");
    for entity in ["room", "peer"] {
        let series = format!("lifecycle_exporter_abandoned_total{{system=\"edumeet\",entity=\"{entity}\"}}");
        assert_eq!(exporter.value(&series), Some(1.0), "{entity}");
    }
}

#[test]
fn after_a_restart_of_the_exporter_runs_have_their_grace_time_to_come_back() {
    let mut exporter = Exporter::start("[state]\ndirectory = {directory}/state\n[events]\ngrace = 1h\n");
    let (mut old, _) = Session::begin(&exporter.socket, "p", "old");
    old.send(&recording("started", "1"));
    old.wait_for_ack(1);
    exporter.crash();
    let (_new, _) = Session::begin(&exporter.socket, "p", "new");
    assert_eq!((exporter.value(CURRENT), exporter.value(FAILED)), (Some(1.0), Some(0.0)));
    let (mut old, position) = Session::begin(&exporter.socket, "p", "old");
    assert_eq!(position, 1);
    old.send(&recording("stopped", "1"));
    assert_eq!(old.wait_for_ack(2), [""; 0]);
    // One that had left before the exporter did is not waited for.
    drop(old);
    exporter.wait_for("lifecycle_exporter_producer_connected{producer=\"p\"}", 1.0);
    exporter.restart();
    let (_third, _) = Session::begin(&exporter.socket, "p", "third");
    assert_eq!(exporter.value(UPLOADS_FAILED), Some(1.0));
}

#[test]
fn expected_producers_are_always_shown_and_one_shot_ones_only_then() {
    let exporter = Exporter::start("[events]\nexpect = recorder, follow:signaling, recorder\n");
    let of = |metric: &str, producer: &str| {
        exporter.value(&format!("lifecycle_exporter_producer_{metric}{{producer=\"{producer}\"}}"))
    };
    let connected = |producer: &str| of("connected", producer);
    let expected = |producer: &str| of("expected", producer);
    assert_eq!((connected("recorder"), connected("follow:signaling")), (Some(0.0), Some(0.0)));
    assert_eq!((expected("recorder"), expected("follow:signaling")), (Some(1.0), Some(1.0)));
    assert_eq!(exporter.metrics().matches("producer_expected{").count(), 2);
    let (recorder, _) = Session::begin(&exporter.socket, "recorder", "1");
    let (_follower, _) =
        Session::begin_with(&exporter.socket, r#"{"hello":"follow:signaling","instance":"1","owner":false}"#);
    let (_tool, _) =
        Session::begin_with(&exporter.socket, r#"{"hello":"tool","instance":"1","owner":false}"#);
    assert_eq!((connected("recorder"), connected("follow:signaling")), (Some(1.0), Some(1.0)));
    assert_eq!(connected("tool"), None);
    let (guest, _) = Session::begin(&exporter.socket, "guest", "1");
    assert_eq!((connected("guest"), expected("guest")), (Some(1.0), None));
    drop((recorder, guest));
    wait_until(|| connected("recorder") == Some(0.0), || "it is not shown as away".to_owned());
    // Both are away; one of them may have ended for good.
    wait_until(|| connected("guest") == Some(0.0), || "it is not shown as away".to_owned());
    assert_eq!((expected("recorder"), expected("guest")), (Some(1.0), None));
    exporter.configure("[events]\nexpect = follow:signaling\n");
    exporter.signal("HUP");
    wait_until(|| expected("recorder").is_none(), || "it is expected after the reload".to_owned());
    assert_eq!(expected("follow:signaling"), Some(1.0));
}

#[test]
fn what_send_leaves_behind_is_no_producer_that_is_away() {
    let exporter = Exporter::start("");
    for number in 0..20 {
        let mut command = binary();
        command.args(["send", "--config", "/dev/null", "--socket"]).arg(&exporter.socket);
        let sent =
            command.args(["recording.started", "backend=b"]).arg(format!("recording={number}")).status();
        assert!(sent.unwrap().success());
        assert!(!exporter.metrics().contains("producer=\"send\""));
    }
    let mut command = binary();
    command.args(["send", "--config", "/dev/null", "--socket"]).arg(&exporter.socket);
    let output =
        command.args(["recording.stopped", "backend=b", "recording=1", "duraton=5"]).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("warning: recording.stopped: duraton: unknown field, ignored; the event has"),
        "{said}"
    );
    let mut command = binary();
    command.args(["send", "-", "--config", "/dev/null", "--socket"]).arg(&exporter.socket);
    let line = "{\"event\":\"recording.uploaded\",\"backend\":\"b\",\"size\":5}\n";
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(line.repeat(3).as_bytes()).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert_eq!(said.matches("warning: recording.uploaded: size: unknown field").count(), 1, "{said}");
    // Interrupted before its input has ended, it leaves its position, but nobody misses it.
    let mut command = binary();
    command.args(["send", "-", "--config", "/dev/null", "--socket"]).arg(&exporter.socket);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    exporter.wait_for("lifecycle_exporter_producers", 1.0);
    child.kill().unwrap();
    child.wait().unwrap();
    exporter.wait_for("lifecycle_exporter_producers", 0.0);
    assert!(!exporter.metrics().contains("producer=\"send\""));
}

/// A machine that is booted, as far as a process can see it: another boot id in a mount namespace of its own.
#[test]
fn a_reboot_ends_what_was_open_without_a_session() {
    let mut attempt = Command::new("unshare");
    attempt.args(["--mount", "mount", "--bind", "/dev/null", "/proc/sys/kernel/random/boot_id"]);
    if !attempt.output().is_ok_and(|output| output.status.success()) {
        assert!(!support::switches::in_ci(), "no mount namespace, and CI is set");
        println!("skipped: no mount namespace can be made here");
        return;
    }
    let booted = |boot: u8| {
        let script = format!(
            "echo {boot}0000000-0000-4000-8000-000000000000 >\"$1\" && mount --bind \"$1\" /proc/sys/kernel/random/boot_id \
             && shift && exec \"$@\""
        );
        let file = std::env::temp_dir().join(format!("boot-id-{}-{boot}", std::process::id()));
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &script, "sh"])
            .arg(file)
            .arg(env!("CARGO_BIN_EXE_lifecycle-exporter"));
        command
    };
    let config = "[state]\ndirectory = {directory}/state\n[events]\ngrace = 1h\n\
                  [startup]\nevent = signaling.backend.added backend=b\nevent = signaling.backend.added backend=gone\n";
    let mut exporter = Exporter::start_by(config, |_| {}, booted(1));
    exporter.feed(
        recording("started", "1")
            + "\n{\"event\":\"vlog.video.added\",\"video\":\"v\",\"status\":\"ready\"}\n",
    );
    let (mut session, _) = Session::begin(&exporter.socket, "p", "1");
    session.send(&recording("started", "2"));
    session.wait_for_ack(1);
    exporter.wait_for(CURRENT, 2.0);
    exporter.kill();
    exporter.spawn_again_by(booted(1));
    exporter.wait_for_start();
    assert_eq!((exporter.value(CURRENT), exporter.value(FAILED)), (Some(2.0), Some(0.0)), "the same boot");
    exporter.kill();
    exporter.configure(&config.replace("event = signaling.backend.added backend=gone\n", ""));
    exporter.spawn_again_by(booted(2));
    exporter.wait_for_start();
    let metrics = exporter.metrics();
    for (series, expected) in [
        (CURRENT, 1.0),
        (FAILED, 1.0),
        ("vlog_videos_total{status=\"ready\"}", 1.0),
        ("signaling_backend_current", 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series} in:\n{metrics}");
    }
    for boot in [1, 2] {
        let _ = fs::remove_file(std::env::temp_dir().join(format!("boot-id-{}-{boot}", std::process::id())));
    }
}

#[test]
fn a_value_that_a_user_chose_is_cut_and_leaves_nothing_open() {
    let exporter = Exporter::start("");
    let long = "é".repeat(5_000);
    let lines = [
        r#"{"event":"vlog.http.request_started","request":"1","api":"public"}"#.to_owned(),
        format!("{{\"event\":\"vlog.http.request_finished\",\"request\":\"1\",\"method\":\"{long}\",\"endpoint\":\"/{long}\",\"status_code\":404}}"),
        r#"{"event":"edumeet.room.opened","room_id":"r"}"#.to_owned(),
        format!("{{\"event\":\"edumeet.peer.joined\",\"room_id\":\"r\",\"peer_id\":\"p\",\"display_name\":\"{long}\",\"user_agent\":\"{long}\"}}"),
        r#"{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"t","pid":1,"proto":"udp","local_addr":"a","remote_addr":"b"}"#.to_owned(),
        r#"{"event":"edumeet.producer.created","transport_id":"t","id":"x","kind":"audio","codec":"opus"}"#.to_owned(),
        r#"{"event":"edumeet.producer.stats","id":"x","type":"inbound-rtp","byte_count":7,"score":9}"#.to_owned(),
    ];
    exporter.feed(lines.join("\n") + "\n");
    exporter.wait_for("edumeet_peers{room_id=\"r\"}", 1.0);
    exporter.assert_law(7);
    let metrics = exporter.metrics();
    assert!(support::sum(&metrics, "lifecycle_exporter_events_rejected_total") < 0.5, "{metrics}");
    assert_eq!(value(&metrics, "vlog_http_requests_in_progress{api=\"public\"}"), Some(0.0));
    let shown = format!("display_name=\"{}…\"", "é".repeat(510));
    assert!(metrics.contains(&shown), "a label of 1,023 bytes");
    for system in ["vlog", "edumeet"] {
        let cuts = format!("lifecycle_exporter_label_cuts_total{{system=\"{system}\"}}");
        assert_eq!(value(&metrics, &cuts), Some(2.0), "{system}");
    }
    // A key is what it is: one that is too long, or empty, is refused where it would be opened.
    for (key, reason) in [("x".repeat(1_025), "label_too_long"), (String::new(), "bad_value")] {
        exporter.feed(recording("started", &key) + "\n");
        exporter.wait_for(&format!("lifecycle_exporter_events_rejected_total{{reason=\"{reason}\"}}"), 1.0);
    }
}

#[test]
fn names_and_user_agents_of_every_length_and_script_leave_nothing_open() {
    let exporter = Exporter::start("");
    let scripts = [
        "x",
        "é",
        "ж",
        "ש",
        "漢",
        "ா",
        "👩‍👩‍👧",
        "e\u{301}\u{302}",
        "\u{202e}",
        "\\u0000",
        "\\\"",
        "\\\\",
        "\\n",
        " ",
    ];
    let mut lines = "{\"event\":\"edumeet.room.opened\",\"room_id\":\"r\"}\n".to_owned();
    let mut peers = 0;
    for script in scripts {
        for times in (0..40).chain((100..1_500).step_by(41)).chain([30_000 / script.len()]) {
            let text = script.repeat(times);
            lines.push_str(&format!(
                "{{\"event\":\"edumeet.peer.joined\",\"room_id\":\"r\",\"peer_id\":{peers},\"display_name\":\"{text}\",\"user_agent\":\"{text}\"}}\n\
                 {{\"event\":\"edumeet.peer.left\",\"peer_id\":{peers}}}\n"
            ));
            peers += 1;
        }
    }
    exporter.feed(&lines);
    exporter.wait_for("lifecycle_exporter_events_total{event=\"edumeet.peer.left\"}", f64::from(peers));
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, "edumeet_peers{room_id=\"r\"}"), Some(0.0));
    assert!(support::sum(&metrics, "lifecycle_exporter_events_rejected_total") < 0.5, "{}", exporter.log());
}

#[test]
fn one_system_that_is_full_leaves_room_for_the_others() {
    let exporter = Exporter::start("[limits]\nentities = 3\n");
    for number in 0..5 {
        exporter.feed(format!(
            "{{\"event\":\"vlog.http.request_started\",\"request\":\"{number}\",\"api\":\"a\"}}\n"
        ));
    }
    exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"entity_limit\"}", 2.0);
    exporter.feed(recording("started", "1") + "\n");
    exporter.wait_for(CURRENT, 1.0);
}

const WORKSHOP: &str = "
[system]
name = w
title = Workshop
[entity job]
key = job
labels = kind
abandoned = w.lost
[metric w_jobs]
type = gauge
help = Jobs
live = job
[metric w_lost_total]
type = counter
help = Jobs lost
[metric w_pages_total]
type = counter
help = Pages
labels = job, tray
owner = job
[metric w_hosts_pages_total]
type = counter
help = Pages
labels = address
[label address]
transform = address
[metric w_seen_age_seconds]
type = age
help = Age
labels = job
owner = job
[event w.started]
open = job
[event w.done]
close = job
[event w.lost]
close = job
inc = w_lost_total
[event w.printed]
of = job
follow = w_pages_total from pages
mark = w_seen_age_seconds
[event w.host]
follow = w_hosts_pages_total from pages
";

fn workshop(config: &str) -> Exporter {
    let config = format!("[systems]\ncatalog_directory = {{directory}}\n{config}");
    Exporter::start_with(&config, |directory| fs::write(directory.join("w.ini"), WORKSHOP).unwrap())
}

fn reload(exporter: &Exporter) {
    let reloads = exporter.log().matches("was read again").count();
    exporter.signal("HUP");
    wait_until(|| exporter.log().matches("was read again").count() > reloads, || exporter.log());
}

#[test]
fn a_live_gauge_counts_what_is_open_after_a_change_of_its_catalog() {
    let mut exporter = workshop("[state]\ndirectory = {directory}/state\n");
    let jobs = |kind: &str| {
        (0..5)
            .map(|n| format!("{{\"event\":\"w.started\",\"job\":\"{kind}{n}\",\"kind\":\"{kind}\"}}\n"))
            .collect::<String>()
    };
    exporter.feed(jobs("a") + &jobs("b"));
    exporter.wait_for("w_jobs", 10.0);
    let file = exporter.directory.path().join("w.ini");
    let labelled = WORKSHOP.replace("help = Jobs\nlive", "help = Jobs\nlabels = kind\nlive");
    fs::write(&file, &labelled).unwrap();
    reload(&exporter);
    exporter.wait_for("w_jobs{kind=\"a\"}", 5.0);
    exporter.wait_for("w_jobs{kind=\"b\"}", 5.0);
    // A label that the jobs did not carry so far is empty, and a restart does the same.
    let carried = labelled.replace("labels = kind\nabandoned", "labels = kind, colour\nabandoned");
    let carried = carried
        .replace("labels = kind\nlive", "labels = colour, kind\nlive")
        .replace("[event w.started]\n", "[event w.started]\noptional = colour\n");
    fs::write(&file, &carried).unwrap();
    exporter.restart();
    exporter.wait_for("w_jobs{colour=\"\",kind=\"a\"}", 5.0);
    exporter.feed("{\"event\":\"w.done\",\"job\":\"a1\"}\n{\"event\":\"w.started\",\"job\":\"c\",\"kind\":\"a\",\"colour\":\"red\"}\n");
    exporter.wait_for("w_jobs{colour=\"\",kind=\"a\"}", 4.0);
    exporter.wait_for("w_jobs{colour=\"red\",kind=\"a\"}", 1.0);
}

#[test]
fn a_total_goes_on_whatever_becomes_of_its_labels() {
    let exporter = workshop("[privacy]\nnumeric = no\n");
    exporter.feed(
        r#"{"event":"w.started","job":"1","kind":"a"}
{"event":"w.printed","job":"1","tray":"simple","pages":100}
{"event":"w.printed","job":"1","tray":"svc","pages":130}
{"event":"w.host","address":"127.0.0.1:9","pages":1000}
{"event":"w.host","address":"127.0.0.2:9","pages":10}
"#,
    );
    exporter.wait_for("w_pages_total{job=\"1\",tray=\"svc\"}", 30.0);
    assert_eq!(exporter.value("w_pages_total{job=\"1\",tray=\"simple\"}"), Some(100.0));
    // The name of the address is learned, and then forgotten again by other settings.
    wait_until(|| exporter.metrics().contains("address=\"localhost:9\""), || exporter.metrics());
    exporter.feed("{\"event\":\"w.host\",\"address\":\"127.0.0.1:9\",\"pages\":1001}\n");
    exporter.wait_for("w_hosts_pages_total{address=\"localhost:9\"}", 1_001.0);
    exporter.configure("[systems]\ncatalog_directory = {directory}\n[privacy]\ndeidentify = yes\n");
    reload(&exporter);
    exporter.feed("{\"event\":\"w.host\",\"address\":\"127.0.0.1:9\",\"pages\":1003}\n");
    exporter.wait_for("w_hosts_pages_total{address=\"xx.xx.0.1:9\"}", 2.0);
    // A smaller total is a source that began anew.
    exporter.feed("{\"event\":\"w.host\",\"address\":\"127.0.0.1:9\",\"pages\":4}\n");
    exporter.wait_for("w_hosts_pages_total{address=\"xx.xx.0.1:9\"}", 6.0);
    // Other labels of the metric itself begin other series, not the total anew.
    let file = exporter.directory.path().join("w.ini");
    fs::write(file, WORKSHOP.replace("labels = job, tray", "labels = job")).unwrap();
    reload(&exporter);
    exporter.feed("{\"event\":\"w.printed\",\"job\":\"1\",\"pages\":135}\n");
    exporter.wait_for("w_pages_total{job=\"1\"}", 5.0);
}

#[test]
fn nothing_comes_from_the_future() {
    let exporter = workshop("");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let age = "w_seen_age_seconds{job=\"1\"}";
    let printed = |time: u64| {
        format!("{{\"event\":\"w.printed\",\"job\":\"1\",\"tray\":\"t\",\"pages\":1,\"time\":{time}}}\n")
    };
    exporter
        .feed("{\"event\":\"w.started\",\"job\":\"1\",\"kind\":\"a\"}\n".to_owned() + &printed(now + 50_000));
    wait_until(|| exporter.value(age).is_some_and(|age| age > 0.0 && age < 1_000.0), || exporter.metrics());
    // The mark told last counts, so a worker whose clock was ahead is not alive for hours after its death.
    exporter.feed(printed(now - 5_000));
    wait_until(|| exporter.value(age).is_some_and(|age| age >= 5_000.0), || exporter.metrics());
    assert_eq!(exporter.value("lifecycle_exporter_event_times_ignored_total"), Some(0.0));
    exporter.feed(printed(now + 90_000));
    exporter.wait_for("lifecycle_exporter_event_times_ignored_total", 1.0);
}

#[test]
fn a_system_that_was_disabled_abandons_as_ever() {
    let exporter = workshop("[events]\ngrace = 0s\n");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "1");
    for number in 0..50 {
        session.send(&format!("{{\"event\":\"w.started\",\"job\":\"{number}\",\"kind\":\"a\"}}"));
    }
    session.wait_for_ack(50);
    exporter
        .configure("[systems]\ncatalog_directory = {directory}\nenabled = recording\n[events]\ngrace = 0s\n");
    reload(&exporter);
    drop(session);
    exporter.wait_for("lifecycle_exporter_abandoned_total{system=\"w\",entity=\"job\"}", 50.0);
    assert_eq!(exporter.value("w_lost_total"), Some(50.0));
}

#[test]
fn no_amount_freezes_a_counter() {
    let exporter = Exporter::start("");
    let written = |bytes: &str| format!("{{\"event\":\"vlog.storage.written\",\"bytes\":{bytes}}}\n");
    exporter.feed(
        written("1.7976931348623157e308") + &written("9007199254740994") + &written("9007199254740992"),
    );
    exporter.feed(written("1024"));
    exporter.wait_for("vlog_storage_bytes_written_total", 9_007_199_254_742_016.0);
    assert_eq!(exporter.value("lifecycle_exporter_events_rejected_total{reason=\"bad_value\"}"), Some(2.0));
    // A gauge that is set is not added up.
    exporter.feed(
        "{\"event\":\"proxy.load.changed\",\"load\":1e300}\n{\"event\":\"proxy.load.changed\",\"load\":5}\n",
    );
    exporter.wait_for("signaling_proxy_load", 5.0);
}

#[test]
fn a_catalog_larger_than_its_indices_is_an_error_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let metric = |number: usize| format!("[metric m_{number}]\ntype = counter\nhelp = h\n");
    let entity = |number: usize| format!("[entity e_{number}]\nkey = k\n");
    let parts: String = (0..65).map(|number| format!("f{number}, ")).collect();
    let cases = [
        ((0..65_537).map(metric).collect::<String>(), "65537 metrics, expected at most 65536"),
        ((0..1_001).map(entity).collect::<String>(), "1001 entities, expected at most 1000"),
        (
            (0..1_001).map(|number| entity(number) + "abandoned = x.e\n").collect::<String>(),
            "1001 entities, expected at most 1000",
        ),
        (
            "[entity e]\nkey = k\nabandoned = x.e\n[event x.e]\nclose = e\nabandon = x\n".to_owned(),
            "abandoned: x.e: is a restart, expected an event that only closes and counts",
        ),
        (
            format!("[event x.e]\nfields = {}\n", parts.trim_end_matches(", ")),
            "uses 65 fields, expected at most 64",
        ),
    ];
    let config = directory.path().join("c.conf");
    fs::write(&config, format!("[systems]\ncatalog_directory = {}\n", directory.path().display())).unwrap();
    let check = |text: &str| {
        fs::write(directory.path().join("x.ini"), format!("[system]\nname = x\ntitle = x\n{text}")).unwrap();
        let output = binary().arg("check").arg("--config").arg(&config).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (text, expected) in cases {
        let (code, said) = check(&text);
        assert!(code == Some(1) && said.contains(expected), "{said}");
    }
    let (code, said) = check(&(0..65_536).map(metric).collect::<String>());
    assert_eq!(code, Some(0), "{said}");
    // Parents of parents, two ways to each: as many steps as there are kinds, not as many as there are ways.
    let diamond: String = (1..400)
        .map(|n| {
            format!(
                "[entity e_{n}]\nkey = k\nwithin = e_{}{}\n",
                n - 1,
                if n > 1 { format!(", e_{}", n - 2) } else { String::new() }
            )
        })
        .collect();
    let (code, said) = check(&format!("{}{diamond}[event x.open]\nopen = e_399\n", entity(0)));
    assert_eq!(code, Some(0), "{said}");
}
