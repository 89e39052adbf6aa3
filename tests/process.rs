//! The process: commands, configuration, reload, signals, sockets and notifications of systemd.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};

use support::notify::Notify;
use support::other_user::OtherUser;
use support::{Exporter, Response, binary, has_program, value, wait_for_exit, wait_until};

fn run(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn usage_errors_end_with_2_and_one_line() {
    for args in [
        &["fly"][..],
        &["help", "fly"],
        &["--what"],
        &["send"],
        &["check", "--client", "home"],
        &["--listen", "x"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(said(&output).lines().count(), 1, "{args:?}: {}", said(&output));
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    for args in [&["help", "send"][..], &["send", "--help"]] {
        let output = run(args);
        assert!(output.status.success() && said(&output).contains("--progress"), "{output:?}");
        assert!(!said(&output).contains("--speed"), "{output:?}");
    }
    assert!(said(&run(&["--version"])).starts_with("lifecycle-exporter 1."));
}

#[test]
fn a_faulty_configuration_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.conf");
    let cases = [
        ("[stats]\naliases = perhaps\n", "c.conf: line 2: [stats] aliases: \"perhaps\": expected"),
        ("[systems]\nenabled = x\n", "[systems] enabled: \"x\": unknown system, expected one of recording"),
        ("[startup]\nevent = recording.flown\n", "[startup] event: \"recording.flown\": unknown event"),
        ("[startup]\nevent = recording.started backend=b\n", "expected recording=…"),
        ("[scan x]\ndirectory = /tmp\nsystem = y\n", "[scan x] system: \"y\": unknown system"),
        (
            "[events]\nallowed_groups = no-such-group\n",
            "[events] allowed_groups: \"no-such-group\": expected",
        ),
    ];
    for (text, expected) in cases {
        fs::write(&file, text).unwrap();
        for command in ["check", "serve"] {
            let output =
                binary().args([command, "--listen", "127.0.0.1:0", "--config"]).arg(&file).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(said(&output).contains(expected), "{command} {text}: {}", said(&output));
        }
    }
    let output = binary().args(["check", "--config", "/nonexistent/file"]).output().unwrap();
    assert!(said(&output).contains("/nonexistent/file: cannot be read"), "{}", said(&output));
}

#[test]
fn a_start_that_fails_leaves_no_socket_behind() {
    let exporter = Exporter::start("");
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let listen = exporter.address.to_string();
    let output = binary()
        .args(["--config", "/dev/null", "--listen", &listen, "--socket"])
        .arg(&socket)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("choose another with --listen"), "{}", said(&output));
    assert!(!socket.exists());
}

#[test]
fn check_says_who_is_let_in_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.conf");
    fs::write(&file, "[stats]\nallowed_ips = 10.0.0.0/8\n[app]\ntrustedproxies = 192.168.0.1\n").unwrap();
    let check = |args: &[&str]| {
        let output = binary().args(["check", "--config"]).arg(&file).args(args).output().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, text) = check(&["--client", "10.1.1.1"]);
    assert!(code == Some(0) && text.contains("allowed: 10.1.1.1") && text.contains("10.0.0.0/8"), "{text}");
    let (code, text) = check(&["--client", "192.168.0.1", "--forwarded-for", "10.1.1.1, 192.168.0.1"]);
    assert!(code == Some(0) && text.contains("X-Forwarded-For"), "{text}");
    let (code, text) = check(&["--client", "192.168.0.1"]);
    assert!(code == Some(1) && text.contains("denied: 192.168.0.1"), "{text}");
    assert!(check(&[]).1.contains("good: configuration and 5 catalogs"));
}

#[test]
fn the_recording_servers_own_file_is_taken_as_it_is() {
    let config = "[logs]\nlevel = 20\n[http]\nlisten = 127.0.0.1:8000\n[app]\ntrustedproxies =\n[backend]\nallowall = false\n\
                  secret = 'a \"quoted\" one\n[ffmpeg]\ncommon = ffmpeg -loglevel level+warning -n\n  -continued\n\
                  [recording]\nbrowser = firefox\n[stats]\nallowed_ips = 127.0.0.1\n";
    let exporter = Exporter::start(config);
    assert_eq!(exporter.get("/metrics").status, 200);
    exporter.wait_for_log("are ignored: [backend], [ffmpeg], [recording]");
}

#[test]
fn a_reload_takes_all_or_nothing() {
    let exporter = Exporter::start("[stats]\nallowed_ips = 127.0.0.1\n");
    let file = exporter.directory.path().join("exporter.conf");
    fs::write(&file, "[stats]\naliases = perhaps\n").unwrap();
    exporter.signal("HUP");
    exporter.wait_for_log("the previous one stays in force");
    exporter.wait_for("lifecycle_exporter_config_last_reload_successful", 0.0);
    fs::write(&file, "[stats]\nallowed_ips = 127.0.0.1\n[systems]\nenabled = vlog\n[startup]\nevent = vlog.queue.changed size=7\n[events]\nmax_line = 300\n").unwrap();
    exporter.signal("HUP");
    exporter.wait_for("lifecycle_exporter_config_last_reload_successful", 1.0);
    exporter.wait_for("vlog_transcoding_queue_size", 7.0);
    exporter.feed(format!("{}\n{{\"event\":\"recording.server_started\"}}\n", "x".repeat(301)));
    exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"too_long\"}", 1.0);
    exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"disabled_system\"}", 1.0);
    fs::write(&file, "[stats]\nallowed_ips = 10.0.0.1\n").unwrap();
    exporter.signal("HUP");
    wait_until(|| exporter.get("/").status == 403, || "still allowed".to_owned());
}

#[test]
fn send_takes_words_and_lines() {
    let exporter = Exporter::start("");
    let send = |args: &[&str], input: &str| {
        let mut child = binary()
            .arg("send")
            .args(["--config", "/dev/null", "--socket"])
            .arg(&exporter.socket)
            .args(args)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().status.code()
    };
    assert_eq!(send(&["recording.started", "backend=https://x/?a=b", "recording=r 1"], ""), Some(0));
    assert_eq!(
        send(&["recording.stopped", "backend=https://x/?a=b", "recording=r 1", "duration=2.5"], ""),
        Some(0)
    );
    assert_eq!(
        send(
            &["-"],
            "{\"event\":\"proxy.load.changed\",\"load\":3}\n{\"event\":\"proxy.session.created\",\"session\":\"s\"}\n"
        ),
        Some(0)
    );
    exporter.wait_for("recording_recordings_duration_seconds{backend=\"https://x/?a=b\"}", 2.5);
    exporter.wait_for("signaling_proxy_load", 3.0);
    exporter.assert_law(4);
    assert_eq!(send(&["recording.started", "backend"], ""), Some(1));
    let output = run(&["send", "--config", "/dev/null", "--socket", "/nonexistent.sock", "a.b"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("is the exporter running?"), "{}", said(&output));
}

#[test]
fn the_demo_moves_numbers_of_all_systems() {
    let exporter = Exporter::start_by("", |_| {}, {
        let mut command = binary();
        command.args(["demo", "--speed", "20"]);
        command
    });
    let moving = |metrics: &str| {
        [
            "recording.started",
            "signaling.message.received",
            "proxy.session.created",
            "edumeet.producer.stats",
            "vlog.http.request_finished",
        ]
        .iter()
        .all(|event| {
            value(metrics, &format!("lifecycle_exporter_events_total{{event=\"{event}\"}}")) > Some(0.0)
        })
    };
    wait_until(|| moving(&exporter.metrics()), || exporter.metrics());
    let metrics = exporter.metrics();
    assert!(support::sum(&metrics, "lifecycle_exporter_events_rejected_total") < 0.5, "{}", exporter.log());
}

#[test]
fn scans_show_what_is_there_and_tell_their_system() {
    let exporter = Exporter::start_with(
        "[scan videos]\ndirectory = {directory}/videos\nsystem = vlog\n[scan gone]\ndirectory = {directory}/none\n",
        |directory| {
            fs::create_dir(directory.join("videos")).unwrap();
            fs::write(directory.join("videos/a"), [0; 1_234]).unwrap();
        },
    );
    exporter.wait_for("lifecycle_exporter_scan_bytes{scan=\"videos\"}", 1_234.0);
    exporter.wait_for("lifecycle_exporter_scan_status{scan=\"videos\"}", 1.0);
    exporter.wait_for("lifecycle_exporter_scan_status{scan=\"gone\"}", 0.0);
    exporter.wait_for("vlog_storage_videos_bytes", 1_234.0);
    exporter.wait_for("vlog_storage_reconciliation_status", 1.0);
    exporter.wait_for("vlog_background_task_duration_seconds_count{task_name=\"storage_reconcile\"}", 1.0);
}

#[test]
fn its_own_metrics_are_there_from_the_start() {
    let exporter = Exporter::start(
        "[systems]\nenabled = recording, vlog\n\
         [startup]\nevent = recording.backend_configured backend=b\n",
    );
    let metrics = exporter.metrics();
    for (name, expected) in [
        ("last_event_timestamp_seconds{system=\"recording\"}", 0.0),
        ("last_event_timestamp_seconds{system=\"vlog\"}", 0.0),
        ("label_cuts_total{system=\"vlog\"}", 0.0),
        ("entities{system=\"recording\",entity=\"upload\"}", 0.0),
        ("oldest_entity_age_seconds{system=\"recording\",entity=\"upload\"}", 0.0),
        ("abandoned_total{system=\"recording\",entity=\"upload\"}", 0.0),
        ("events_total{event=\"vlog.task.failed\"}", 0.0),
        ("events_rejected_total{reason=\"too_long\"}", 0.0),
        ("connections_refused_total{reason=\"max_connections\"}", 0.0),
        ("event_times_ignored_total", 0.0),
        ("http_requests_total{code=\"500\"}", 0.0),
        ("producers", 0.0),
        ("state_writable", 1.0),
        ("journal_bytes", 0.0),
        ("journal_errors_total", 0.0),
        ("snapshot_timestamp_seconds", 0.0),
        ("config_last_reload_successful", 1.0),
    ] {
        assert_eq!(value(&metrics, &format!("lifecycle_exporter_{name}")), Some(expected), "{name}");
    }
    let seconds = value(&metrics, "process_cpu_seconds_total").unwrap();
    assert!(seconds.fract() > 0.0, "whole seconds: {seconds}");
    assert!(!metrics.contains("series_overflow_total"), "only where above 0: {metrics}");
}

#[test]
fn systemd_is_told_and_its_watchdog_is_fed() {
    let directory = tempfile::tempdir().unwrap();
    let systemd = Notify::listen(directory.path());
    let receive = |wanted: &str| systemd.wait_for(wanted);
    let exporter = Exporter::start_by("", |_| {}, {
        let mut command = binary();
        command.env("NOTIFY_SOCKET", &systemd.path).env("WATCHDOG_USEC", "600000");
        command
    });
    assert!(receive("READY=1").contains("STATUS=events on "));
    receive("WATCHDOG=1");
    exporter.signal("HUP");
    assert!(receive("RELOADING=1").contains("MONOTONIC_USEC="));
    receive("READY=1");
    let (code, _) = exporter.stop();
    assert_eq!(code, Some(0));
    receive("STOPPING=1");
}

#[test]
fn under_systemd_lines_carry_priorities() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = binary()
        .args(["--listen", "127.0.0.1:0", "--config", "/dev/null", "--socket"])
        .arg(directory.path().join("s"))
        .env("JOURNAL_STREAM", "1:2")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 3];
    child.stderr.take().unwrap().read_exact(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(&first, b"<6>");
}

/// systemd passes sockets by number; a small Python program stands in for it.
#[test]
fn sockets_passed_by_systemd_are_taken() {
    if !has_program("python3") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let launcher = r"
import os, socket, sys
events = socket.socket(socket.AF_UNIX); events.bind(sys.argv[1]); events.listen()
http = socket.socket(); http.bind(('127.0.0.1', 0)); http.listen()
pair = (os.dup(http.fileno()), os.dup(events.fileno()))
for number, descriptor in zip((3, 4), [os.dup2(d, n + 100) and n + 100 for n, d in zip((3, 4), pair)]):
    os.dup2(descriptor, number, inheritable=True)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='http:events')
os.execv(sys.argv[2], sys.argv[2:])
";
    let passed = directory.path().join("passed.sock");
    let mut command = Command::new("python3");
    command.args(["-c", launcher]).arg(&passed).arg(env!("CARGO_BIN_EXE_lifecycle-exporter"));
    let exporter = Exporter::start_by("", |_| {}, command);
    exporter.wait_for_log("passed.sock (from systemd)");
    let mut stream = std::os::unix::net::UnixStream::connect(&passed).unwrap();
    stream.write_all(b"{\"event\":\"signaling.session.resume_failed\"}\n").unwrap();
    exporter.wait_for("signaling_hub_sessions_resume_failed_total", 1.0);
    let (code, _) = exporter.stop();
    assert_eq!(code, Some(0));
    assert!(passed.exists(), "the file is systemd's");
}

#[test]
fn a_directory_stays_locked_without_its_lock_file() {
    let state = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(&format!("[state]\ndirectory = {}\n", state.path().display()));
    fs::remove_file(state.path().join("lock")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (config, socket) = (directory.path().join("c.conf"), directory.path().join("s"));
    fs::write(&config, format!("[state]\ndirectory = {}\n", state.path().display())).unwrap();
    for command in ["serve", "check"] {
        let mut second = binary();
        second
            .args([command, "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--socket")
            .arg(&socket);
        let mut child = second.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(wait_for_exit(&mut child), Some(1), "{command}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("another exporter uses this directory"), "{command}: {said}");
    }
    assert_eq!(exporter.stop().0, Some(0));
}

#[test]
fn send_trusts_no_directory_of_another_user() {
    let runtime = tempfile::tempdir().unwrap();
    let own = runtime.path().join("lifecycle-exporter");
    fs::create_dir(&own).unwrap();
    let listener = UnixListener::bind(own.join("events.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    if chown(&own, Some(65_534), None).is_err() || fs::exists("/run/lifecycle-exporter/events.sock").unwrap()
    {
        println!("skipped: a directory of another user cannot be made here, or an exporter runs here");
        return;
    }
    let mut command = binary();
    command.env("XDG_RUNTIME_DIR", runtime.path()).env_remove("LIFECYCLE_EVENTS_SOCKET");
    let output =
        command.args(["send", "--config", "/dev/null", "recording.server_started"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "belongs to user id 65534, expected a directory of root or of this user; nothing was sent";
    assert!(said(&output).contains(expected), "{}", said(&output));
    assert!(listener.accept().is_err(), "it has connected");
}

#[test]
fn a_scan_of_many_files_takes_no_memory() {
    let peak = |config: &str, files: usize| {
        let exporter = Exporter::start_with(config, |directory| {
            fs::create_dir(directory.join("scanned")).unwrap();
            for number in 0..files {
                fs::write(directory.join(format!("scanned/{number:0>250}")), "").unwrap();
            }
        });
        exporter.wait_for("lifecycle_exporter_scan_status{scan=\"s\"}", -1.0);
        let status = fs::read_to_string(format!("/proc/{}/status", exporter.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let config = "[scan s]\ndirectory = {directory}/scanned\nmax_files = 1\n";
    let (few, many) = (peak(config, 2), peak(config, 40_000));
    assert!(many < few + 4_096, "{many} KiB instead of {few} KiB");
}

/// What arrives faster than it can be read does not hold up a stop.
#[test]
fn a_stop_under_a_flood_takes_five_seconds_at_most() {
    let mut exporter = Exporter::start("[state]\ndirectory = {directory}/state\n");
    let garbage = "1\n".repeat(50_000);
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let (mut stream, garbage) = (UnixStream::connect(&exporter.socket).unwrap(), garbage.clone());
            std::thread::spawn(move || while stream.write_all(garbage.as_bytes()).is_ok() {})
        })
        .collect();
    wait_until(
        || {
            let metrics = exporter.metrics();
            support::sum(&metrics, "lifecycle_exporter_events_rejected_total") > 100_000.0
        },
        || "nothing arrives".to_owned(),
    );
    let asked = std::time::Instant::now();
    exporter.signal("TERM");
    assert_eq!(wait_for_exit(&mut exporter.child), Some(0), "{}", exporter.log());
    assert!(asked.elapsed().as_secs_f64() < 5.0, "{:?}", asked.elapsed());
    for writer in writers {
        writer.join().unwrap();
    }
}

/// An exporter of user `nobody` that no setting tells where its socket and its state are.
struct Unconfigured {
    home: tempfile::TempDir,
}

impl Unconfigured {
    /// None where this cannot be tried.
    fn new() -> Option<Self> {
        if !OtherUser::is_possible() || fs::exists("/run/lifecycle-exporter").unwrap() {
            println!("skipped: this process cannot be another user, or an exporter runs here");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_lifecycle-exporter"), home.path().join("lifecycle-exporter")).unwrap();
        for directory in ["run", "home"] {
            fs::create_dir(home.path().join(directory)).unwrap();
            chown(home.path().join(directory), Some(65_534), Some(65_534)).unwrap();
        }
        Some(Unconfigured { home })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(self.home.path().join("lifecycle-exporter")).args(["--config", "/dev/null"]);
        command
            .env("HOME", self.home.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.home.path().join("run"));
        for variable in ["XDG_STATE_HOME", "STATE_DIRECTORY", "LIFECYCLE_EVENTS_SOCKET"] {
            command.env_remove(variable);
        }
        command
    }

    /// Starts it, runs `during` with what it says of its start, and stops it.
    fn serve(&self, during: impl FnOnce(&str)) {
        let mut command = self.command();
        let mut child = command.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        while !said.contains("look at ") {
            assert!(log.read_line(&mut said).unwrap() > 0, "{said}");
        }
        during(&said);
        support::run(Command::new("kill").arg(child.id().to_string()));
        assert_eq!(wait_for_exit(&mut child), Some(0));
    }
}

#[test]
fn the_exporter_of_an_ordinary_user_needs_no_setting_and_keeps_its_state() {
    let Some(exporter) = Unconfigured::new() else { return };
    let home = exporter.home.path();
    exporter.serve(|said| {
        assert!(said.contains(&format!("{}/run/lifecycle-exporter/events.sock", home.display())), "{said}");
        support::run(exporter.command().args(["send", "vlog.video.viewed"]));
    });
    assert!(home.join("home/.local/state/lifecycle-exporter").is_dir());
    exporter.serve(|said| {
        let address = said.split("metrics on ").nth(1).unwrap().split_whitespace().next().unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let metrics = Response::of(address.parse().unwrap(), request).body;
        assert_eq!(value(&metrics, "vlog_video_views_total"), Some(1.0), "{metrics}");
    });
}
