//! A running exporter for tests: its own directory, a free port, and waiting for conditions instead of sleeping.
//! `session` is a producer, `follower` follows a log, `journal` is one of systemd, `other_user` is a producer of another
//! user, `flood` many that write all they can, `preload` a faulty disk and a clock, `python` what runs scripts.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub mod flood;
pub mod follower;
pub mod journal;
pub mod notify;
pub mod other_user;
pub mod preload;
pub mod python;
pub mod session;
pub mod switches;

/// How long a condition may take to come true on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The binary under test.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifecycle-exporter"));
    command.env_remove("STATE_DIRECTORY");
    command
}

/// What a command prints that reads no configuration.
pub fn output(arguments: &[&str]) -> String {
    let output = binary().args(["--config", "/dev/null"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The built-in catalogs, as `catalog --format json` prints them.
pub fn catalogs() -> Vec<serde_json::Value> {
    serde_json::from_str(&output(&["catalog", "--format", "json"])).unwrap()
}

/// A running exporter. Ends, and takes its files with it, when it is dropped.
pub struct Exporter {
    pub directory: TempDir,
    pub child: Child,
    pub address: SocketAddr,
    pub socket: PathBuf,
    log: Arc<Mutex<String>>,
}

impl Exporter {
    /// Starts one with this configuration.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, |_| {})
    }

    /// Starts one; `prepare` may put files into its directory before.
    pub fn start_with(config: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::start_by(config, prepare, binary())
    }

    /// Starts one by another command, such as a shell that sets limits first.
    pub fn start_by(config: &str, prepare: impl FnOnce(&Path), command: Command) -> Self {
        Self::start_at("127.0.0.1", config, prepare, command)
    }

    /// Starts one that listens on this address.
    pub fn start_at(ip: &str, config: &str, prepare: impl FnOnce(&Path), command: Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let socket = directory.path().join("events.sock");
        configure(directory.path(), config);
        let address = SocketAddr::new(ip.parse().unwrap(), 0);
        let (child, log) = spawn(directory.path(), &socket, address, command);
        let mut exporter = Exporter { directory, child, address, socket, log };
        exporter.wait_for_start();
        exporter
    }

    /// Waits until it serves.
    pub fn wait_for_start(&mut self) {
        self.wait_for_log("look at ");
        let log = self.log();
        let address = log.split("metrics on ").nth(1).unwrap().split_whitespace().next().unwrap();
        self.address = address.parse().unwrap();
    }

    /// Writes another configuration, for a reload or a restart.
    pub fn configure(&self, config: &str) {
        configure(self.directory.path(), config);
    }

    /// Kills it as nothing can be caught.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again in its directory, without waiting for anything. It has ended before.
    pub fn spawn_again(&mut self) {
        self.spawn_again_by(binary());
    }

    /// The same by another command.
    pub fn spawn_again_by(&mut self, command: Command) {
        let address = SocketAddr::new(self.address.ip(), 0);
        (self.child, self.log) = spawn(self.directory.path(), &self.socket, address, command);
    }

    /// Stops it in good order and starts it again.
    pub fn restart(&mut self) {
        self.signal("TERM");
        assert_eq!(wait_for_exit(&mut self.child), Some(0), "{}", self.log());
        self.spawn_again();
        self.wait_for_start();
    }

    /// Kills it and starts it again.
    pub fn crash(&mut self) {
        self.kill();
        self.spawn_again();
        self.wait_for_start();
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Nobody reads standard error while what is returned lives.
    pub fn hold_log(&self) -> MutexGuard<'_, String> {
        self.log.lock().unwrap()
    }

    /// Waits until the log holds a text.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(|| self.log().contains(text), || format!("no {text:?} in the log:\n{}", self.log()));
    }

    /// Writes lines to the feed over a connection of their own.
    pub fn feed(&self, lines: impl AsRef<[u8]>) {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(lines.as_ref()).unwrap();
    }

    /// One request; the whole response.
    pub fn get(&self, target: &str) -> Response {
        let host = self.address;
        Response::of(self.address, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
    }

    /// The text of `/metrics`, which shows what was written to the feed before.
    pub fn metrics(&self) -> String {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        response.body
    }

    /// The metrics of one system, without those of the exporter that come along.
    pub fn system(&self, name: &str) -> String {
        let response = self.get(&format!("/metrics?system={name}"));
        assert_eq!(response.status, 200, "{response:?}");
        let is_own = |line: &str| {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            name.starts_with("lifecycle_exporter_") || name.starts_with("process_")
        };
        response.body.split_inclusive('\n').filter(|line| !is_own(line)).collect()
    }

    /// The value of a series, by all that stands before it on its line.
    pub fn value(&self, series: &str) -> Option<f64> {
        value(&self.metrics(), series)
    }

    /// Waits until a series has a value.
    pub fn wait_for(&self, series: &str, expected: f64) {
        let reached = || self.value(series) == Some(expected);
        wait_until(reached, || format!("{series} is {:?}, not {expected}", self.value(series)));
    }

    /// Every line read was applied or rejected.
    pub fn assert_law(&self, lines: u64) {
        let metrics = self.metrics();
        let (applied, rejected) = (
            sum(&metrics, "lifecycle_exporter_events_total"),
            sum(&metrics, "lifecycle_exporter_events_rejected_total"),
        );
        assert!(
            (applied + rejected - lines as f64).abs() < 0.5,
            "{lines} lines read, {applied} applied + {rejected} rejected"
        );
    }

    /// Waits until so many events have been applied.
    pub fn wait_for_events(&self, events: u64) {
        let applied = || sum(&self.metrics(), "lifecycle_exporter_events_total");
        wait_until(|| applied() >= events as f64, || format!("{} of {events} events are applied", applied()));
    }

    /// The memory that is in use.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that was in use since the start.
    pub fn resident_bytes_max(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1_024
    }

    pub fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Stops it by SIGTERM. Returns its exit code and its log.
    pub fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let code = wait_for_exit(&mut self.child);
        // Whoever reads the log lets go of it at its end.
        wait_until(|| Arc::strong_count(&self.log) == 1, || self.log());
        (code, self.log())
    }
}

fn configure(directory: &Path, config: &str) {
    let config = config.replace("{directory}", &directory.display().to_string());
    fs::write(directory.join("exporter.conf"), config).unwrap();
}

fn spawn(
    directory: &Path,
    socket: &Path,
    address: SocketAddr,
    mut command: Command,
) -> (Child, Arc<Mutex<String>>) {
    let mut child = command
        .args(["--listen", &address.to_string(), "--config"])
        .arg(directory.join("exporter.conf"))
        .arg("--socket")
        .arg(socket)
        .env_remove("JOURNAL_STREAM")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::default();
    collect_log(&mut child, &log);
    (child, log)
}

/// Adds what a process writes to its standard error to this text, on a thread that ends with it.
fn collect_log(child: &mut Child, log: &Arc<Mutex<String>>) {
    let (lines, log) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(log));
    thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process to end by itself.
pub fn wait_for_exit(child: &mut Child) -> Option<i32> {
    let mut code = None;
    wait_until(
        || match child.try_wait().unwrap() {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        },
        || "the process does not end".to_owned(),
    );
    code
}

/// Waits for a condition; `why` says what is wrong if it does not come true in time.
pub fn wait_until(condition: impl FnMut() -> bool, why: impl Fn() -> String) {
    wait_for_as_long(PATIENCE, condition, why);
}

/// The same with another deadline.
pub fn wait_for_as_long(patience: Duration, mut condition: impl FnMut() -> bool, why: impl Fn() -> String) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "{}", why());
        thread::yield_now();
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// A moment that is not waited for anything.
pub fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// A response read to its end.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub raw_body: Vec<u8>,
}

impl Response {
    /// Sends these bytes and reads until the server closes.
    pub fn of(address: SocketAddr, request: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A refusal may come before all is written.
        let _ = stream.write_all(request);
        Self::read(&mut stream)
    }

    /// Reads a response until the server closes or breaks off.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // What was read before an error is kept. A process that is stopped and goes on, as a machine does that is
        // saved and restored, is interrupted in every wait that has a limit: this tries again, a plain read does not.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let raw_body = bytes[end..].to_vec();
        Response { status, head, body: String::from_utf8_lossy(&raw_body).into_owned(), raw_body }
    }
}

/// The body of a request that a test answers itself.
pub fn request_body(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// The value of a series in an exposition.
pub fn value(metrics: &str, series: &str) -> Option<f64> {
    let line =
        metrics.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line[series.len()..].trim().parse().ok()
}

/// The sum over all series of a metric.
pub fn sum(metrics: &str, name: &str) -> f64 {
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    metrics.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Compares with a golden file, or writes it where `UPDATE_GOLDEN` is set.
pub fn assert_golden(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if switches::updates_golden() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let first = expected.lines().zip(actual.lines()).find(|(a, b)| a != b);
    assert!(
        expected == actual,
        "{file} differs, first at {first:?}; UPDATE_GOLDEN=1 writes it anew. Now:\n{actual}"
    );
}

/// Whether a program is there. Without it a test says so and ends, unless `CI` is set: then that is a failure.
pub fn has_program(name: &str) -> bool {
    let found =
        Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap().status.success();
    assert!(found || !switches::in_ci(), "{name} is missing, and CI is set");
    if !found {
        println!("skipped: {name} is not on this machine");
    }
    found
}

/// Runs it, and fails with what it said if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
