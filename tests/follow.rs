//! Logs that are followed: files over their rotations, standard input, and what happens when the exporter, the disk or
//! the position is not as it should be. Each line counts once. (Kills: `follow_kills`; the journal: `follow_journal`.)

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use support::follower::{CATALOG, Follower, exporter};
use support::{Exporter, binary, run, wait_for_exit, wait_until};

const CURRENT: &str = "t_items_current";
const TOTAL: &str = "t_items_total";

fn calls(kind: &str) -> String {
    format!("t_calls_total{{kind=\"{kind}\"}}")
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    File::options().append(true).create(true).open(path).unwrap().write_all(text.as_ref()).unwrap();
}

/// A log in the directory of an exporter.
fn log(exporter: &Exporter) -> PathBuf {
    exporter.directory.path().join("x.log")
}

fn renamed(log: &Path, suffix: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a log and truncates it, as logrotate's `copytruncate` does.
fn copy_and_truncate(log: &Path, suffix: &str) {
    fs::copy(log, renamed(log, suffix)).unwrap();
    File::options().write(true).open(log).unwrap().set_len(0).unwrap();
}

#[test]
fn a_file_is_followed_from_its_end_and_each_line_counts_once() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "start before\nheartbeat\nstart whole la");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "ter\n12 start a\nstart b\nsomething else\nend a\ncall of one");
    exporter.wait_for(TOTAL, 3.0);
    exporter.wait_for(CURRENT, 2.0);
    // A line counts when it is whole.
    append(&log, "s\n");
    exporter.wait_for(&calls("ones"), 1.0);
    assert_eq!(follower.stop(), Some(0));
    append(&log, "start while away\n");
    follower.spawn_again();
    exporter.wait_for(TOTAL, 4.0);
    assert_eq!(exporter.value("lifecycle_exporter_producer_connected{producer=\"follow:t\"}"), None);
    exporter.assert_law(6);
}

#[test]
fn from_the_start_all_lines_count() {
    let exporter = exporter("[events]\nexpect = talk\n");
    let log = log(&exporter);
    append(&log, "start a\nstart b\nend a\n");
    let position = renamed(&log, ".position");
    let arguments = ["--file", log.to_str().unwrap(), "--from-start", "--producer", "talk"];
    let arguments = [&arguments[..], &["--position", position.to_str().unwrap()]].concat();
    let mut follower = Follower::start(&exporter, &arguments);
    exporter.wait_for(TOTAL, 2.0);
    exporter.wait_for(CURRENT, 1.0);
    exporter.wait_for("lifecycle_exporter_producer_connected{producer=\"talk\"}", 1.0);
    // Only a first time: the position says where to go on.
    follower.kill();
    follower.spawn_again();
    append(&log, "start c\n");
    exporter.wait_for(TOTAL, 3.0);
    exporter.assert_law(4);
}

#[test]
fn rotation_by_rename_loses_nothing() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat 1\n");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "call of a\n");
    fs::rename(&log, renamed(&log, ".1")).unwrap();
    // Whoever writes still has the former file, and ends it without the end of its line.
    append(&renamed(&log, ".1"), "call of a\ncall of a");
    append(&log, "");
    append(&log, "call of a\n");
    exporter.wait_for(&calls("a"), 4.0);
    // While nobody follows it is rotated twice, and once more while someone does.
    follower.kill();
    append(&log, "call of a\n");
    fs::rename(renamed(&log, ".1"), renamed(&log, ".3")).unwrap();
    fs::rename(&log, renamed(&log, ".2")).unwrap();
    append(&renamed(&log, ".1"), "call of a\n");
    append(&log, "call of a\n");
    follower.spawn_again();
    exporter.wait_for(&calls("a"), 7.0);
    fs::rename(&log, renamed(&log, "-20261122")).unwrap();
    append(&log, "call of a\n");
    exporter.wait_for(&calls("a"), 8.0);
    exporter.assert_law(8);
}

#[test]
fn rotation_by_copy_and_truncation_loses_nothing() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "1 heartbeat\n");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "1 call of a\n");
    exporter.wait_for(&calls("a"), 1.0);
    copy_and_truncate(&log, ".1");
    append(&log, "2 call of a\n");
    exporter.wait_for(&calls("a"), 2.0);
    // While nobody follows: what was not read lies in the copies, and the log has become longer than it was.
    follower.kill();
    append(&log, "3 call of a\n");
    fs::rename(renamed(&log, ".1"), renamed(&log, ".3")).unwrap();
    copy_and_truncate(&log, ".2");
    append(&log, "4 call of a\n");
    copy_and_truncate(&log, ".1");
    append(&log, "5 call of a\n6 call of a\n7 call of a\n8 call of a\n");
    follower.spawn_again();
    exporter.wait_for(&calls("a"), 8.0);
    exporter.assert_law(8);
}

#[test]
fn a_file_that_is_truncated_without_a_copy_begins_anew() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "1 heartbeat\n");
    let follower = Follower::of_file(&exporter, &log);
    append(&log, "call of a\n");
    exporter.wait_for(&calls("a"), 1.0);
    fs::write(&log, "call of b\n").unwrap();
    exporter.wait_for(&calls("b"), 1.0);
    follower.wait_for_log("was truncated, and no copy of it lies beside it");
    // Removed, it is waited for.
    fs::remove_file(&log).unwrap();
    append(&log, "call of c\n");
    exporter.wait_for(&calls("c"), 1.0);
    exporter.assert_law(3);
}

#[test]
fn a_file_that_is_gone_is_said_and_what_is_newer_is_read() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat of the first\n");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "call of a\n");
    exporter.wait_for(&calls("a"), 1.0);
    follower.kill();
    fs::remove_file(&log).unwrap();
    append(&renamed(&log, ".2.gz"), "compressed");
    append(&renamed(&log, ".1"), "call of b\n");
    append(&log, "call of c\n");
    follower.spawn_again();
    exporter.wait_for(&calls("c"), 1.0);
    exporter.wait_for(&calls("b"), 1.0);
    follower.wait_for_log("the file in which reading ended at byte 33 is gone");
    follower.wait_for_log("x.log.2.gz: was rotated and compressed before it was read; its lines are lost");
}

#[test]
fn a_file_that_is_not_there_yet_is_read_from_its_start() {
    let exporter = exporter("");
    let log = log(&exporter);
    let mut follower = Follower::of_file(&exporter, &log);
    follower.kill();
    append(&log, "call of a\n");
    follower.spawn_again();
    exporter.wait_for(&calls("a"), 1.0);
    // An empty one is none, either: what is written and rotated away meanwhile is read.
    let other = log.with_file_name("y.log");
    append(&other, "");
    let mut follower = Follower::of_file(&exporter, &other);
    follower.kill();
    append(&other, "call of b\n");
    copy_and_truncate(&other, ".1");
    append(&other, "call of c\n");
    follower.spawn_again();
    exporter.wait_for(&calls("c"), 1.0);
    exporter.wait_for(&calls("b"), 1.0);
    exporter.assert_law(3);
}

#[test]
fn whatever_a_file_holds_memory_is_bounded_and_the_next_line_counts() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let follower = Follower::of_file(&exporter, &log);
    append(&log, b"call of a\xff\0\xfe\ncall of b\r\nstart \xc3\x28\n\n\n");
    // Its beginning is looked at.
    append(&log, ["call of long ", &"x".repeat(10_000_000), " call of end\n"].concat());
    append(&log, "x".repeat(10_000_000));
    append(&log, "\ncall of last\n");
    exporter.wait_for(&calls("last"), 1.0);
    for (kind, count) in [("a", Some(1.0)), ("b", Some(1.0)), ("long", Some(1.0)), ("end", None)] {
        assert_eq!(exporter.value(&calls(kind)), count, "{kind}");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", follower.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 15 * 1_024, "{peak}");
}

#[test]
fn standard_input_is_sent_to_its_end() {
    let exporter = exporter("");
    let mut follower = Follower::start(&exporter, &["-"]);
    let mut input = follower.child.stdin.take().unwrap();
    input.write_all(b"start a\nnothing\nstart b\nstart a\nend").unwrap();
    exporter.wait_for(TOTAL, 2.0);
    input.write_all(b" b").unwrap();
    drop(input);
    assert_eq!(wait_for_exit(&mut follower.child), Some(0));
    assert_eq!((exporter.value(TOTAL), exporter.value(CURRENT)), (Some(2.0), Some(1.0)));
    // A rejection is said, with the line, and nothing more.
    assert!(follower.log().contains("rejected: already_open"), "{}", follower.log());
    assert!(follower.log().contains(r#"{"event":"t.opened","id":"a"}"#), "{}", follower.log());
    exporter.assert_law(4);
}

#[test]
fn an_event_waits_whether_another_about_the_same_comes_before() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "start a\nstart b\nstart c\nleaving a\nleaving b\nseen b\nleaving c\nend c\ncall of one\n");
    exporter.wait_for(&calls("one"), 1.0);
    assert_eq!(exporter.value(CURRENT), Some(2.0));
    // What waits is known to the next start.
    follower.kill();
    follower.spawn_again();
    exporter.wait_for(CURRENT, 1.0);
    append(&log, "seen b\nleaving b\nstart d\nrestarted\nstart b\ncall of one\n");
    exporter.wait_for(&calls("one"), 2.0);
    assert_eq!(exporter.value(CURRENT), Some(1.0));
    append(&log, "leaving b\n");
    assert_eq!(follower.stop(), Some(0));
    follower.spawn_again();
    exporter.wait_for(CURRENT, 0.0);
    assert!(!follower.log().contains("rejected"), "{}", follower.log());
    // With the log's end nothing is left to wait for.
    let mut follower = Follower::start(&exporter, &["-", "--producer", "other"]);
    let mut input = follower.child.stdin.take().unwrap();
    input.write_all(b"start x\nleaving x\nstart y\n").unwrap();
    exporter.wait_for(CURRENT, 2.0);
    exporter.wait_for(CURRENT, 1.0);
    input.write_all(b"leaving y").unwrap();
    drop(input);
    assert_eq!(wait_for_exit(&mut follower.child), Some(0));
    assert_eq!(exporter.value(CURRENT), Some(0.0));
}

#[test]
fn without_an_exporter_it_waits_and_reads_no_further() {
    let mut exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let mut follower = Follower::of_file(&exporter, &log);
    exporter.kill();
    let many = "call of a\n".repeat(20_000) + &"nothing of the kind\n".repeat(200_000);
    append(&log, &many);
    follower.wait_for_log("reading goes on once the exporter is there");
    let reads = || fs::read_to_string(format!("/proc/{}/io", follower.child.id())).unwrap();
    let read: u64 = reads().lines().next().unwrap().trim_start_matches("rchar: ").parse().unwrap();
    assert!(read < 1_000_000, "{read} of {} bytes are read", many.len());
    // Both go at the worst moment, and come back.
    follower.kill();
    follower.spawn_again();
    exporter.spawn_again();
    exporter.wait_for_start();
    exporter.wait_for(&calls("a"), 20_000.0);
    exporter.crash();
    append(&log, "call of b\n");
    exporter.wait_for(&calls("b"), 1.0);
    exporter.assert_law(20_001);
}

#[test]
fn an_exporter_that_lost_its_state_gets_what_it_had_not_acknowledged() {
    let mut exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "call of a\n".repeat(9));
    exporter.wait_for(&calls("a"), 9.0);
    append(&log, "call of b\n");
    exporter.wait_for(&calls("b"), 1.0);
    for is_running in [true, false] {
        if !is_running {
            assert_eq!(follower.stop(), Some(0));
        }
        exporter.kill();
        fs::remove_dir_all(exporter.directory.path().join("state")).unwrap();
        append(&log, "call of a\n".repeat(5));
        if !is_running {
            follower.spawn_again();
        }
        exporter.spawn_again();
        exporter.wait_for_start();
        exporter.wait_for(&calls("a"), 5.0);
    }
    follower.wait_for_log("the exporter has 0 of the ");
    // And goes on from there.
    follower.kill();
    append(&log, "call of a\n");
    follower.spawn_again();
    exporter.wait_for(&calls("a"), 6.0);
}

#[test]
fn an_old_position_repeats_nothing() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let mut follower = Follower::of_file(&exporter, &log);
    let position = log.with_extension("position");
    append(&log, "call of a\ncall of a\n");
    exporter.wait_for(&calls("a"), 2.0);
    let old = fs::read(&position).unwrap();
    append(&log, "call of a\n");
    exporter.wait_for(&calls("a"), 3.0);
    append(&log, "call of a\n");
    exporter.wait_for(&calls("a"), 4.0);
    follower.kill();
    fs::write(&position, old).unwrap();
    append(&log, "call of a\ncall of b\n");
    follower.spawn_again();
    exporter.wait_for(&calls("b"), 1.0);
    assert_eq!(exporter.value(&calls("a")), Some(5.0));
    follower.wait_for_log("the exporter has 2 events more than the position file says");
}

#[test]
fn patterns_may_change_while_it_is_away() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let mut follower = Follower::of_file(&exporter, &log);
    append(&log, "new kind 1\ncall of a\nnew kind 2\ncall of a\n");
    exporter.wait_for(&calls("a"), 2.0);
    follower.kill();
    // What was read is not read anew with other patterns, and what was not sent is not taken for what was.
    let pattern = "match = call of (?P<kind>\\w+)\n";
    let catalog = CATALOG.replace(pattern, &format!("{pattern}match = new (?P<kind>\\w+)\n"));
    fs::write(exporter.directory.path().join("catalogs/t.ini"), catalog).unwrap();
    append(&log, "new kind 3\ncall of b\n");
    follower.spawn_again();
    exporter.wait_for(&calls("b"), 1.0);
    assert_eq!((exporter.value(&calls("a")), exporter.value(&calls("kind"))), (Some(2.0), Some(1.0)));
}

#[test]
fn nothing_is_sent_before_the_position_is_kept() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let folder = exporter.directory.path().join("positions");
    fs::create_dir(&folder).unwrap();
    let position = folder.join("p").display().to_string();
    let mut follower =
        Follower::start(&exporter, &["--file", log.to_str().unwrap(), "--position", &position]);
    follower.wait_for_log("connected as");
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    append(&log, "call of a\n");
    follower.wait_for_log("nothing is sent until it can be written");
    assert_eq!(exporter.value(&calls("a")), None);
    // Nor does that hold up a stop.
    assert_eq!(follower.stop(), Some(0));
    fs::rename(&away, &folder).unwrap();
    follower.spawn_again();
    exporter.wait_for(&calls("a"), 1.0);
    fs::rename(&folder, &away).unwrap();
    append(&log, "call of a\n");
    fs::rename(&away, &folder).unwrap();
    exporter.wait_for(&calls("a"), 2.0);
}

#[test]
fn it_says_why_it_begins_anew() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "call of a\n");
    let mut follower = Follower::of_file(&exporter, &log);
    follower.wait_for_log("beginning at the end of the log: there is no ");
    follower.kill();
    let position = log.with_extension("position");
    fs::write(&position, "lifecycle-exporter position 1\n{").unwrap();
    follower.spawn_again();
    follower.wait_for_log("x.position.damaged now");
    assert!(position.with_extension("position.damaged").exists());
    wait_until(|| position.exists(), || follower.log());
    // Another log has a position of its own.
    follower.kill();
    let other = log.with_file_name("other.log");
    append(&other, "call of a\n");
    let follower = Follower::start(
        &exporter,
        &["--file", other.to_str().unwrap(), "--position", position.to_str().unwrap()],
    );
    follower.wait_for_log("x.position is that of file ");
}

#[test]
fn a_hostile_log_makes_no_position_that_cannot_be_read() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "");
    let mut follower = Follower::of_file(&exporter, &log);
    let lines = (0..100).map(|number| format!("leaving {number}{}\n", "x".repeat(60_000)));
    append(&log, lines.collect::<String>() + "call of a\n");
    exporter.wait_for(&calls("a"), 1.0);
    follower.kill();
    append(&log, "call of a\n");
    follower.spawn_again();
    exporter.wait_for(&calls("a"), 2.0);
}

#[test]
fn what_cannot_be_followed_is_a_clear_error() {
    let exporter = exporter("");
    let directory = exporter.directory.path();
    run(std::process::Command::new("mkfifo").arg(directory.join("fifo")));
    fs::create_dir(directory.join("nobody's")).unwrap();
    fs::set_permissions(directory.join("nobody's"), fs::Permissions::from_mode(0o555)).unwrap();
    append(&log(&exporter), "call of a\n");
    let position = directory.join("p").display().to_string();
    fs::write(&position, "lifecycle-exporter position 9\n{}\n").unwrap();
    let missing = directory.join("missing/p").display().to_string();
    let (fifo, log) = (directory.join("fifo").display().to_string(), log(&exporter).display().to_string());
    for (arguments, expected) in [
        (vec!["t", "--file", &fifo], "fifo: is a FIFO; expected a regular file that this user can read"),
        (vec!["t", "--file", &log, "--position", &position], "p: version 9 of this program's files"),
        (vec!["t", "--file", &log, "--position", &missing], "expected a directory that this user can write"),
        (vec!["edumeet", "--file", &log], "edumeet: its catalog has no [line NAME] sections"),
        (vec!["nothing", "--file", &log], "nothing: unknown system, expected "),
        (vec!["t"], "expected one of --unit NAME, --file PATH and -"),
        (vec!["t", "-", "--file", &log], "expected one of --unit NAME, --file PATH and -"),
        (vec![], "follow: expected SYSTEM"),
        (vec!["t", "--file", &log, "--format", "json"], "--format: expected --try with it"),
    ] {
        let output = binary()
            .arg("follow")
            .args(&arguments)
            .arg("--config")
            .arg(directory.join("exporter.conf"))
            .arg("--socket")
            .arg(&exporter.socket)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn two_never_follow_with_one_position() {
    let exporter = exporter("");
    let log = log(&exporter);
    append(&log, "heartbeat\n");
    let _first = Follower::of_file(&exporter, &log);
    let position = log.with_extension("position");
    let mut second = Follower::start(
        &exporter,
        &["--file", log.to_str().unwrap(), "--position", position.to_str().unwrap()],
    );
    assert_eq!(wait_for_exit(&mut second.child), Some(1));
    wait_until(|| second.log().contains("another process follows with this position"), || second.log());
}

#[test]
fn a_trial_shows_what_the_patterns_find() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("catalogs")).unwrap();
    fs::write(directory.path().join("catalogs/t.ini"), CATALOG).unwrap();
    let config = directory.path().join("x.conf");
    let catalogs = directory.path().join("catalogs");
    fs::write(&config, format!("[systems]\ncatalog_directory = {}\n", catalogs.display())).unwrap();
    let log = directory.path().join("x.log");
    fs::write(&log, "start a\nwhat is\x1b this\nend a\nheartbeat\nstart b\nno end c here").unwrap();
    let trial = |arguments: &[&str]| {
        let input = File::open(&log).unwrap();
        run(binary().args(["follow", "t", "--try", "--config"]).arg(&config).args(arguments).stdin(input))
    };
    let events = "{\"event\":\"t.opened\",\"id\":\"a\"}\n{\"event\":\"t.closed\",\"id\":\"a\"}\n{\"event\":\"t.opened\",\"id\":\"b\"}\n";
    let shown = trial(&[log.to_str().unwrap()]);
    let table = "
    lines  section    event
        2  opened     t.opened
        1  closed     t.closed
        0  called     t.called
        0  seen       t.seen
        0  leaving    t.closed
        0  restarted  t.restarted
        1  idle       none
6 lines: 4 matched, 2 did not

the first lines that matched no section:
        2  what is\u{fffd} this
        6  no end c here
";
    assert_eq!(shown, format!("{events}{table}"));
    assert_eq!(trial(&["-"]), shown);
    assert_eq!(trial(&[]), shown);
    let json = trial(&["--format", "json"]);
    let (first, report) = json.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(first, events.trim_end());
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    assert_eq!(report["lines"], 6);
    assert_eq!(
        report["matched"][0],
        serde_json::json!({"section": "opened", "event": "t.opened", "lines": 2})
    );
    assert_eq!(report["matched"][6], serde_json::json!({"section": "idle", "event": null, "lines": 1}));
    assert_eq!(report["first_unmatched"][1], serde_json::json!({"line": 6, "text": "no end c here"}));
}
