//! `check --try`: events through the configured catalogs before they are live.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use support::{binary, sum, value};

const CATALOG: &str = "[system]\nname = print\ntitle = Printers\n\
    [entity job]\nkey = job\nlabels = printer\n\
    [metric print_jobs]\ntype = gauge\nhelp = Jobs\nlabels = printer\nlive = job\n\
    [metric print_pages_total]\ntype = counter\nhelp = Pages\nlabels = printer\n\
    [event print.job.started]\nopen = job\n\
    [event print.job.ended]\nclose = job\nadd = print_pages_total from pages\n";

/// Tries these lines with the catalog above.
fn try_lines(lines: &[u8], args: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("print.ini"), CATALOG).unwrap();
    let config = directory.path().join("exporter.conf");
    fs::write(&config, format!("[systems]\ncatalog_directory = {}\n", directory.path().display())).unwrap();
    fs::write(directory.path().join("events.ndjson"), lines).unwrap();
    let mut child = binary()
        .args(["check", "--try"])
        .args(args)
        .arg("--config")
        .arg(config)
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended already.
    let _ = child.stdin.take().unwrap().write_all(lines);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const GOOD: &str = "{\"event\":\"print.job.started\",\"job\":1,\"printer\":\"a\"}\n\
    {\"event\":\"print.job.started\",\"job\":2,\"printer\":\"a\"}\n\
    {\"event\":\"print.job.ended\",\"job\":1,\"pages\":7}";

#[test]
fn good_events_show_the_metrics_that_they_make() {
    for args in [&["events.ndjson"] as &[&str], &["-"], &[]] {
        let output = try_lines(GOOD.as_bytes(), args);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{args:?}");
        let metrics = text(&output.stdout);
        assert_eq!(value(&metrics, "print_jobs{printer=\"a\"}"), Some(1.0), "{metrics}");
        assert_eq!(value(&metrics, "print_pages_total{printer=\"a\"}"), Some(7.0), "{metrics}");
        assert!(metrics.starts_with("# HELP print_jobs Jobs\n# TYPE print_jobs gauge\n"), "{metrics}");
    }
}

#[test]
fn each_rejection_has_the_number_of_its_line() {
    let lines = [
        b"\n{\"event\":\"print.job.ended\",\"job\":9,\"pages\":1}\ngarbage\n\xff\n".as_slice(),
        b"{\"event\":\"print.job.started\",\"job\":1,\"printer\":\"a\",\"colour\":1}\n",
        format!("{{\"event\":\"print.job.started\",\"job\":\"{}\"}}", "x".repeat(70_000)).as_bytes(),
    ]
    .concat();
    let output = try_lines(&lines, &["events.ndjson"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let about: Vec<&str> = said.lines().map(|line| line.split(':').nth(2).unwrap_or(line).trim()).collect();
    let expected = ["print.job.started", "not_open", "malformed", "malformed", "too_long"];
    assert_eq!(about, expected, "{said}");
    for number in [2, 3, 4, 6] {
        assert!(said.contains(&format!("lifecycle-exporter: line {number}: ")), "{number}: {said}");
    }
    assert!(said.starts_with("warning: line 5: print.job.started: colour: unknown field"), "{said}");
    // What was good counts all the same.
    assert!((sum(&text(&output.stdout), "print_jobs") - 1.0).abs() < 0.1);
}

#[test]
fn what_cannot_be_read_is_named() {
    let missing = try_lines(b"", &["nothing.ndjson"]);
    assert_eq!((missing.status.code(), text(&missing.stdout)), (Some(1), String::new()));
    assert!(text(&missing.stderr).contains("nothing.ndjson: No such file"), "{}", text(&missing.stderr));
    let directory = try_lines(b"", &["."]);
    assert_eq!(directory.status.code(), Some(1), "{}", text(&directory.stderr));
}
