//! The five systems, event by event: NDJSON in, golden `/metrics` out, through the real binary.
//! `UPDATE_GOLDEN=1 cargo test` writes the goldens anew.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::{Exporter, assert_golden, binary, has_program};

const SYSTEMS: [&str; 5] = ["recording", "signaling", "proxy", "edumeet", "vlog"];

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// A whole hour ago, so that times and ages can be told apart from other numbers.
fn earlier() -> String {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 3_600).to_string()
}

fn check_system(system: &str) {
    let exporter = Exporter::start("");
    let time = earlier();
    let events =
        fs::read_to_string(golden(&format!("{system}.ndjson"))).unwrap().replace("\"EARLIER\"", &time);
    exporter.feed(&events);
    exporter.wait_for(&format!("lifecycle_exporter_events_total{{event=\"{}\"}}", last_event(&events)), 1.0);
    exporter.assert_law(events.lines().count() as u64);
    assert_golden(&format!("{system}.metrics"), &masked(&exporter.system(system), &time));
}

/// The text with names in place of times and of the ages that depend on them.
fn masked(metrics: &str, time: &str) -> String {
    let mask = |line: &str| match line.split_once("} 360") {
        Some((series, age)) if series.contains("_age_seconds{") => {
            assert!(format!("360{age}").parse::<f64>().unwrap() < 3_700.0, "{line}");
            format!("{series}}} AGE\n")
        }
        _ => format!("{}\n", line.replace(time, "TIME")),
    };
    metrics.lines().map(mask).collect()
}

fn last_event(events: &str) -> String {
    let line: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    line["event"].as_str().unwrap().to_owned()
}

#[test]
fn recording() {
    check_system("recording");
}

#[test]
fn signaling() {
    check_system("signaling");
}

#[test]
fn proxy() {
    check_system("proxy");
}

#[test]
fn edumeet() {
    check_system("edumeet");
}

#[test]
fn vlog() {
    check_system("vlog");
}

fn catalogs() -> Vec<Value> {
    let output = binary().args(["catalog", "--format", "json", "--config", "/dev/null"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_goldens_hold_every_event_and_every_metric() {
    for catalog in catalogs() {
        let system = catalog["name"].as_str().unwrap();
        let events = fs::read_to_string(golden(&format!("{system}.ndjson"))).unwrap();
        let held: BTreeSet<String> = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
            .collect();
        let listed: BTreeSet<String> = catalog["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(held, listed);
        let metrics = fs::read_to_string(golden(&format!("{system}.metrics"))).unwrap();
        for metric in catalog["metrics"].as_array().unwrap() {
            let (name, kind) = (metric["name"].as_str().unwrap(), metric["type"].as_str().unwrap());
            assert!(metrics.contains(&format!("# TYPE {name} {kind}\n")), "{name} is not in the golden");
        }
    }
}

/// The documents that the systems' metrics come from, where they lie beside the checkout.
fn seeds() -> Option<Vec<String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seeds");
    let Ok(entries) = fs::read_dir(&directory) else {
        println!("skipped: the seeds are not beside this checkout");
        return None;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    Some(paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect())
}

/// Name, type, since, help and labels of a row of a Markdown table, or nothing.
fn table_row(row: &str) -> Option<(String, String, String, String, Vec<String>)> {
    let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
    let [name, kind, since, help, labels] = cells.as_slice() else { return None };
    if !["Gauge", "Counter", "Histogram"].contains(&kind.as_str()) {
        return None;
    }
    let name = name.strip_prefix('`')?.strip_suffix('`')?.to_owned();
    let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
    // What refers to other parts of the document is no part of the help.
    let help = help.split(", see [notes]").next().unwrap().to_owned();
    Some((name, kind.to_lowercase(), since.clone(), help, labels.filter(|label| !label.is_empty()).collect()))
}

#[test]
fn the_catalogs_are_what_the_documents_say() {
    let Some(seeds) = seeds() else { return };
    let mut metrics = BTreeMap::new();
    for catalog in catalogs() {
        for metric in catalog["metrics"].as_array().unwrap() {
            metrics.insert(metric["name"].as_str().unwrap().to_owned(), metric.clone());
        }
    }
    let mut compared = BTreeSet::new();
    for seed in &seeds {
        // A table may have lost its line breaks: rows then follow each other as `| |`.
        let text = seed.replace("| |", "|\n|");
        for row in text.lines() {
            let row = row.trim().trim_start_matches('|').trim_end_matches('|');
            let Some((name, kind, since, help, labels)) = table_row(row) else { continue };
            let metric = metrics.get(&name).unwrap_or_else(|| panic!("{name} is in no catalog"));
            assert_eq!(metric["type"], kind, "{name}");
            assert_eq!(metric["since"], since, "{name}");
            assert_eq!(metric["help"], help, "{name}");
            assert_eq!(strings(&metric["labels"]), labels, "{name}");
            compared.insert(name);
        }
        // The first document has lost its table's lines: `name Type since help… labels`.
        for row in seed.lines().filter(|row| row.starts_with("recording_") && row.contains(" 0.2.0 ")) {
            let words: Vec<&str> = row.split_whitespace().collect();
            let metric = &metrics[words[0]];
            assert_eq!(metric["type"], words[1].to_lowercase());
            assert_eq!(metric["since"], words[2]);
            assert_eq!(metric["help"], words[3..words.len() - 1].join(" ").replace(", see notes", ""));
            assert_eq!(strings(&metric["labels"]), [words[words.len() - 1]]);
            compared.insert(words[0].to_owned());
        }
        // The edumeet table has names alone.
        for name in
            seed.split('`').filter(|word| word.starts_with("edumeet_") || word.starts_with("mediasoup_"))
        {
            assert!(metrics.contains_key(name), "{name} is in no catalog");
            compared.insert(name.to_owned());
        }
    }
    assert_eq!(compared.len(), 5 + 44 + 6, "{compared:?}");
}

#[test]
fn prometheus_finds_no_fault_with_the_goldens() {
    if !has_program("promtool") {
        return;
    }
    for system in SYSTEMS {
        let text = fs::read_to_string(golden(&format!("{system}.metrics")))
            .unwrap()
            .replace(" TIME", " 1")
            .replace(" AGE", " 1");
        let mut child = std::process::Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // What it says of names is the documented systems' own choice; anything else is a fault.
        let by_choice = |line: &&str| {
            line.contains("counter metrics should have \"_total\" suffix")
                || line.contains("non-counter metrics should not have \"_total\" suffix")
                || line.contains("non-histogram and non-summary metrics should not have \"_count\" suffix")
                || line.contains("metric name should not include type")
                || line.contains("use base unit")
                || line.contains("metric names should not contain abbreviated units")
        };
        let faults: Vec<&str> = said.lines().filter(|line| !line.is_empty() && !by_choice(line)).collect();
        assert!(faults.is_empty(), "{system}: {faults:?}");
    }
}
