//! `follow --unit`: what a unit wrote to systemd's journal counts once, with the times that the journal has, over boots,
//! rotation, kills of `follow`, the exporter and `journalctl`; what the journal has lost is said.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::follower::Follower;
use support::journal::{Entry, Journal};
use support::{Exporter, binary, run, wait_until};

const CONFIG: &str =
    "[state]\ndirectory = {directory}/state\n[systems]\ncatalog_directory = {directory}/catalog.d\n";
const CATALOG: &str = "\
[system]\nname = t\ntitle = Doors
[metric t_passed_total]\ntype = counter\nhelp = h\nlabels = door
[metric t_numbers_total]\ntype = counter\nhelp = h\nlabels = door
[metric t_last_seconds]\ntype = gauge\nhelp = h\nlabels = door
[event t.passed]\ninc = t_passed_total\nadd = t_numbers_total from number\nset = t_last_seconds from now
[line passed]\nmatch = passed (?P<door>\\S+) (?P<number>\\d+)$\nevent = t.passed
[line leaves]\nmatch = (?P<number>\\d+) leaves (?P<door>\\S+)$\nevent = t.passed\nafter = 30s\n";
const UNIT: &str = "doors.service";
const PASSED: &str = "t_passed_total{door=\"front\"}";
const NUMBERS: &str = "t_numbers_total{door=\"front\"}";
const LAST: &str = "t_last_seconds{door=\"front\"}";

/// An exporter that knows doors, and a journal; `None` where this machine cannot have one.
fn start() -> Option<(Exporter, Journal)> {
    let mut journal = None;
    let exporter = Exporter::start_with(CONFIG, |directory| {
        fs::create_dir(directory.join("catalog.d")).unwrap();
        fs::write(directory.join("catalog.d/t.ini"), CATALOG).unwrap();
        journal = Journal::new(directory);
    });
    journal.map(|journal| (exporter, journal))
}

fn follow(exporter: &Exporter, journal: &Journal, arguments: &[&str]) -> Follower {
    let position = exporter.directory.path().join("position");
    let own = ["--unit", UNIT, "--position", position.to_str().unwrap()];
    let follower = Follower::start_by(exporter, Some(journal.bin()), &[&own, arguments].concat());
    follower.wait_for_log("connected as follow:t");
    follower
}

/// The lines with these numbers, each a second after the other.
fn append(journal: &Journal, file: &str, boot: u8, numbers: impl IntoIterator<Item = u32>) {
    let messages: Vec<_> =
        numbers.into_iter().map(|number| (number, format!("passed front {number}"))).collect();
    let entries: Vec<_> = messages
        .iter()
        .map(|(number, text)| Entry { unit: UNIT, message: text.as_bytes(), boot, second: 10 + number })
        .collect();
    journal.append(file, &entries);
}

/// The lines 1 to `last` are counted, each once, but for those that are lost.
fn expect_all(exporter: &Exporter, follower: &Follower, last: u32, lost: &[u32]) {
    let passed = f64::from(last) - lost.len() as f64;
    let reached = || exporter.value(PASSED) == Some(passed);
    wait_until(reached, || format!("{:?}, not {passed}\n{}", exporter.value(PASSED), follower.log()));
    let numbers: u32 = (1..=last).filter(|number| !lost.contains(number)).sum();
    assert_eq!(exporter.value(NUMBERS), Some(f64::from(numbers)), "{}", follower.log());
}

/// Makes the cursor in the position file one that no journal knows.
fn spoil_cursor(directory: &Path) {
    let path = directory.join("position");
    let mut bytes = fs::read(&path).unwrap();
    // Behind the first line: a mark, the length of the payload, its sum, the payload.
    let frame = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let payload = &mut bytes[frame + 12..];
    payload.iter_mut().filter(|byte| **byte == b'=').for_each(|byte| *byte = b'-');
    let sum = crc32fast::hash(payload);
    bytes[frame + 8..frame + 12].copy_from_slice(&sum.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn entries_are_read_whatever_they_hold() {
    let Some((exporter, journal)) = start() else { return };
    let long = format!("{} passed front 4", "x".repeat(20_000));
    let longer = format!("{} passed front 5", "\u{1b}".repeat(50_000));
    let messages: [&[u8]; 8] = [
        b"passed front 1",
        b"\xff\xfe passed front 2",
        b"first line\nthe second has passed front 3\nthird line",
        long.as_bytes(),
        longer.as_bytes(),
        b"",
        "\u{202e}\u{1b}[1m passed d\u{f6}rr 6".as_bytes(),
        b"something else",
    ];
    let entries: Vec<_> = messages
        .iter()
        .zip(0..)
        .map(|(message, second)| Entry { unit: UNIT, message, boot: 0, second })
        .collect();
    journal.append("a", &entries);
    journal
        .append("a", &[Entry { unit: "other.service", message: b"passed front 100", boot: 0, second: 60 }]);
    let shown = run(binary()
        .args(["follow", "t", "--try", "--format", "json", "--unit", UNIT, "--config"])
        .arg(exporter.directory.path().join("exporter.conf"))
        .env("PATH", format!("{}:{}", journal.bin().display(), std::env::var("PATH").unwrap())));
    let shown: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (report, events) = shown.split_last().unwrap();
    for (number, event) in (1..).zip(events) {
        assert_eq!(event["number"], number, "{event}");
        let time = journal.beginning as f64 + f64::from(number) - 1.0 + 0.25;
        let time = if number == 6 { time + 1.0 } else { time };
        assert_eq!(event["time"], time, "{event}");
    }
    assert_eq!(events.len(), 6);
    assert_eq!((&report["lines"], &report["unmatched"]), (&8.into(), &2.into()));

    let follower = follow(&exporter, &journal, &["--from-start"]);
    expect_all(&exporter, &follower, 5, &[]);
    assert_eq!(exporter.value(LAST), Some(journal.beginning as f64 + 4.25));
}

#[test]
fn it_begins_at_the_end_and_then_misses_nothing() {
    let Some((exporter, journal)) = start() else { return };
    append(&journal, "a", 0, [100, 101]);
    // The last entry of all is one of another unit: the first line behind it must not be passed over.
    journal.append("a", &[Entry { unit: "other.service", message: b"x", boot: 0, second: 200 }]);
    let mut follower = follow(&exporter, &journal, &[]);
    assert_eq!(follower.stop(), Some(0));
    assert_eq!(exporter.value(PASSED), None);
    append(&journal, "b", 0, [201]);
    let follower = follow(&exporter, &journal, &[]);
    wait_until(|| exporter.value(NUMBERS) == Some(201.0), || follower.log());
    append(&journal, "c", 0, [202]);
    wait_until(|| exporter.value(NUMBERS) == Some(403.0), || follower.log());
    assert_eq!(exporter.value(PASSED), Some(2.0));
    assert_eq!(exporter.value(LAST), Some(journal.beginning as f64 + 212.25));
}

#[test]
fn what_former_boots_left_is_read_and_all_of_it_at_once() {
    let Some((exporter, journal)) = start() else { return };
    append(&journal, "a", 0, 1..=40);
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    expect_all(&exporter, &follower, 40, &[]);
    assert_eq!(follower.stop(), Some(0));
    // As the machine goes down, in a boot in which nobody follows, and in the present one.
    append(&journal, "b", 0, 41..=60);
    append(&journal, "c", 1, 61..=80);
    append(&journal, "d", 2, 81..=120);
    let follower = follow(&exporter, &journal, &[]);
    expect_all(&exporter, &follower, 120, &[]);
    append(&journal, "e", 2, 121..=130);
    expect_all(&exporter, &follower, 130, &[]);
}

#[test]
fn an_event_waits_by_the_time_of_the_journal() {
    let Some((exporter, journal)) = start() else { return };
    let say = |file: &str, lines: &[(u32, &'static str)]| {
        let entry = |(second, text): &(u32, &'static str)| Entry {
            unit: UNIT,
            message: text.as_bytes(),
            boot: 0,
            second: *second,
        };
        journal.append(file, &lines.iter().map(entry).collect::<Vec<_>>());
    };
    say(
        "a",
        &[(1, "1 leaves front"), (30, "2 leaves front"), (32, "passed front 2"), (40, "3 leaves front")],
    );
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    // The first has waited long enough, and another one came instead of the second.
    wait_until(|| exporter.value(NUMBERS) == Some(3.0), || follower.log());
    assert_eq!(exporter.value(PASSED), Some(2.0));
    follower.kill();
    say("b", &[(69, "something else"), (71, "something else")]);
    follower.spawn_again();
    wait_until(|| exporter.value(NUMBERS) == Some(6.0), || follower.log());
    assert_eq!(exporter.value(PASSED), Some(3.0));
    // It counts at the time of its line.
    assert_eq!(exporter.value(LAST), Some(journal.beginning as f64 + 40.25));
}

#[test]
fn kills_of_all_three_lose_and_repeat_nothing() {
    let Some((mut exporter, journal)) = start() else { return };
    append(&journal, "0", 0, 1..=50);
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    let mut last = 50;
    for round in 1..=6 {
        append(&journal, &round.to_string(), 0, last + 1..=last + 50);
        last += 50;
        match round % 3 {
            0 => {
                follower.kill();
                follower = follow(&exporter, &journal, &["--from-start"]);
            }
            1 => exporter.crash(),
            _ => {
                wait_until(|| journal.kill_journalctl(), || follower.log());
                follower.wait_for_log("journalctl has ended: signal: 9 (SIGKILL)");
            }
        }
    }
    expect_all(&exporter, &follower, last, &[]);
}

#[test]
fn what_was_vacuumed_meanwhile_is_counted_in_the_log() {
    let Some((exporter, journal)) = start() else { return };
    append(&journal, "a", 0, 1..=3);
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    expect_all(&exporter, &follower, 3, &[]);
    assert_eq!(follower.stop(), Some(0));
    append(&journal, "a", 0, 4..=6);
    journal.append("a", &[Entry { unit: "other.service", message: b"x", boot: 0, second: 16 }]);
    journal.rotate("a", "b");
    append(&journal, "b", 0, 7..=8);
    journal.vacuum("a");
    let mut follower = follow(&exporter, &journal, &[]);
    follower.wait_for_log(": at most 4 entries of all units are lost");
    expect_all(&exporter, &follower, 8, &[4, 5, 6]);
    assert_eq!(follower.stop(), Some(0));
    // Nothing but what has been read.
    journal.rotate("b", "c");
    append(&journal, "c", 0, 9..=9);
    journal.vacuum("b");
    let follower = follow(&exporter, &journal, &[]);
    expect_all(&exporter, &follower, 9, &[4, 5, 6]);
    assert!(!follower.log().contains("lost"), "{}", follower.log());
}

#[test]
fn entries_that_are_moved_from_memory_to_the_disk_are_the_same() {
    let Some((exporter, journal)) = start() else { return };
    append(&journal, "a", 0, 1..=3);
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    expect_all(&exporter, &follower, 3, &[]);
    assert_eq!(follower.stop(), Some(0));
    journal.vacuum("a");
    append(&journal, "b", 0, 1..=5);
    let follower = follow(&exporter, &journal, &[]);
    expect_all(&exporter, &follower, 5, &[]);
    assert!(!follower.log().contains("lost"), "{}", follower.log());
}

#[test]
fn a_cursor_that_the_journal_does_not_know_is_said() {
    let Some((exporter, journal)) = start() else { return };
    append(&journal, "a", 0, 1..=3);
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    expect_all(&exporter, &follower, 3, &[]);
    assert_eq!(follower.stop(), Some(0));
    spoil_cursor(exporter.directory.path());
    append(&journal, "a", 0, 4..=5);
    let follower = follow(&exporter, &journal, &[]);
    follower.wait_for_log("starting anew at the end of the journal: it does not know the cursor s-");
    append(&journal, "b", 0, 6..=7);
    expect_all(&exporter, &follower, 7, &[4, 5]);
}

#[test]
fn a_journalctl_that_fails_for_a_while_costs_nothing() {
    let Some((exporter, journal)) = start() else { return };
    append(&journal, "a", 0, 1..=3);
    let mut follower = follow(&exporter, &journal, &["--from-start"]);
    expect_all(&exporter, &follower, 3, &[]);
    assert_eq!(follower.stop(), Some(0));
    append(&journal, "a", 0, 4..=5);
    let former = journal.set_journalctl("echo Cannot allocate memory >&2; exit 1");
    let follower = follow(&exporter, &journal, &[]);
    follower.wait_for_log("Cannot allocate memory");
    journal.set_journalctl(&former);
    expect_all(&exporter, &follower, 5, &[]);
}

#[test]
fn without_journalctl_it_says_what_is_missing() {
    let Some((exporter, _journal)) = start() else { return };
    let directory = exporter.directory.path();
    let output = binary()
        .args(["follow", "t", "--unit", UNIT, "--config"])
        .arg(directory.join("exporter.conf"))
        .arg("--socket")
        .arg(&exporter.socket)
        .env("PATH", directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("journalctl: No such file or directory (os error 2); expected systemd's journalctl")
    );
}
