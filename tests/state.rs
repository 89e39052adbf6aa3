//! State on disk: restarts, crashes, damage, disks that cannot be written, other catalogs, a second exporter.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::session::Session;
use support::{Exporter, binary, has_program, value, wait_for_exit, wait_until};

const CONFIG: &str = "[state]\ndirectory = {directory}/state\n";
const CURRENT: &str = "recording_recordings_current{backend=\"b\"}";
const TOTAL: &str = "recording_recordings_total{backend=\"b\"}";
const ERRORS: &str = "lifecycle_exporter_journal_errors_total";

fn started(recording: &str) -> String {
    format!("{{\"event\":\"recording.started\",\"backend\":\"b\",\"recording\":\"{recording}\"}}")
}

/// Something of every kind of metric: counters, live and owned gauges, ages, running totals, histograms.
const LIVELY: &str = r#"{"event":"recording.started","backend":"b","recording":"1"}
{"event":"recording.started","backend":"b","recording":"2"}
{"event":"recording.stopped","backend":"b","recording":"2","duration":2.5}
{"event":"signaling.session.joined","session":"s","backend":"b","clienttype":"client"}
{"event":"signaling.room.opened","backend":"b","room":"r"}
{"event":"signaling.room.joined","backend":"b","room":"r","session":"s"}
{"event":"edumeet.room.opened","room_id":"a"}
{"event":"edumeet.peer.joined","room_id":"a","peer_id":"x","display_name":"X"}
{"event":"vlog.http.request_started","method":"GET","path":"/api/videos/17"}
{"event":"vlog.http.request_finished","method":"GET","path":"/api/videos/17","status":200,"duration":0.25}
{"event":"signaling.nothing"}
"#;

/// What a scrape shows of the systems and of what was counted, without what a restart changes.
fn lasting(exporter: &Exporter) -> String {
    let changes = [
        "process_",
        "build_info",
        "_bytes",
        "snapshot",
        "reload",
        "http_requests",
        "oldest_entity",
        "producers ",
    ];
    let metrics = exporter.metrics();
    let lasting = metrics.lines().filter(|line| !changes.iter().any(|name| line.contains(name)));
    lasting.map(|line| format!("{line}\n")).collect()
}

fn state_files(exporter: &Exporter) -> Vec<PathBuf> {
    let entries = fs::read_dir(exporter.directory.path().join("state")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_command_line_says_where_state_is_kept_before_all_others() {
    let directory = tempfile::tempdir().unwrap();
    let (named, passed) = (directory.path().join("named"), directory.path().join("passed"));
    let command = || {
        let mut command = binary();
        command.arg("--state").arg(&named).env("STATE_DIRECTORY", &passed);
        command
    };
    let mut exporter = Exporter::start_by(CONFIG, |_| {}, command());
    exporter.feed(started("1") + "\n");
    exporter.wait_for(TOTAL, 1.0);
    exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut exporter.child), Some(0), "{}", exporter.log());
    exporter.spawn_again_by(command());
    exporter.wait_for_start();
    assert_eq!(exporter.value(TOTAL), Some(1.0));
    exporter.wait_for_log(&format!("{} (sync = interval)", named.display()));
    assert!(!passed.exists() && !exporter.directory.path().join("state").exists());
}

#[test]
fn everything_survives_a_restart_and_a_crash() {
    let mut exporter = Exporter::start(CONFIG);
    exporter.feed(LIVELY);
    exporter.assert_law(11);
    let before = lasting(&exporter);
    exporter.restart();
    assert_eq!(lasting(&exporter), before);
    exporter.crash();
    assert_eq!(lasting(&exporter), before);
    exporter.feed(started("3") + "\n");
    exporter.wait_for(TOTAL, 3.0);
    exporter.crash();
    assert_eq!(exporter.value(CURRENT), Some(2.0));
    exporter.wait_for_log("/state (sync = interval)");
}

#[test]
fn the_state_is_for_the_exporter_alone() {
    use std::os::unix::fs::PermissionsExt;
    let exporter = Exporter::start(CONFIG);
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&exporter.directory.path().join("state")), 0o700);
    for file in state_files(&exporter) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn without_a_directory_it_says_that_state_is_in_memory() {
    let exporter = Exporter::start("");
    exporter.wait_for_log("state is in memory only");
    assert_eq!(exporter.value("lifecycle_exporter_journal_bytes"), Some(0.0));
    // Systemd's directory serves where none is configured.
    let directory = tempfile::tempdir().unwrap();
    let mut command = binary();
    command.env("STATE_DIRECTORY", directory.path());
    let exporter = Exporter::start_by("", |_| {}, command);
    exporter.wait_for_log(&format!("state is in {}", directory.path().display()));
}

#[test]
fn every_kind_of_sync_keeps_what_was_acknowledged() {
    for sync in ["always", "interval", "never"] {
        let mut exporter = Exporter::start(&format!("{CONFIG}sync = {sync}\n"));
        let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
        for number in 1..=20 {
            session.send(&started(&number.to_string()));
            session.wait_for_ack(number);
        }
        exporter.crash();
        let (_session, position) = Session::begin(&exporter.socket, "p", "i");
        assert_eq!((position, exporter.value(TOTAL)), (20, Some(20.0)), "{sync}");
    }
}

#[test]
fn who_does_not_come_back_after_a_restart_is_abandoned() {
    let mut exporter = Exporter::start(&format!("{CONFIG}[events]\ngrace = 300ms\n"));
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("1"));
    session.wait_for_ack(1);
    exporter.crash();
    exporter.wait_for(CURRENT, 0.0);
    assert_eq!(
        exporter.value("lifecycle_exporter_abandoned_total{system=\"recording\",entity=\"recording\"}"),
        Some(1.0)
    );
    exporter.crash();
    assert_eq!(exporter.value(CURRENT), Some(0.0));
}

#[test]
fn start_up_events_are_not_repeated_by_a_restart() {
    let config = format!("{CONFIG}[startup]\nevent = recording.started backend=b recording=1\n");
    let mut exporter = Exporter::start(&config);
    assert_eq!(exporter.value(TOTAL), Some(1.0));
    exporter.restart();
    exporter.crash();
    assert_eq!(exporter.value(TOTAL), Some(1.0));
    assert_eq!(
        exporter.value("lifecycle_exporter_events_rejected_total{reason=\"already_open\"}"),
        Some(0.0)
    );
}

#[test]
fn a_changed_catalog_keeps_what_still_fits_and_says_what_does_not() {
    let local = |extra: &str| {
        format!(
            "[system]\nname = t\ntitle = t\n[entity a]\nkey = a\n[metric t_a]\ntype = gauge\nhelp = h\nlive = a\n{extra}\
             [event t.on]\nopen = a\n"
        )
    };
    let metric = "[metric t_total]\ntype = counter\nhelp = h\n[event t.seen]\ninc = t_total\n";
    let config = format!("{CONFIG}[systems]\ncatalog_directory = {{directory}}/catalogs\n");
    let mut exporter = Exporter::start_with(&config, |directory| {
        fs::create_dir(directory.join("catalogs")).unwrap();
        fs::write(directory.join("catalogs/t.ini"), local(metric)).unwrap();
    });
    exporter.feed("{\"event\":\"t.on\",\"a\":\"1\"}\n{\"event\":\"t.seen\"}\n");
    exporter.wait_for("t_total", 1.0);
    fs::write(exporter.directory.path().join("catalogs/t.ini"), local("")).unwrap();
    exporter.crash();
    assert_eq!((exporter.value("t_a"), exporter.value("t_total")), (Some(1.0), None));
    exporter.wait_for_log("t_total");
    fs::remove_file(exporter.directory.path().join("catalogs/t.ini")).unwrap();
    exporter.restart();
    assert_eq!(exporter.value("t_a"), None);
}

#[test]
fn a_torn_journal_is_cut_off() {
    let mut exporter = Exporter::start(CONFIG);
    exporter.feed(started("1") + "\n");
    exporter.wait_for(TOTAL, 1.0);
    exporter.feed(started("2") + "\n");
    exporter.wait_for(TOTAL, 2.0);
    exporter.kill();
    let journal = exporter.directory.path().join("state/journal.1");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 5]).unwrap();
    exporter.spawn_again();
    exporter.wait_for_start();
    assert_eq!(exporter.value(TOTAL), Some(1.0));
    exporter.wait_for_log("not written to their end and are cut off");
}

#[test]
fn a_damaged_journal_is_set_aside_and_what_was_good_is_kept() {
    let mut exporter = Exporter::start(CONFIG);
    for number in 1..=3 {
        exporter.feed(started(&number.to_string()) + "\n");
        exporter.wait_for(TOTAL, f64::from(number));
    }
    exporter.kill();
    let journal = exporter.directory.path().join("state/journal.1");
    let mut bytes = fs::read(&journal).unwrap();
    let second = bytes.len() - started("3").len() - 60;
    bytes[second] ^= 1;
    fs::write(&journal, bytes).unwrap();
    exporter.spawn_again();
    exporter.wait_for_start();
    assert_eq!(exporter.value(TOTAL), Some(1.0));
    exporter.wait_for_log("state is durable again");
    exporter.wait_for_log("journal.1: damaged: at byte ");
    assert!(exporter.directory.path().join("state/journal.1.damaged").exists());
    exporter.crash();
    assert_eq!(exporter.value(TOTAL), Some(1.0));
}

/// Opening a FIFO would wait for somebody to write into it.
#[test]
fn what_is_no_regular_file_is_set_aside_and_not_waited_for() {
    let mut exporter = Exporter::start(CONFIG);
    exporter.feed(started("1") + "\n");
    exporter.wait_for(TOTAL, 1.0);
    for former in ["snapshot.80", "journal.81"] {
        exporter.restart();
        exporter.kill();
        let path = exporter.directory.path().join("state").join(former);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        exporter.spawn_again();
        exporter.wait_for_start();
        assert_eq!(exporter.value(TOTAL), Some(1.0), "{former}");
        exporter.wait_for_log("is a FIFO");
        exporter.wait_for("lifecycle_exporter_state_writable", 1.0);
        let aside = path.with_file_name(format!("{former}.damaged"));
        wait_until(|| aside.exists(), || format!("{former} is not set aside: {}", exporter.log()));
    }
}

#[test]
fn a_second_exporter_is_told_and_ends() {
    let exporter = Exporter::start(CONFIG);
    let mut command = binary();
    command.args(["--listen", "127.0.0.1:0", "--socket"]).arg(exporter.directory.path().join("other.sock"));
    command.arg("--config").arg(exporter.directory.path().join("exporter.conf"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another exporter uses this directory"), "{said}");
    assert!(!exporter.directory.path().join("other.sock").exists());
}

#[test]
fn where_nothing_can_be_written_it_goes_on_in_memory_and_comes_back_by_itself() {
    let mut exporter =
        Exporter::start_with(CONFIG, |directory| fs::write(directory.join("state"), "").unwrap());
    exporter.wait_for_log("state is in memory, ");
    let mut session = Session::connect(&exporter.socket);
    session.send("{\"hello\":\"p\",\"instance\":\"i\"}");
    session.send(&started("1"));
    session.send("{}");
    exporter.wait_for(TOTAL, 1.0);
    wait_until(|| exporter.value(ERRORS).unwrap() > 1.0, || "retries are not counted".to_owned());
    fs::remove_file(exporter.directory.path().join("state")).unwrap();
    // Only now it is answered.
    assert_eq!(session.reply().unwrap(), "{\"ack\":0}");
    assert!(session.reply().unwrap().starts_with("{\"rejected\":2"));
    session.wait_for_ack(2);
    exporter.wait_for_log("state is durable again");
    exporter.crash();
    assert_eq!(exporter.value(TOTAL), Some(1.0));
}

#[test]
fn a_directory_that_goes_away_is_made_again() {
    let mut exporter = Exporter::start(CONFIG);
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("1"));
    session.wait_for_ack(1);
    fs::remove_dir_all(exporter.directory.path().join("state")).unwrap();
    exporter.wait_for_log("state cannot be written");
    session.send(&started("2"));
    session.wait_for_ack(2);
    exporter.wait_for_log("state is durable again");
    exporter.crash();
    assert_eq!(exporter.value(TOTAL), Some(2.0));
}

#[test]
fn a_state_that_can_be_read_only_later_is_gone_on_from_then() {
    let mut exporter = Exporter::start(CONFIG);
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("1"));
    session.wait_for_ack(1);
    exporter.restart();
    exporter.kill();
    // As if its file system came late: something else is in its place.
    let (state, away) = (exporter.directory.path().join("state"), exporter.directory.path().join("away"));
    fs::rename(&state, &away).unwrap();
    fs::write(&state, "").unwrap();
    exporter.spawn_again();
    exporter.wait_for_start();
    let mut session = Session::connect(&exporter.socket);
    session.send("{\"hello\":\"p\",\"instance\":\"i\"}");
    exporter.feed(started("lost") + "\n");
    exporter.wait_for(TOTAL, 1.0);
    fs::remove_file(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    exporter.wait_for_log("the state of a former run can be read now");
    session.wait_for_end();
    let (mut session, position) = Session::begin(&exporter.socket, "p", "i");
    assert_eq!(position, 1);
    session.send(&started("2"));
    session.wait_for_ack(2);
    exporter.crash();
    assert_eq!(exporter.value(TOTAL), Some(2.0));
}

#[test]
fn a_full_disk_is_survived() {
    if !has_program("prlimit") {
        return;
    }
    let mut shell = Command::new("sh");
    // Files may hold some 100 kB, no more.
    let script = "trap '' XFSZ; ulimit -S -f 200; exec \"$0\" \"$@\"";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_lifecycle-exporter")]);
    let mut exporter = Exporter::start_by(CONFIG, |_| {}, shell);
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    let all = 4_000;
    for number in 1..=all {
        session.send(&started(&number.to_string()));
    }
    // Neither the journal nor a snapshot of so many recordings fits.
    exporter.wait_for(TOTAL, 4_000.0);
    wait_until(|| exporter.value(ERRORS).unwrap() > 2.0, || "failures are not counted".to_owned());
    exporter.wait_for_log("state cannot be written");
    let id = exporter.child.id().to_string();
    assert!(Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &id]).status().unwrap().success());
    session.wait_for_ack(all);
    exporter.crash();
    assert_eq!(exporter.value(CURRENT), Some(4_000.0));
    assert_eq!(Session::begin(&exporter.socket, "p", "i").1, all);
}

#[test]
fn the_journal_does_not_grow_without_end() {
    let mut exporter = Exporter::start(&format!("{CONFIG}[events]\nmax_line = 20000\n"));
    let line = format!("{{\"event\":\"proxy.load.changed\",\"load\":1,\"x\":\"{}\"}}\n", "x".repeat(10_000));
    let block = line.repeat(100);
    let (mut most, mut lines) = (0, 0_u32);
    // Three times as much as it may hold.
    while lines < 20_000 {
        exporter.feed(&block);
        lines += 100;
        if lines % 1_000 == 0 {
            exporter
                .wait_for("lifecycle_exporter_events_total{event=\"proxy.load.changed\"}", f64::from(lines));
            let files = state_files(&exporter);
            let sizes = files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len()));
            most = most.max(sizes.sum::<u64>());
        }
    }
    let metrics = exporter.metrics();
    assert!(value(&metrics, "lifecycle_exporter_journal_bytes").unwrap() < 64.0 * 1_048_576.0);
    assert!(value(&metrics, "lifecycle_exporter_snapshot_timestamp_seconds").unwrap() > 1e9);
    // The former generation is kept beside it.
    assert!(most < 160 * 1_048_576, "{most} bytes");
    exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut exporter.child), Some(0));
}

/// What lies in the state directory, as text.
fn stored(exporter: &Exporter) -> String {
    let files = fs::read_dir(exporter.directory.path().join("state")).unwrap();
    let files = files.map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

#[test]
fn with_deidentify_no_whole_address_is_written_and_a_restart_changes_nothing() {
    let lines = concat!(
        r#"{"event":"edumeet.room.opened","room_id":"r"}"#,
        "\n",
        r#"{"event":"edumeet.peer.joined","room_id":"r","peer_id":"203.0.113.70","display_name":"Ann"}"#,
        "\n",
        r#"{"event":"edumeet.transport.connected","peer_id":"203.0.113.70","transport_id":"t","pid":"1","proto":"udp","#,
        r#""local_addr":"198.51.100.1:40000","remote_addr":"203.0.113.77:5000","note":"from 203.0.113.77"}"#,
        "\n",
        r#"{"event":"edumeet.producer.created","transport_id":"t","id":"p","kind":"audio","codec":"opus"}"#,
        "\n",
        r#"{"event":"nothing.known","address":"203.0.113.77"}"#,
        "\nno JSON from [2001:db8::1234:1]:443\n",
        r#"{"event":"edumeet.producer.closed","id":"unknown"}"#,
        "\n",
    );
    for deidentify in ["yes", "no"] {
        let config =
            format!("[state]\ndirectory = {{directory}}/state\n[privacy]\ndeidentify = {deidentify}\n");
        let mut exporter = Exporter::start(&config);
        exporter.feed(lines);
        exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"not_open\"}", 1.0);
        exporter.assert_law(7);
        let before = exporter.system("edumeet");
        let written = stored(&exporter);
        for address in ["203.0.113.77", "198.51.100.1", "2001:db8::1234"] {
            assert_eq!(written.contains(address), deidentify == "no", "{deidentify}: {address}");
        }
        // A key tells entities apart, so it stays.
        assert!(written.contains("203.0.113.70"));
        exporter.crash();
        assert_eq!(exporter.system("edumeet"), before);
        exporter.restart();
        assert_eq!(exporter.system("edumeet"), before);
        let snapshot = stored(&exporter);
        assert_eq!(snapshot.contains("203.0.113.77"), deidentify == "no", "{deidentify}: the snapshot");
    }
}
