//! A process that follows a log, beside an exporter that knows the system `t`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use super::{Exporter, binary, collect_log, wait_for_exit, wait_until};

/// A small system: items that are open, and all by their kind.
pub const CATALOG: &str = r"[system]
name = t
title = Items
[entity item]
key = id
[metric t_items_current]
type = gauge
help = Items that are open
live = item
[metric t_items_total]
type = counter
help = Items that were opened
[metric t_calls_total]
type = counter
help = Calls
labels = kind
[event t.opened]
open = item
inc = t_items_total
[event t.closed]
close = item
[event t.called]
inc = t_calls_total
[event t.seen]
of = item
[event t.restarted]
abandon = t
[line opened]
match = ^(?:\d+ )?start (?P<id>\S+)
event = t.opened
[line closed]
match = end (?P<id>\S+)$
event = t.closed
[line called]
match = call of (?P<kind>\w+)
event = t.called
[line seen]
match = seen (?P<id>\S+)$
event = t.seen
[line leaving]
match = leaving (?P<id>\S+)$
event = t.closed
after = 2s
[line restarted]
match = ^restarted$
event = t.restarted
[line idle]
match = heartbeat
event =
";

/// An exporter with that system, and state.
pub fn exporter(config: &str) -> Exporter {
    let config = format!(
        "[systems]\ncatalog_directory = {{directory}}/catalogs\n[state]\ndirectory = {{directory}}/state\n{config}"
    );
    Exporter::start_with(&config, |directory| {
        fs::create_dir(directory.join("catalogs")).unwrap();
        fs::write(directory.join("catalogs/t.ini"), CATALOG).unwrap();
    })
}

/// A running `follow`. Ends when it is dropped.
pub struct Follower {
    pub child: Child,
    arguments: Vec<String>,
    exporter: (PathBuf, PathBuf),
    /// Where it looks for programs first.
    bin: Option<PathBuf>,
    log: Arc<Mutex<String>>,
}

impl Follower {
    /// Follows with these arguments behind `follow t`.
    pub fn start(exporter: &Exporter, arguments: &[&str]) -> Self {
        Self::start_by(exporter, None, arguments)
    }

    /// The same with other programs than the machine's, such as `journalctl`.
    pub fn start_by(exporter: &Exporter, bin: Option<PathBuf>, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let exporter = (exporter.directory.path().join("exporter.conf"), exporter.socket.clone());
        let log = Arc::default();
        let child = spawn(&exporter, bin.as_deref(), &arguments, &log);
        Follower { child, arguments, exporter, bin, log }
    }

    /// Follows this file, with a position beside it; returns once it has begun.
    pub fn of_file(exporter: &Exporter, log: &Path) -> Self {
        let position = log.with_extension("position");
        let follower = Self::start(
            exporter,
            &["--file", log.to_str().unwrap(), "--position", position.to_str().unwrap()],
        );
        follower.wait_for_log("connected as follow:t");
        follower
    }

    /// Kills it as nothing can be caught.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again. It has ended before. What it logs is added to what it has logged.
    pub fn spawn_again(&mut self) {
        self.child = spawn(&self.exporter, self.bin.as_deref(), &self.arguments, &self.log);
    }

    /// Stops it by SIGTERM. Returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let _ = std::process::Command::new("kill").arg(self.child.id().to_string()).status();
        wait_for_exit(&mut self.child)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn wait_for_log(&self, text: &str) {
        wait_until(|| self.log().contains(text), || format!("no {text:?} in the log:\n{}", self.log()));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    (config, socket): &(PathBuf, PathBuf),
    bin: Option<&Path>,
    arguments: &[String],
    log: &Arc<Mutex<String>>,
) -> Child {
    let mut command = binary();
    if let Some(bin) = bin {
        command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    }
    let mut child = command
        .args(["follow", "t", "--config"])
        .arg(config)
        .arg("--socket")
        .arg(socket)
        .args(arguments)
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    collect_log(&mut child, log);
    child
}
