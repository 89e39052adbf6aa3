//! A disk that does not answer: everything goes on but acknowledgements, and when it answers again nothing is
//! missing. `calls` does the same with each system call by itself.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

#[path = "disk/calls.rs"]
mod calls;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::notify::Notify;
use support::preload;
use support::session::Session;
use support::{Exporter, binary, wait_for_exit};

const TOTAL: &str = "signaling_server_messages_total{type=\"t\"}";
const MESSAGE: &str = "{\"event\":\"signaling.message.received\",\"type\":\"t\"}";

/// An exporter whose disk can be made to hang, with a file that makes it so while it is there.
struct Hanging {
    exporter: Exporter,
    library: PathBuf,
    switch: PathBuf,
    state: PathBuf,
    /// The one that hangs; `None`: all that change something or open.
    call: Option<&'static str>,
    _directory: tempfile::TempDir,
}

impl Hanging {
    fn start(sync: &str) -> Option<Self> {
        Self::start_call(sync, None)
    }

    fn start_call(sync: &str, call: Option<&'static str>) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let library = preload::disk(directory.path())?;
        let (state, switch) = (directory.path().join("state"), directory.path().join("hang"));
        let config =
            format!("[state]\ndirectory = {}\nsync = {sync}\n[events]\ngrace = 1h\n", state.display());
        let exporter = Exporter::start_by(&config, |_| {}, hanging(&library, &state, &switch, call));
        Some(Hanging { exporter, library, switch, state, call, _directory: directory })
    }

    /// What it is started by again.
    fn command(&self) -> Command {
        hanging(&self.library, &self.state, &self.switch, self.call)
    }

    fn hang(&self) {
        fs::write(&self.switch, "").unwrap();
    }

    fn answer(&self) {
        fs::remove_file(&self.switch).unwrap();
        let _ = fs::remove_file(self.switch.with_extension("reached"));
    }

    /// Whether a call hangs now.
    fn is_reached(&self) -> bool {
        self.switch.with_extension("reached").exists()
    }
}

/// The exporter with a library that makes calls below the directory `state` hang while the file `switch` exists.
fn hanging(library: &Path, state: &Path, switch: &Path, call: Option<&str>) -> Command {
    let mut command = binary();
    command.env("LD_PRELOAD", library).env("DISK_DIRECTORY", state).env("DISK_HANGS_WHILE", switch);
    call.map(|call| command.env("DISK_HANGS_CALL", call));
    command
}

#[test]
fn a_disk_that_does_not_answer_stops_nothing_but_acknowledgements() {
    for sync in ["interval", "always", "never"] {
        let Some(hanging) = Hanging::start(sync) else { return };
        let exporter = &hanging.exporter;
        let (mut session, _) = Session::begin(&exporter.socket, "p", "1");
        session.send(MESSAGE);
        session.wait_for_ack(1);
        hanging.hang();
        session.send(MESSAGE);
        exporter.feed(format!("{MESSAGE}\n"));
        exporter.wait_for(TOTAL, 3.0);
        // One after the other, none of them waits for the disk.
        let started = Instant::now();
        for _ in 0..20 {
            assert_eq!(exporter.value(TOTAL), Some(3.0), "{sync}");
            assert_eq!(exporter.get("/-/healthy").status, 200, "{sync}");
            assert_eq!(exporter.get("/").status, 200, "{sync}");
        }
        assert!(started.elapsed() < Duration::from_secs(15), "{sync}: scrapes wait for the disk");
        exporter.wait_for("lifecycle_exporter_state_writable", 0.0);
        session.stream.set_nonblocking(true).unwrap();
        let read = (&session.stream).read(&mut [0]);
        assert!(
            read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "{sync}: acknowledged without the disk"
        );
        session.stream.set_nonblocking(false).unwrap();
        hanging.answer();
        session.wait_for_ack(2);
        exporter.wait_for("lifecycle_exporter_state_writable", 1.0);
    }
}

#[test]
fn what_came_in_while_the_disk_did_not_answer_outlives_a_kill_once_it_has() {
    let Some(mut hanging) = Hanging::start("interval") else { return };
    let (mut session, _) = Session::begin(&hanging.exporter.socket, "p", "1");
    hanging.hang();
    // More than waits for the disk: what is dropped is made good by a snapshot.
    let line = format!(
        "{{\"event\":\"signaling.message.received\",\"type\":\"t\",\"x\":\"{}\"}}\n",
        "x".repeat(60_000)
    );
    for _ in 0..300 {
        hanging.exporter.feed(&line);
    }
    hanging.exporter.wait_for(TOTAL, 300.0);
    // Behind all that was dropped, and nothing comes after it.
    session.send(MESSAGE);
    hanging.exporter.wait_for(TOTAL, 301.0);
    hanging.answer();
    session.wait_for_ack(1);
    hanging.exporter.crash();
    assert_eq!(hanging.exporter.value(TOTAL), Some(301.0));
}

#[test]
fn a_stop_does_not_wait_for_a_disk_for_ever() {
    let Some(mut hanging) = Hanging::start("interval") else { return };
    hanging.exporter.feed(format!("{MESSAGE}\n"));
    hanging.exporter.wait_for(TOTAL, 1.0);
    hanging.hang();
    hanging.exporter.feed(format!("{MESSAGE}\n"));
    hanging.exporter.wait_for(TOTAL, 2.0);
    let asked = Instant::now();
    hanging.exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut hanging.exporter.child), Some(0), "{}", hanging.exporter.log());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    hanging.exporter.wait_for_log("does not answer");
}

/// Catalogs on a disk that does not answer: the reload waits, and nothing else does.
#[test]
fn a_reload_that_hangs_holds_nothing_up() {
    let directory = tempfile::tempdir().unwrap();
    let Some(library) = preload::disk(directory.path()) else { return };
    let (catalogs, switch) = (directory.path().join("catalogs"), directory.path().join("hang"));
    fs::create_dir(&catalogs).unwrap();
    fs::write(catalogs.join("x.ini"), "[system]\nname = x\ntitle = x\n").unwrap();
    let systemd = Notify::listen(directory.path());
    let mut command = hanging(&library, &catalogs, &switch, None);
    command.env("NOTIFY_SOCKET", &systemd.path).env("WATCHDOG_USEC", "600000");
    let config = format!("[systems]\ncatalog_directory = {}\n", catalogs.display());
    let mut exporter = Exporter::start_by(&config, |_| {}, command);
    systemd.wait_for("READY=1");

    fs::write(&switch, "").unwrap();
    exporter.signal("HUP");
    systemd.wait_for("RELOADING=1");
    for _ in 0..3 {
        // Nothing but the watchdog, and no READY yet.
        assert_eq!(systemd.receive(), "WATCHDOG=1");
    }
    assert_eq!(exporter.get("/metrics").status, 200);
    // The first reload has read its settings before this; the second one has not.
    exporter.configure(&format!("{config}[startup]\nevent = vlog.queue.changed size=7\n"));
    exporter.signal("HUP");
    assert_eq!(systemd.receive(), "WATCHDOG=1");
    fs::remove_file(&switch).unwrap();
    systemd.wait_for("READY=1");
    systemd.wait_for("RELOADING=1");
    systemd.wait_for("READY=1");
    // It was told once the feed had taken the settings.
    assert_eq!(exporter.value("vlog_transcoding_queue_size"), Some(7.0));

    fs::write(&switch, "").unwrap();
    exporter.signal("HUP");
    systemd.wait_for("RELOADING=1");
    let asked = Instant::now();
    exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut exporter.child), Some(0), "{}", exporter.log());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
