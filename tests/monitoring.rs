//! What stands behind the exporter: a real Prometheus scrapes it, rules fire and stay quiet, dashboards have data, and a fleet adds up.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_push_string,
    unreachable_pub,
    reason = "a failure here is a failed test"
)]

mod support;

#[path = "monitoring/dashboards.rs"]
mod dashboards;
#[path = "monitoring/day/mod.rs"]
mod day;
#[path = "monitoring/discovery.rs"]
mod discovery;
#[path = "monitoring/fleet.rs"]
mod fleet;
#[path = "monitoring/history.rs"]
mod history;
#[path = "monitoring/notifications.rs"]
mod notifications;
#[path = "monitoring/past_alerts.rs"]
mod past_alerts;
#[path = "monitoring/pictures/mod.rs"]
mod pictures;
#[path = "monitoring/relay.rs"]
mod relay;
#[path = "monitoring/rules.rs"]
mod rules;
#[path = "monitoring/servers.rs"]
mod servers;
#[path = "monitoring/vmalert.rs"]
mod vmalert;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use relay::Relay;
use servers::Server;
use support::{Exporter, catalogs, has_program, run};

/// A path below the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a folder with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(project(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.to_str().unwrap().ends_with(ending));
    found.sort();
    assert!(!found.is_empty(), "{folder}/*{ending}");
    found
}

const BACKEND: &str = "https://cloud.example.com/";

#[test]
fn configurations_are_good() {
    if !has_program("promtool") {
        return;
    }
    let prometheus = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("prometheus");
    for file in files("packaging/prometheus", ".yml").into_iter().filter(prometheus) {
        let mut command = Command::new("promtool");
        command.args(["check", "config", "--syntax-only"]);
        if file.to_str().unwrap().contains("agent") {
            command.arg("--agent");
        }
        run(command.arg(file));
    }
}

#[test]
fn every_metric_that_rules_and_dashboards_name_is_there() {
    let systems = catalogs();
    let metrics = systems.iter().flat_map(|system| system["metrics"].as_array().unwrap());
    let mut known: Vec<String> = metrics.map(|metric| metric["name"].as_str().unwrap().to_owned()).collect();
    let config = "[systems]\nenabled = recording\n[scan s]\ndirectory = {directory}\n";
    let own = Exporter::start(config).metrics();
    known.extend(
        own.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned)),
    );
    known.extend([
        "lifecycle_exporter_producer_connected".to_owned(),
        "lifecycle_exporter_producer_expected".to_owned(),
        "lifecycle_exporter_entities".to_owned(),
        "lifecycle_exporter_series_overflow_total".to_owned(),
    ]);
    let prefixes = ["recording_", "signaling_", "edumeet_", "mediasoup_", "vlog_", "lifecycle_exporter_"];
    for file in
        files("packaging/prometheus/rules", ".yml").into_iter().chain(files("packaging/grafana", ".json"))
    {
        let text = fs::read_to_string(&file).unwrap();
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':') {
            let word =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            if prefixes.iter().any(|prefix| word.starts_with(prefix)) && !word.contains(':') {
                assert!(known.iter().any(|name| name == word), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn a_real_prometheus_sees_what_the_catalogs_say() {
    if !has_program("prometheus") {
        return;
    }
    let exporter = Exporter::start("");
    for system in ["recording", "signaling", "proxy", "edumeet", "vlog"] {
        exporter.feed(fs::read(project(&format!("tests/golden/{system}.ndjson"))).unwrap());
    }
    let relay = Relay::start(exporter.address);
    let prometheus = Server::prometheus(&scraping(&relay), &[]);
    prometheus.wait_for("up{job=\"lifecycles\"}", 1.0);
    let (request, response) = relay.heads();
    assert!(request.contains("accept-encoding: gzip"), "{request}");
    assert!(response.contains("content-encoding: gzip"), "{response}");

    let metadata =
        prometheus.get("/api/v1/targets/metadata?match_target=%7Bjob%3D%22lifecycles%22%7D").unwrap();
    let told: BTreeMap<&str, (&str, &str)> = metadata
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            (of["metric"].as_str().unwrap(), (of["type"].as_str().unwrap(), of["help"].as_str().unwrap()))
        })
        .collect();
    let (systems, shown) = (catalogs(), exporter.metrics());
    let metrics = systems.iter().flat_map(|system| system["metrics"].as_array().unwrap());
    let metrics = metrics.map(|metric| ["name", "type", "help"].map(|key| metric[key].as_str().unwrap()));
    let mut seen = 0;
    for [name, kind, help] in metrics.filter(|[name, ..]| shown.contains(&format!("# TYPE {name} "))) {
        assert_eq!(told.get(name), Some(&(kind, help)), "{name}");
        seen += 1;
    }
    assert!(seen > 90, "{seen}");

    // Without timestamps of its own it makes no difference whether they are honoured.
    assert!(shown.lines().filter(|line| !line.starts_with('#')).all(|line| {
        line.rsplit_once(' ').is_some_and(|(series, _)| series.ends_with('}') || !series.contains(' '))
    }));
    prometheus.wait_for("count(recording_recordings_total{job=\"dishonoured\"} - ignoring(job) recording_recordings_total{job=\"lifecycles\"} == 0) == bool count(recording_recordings_total{job=\"lifecycles\"})", 1.0);
}

#[test]
fn a_first_failure_is_an_increase_of_one_and_a_restart_is_no_reset() {
    if !has_program("prometheus") {
        return;
    }
    let config = format!(
        "[state]\ndirectory = {{directory}}/state\n[startup]\nevent = recording.backend_configured backend={BACKEND}\n"
    );
    let mut exporter = Exporter::start(&config);
    let relay = Relay::start(exporter.address);
    let prometheus = Server::prometheus(&scraping(&relay), &[]);
    let failed = format!("recording_recordings_failed_total{{job=\"lifecycles\",backend=\"{BACKEND}\"}}");
    prometheus.wait_for(&format!("count_over_time({failed}[1m]) > bool 2"), 1.0);
    let event = |name: &str| {
        format!("{{\"event\":\"recording.{name}\",\"backend\":\"{BACKEND}\",\"recording\":\"r\"}}\n")
    };
    exporter.feed(event("started") + &event("failed"));
    // Prometheus extrapolates to the ends of the range, by less the more samples there are.
    prometheus.wait_for(&format!("round(increase({failed}[1m]), 0.1)"), 1.0);

    exporter.restart();
    relay.redirect(exporter.address);
    let start = "process_start_time_seconds{job=\"lifecycles\"}";
    let after = format!("min_over_time({start}[1m]) < bool {start}");
    prometheus.wait_for(&after, 1.0);
    assert_eq!(prometheus.value(&format!("resets({failed}[1m])")), Some(0.0));
    assert_eq!(prometheus.value(&failed), Some(1.0));
    assert_eq!(prometheus.value(&format!("round(increase({failed}[1m]))")), Some(1.0));
}

/// Scrapes the relay quickly, once as usual and once without honouring timestamps.
fn scraping(relay: &Relay) -> String {
    let job = |name: &str, honour: bool| {
        format!(
            "  - job_name: {name}\n    honor_timestamps: {honour}\n    static_configs: [{{targets: [\"{}\"], labels: {{instance: host}}}}]\n",
            relay.address
        )
    };
    format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs:\n{}{}",
        job("lifecycles", true),
        job("dishonoured", false)
    )
}
