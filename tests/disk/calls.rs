//! Each system call on the state directory by itself does not return: under load, during a snapshot, at a stop, at a
//! start. Whichever it is, scrapes are answered, what was acknowledged is kept, every line counts once, a stop
//! ends in time, and all is caught up with by itself.
//!
//! Ordinary tests let a call hang until all that has been seen; those that are ignored let it hang for as long as
//! `HANG_SECONDS` says.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use super::{Hanging, TOTAL};
use crate::support::notify::Notify;
use crate::support::session::Session;
use crate::support::{Exporter, switches, wait_for_exit, wait_until};

/// What a running exporter calls, the journal and its snapshots.
const RUNNING: [&str; 11] = [
    "write",
    "fdatasync",
    "fsync",
    "stat",
    "open",
    "ftruncate",
    "rename",
    "opendir",
    "readdir",
    "unlink",
    "close",
];

/// What a stop calls to save the state.
const STOPPING: [&str; 11] = [
    "write",
    "fdatasync",
    "fsync",
    "open",
    "ftruncate",
    "rename",
    "opendir",
    "readdir",
    "unlink",
    "close",
    "flock",
];

/// What a start calls to read the state.
const STARTING: [&str; 14] = [
    "mkdir",
    "stat",
    "open",
    "flock",
    "opendir",
    "readdir",
    "read",
    "close",
    "fsync",
    "ftruncate",
    "write",
    "fdatasync",
    "rename",
    "unlink",
];

/// How long a scrape may take on a machine that does other things, too.
const SCRAPE_MAX: Duration = Duration::from_secs(1);

/// A stop ends within this time.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A producer that repeats what was not acknowledged, as a client does.
struct Producer {
    session: Session,
    sent: u64,
}

impl Producer {
    fn begin(exporter: &Exporter) -> Self {
        let (session, acknowledged) = Session::begin(&exporter.socket, "p", "1");
        Producer { session, sent: acknowledged }
    }

    /// Sends a line with so many bytes of padding.
    fn send(&mut self, bytes: usize) {
        self.sent += 1;
        let padding = "x".repeat(bytes);
        self.session.send(&format!(
            "{{\"event\":\"signaling.message.received\",\"type\":\"t\",\"x\":\"{padding}\"}}"
        ));
    }

    /// Comes back to an exporter that was started anew: sends again what it does not have.
    fn come_back(self, exporter: &Exporter) -> Self {
        let mut back = Producer::begin(exporter);
        if back.sent < self.sent {
            while back.sent < self.sent {
                back.send(1);
            }
            back.session.wait_for_ack(back.sent);
        }
        back
    }

    fn sent(&self) -> f64 {
        self.sent as f64
    }
}

/// An exporter with two snapshots behind it, so that the next one removes files, and its producer.
fn started(sync: &str, call: &'static str) -> Option<(Hanging, Producer)> {
    let mut hanging = Hanging::start_call(sync, Some(call))?;
    let mut producer = Producer::begin(&hanging.exporter);
    for _ in 0..2 {
        producer.send(1);
        producer.session.wait_for_ack(producer.sent);
        hanging.exporter.signal("TERM");
        assert_eq!(wait_for_exit(&mut hanging.exporter.child), Some(0), "{}", hanging.exporter.log());
        let command = hanging.command();
        hanging.exporter.spawn_again_by(command);
        hanging.exporter.wait_for_start();
        producer = producer.come_back(&hanging.exporter);
    }
    Some((hanging, producer))
}

/// Kills the exporter and starts it again: what was acknowledged is there, and with what is sent again every line
/// counts once.
fn assert_nothing_is_lost(hanging: &mut Hanging, producer: Producer, about: &str) {
    let _ = hanging.exporter.child.kill();
    let _ = hanging.exporter.child.wait();
    let command = hanging.command();
    hanging.exporter.spawn_again_by(command);
    hanging.exporter.wait_for_start();
    let producer = producer.come_back(&hanging.exporter);
    assert_eq!(hanging.exporter.value(TOTAL), Some(producer.sent()), "{about}");
}

/// Under load, with snapshots: the call hangs for so long, and returns.
fn hangs_while_running(sync: &str, call: &'static str, hold: Duration) {
    let Some((mut hanging, mut producer)) = started(sync, call) else { return };
    let about = format!("sync = {sync}, {call}");
    hanging.hang();
    // Long enough a journal for a snapshot.
    while producer.sent < 700 && !hanging.is_reached() {
        producer.send(60_000);
    }
    let is_reached = || {
        producer.send(1);
        hanging.is_reached()
    };
    wait_until(is_reached, || format!("{about}: not called"));
    // More than waits for the disk: what is dropped is made good by a snapshot.
    for _ in 0..200 {
        producer.send(60_000);
    }
    let (since, mut slowest, mut scrapes) = (Instant::now(), Duration::ZERO, 0);
    while since.elapsed() < hold || scrapes < 10 {
        producer.send(1);
        let asked = Instant::now();
        assert_eq!(hanging.exporter.get("/metrics").status, 200, "{about}");
        slowest = slowest.max(asked.elapsed());
        scrapes += 1;
        assert_eq!(hanging.exporter.get("/-/healthy").status, 200, "{about}");
    }
    println!("{about}: {} s, slowest of {scrapes} scrapes {slowest:.0?}", since.elapsed().as_secs());
    assert!(slowest < SCRAPE_MAX, "{about}: {slowest:?}");
    hanging.exporter.wait_for(TOTAL, producer.sent());
    hanging.answer();
    producer.session.wait_for_ack(producer.sent);
    hanging.exporter.wait_for("lifecycle_exporter_state_writable", 1.0);
    assert_nothing_is_lost(&mut hanging, producer, &about);
}

/// At a stop, with lines on their way.
fn hangs_while_stopping(sync: &str, call: &'static str) {
    let Some((mut hanging, mut producer)) = started(sync, call) else { return };
    let about = format!("sync = {sync}, {call}");
    hanging.hang();
    producer.send(1);
    hanging.exporter.wait_for(TOTAL, producer.sent());
    let asked = Instant::now();
    hanging.exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut hanging.exporter.child), Some(0), "{about}: {}", hanging.exporter.log());
    println!("{about}: stopped in {:.1?}, called: {}", asked.elapsed(), hanging.is_reached());
    assert!(asked.elapsed() < STOP_MAX, "{about}: {:?}", asked.elapsed());
    hanging.answer();
    assert_nothing_is_lost(&mut hanging, producer, &about);
}

/// At a start, which says that it waits, can be ended, and goes on.
fn hangs_while_starting(sync: &str, call: &'static str, hold: Duration) {
    let Some((mut hanging, mut producer)) = started(sync, call) else { return };
    let about = format!("sync = {sync}, {call}");
    producer.send(1);
    producer.session.wait_for_ack(producer.sent);
    hanging.exporter.kill();
    // Something to remove and something to set aside.
    fs::write(hanging.state.join("snapshot.90.new"), "").unwrap();
    fs::write(hanging.state.join("snapshot.90"), "nothing").unwrap();
    hanging.hang();
    let systemd = Notify::listen(hanging.exporter.directory.path());
    for is_last in [false, true] {
        let mut command = hanging.command();
        command.env("NOTIFY_SOCKET", &systemd.path);
        hanging.exporter.spawn_again_by(command);
        wait_until(|| hanging.is_reached(), || format!("{about}: not called"));
        hanging.exporter.wait_for_log("the start waits for it");
        let told = systemd.receive();
        assert!(told.contains("STATUS=waiting") && !told.contains("READY"), "{about}: {told}");
        if !is_last {
            hanging.exporter.signal("TERM");
            let ended = hanging.exporter.child.wait().unwrap();
            assert_eq!(ended.signal(), Some(15), "{about}: {}", hanging.exporter.log());
        }
    }
    let since = Instant::now();
    wait_until_over(hold, since);
    assert!(!hanging.exporter.log().contains("look at "), "{about}: {}", hanging.exporter.log());
    hanging.answer();
    hanging.exporter.wait_for_start();
    systemd.wait_for("READY=1");
    println!("{about}: started {:.1?} after {} s", since.elapsed().saturating_sub(hold), hold.as_secs());
    let producer = producer.come_back(&hanging.exporter);
    assert_eq!(hanging.exporter.value(TOTAL), Some(producer.sent()), "{about}");
}

/// Those who only wait can wait together.
fn all_at_once(calls: &[&'static str], test: impl Fn(&'static str) + Sync) {
    std::thread::scope(|scope| {
        for call in calls {
            scope.spawn(|| test(call));
        }
    });
}

/// Waits for nothing but time.
fn wait_until_over(hold: Duration, since: Instant) {
    while since.elapsed() < hold {
        std::thread::park_timeout(hold.saturating_sub(since.elapsed()));
    }
}

fn hold() -> Duration {
    Duration::from_secs(switches::hang_seconds().unwrap_or(30))
}

#[test]
fn a_call_that_hangs_while_it_runs_stops_nothing() {
    for call in RUNNING {
        hangs_while_running("interval", call, Duration::ZERO);
    }
}

#[test]
fn a_call_that_hangs_while_every_line_is_forced_to_the_disk_stops_nothing() {
    for call in ["fdatasync", "fsync", "open", "rename"] {
        hangs_while_running("always", call, Duration::ZERO);
    }
}

#[test]
fn a_call_that_hangs_while_it_stops_does_not_keep_it() {
    all_at_once(&STOPPING, |call| hangs_while_stopping("always", call));
}

#[test]
fn a_call_that_hangs_while_it_starts_is_told_and_waited_for() {
    all_at_once(&STARTING, |call| hangs_while_starting("always", call, Duration::ZERO));
}

#[test]
#[ignore = "takes minutes; HANG_SECONDS says how long each call hangs"]
fn a_call_that_hangs_for_long_while_it_runs_stops_nothing() {
    for call in RUNNING {
        hangs_while_running("interval", call, hold());
    }
}

#[test]
#[ignore = "takes minutes; HANG_SECONDS says how long each call hangs"]
fn a_call_that_hangs_for_long_while_every_line_is_forced_to_the_disk_stops_nothing() {
    for call in RUNNING {
        hangs_while_running("always", call, hold());
    }
}

#[test]
#[ignore = "takes minutes; HANG_SECONDS says how long each call hangs"]
fn a_call_that_hangs_for_long_while_it_starts_is_told_and_waited_for() {
    all_at_once(&STARTING, |call| hangs_while_starting("always", call, hold()));
}
