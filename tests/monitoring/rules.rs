//! Rules and runbook: made from their table, noticed by their cases, and about series that exist. (How many mistakes the cases notice:
//! `mutate.py`, a step of its own, since it takes minutes.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::python::python_with;
use crate::support::{Exporter, catalogs, has_program, run, switches};
use crate::{files, project};

fn script(python: &PathBuf, path: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(project(path)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn rules_and_runbook_are_made_from_their_table() {
    let Some(python) = python_with("yaml") else { return };
    let directory = tempfile::tempdir().unwrap();
    let made: PathBuf =
        if switches::updates_golden() { project("packaging/prometheus") } else { directory.path().into() };
    run(script(&python, "packaging/monitoring/rules.py").arg(&made));
    let names = files("packaging/prometheus/rules", ".yml");
    let names = names.iter().map(|path| PathBuf::from("rules").join(path.file_name().unwrap()));
    for name in names.chain([PathBuf::from("runbook.md")]) {
        let is_same = fs::read_to_string(made.join(&name)).unwrap()
            == fs::read_to_string(project("packaging/prometheus").join(&name)).unwrap();
        assert!(is_same, "{} is out of date; UPDATE_GOLDEN=1 writes it anew", name.display());
    }
}

#[test]
fn each_alert_fires_when_it_should_and_stays_quiet() {
    if !has_program("promtool") {
        return;
    }
    run(Command::new("promtool").args(["check", "rules"]).args(files("packaging/prometheus/rules", ".yml")));
    let Some(python) = python_with("yaml") else { return };
    run(script(&python, "tests/monitoring/play.py").arg(project("packaging/prometheus/rules")));
}

/// A series such as `a{b="c"}`: its name and labels.
fn parse(series: &str) -> (&str, BTreeMap<&str, &str>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.trim().is_empty());
    (
        name,
        labels
            .map(|label| label.split_once('=').unwrap())
            .map(|(name, value)| (name.trim(), value.trim_matches('"')))
            .collect(),
    )
}

/// What cases play is what exporters have: metrics with all their labels, systems, kinds of entities and reasons.
#[test]
fn cases_are_about_series_that_exist() {
    let Some(python) = python_with("yaml") else { return };
    let shown = run(script(&python, "tests/monitoring/play.py").arg("--series"));
    let config = "[systems]\n[events]\nexpect = p\n[scan s]\ndirectory = {directory}\n";
    let exporter = Exporter::start(config);
    for system in ["recording", "signaling", "proxy", "edumeet", "vlog"] {
        exporter.feed(fs::read(project(&format!("tests/golden/{system}.ndjson"))).unwrap());
    }
    exporter.feed("{\n");
    exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"malformed\"}", 1.0);
    let own = exporter.metrics();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in own.lines().filter(|line| !line.starts_with('#')) {
        let (name, found) = parse(line.rsplit_once(' ').unwrap().0);
        labels.entry(name.to_owned()).or_default().extend(found.keys().map(ToString::to_string));
        for label in ["system", "entity", "reason"] {
            values.entry(label).or_default().extend(found.get(label).map(ToString::to_string));
        }
    }
    for metric in catalogs().iter().flat_map(|system| system["metrics"].as_array().unwrap()) {
        let names =
            metric["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned());
        let names: BTreeSet<String> = names.collect();
        let name = metric["name"].as_str().unwrap().to_owned();
        if metric["type"] == "histogram" {
            labels.insert(format!("{name}_count"), names.clone());
            let with_le = names.into_iter().chain(["le".to_owned()]).collect();
            labels.insert(format!("{name}_bucket"), with_le);
        } else {
            labels.insert(name, names);
        }
    }
    // Those that are there only where something has happened.
    labels
        .insert("lifecycle_exporter_series_overflow_total".to_owned(), BTreeSet::from(["metric".to_owned()]));
    labels.insert("up".to_owned(), BTreeSet::new());
    let of_alerts = ["alertname", "alertstate", "severity"].map(str::to_owned);
    labels.insert("ALERTS".to_owned(), BTreeSet::from(of_alerts));
    let of_target = ["job", "instance", "site", "replica"];
    let series: Vec<Value> = serde_json::from_str::<Value>(&shown).unwrap().as_array().unwrap().clone();
    assert!(series.len() > 200, "{}", series.len());
    for series in series.iter().map(|series| series.as_str().unwrap()) {
        let (name, mut found) = parse(series);
        found.retain(|label, _| !of_target.contains(label));
        let named: BTreeSet<String> = found.keys().map(ToString::to_string).collect();
        assert_eq!(Some(&named), labels.get(name), "{series}");
        for (label, value) in found.iter().filter(|_| name.starts_with("lifecycle_exporter_")) {
            // One letter stands for any value.
            if let Some(known) = values.get(label).filter(|_| *value != "other" && value.len() > 1) {
                assert!(known.contains(*value), "{series}: {label} is one of {known:?}");
            }
        }
    }
}
