//! The binary under test with a clock that the driver sets: libfaketime shows it the time of day that stands in a file, and
//! leaves the monotonic clock alone. It listens where it did before when it is started again.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{Response, preload, wait_for_exit, wait_until};

pub struct Process {
    pub directory: TempDir,
    pub socket: PathBuf,
    child: Child,
    address: SocketAddr,
    clock: PathBuf,
}

impl Process {
    /// Starts an exporter for the first time, at this time of day.
    pub fn start(config: &str, library: &Path, now: f64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::create_dir(path.join("catalogs")).unwrap();
        let config = config.replace("{directory}", &path.display().to_string());
        fs::write(path.join("exporter.conf"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let clock = path.join("clock");
        set(&clock, now);
        let child = spawn(path, address, library, &clock);
        let process = Process { socket: path.join("events.sock"), directory, child, address, clock };
        process.wait_until_ready();
        process
    }

    pub fn set_clock(&self, now: f64) {
        set(&self.clock, now);
    }

    /// Ends it, in good order or not.
    pub fn end(&mut self, gently: bool) {
        if gently {
            self.signal("TERM");
            assert_eq!(wait_for_exit(&mut self.child), Some(0), "{}", self.log());
        } else {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        preload::clean_up_after(self.child.id());
    }

    pub fn start_again(&mut self, library: &Path) {
        self.child = spawn(self.directory.path(), self.address, library, &self.clock);
        self.wait_until_ready();
    }

    pub fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn wait_until_ready(&self) {
        let ready = || {
            let connected = TcpStream::connect(self.address);
            connected.is_ok() && self.get("/-/ready").status == 200
        };
        wait_until(ready, || format!("it does not start:\n{}", self.log()));
    }

    pub fn get(&self, target: &str) -> Response {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Response::of(self.address, request.as_bytes())
    }

    pub fn metrics(&self, target: &str) -> String {
        let response = self.get(target);
        assert_eq!(response.status, 200, "{response:?}\n{}", self.log());
        response.body
    }

    /// The last lines that it has logged.
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        preload::clean_up_after(self.child.id());
    }
}

/// The file takes the former one's place, so that nobody reads half of it.
fn set(clock: &Path, now: f64) {
    let new = clock.with_extension("new");
    File::create(&new).unwrap().write_all(format!("{now}\n").as_bytes()).unwrap();
    fs::rename(new, clock).unwrap();
}

fn spawn(directory: &Path, address: SocketAddr, library: &Path, clock: &Path) -> Child {
    let binary = crate::support::switches::model_binary();
    let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_lifecycle-exporter").into()));
    command.arg("--config").arg(directory.join("exporter.conf"));
    command.arg("--socket").arg(directory.join("events.sock"));
    command.args(["--listen", &address.to_string()]);
    command.env_remove("STATE_DIRECTORY").env_remove("JOURNAL_STREAM");
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock).env("TZ", "UTC");
    command.envs([("FAKETIME_FMT", "%s"), ("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
    command.env("NO_FAKE_STAT", "1").stderr(Stdio::from(log)).spawn().unwrap()
}
