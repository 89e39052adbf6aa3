//! A running `follow`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::{Exporter, binary, wait_for_exit, wait_until};

/// Its files are in the exporter's directory. Ends when it is dropped.
pub struct Follower {
    pub child: Child,
    log: PathBuf,
}

impl Follower {
    /// Starts one that sends to this exporter and keeps its position beside it. `bin`: where its programs are looked for.
    pub fn start(exporter: &Exporter, bin: Option<&Path>, arguments: &[&str]) -> Self {
        let directory = exporter.directory.path();
        let log = directory.join("follow.log");
        let mut command = binary();
        command.arg("follow").args(arguments).arg("--config").arg(directory.join("exporter.conf"));
        command.arg("--socket").arg(&exporter.socket).arg("--position").arg(directory.join("position"));
        if let Some(bin) = bin {
            command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
        }
        let child = command.env_remove("JOURNAL_STREAM").stderr(File::create(&log).unwrap()).spawn().unwrap();
        Follower { child, log }
    }

    /// What it has logged since its start.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log holds a text.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(|| self.log().contains(text), || format!("no {text:?} in the log:\n{}", self.log()));
    }

    /// Kills it as nothing can be caught.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it by SIGTERM.
    pub fn stop(&mut self) {
        super::run(Command::new("kill").arg(self.child.id().to_string()));
        assert_eq!(wait_for_exit(&mut self.child), Some(0), "{}", self.log());
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
