//! The metrics of the five systems beside those that the published servers define: names, types, labels, buckets.
//! Each table in `facts/` says which version was read, and where.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test, and the support prints what it skips"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Exporter, binary, run};

const SYSTEMS: [&str; 5] = ["recording", "signaling", "proxy", "edumeet", "vlog"];

/// Where a metric here differs from the server's on purpose: metric, aspect, reason.
const INTENDED: [(&str, Aspect, &str); 1] = [(
    "vlog_info",
    Aspect::Type,
    "the text format 0.0.4 has no type `info`; the server's client library writes it as a gauge of 1, too",
)];

/// One event for each histogram, so that its buckets are shown.
const OBSERVATIONS: &str = r#"
{"event":"signaling.backend_request.finished","backend":"b","duration":1}
{"event":"signaling.client.rtt","rtt":1}
{"event":"signaling.mcu.media_rtt","media":"audio","rtt":1}
{"event":"signaling.mcu.media_jitter","media":"audio","origin":"local","jitter":1}
{"event":"vlog.http.request","method":"GET","endpoint":"/","status_code":200,"api":"admin","duration":1}
{"event":"vlog.job.quality_finished","quality":"720p","duration":1}
{"event":"vlog.db.query","operation":"select","duration":1}
{"event":"vlog.task.succeeded","task_name":"t","duration":1}
"#;

/// What can differ between a server's metric and the one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    /// The server has it, the catalog has not.
    Missing,
    /// The catalog has it, the server has not.
    Extra,
    Type,
    Labels,
}

/// A metric, by the server's source or by the catalog.
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    /// As the table has them; empty in what comes from the catalog, which does not list them.
    buckets: String,
}

/// The metrics of a server, from its table.
fn defined(system: &str) -> BTreeMap<String, Metric> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/facts/{system}.tsv"));
    let text = fs::read_to_string(path).unwrap();
    let mut metrics = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, kind, labels, buckets, life, source] = columns[..] else {
            panic!("{system}.tsv: {line:?} has {} columns, expected 6", columns.len());
        };
        assert!(!life.is_empty() && !source.is_empty(), "{system}.tsv: {line:?} has an empty column");
        let metric = Metric {
            kind: kind.to_owned(),
            labels: labels.split(',').filter(|label| *label != "-").map(str::to_owned).collect(),
            buckets: buckets.to_owned(),
        };
        assert_eq!(kind == "histogram", buckets != "-", "{system}.tsv: {line:?}");
        assert!(metrics.insert(name.to_owned(), metric).is_none(), "{system}.tsv has {name} twice");
    }
    metrics
}

/// The metrics of all catalogs, by system.
fn listed() -> BTreeMap<String, BTreeMap<String, Metric>> {
    let text = run(binary().args(["catalog", "--format", "json"]));
    let systems: Value = serde_json::from_str(&text).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let metric = |metric: &Value| {
        let labels = metric["labels"].as_array().unwrap().iter().map(word).collect();
        (word(&metric["name"]), Metric { kind: word(&metric["type"]), labels, buckets: String::new() })
    };
    let metrics = |system: &Value| system["metrics"].as_array().unwrap().iter().map(metric).collect();
    systems.as_array().unwrap().iter().map(|system| (word(&system["name"]), metrics(system))).collect()
}

/// How a catalog differs from its server, with what each has.
fn differences(
    defined: &BTreeMap<String, Metric>,
    listed: &BTreeMap<String, Metric>,
) -> BTreeMap<(String, Aspect), String> {
    let mut found = BTreeMap::new();
    for (name, theirs) in defined {
        let Some(ours) = listed.get(name) else {
            found.insert((name.clone(), Aspect::Missing), "the catalog lacks it".to_owned());
            continue;
        };
        if ours.kind != theirs.kind {
            let text = format!("{} here, {} in the server", ours.kind, theirs.kind);
            found.insert((name.clone(), Aspect::Type), text);
        }
        if ours.labels != theirs.labels {
            let text = format!("{:?} here, {:?} in the server", ours.labels, theirs.labels);
            found.insert((name.clone(), Aspect::Labels), text);
        }
    }
    for name in listed.keys().filter(|name| !defined.contains_key(*name)) {
        found.insert((name.clone(), Aspect::Extra), "the server lacks it".to_owned());
    }
    found
}

/// All differences of all systems.
fn all_differences() -> BTreeMap<(String, Aspect), String> {
    let listed = listed();
    SYSTEMS.iter().flat_map(|system| differences(&defined(system), &listed[*system])).collect()
}

#[test]
fn the_catalogs_have_the_metrics_of_the_servers() {
    let mut found = all_differences();
    found.retain(|(name, aspect), _| !INTENDED.iter().any(|(n, a, _)| n == name && a == aspect));
    assert!(found.is_empty(), "differences that nobody intended: {found:#?}");
}

#[test]
fn every_intended_difference_is_there() {
    let found = all_differences();
    for (name, aspect, reason) in INTENDED {
        assert!(
            found.contains_key(&(name.to_owned(), aspect)),
            "{name} does not differ in {aspect:?} any more; drop the exception ({reason})"
        );
    }
}

#[test]
fn histograms_have_the_buckets_of_the_servers() {
    let exporter = Exporter::start("");
    exporter.feed(OBSERVATIONS.trim_start());
    let shown = exporter.metrics();
    let defined: Vec<BTreeMap<String, Metric>> = SYSTEMS.iter().map(|system| defined(system)).collect();
    for (name, metric) in defined.iter().flatten().filter(|(_, metric)| metric.kind == "histogram") {
        let (ours, theirs) = (shown_bounds(&shown, name), bounds(&metric.buckets));
        // The servers' runtimes round powers differently in the last digits.
        let same = ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(ours, theirs)| (ours / theirs - 1.0).abs() < 1e-9);
        assert!(same, "{name} has the buckets {ours:?}, in the server {theirs:?}");
    }
}

/// The upper bounds of a histogram's finite buckets as a page shows them.
fn shown_bounds(page: &str, name: &str) -> Vec<f64> {
    let bucket = format!("{name}_bucket{{");
    let bound = |line: &str| line.split("le=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let bounds = page.lines().filter(|line| line.starts_with(&bucket)).map(bound);
    bounds.filter(|bound: &f64| bound.is_finite()).collect()
}

/// Numbers between commas, or `exponential MIN MAX COUNT`: COUNT bounds from MIN to MAX, each the same multiple of the last.
fn bounds(text: &str) -> Vec<f64> {
    let Some(range) = text.strip_prefix("exponential ") else {
        return text.split(',').map(|number| number.parse().unwrap()).collect();
    };
    let numbers: Vec<f64> = range.split(' ').map(|number| number.parse().unwrap()).collect();
    let [min, max, count] = numbers[..] else { panic!("{text:?} is not `exponential MIN MAX COUNT`") };
    let factor = (max / min).powf(1.0 / (count - 1.0));
    (0..count as i32).map(|i| min * factor.powi(i)).collect()
}
