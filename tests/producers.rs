//! The clients under `packaging/producers`: their helpers are what the catalogs say, their own tests pass, what they send counts exactly
//! once while the exporter is killed under them, and what their transcripts say of the exporter is true.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_push_string,
    unreachable_pub,
    reason = "a failure here is a failed test"
)]

mod support;

#[path = "producers/helpers.rs"]
mod helpers;
#[path = "producers/programs.rs"]
mod programs;
#[path = "producers/workers.rs"]
mod workers;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use programs::{Emitter, result, shipped};
use serde_json::Value;
use support::python::{python, python_with};
use support::session::{Session, ack};
use support::{Exporter, binary, has_program, run, value};

#[test]
fn helpers_are_made_from_the_catalogs() {
    let listed = binary().args(["catalog", "--format", "json"]).output().unwrap();
    let systems = helpers::systems(&String::from_utf8(listed.stdout).unwrap());
    assert!(!systems.is_empty());
    let files = [
        ("python/lifecycle_events/systems.py", helpers::python(&systems)),
        ("node/systems.js", helpers::javascript(&systems)),
        ("node/systems.d.ts", helpers::typescript(&systems)),
        ("go/systems.go", helpers::go(&systems)),
    ];
    for (path, expected) in files {
        if support::switches::updates_golden() {
            fs::write(shipped(path), &expected).unwrap();
        }
        let now = fs::read_to_string(shipped(path)).unwrap_or_default();
        assert!(now == expected, "{path} is out of date; UPDATE_GOLDEN=1 writes it anew");
    }
}

/// The binary for the clients' own tests with the exporter.
fn with_exporter(command: &mut Command) -> &mut Command {
    command.env("LIFECYCLE_EXPORTER", env!("CARGO_BIN_EXE_lifecycle-exporter"))
}

#[test]
fn the_python_client_passes_its_tests() {
    let Some(python) = python() else { return };
    let mut tests = Command::new(&python);
    tests.args(["-W", "error", "-m", "unittest"]).current_dir(shipped("python"));
    run(with_exporter(&mut tests).env("PYTHONDONTWRITEBYTECODE", "1"));
    let Some(python) = python_with("mypy") else { return };
    run(Command::new(python).args(["-m", "mypy", "--cache-dir=/dev/null"]).current_dir(shipped("python")));
}

#[test]
fn the_node_client_passes_its_tests() {
    if has_program("node") {
        let tests = fs::read_dir(shipped("node/test")).unwrap().map(|entry| entry.unwrap().path());
        let tests = tests.filter(|path| path.to_str().unwrap().ends_with(".test.js"));
        run(with_exporter(Command::new("node").arg("--test").args(tests)));
    }
}

#[test]
fn the_go_client_passes_its_tests_under_the_race_detector() {
    if has_program("go") {
        let unformatted = run(Command::new("gofmt").arg("-l").arg(shipped("go")));
        assert_eq!(unformatted, "", "not formatted");
        run(Command::new("go").args(["vet", "./..."]).current_dir(shipped("go")));
        run(Command::new("go").args(["test", "-race", "-count=1", "./..."]).current_dir(shipped("go")));
    }
}

/// As many kills while a program emits.
const KILLS: usize = 5;
const EVENTS: usize = 100_000;

#[test]
fn what_a_client_sends_counts_once_while_the_exporter_is_killed() {
    for emitter in Emitter::all() {
        let directory = tempfile::tempdir().unwrap();
        let state = format!("[state]\ndirectory = {}\nsync = never\n", directory.path().display());
        let mut exporter = Exporter::start(&state);
        let mut command = emitter.command(&exporter.socket, EVENTS);
        let program = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let series = "signaling_server_messages_total{type=\"offer\"}";
        for kill in 1..=KILLS {
            // Each at another point of the way.
            let goal = (EVENTS / (KILLS + 1) * kill) as f64;
            let far = || value(&exporter.metrics(), series).is_some_and(|count| count >= goal);
            support::wait_until(far, || format!("{}: stopped before {goal}", emitter.language));
            exporter.crash();
        }
        let output = program.wait_with_output().unwrap();
        let told = result(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(told["complete"], true, "{}: {told}", emitter.language);
        assert_eq!(exporter.value(series), Some(EVENTS as f64), "{}", emitter.language);
        assert_eq!(exporter.value("lifecycle_exporter_producers"), Some(0.0), "{}", emitter.language);
    }
}

#[test]
fn a_client_finds_the_exporter_of_its_own_user() {
    if fs::exists("/run/lifecycle-exporter/events.sock").unwrap() {
        println!("skipped: an exporter of the package runs here");
        return;
    }
    for emitter in Emitter::all() {
        let exporter = Exporter::start("");
        let runtime = tempfile::tempdir().unwrap();
        let directory = runtime.path().join("lifecycle-exporter");
        fs::create_dir(&directory).unwrap();
        std::os::unix::fs::symlink(&exporter.socket, directory.join("events.sock")).unwrap();
        let mut command = emitter.command(&exporter.socket, 3);
        command.env_remove("LIFECYCLE_EVENTS_SOCKET").env("XDG_RUNTIME_DIR", runtime.path());
        let told = result(&run(&mut command));
        assert_eq!(told["complete"], true, "{}: {told}", emitter.language);
        exporter.wait_for("signaling_server_messages_total{type=\"offer\"}", 3.0);
    }
}

#[test]
fn the_transcripts_are_true_of_the_exporter() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/producers/vectors");
    let mut played = 0;
    for path in fs::read_dir(vectors).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "ndjson") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if steps[0]["exporter"] != true {
            continue;
        }
        played += 1;
        let exporter = Exporter::start("");
        let said: Vec<&Value> = steps.iter().filter_map(|step| step.get("read")).collect();
        let mut session = Session::connect(&exporter.socket);
        for line in said {
            session.send(&line.to_string());
        }
        let answered: Vec<&Value> = steps.iter().filter_map(|step| step.get("write")).collect();
        let last_ack = answered.iter().filter_map(|reply| reply["ack"].as_u64()).max().unwrap();
        let mut rejections = Vec::new();
        while let Some(reply) = session.reply() {
            match ack(&reply) {
                Some(number) if number == last_ack => break,
                Some(number) => assert!(number < last_ack, "{}: {reply}", path.display()),
                None => rejections.push(serde_json::from_str::<Value>(&reply).unwrap()),
            }
        }
        let expected: Vec<Value> =
            answered.into_iter().filter(|reply| reply.get("rejected").is_some()).cloned().collect();
        assert_eq!(rejections, expected, "{}", path.display());
    }
    assert!(played > 3);
}

/// The blocks of a page in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_lines_for_a_shell_work_as_they_are() {
    if !has_program("socat") || !has_program("jq") {
        return;
    }
    let page = fs::read_to_string(shipped("shell/README.md")).unwrap();
    let ini = blocks(&page, "ini");
    let catalog = ini.iter().find(|block| block.starts_with("[system]")).unwrap();
    let config = "[systems]\ncatalog_directory = {directory}/catalog.d\n";
    let exporter = Exporter::start_with(config, |directory| {
        fs::create_dir(directory.join("catalog.d")).unwrap();
        fs::write(directory.join("catalog.d/host.ini"), catalog).unwrap();
    });
    let socket = exporter.socket.display().to_string();
    let run_block = |block: &str| {
        let text = block.replace("/run/lifecycle-exporter/events.sock", &socket);
        let binaries = Path::new(env!("CARGO_BIN_EXE_lifecycle-exporter")).parent().unwrap();
        let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &text]).env("PATH", path);
        run(shell.env("LIFECYCLE_EVENTS_SOCKET", &socket));
    };
    blocks(&page, "sh").into_iter().for_each(run_block);
    let hook = ini.iter().find(|block| block.contains("ExecStopPost")).unwrap();
    let hook = hook.lines().find_map(|line| line.strip_prefix("ExecStopPost=")).unwrap();
    for result in ["success", "exit-code"] {
        run_block(&format!("export SERVICE_RESULT={result}; {}", hook.replace("%n", "recorder.service")));
    }
    exporter.wait_for("recording_recordings_duration_seconds{backend=\"https://cloud.example.com/\"}", 61.0);
    exporter.wait_for("recording_recordings_current{backend=\"https://cloud.example.com/\"}", 0.0);
    exporter.wait_for("vlog_video_views_total", 1.0);
    exporter.wait_for("vlog_videos_total{status=\"ready\"}", 1.0);
    exporter.wait_for("vlog_background_task_duration_seconds_count{task_name=\"backup\"}", 1.0);
    exporter.wait_for("vlog_video_uploads_total{result=\"failed\"}", 2.0);
    exporter.wait_for("host_unit_failures_total{unit=\"recorder.service\",result=\"exit-code\"}", 1.0);
    assert!(support::sum(&exporter.metrics(), "lifecycle_exporter_events_rejected_total") < 0.5);
}
