//! A log that is followed: lines that mean something and lines that do not, beside mtail with the same patterns and a
//! `grep` that only counts the lines that match one of them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::RUNS;
use crate::report::{report, skipped};
use crate::support::{Exporter, binary, has_program, sum};
use crate::tools::cpu_seconds;

const LINES: usize = 1_000_000;

/// What the lines of a signaling server look like: the name of the section, a pattern for all three, and its event.
const PATTERNS: [(&str, &str, &str); 8] = [
    ("register", r"Register user ([^ ]+) from [^ ]+ in ([A-Z]{2}) .* ([^ ]+) \(private=", "counted"),
    ("anonymous", r"Register anonymous@[^ ]+ from [^ ]+ in ([A-Z]{2}) ", "counted"),
    ("resume", r"Resume session from [^ ]+ in ([A-Z]{2}) .* \(private=", "counted"),
    ("expired", r"Closing expired session ([^ ]+)", "counted"),
    ("join", r"Session ([^ ]+) joined room ([^ ]+) with room session id", "counted"),
    ("publish", r"Publishing (video|audio|screen) as ([^ ]+) for session ([^ ]+)", "counted"),
    ("rtt", r"Client [^ ]+ has RTT of ([0-9]+) ms", "counted"),
    ("throttle", r#"Detected bruteforce attempt on "([^"]+)" from"#, "counted"),
];

fn catalog() -> String {
    let mut text =
        "[system]\nname = t\ntitle = t\n[metric t_lines_total]\ntype = counter\nhelp = x\nlabels = kind\n\
                    [event t.counted]\ninc = t_lines_total\n"
            .to_owned();
    for (name, pattern, event) in PATTERNS {
        let _ = write!(text, "[line {name}]\nmatch = {pattern}\nevent = t.{event}\nset = kind={name}\n");
    }
    text
}

/// The first pattern that matches counts, as with ours.
fn mtail_program() -> String {
    let mut text = String::new();
    for (name, pattern, _) in PATTERNS.iter().rev() {
        let rest = if text.is_empty() { String::new() } else { format!(" else {{\n{text}}}") };
        text = format!("/{pattern}/ {{\n  lines[\"{name}\"]++\n}}{rest}\n");
    }
    format!("counter lines by kind\n{text}")
}

/// Writes a log of a million lines of about 110 bytes.
fn write_log(path: &Path, matching: bool) {
    let mut text = String::new();
    for number in 0..LINES {
        let id = format!("{:016x}", (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let line = match (matching, number % 4) {
            (true, 0) => format!(
                "Register user alice{number}@backend-1 from 192.0.2.1 in DE (Mozilla/5.0) {id} (private=x)"
            ),
            (true, 1) => format!("Session {id} joined room r{} with room session id {id}{id}", number % 100),
            (true, 2) => format!("Publishing video as {id} for session {id}{id} on the media server"),
            (true, _) => format!("Closing expired session {id}{id} (private={id})"),
            (false, 0) => format!(
                "Subscribed to room r{} of the backend for the client {id} after a while",
                number % 100
            ),
            (false, 1) => {
                format!("Client {id} is in room r{} since the last message of {number} ms", number % 100)
            }
            (false, 2) => format!("Sending offer to {id} of session {id}{id} for the video stream"),
            (false, _) => format!("Received candidate {id} from session {id}{id}: udp 192.0.2.1 49152"),
        };
        let _ = writeln!(
            text,
            "2026/11/22 06:00:{:02}.{:06} hub.go:{} {line}",
            number / 1_000 % 60,
            number % 1_000_000,
            number % 3_000
        );
    }
    fs::write(path, text).unwrap();
}

/// Runs a program to its end. Its CPU-seconds, and the most memory that it had in MiB.
fn cost(command: &mut Command) -> (f64, f64) {
    // A `grep` that writes to /dev/null ends with the first match.
    let out = tempfile::tempfile().unwrap();
    let mut child = command.stdout(out).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    let (status, stat) = (format!("/proc/{}/status", child.id()), format!("/proc/{}/stat", child.id()));
    let mut peak = 0.0;
    loop {
        let text = fs::read_to_string(&status).unwrap();
        if let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak = line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0;
        }
        if fs::read_to_string(&stat).unwrap().contains(") Z ") {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let cpu = cpu_seconds(child.id());
    child.wait().unwrap();
    (cpu, peak)
}

/// Follows a log to its end. The cost of the follower, and the CPU-seconds of the exporter.
fn follow(log: &Path, expected: usize) -> (f64, f64, f64) {
    let config = "[systems]\ncatalog_directory = {directory}\n";
    let exporter =
        Exporter::start_with(config, |directory| fs::write(directory.join("t.ini"), catalog()).unwrap());
    let before = cpu_seconds(exporter.child.id());
    let mut command = binary();
    command.args(["follow", "t", "-", "--config"]).arg(exporter.directory.path().join("exporter.conf"));
    command.arg("--socket").arg(&exporter.socket).stdin(File::open(log).unwrap());
    let (cpu, peak) = cost(&mut command);
    let applied = cpu_seconds(exporter.child.id()) - before;
    assert!((sum(&exporter.metrics(), "t_lines_total") - expected as f64).abs() < 0.5);
    (cpu, peak, applied)
}

pub fn follow_logs() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("t.mtail"), mtail_program()).unwrap();
    let alternation: Vec<String> = PATTERNS.iter().map(|(_, pattern, _)| format!("({pattern})")).collect();
    for (what, matching) in [("lines that match nothing", false), ("lines that each are an event", true)] {
        let log = directory.path().join("x.log");
        write_log(&log, matching);
        let (mut ours, mut peaks, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut mtail, mut mtail_peaks, mut grep) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (cpu, peak, exporter) = follow(&log, if matching { LINES } else { 0 });
            ours.push(cpu);
            peaks.push(peak);
            theirs.push(exporter);
            if has_program("mtail") {
                let mut command = Command::new("mtail");
                command
                    .args(["--one_shot", "--logtostderr", "--progs"])
                    .arg(directory.path().join("t.mtail"));
                let (cpu, peak) = cost(command.arg("--logs").arg(&log));
                mtail.push(cpu);
                mtail_peaks.push(peak);
            }
            let mut command = Command::new("grep");
            command.args(["-E", "-c", &alternation.join("|")]).arg(&log).env("LC_ALL", "C");
            grep.push(cost(&mut command).0);
        }
        report(&format!("follow, a million {what}: CPU-s"), ours);
        report("  of the exporter that takes the events", theirs);
        report("  resident MiB at most", peaks);
        if mtail.is_empty() {
            skipped("  mtail with the same patterns", "mtail is not on this machine");
        } else {
            report("  mtail with the same patterns: CPU-s", mtail);
            report("  … resident MiB at most", mtail_peaks);
        }
        report("  grep -E -c of all patterns: CPU-s", grep);
    }
}
