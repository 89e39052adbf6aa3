//! A real server of four worker processes behind the middleware, all under one producer's name: a worker that is killed, an update
//! that starts the new server before the old one has ended, and paths that no label can hold.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::programs::shipped;
use super::support::python::python_with;
use super::support::{self, Exporter, value, wait_for_as_long, wait_until};

/// uvicorn with four workers; what it said comes with a failure.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(python: &Path, exporter: &Exporter, name: &str) -> Self {
        let socket = exporter.directory.path().join(name);
        let mut command = Command::new(python);
        command
            .args([
                "-m",
                "uvicorn",
                "--workers",
                "4",
                "--timeout-worker-healthcheck",
                "60",
                "--log-level",
                "warning",
            ])
            .args(["--h11-max-incomplete-event-size", "200000", "--http", "h11", "--uds"])
            .arg(&socket)
            .arg("app:app")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/producers/programs"))
            .env("PYTHONPATH", shipped("python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LIFECYCLE_EVENTS_SOCKET", &exporter.socket)
            .stdout(Stdio::null())
            .process_group(0);
        let server = Server { child: command.spawn().unwrap(), socket };
        let reached = || get(&server.socket, "/pid").is_some();
        wait_for_as_long(3 * support::PATIENCE, reached, || "the server does not answer".to_owned());
        server
    }

    /// Ends it as a service manager does.
    fn stop(mut self) {
        let kill = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(support::wait_for_exit(&mut self.child).is_some());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
        // uvicorn leaves a worker behind that it replaced while it ended.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

/// A request; the body of the answer if one came.
fn get(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

const CONNECTED: &str = "lifecycle_exporter_producer_connected{producer=\"uvicorn\"}";
const IN_PROGRESS: &str = "vlog_http_requests_in_progress{api=\"admin\"}";
const ABANDONED: &str = "lifecycle_exporter_abandoned_total{system=\"vlog\",entity=\"request\"}";

fn wait_for(exporter: &Exporter, series: &str, expected: f64) {
    let reached = || exporter.value(series) == Some(expected);
    wait_for_as_long(3 * support::PATIENCE, reached, || {
        format!("{series} is {:?}, not {expected}\n{}", exporter.value(series), exporter.log())
    });
}

fn requests(exporter: &Exporter) -> f64 {
    support::sum(&exporter.metrics(), "vlog_http_requests_total")
}

/// Asks until each of the four workers has answered, so that each is connected. Returns how often.
fn reach_all(server: &Server) -> BTreeMap<String, u32> {
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    let all = || {
        let pid = get(&server.socket, "/pid").unwrap();
        *answers.entry(pid).or_default() += 1;
        answers.len() == 4
    };
    wait_for_as_long(3 * support::PATIENCE, all, || "a worker never answers".to_owned());
    answers
}

#[test]
fn a_worker_that_is_killed_and_replaced_under_load_ends_no_other() {
    let Some(python) = python_with("uvicorn") else { return };
    let exporter = Exporter::start("[events]\ngrace = 1h\n");
    let server = Server::start(&python, &exporter, "http.sock");
    let mut answers = reach_all(&server);
    wait_for(&exporter, CONNECTED, 4.0);
    let victim = answers.keys().next().unwrap().clone();
    let stop = AtomicBool::new(false);
    // While four clients ask, one worker dies in the midst of its requests.
    let more: Vec<BTreeMap<String, u32>> = thread::scope(|scope| {
        let client = || {
            let mut answers: BTreeMap<String, u32> = BTreeMap::new();
            while !stop.load(Ordering::Relaxed) {
                if let Some(pid) = get(&server.socket, "/pid").filter(|pid| !pid.is_empty()) {
                    *answers.entry(pid).or_default() += 1;
                }
            }
            answers
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        wait_until(|| requests(&exporter) > 200.0, || "no load".to_owned());
        let kill = Command::new("kill").args(["-KILL", &victim]).status();
        assert!(kill.unwrap().success());
        let replaced = || requests(&exporter) > 1_000.0;
        wait_for_as_long(3 * support::PATIENCE, replaced, || "the others do not go on".to_owned());
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for (pid, count) in more.into_iter().flatten() {
        *answers.entry(pid).or_default() += count;
    }
    // The one that came instead of it has to be asked once to connect.
    let all = || {
        *answers.entry(get(&server.socket, "/pid").unwrap()).or_default() += 1;
        exporter.value(CONNECTED) == Some(4.0)
    };
    wait_for_as_long(3 * support::PATIENCE, all, || format!("{:?} connected", exporter.value(CONNECTED)));
    wait_for(&exporter, IN_PROGRESS, 0.0);
    let others: u32 = answers.iter().filter(|(pid, _)| **pid != victim).map(|(_, count)| count).sum();
    let asked: u32 = answers.values().sum();
    // What the killed one had answered and not yet reported died with it; nothing else may be missing.
    let counted = requests(&exporter);
    assert!(
        counted >= f64::from(others) && counted <= f64::from(asked) + 4.0,
        "{others} <= {counted} <= {asked}"
    );
    // Only what it was doing was given up.
    assert!(exporter.value(ABANDONED).unwrap() <= 4.0, "{:?}", exporter.value(ABANDONED));
    assert!(support::sum(&exporter.metrics(), "lifecycle_exporter_events_rejected_total") < 0.5);
    server.stop();
    assert!(!exporter.metrics().contains("producer_connected{"), "all have said goodbye");
}

#[test]
fn an_update_that_starts_before_the_old_server_has_ended_ends_nothing() {
    let Some(python) = python_with("uvicorn") else { return };
    let exporter = Exporter::start("[events]\ngrace = 1h\n");
    let old = Server::start(&python, &exporter, "old.sock");
    reach_all(&old);
    wait_for(&exporter, CONNECTED, 4.0);
    let slow = thread::spawn({
        let socket = old.socket.clone();
        move || get(&socket, "/slow/6")
    });
    wait_for(&exporter, IN_PROGRESS, 1.0);
    let new = Server::start(&python, &exporter, "new.sock");
    reach_all(&new);
    wait_for(&exporter, CONNECTED, 8.0);
    assert_eq!(exporter.value(IN_PROGRESS), Some(1.0), "what the old one is doing goes on");
    old.stop();
    assert_eq!(slow.join().unwrap().as_deref(), Some("ok"));
    wait_for(&exporter, CONNECTED, 4.0);
    wait_for(&exporter, IN_PROGRESS, 0.0);
    assert_eq!(exporter.value(ABANDONED), Some(0.0));
    reach_all(&new);
    new.stop();
}

#[test]
fn paths_of_any_length_leave_no_request_open() {
    let Some(python) = python_with("uvicorn") else { return };
    let exporter = Exporter::start("[limits]\nentities = 300\n");
    let server = Server::start(&python, &exporter, "http.sock");
    let before = requests(&exporter);
    let lengths = [900, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 20_000, 65_536, 70_000];
    let mut asked = 0;
    for length in lengths {
        for character in ["x", "%C3%A9", "%F0%9F%98%80", "/1", "%25"] {
            let path = format!("/{}", character.repeat(length / character.len()));
            assert_eq!(get(&server.socket, &path).as_deref(), Some("ok"), "{length} bytes of {character}");
            asked += 1;
        }
    }
    // As many as would fill the system if one of them stayed open.
    let long = format!("/{}", "y".repeat(2_000));
    for _ in 0..400 {
        assert_eq!(get(&server.socket, &long).as_deref(), Some("ok"));
        asked += 1;
    }
    wait_for(&exporter, IN_PROGRESS, 0.0);
    wait_until(
        || requests(&exporter) >= before + f64::from(asked),
        || format!("{} counted", requests(&exporter)),
    );
    let metrics = exporter.metrics();
    assert!(support::sum(&metrics, "lifecycle_exporter_events_rejected_total") < 0.5, "{}", exporter.log());
    assert!(value(&metrics, "lifecycle_exporter_label_cuts_total{system=\"vlog\"}") > Some(400.0));
    server.stop();
}
