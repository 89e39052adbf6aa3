//! The dashboards: made from their table, as the public linter wants them, and with data in every query.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::pictures;
use crate::servers::Server;
use crate::support::session::Session;
use crate::support::{Exporter, binary, has_program, run, wait_for_as_long};
use crate::{files, project};

/// How long the demo may take to show everything.
const PATIENCE: Duration = Duration::from_secs(120);

/// A dashboard with its panels.
pub struct Dashboard {
    pub json: Value,
    pub panels: Vec<Value>,
}

/// A query and its legend.
pub struct Query {
    pub expression: String,
    pub legend: String,
}

impl Dashboard {
    fn all() -> Vec<Self> {
        let read = |path: &Path| {
            let json: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            let panels = json["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
            Dashboard { panels: panels.cloned().collect(), json: json.clone() }
        };
        files("packaging/grafana", ".json").iter().map(|path| read(path)).collect()
    }

    pub fn title(&self) -> &str {
        self.json["title"].as_str().unwrap()
    }

    pub fn uid(&self) -> &str {
        self.json["uid"].as_str().unwrap()
    }
}

/// The queries of a panel, with values for the variables.
pub fn queries(panel: &Value) -> Vec<Query> {
    let targets = panel["targets"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    targets
        .iter()
        .map(|target| Query {
            expression: text(&target["expr"])
                .replace("$job", ".+")
                .replace("$instance", ".+")
                .replace("$__rate_interval", "4s")
                .replace("$__range", "1m"),
            legend: text(&target["legendFormat"]),
        })
        .collect()
}

#[test]
fn dashboards_are_made_from_their_table() {
    let python = project("target/python/bin/python");
    let has_library = python.exists()
        && Command::new(&python)
            .args(["-c", "import grafana_foundation_sdk"])
            .output()
            .unwrap()
            .status
            .success();
    assert!(
        has_library || !crate::support::switches::in_ci(),
        "grafana-foundation-sdk is missing, and CI is set"
    );
    if !has_library {
        println!("skipped: grafana-foundation-sdk is not in target/python");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let made = if crate::support::switches::updates_golden() {
        project("packaging/grafana")
    } else {
        directory.path().into()
    };
    run(Command::new(&python)
        .arg(project("packaging/monitoring/build.py"))
        .arg(&made)
        .env("PYTHONDONTWRITEBYTECODE", "1"));
    for path in files("packaging/grafana", ".json") {
        let fresh = fs::read_to_string(made.join(path.file_name().unwrap())).unwrap();
        let is_same = fresh == fs::read_to_string(&path).unwrap();
        assert!(is_same, "{} is out of date; UPDATE_GOLDEN=1 writes it anew", path.display());
    }
}

/// The rules of the public linter for dashboards, by their names there.
#[test]
fn the_dashboards_keep_the_rules_of_the_public_linter() {
    // Documented under these names, although they are gauges.
    let gauges = ["vlog_videos_total", "vlog_workers_total"];
    for dashboard in Dashboard::all() {
        let about = dashboard.title();
        assert_eq!(dashboard.json["editable"], false, "{about}: uneditable-dashboard");
        let variables = dashboard.json["templating"]["list"].as_array().unwrap();
        let variable = |name: &str| variables.iter().find(|variable| variable["name"] == name).unwrap();
        let source = variable("datasource");
        assert_eq!(
            (&source["type"], &source["query"]),
            (&"datasource".into(), &"prometheus".into()),
            "{about}: template-datasource-rule"
        );
        assert_eq!(source["label"], "Data source", "{about}: template-datasource-rule");
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let of = variable(name);
            let rule = format!("{about}: template-{name}-rule");
            assert_eq!((&of["type"], &of["label"]), (&"query".into(), &label.into()), "{rule}");
            assert_eq!((&of["multi"], &of["allValue"]), (&true.into(), &".+".into()), "{rule}");
            assert_eq!(of["datasource"]["uid"], "${datasource}", "{rule}");
            assert_eq!(of["refresh"], 2, "{about}: template-on-time-change-reload-rule");
        }
        for panel in &dashboard.panels {
            let about = format!("{about}: {}", panel["title"]);
            for part in ["title", "description"] {
                assert!(
                    panel[part].as_str().is_some_and(|text| !text.is_empty()),
                    "{about}: panel-title-description-rule"
                );
            }
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{about}: panel-units-rule");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{about}: panel-datasource-rule");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{about}: panel-no-targets-rule");
            for target in targets {
                let expression = target["expr"].as_str().unwrap();
                check_expression(&format!("{about}: {expression}"), expression, &gauges);
            }
        }
    }
}

fn check_expression(about: &str, expression: &str, gauges: &[&str]) {
    for selector in expression.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
        assert!(selector.contains("job=~\"$job\""), "{about}: target-job-rule");
        assert!(selector.contains("instance=~\"$instance\""), "{about}: target-instance-rule");
    }
    for (function, range) in [("rate(", "[$__rate_interval]"), ("increase(", "[$__ra")] {
        for rest in expression.split(function).skip(1) {
            let argument = rest.split(']').next().unwrap().to_owned() + "]";
            assert!(argument.contains(range), "{about}: target-rate-interval-rule");
        }
    }
    for (at, _) in expression.match_indices('{') {
        let start = expression[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(0, |place| place + 1);
        let metric = &expression[start..at];
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| metric.ends_with(end));
        let before = &expression[..start];
        let is_counted = before.ends_with("rate(") || before.ends_with("increase(");
        assert!(!counts || is_counted || gauges.contains(&metric), "{about}: target-counter-agg-rule");
    }
}

#[test]
fn every_query_of_every_dashboard_has_data() {
    if !has_program("prometheus") {
        return;
    }
    let mut demo = binary();
    demo.args(["demo", "--speed", "30"]);
    let config = "[scan recordings]\ndirectory = {directory}\n";
    let exporter = Exporter::start_by(config, |_| {}, demo);
    // The demo's own connection is a plain one.
    let _session = Session::begin(&exporter.socket, "talk-recording", "1");
    let prometheus = Server::prometheus(
        &format!(
            "global: {{scrape_interval: 500ms}}\nscrape_configs: [{{job_name: lifecycles, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
            exporter.address
        ),
        &[],
    );
    let dashboards = Dashboard::all();
    for dashboard in &dashboards {
        for query in dashboard.panels.iter().flat_map(queries) {
            let has_data = || prometheus.query(&query.expression).iter().any(|(_, value)| value.is_finite());
            let why = || format!("{}: no data: {}", dashboard.title(), query.expression);
            wait_for_as_long(PATIENCE, has_data, why);
        }
    }
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        let long = || prometheus.value("count_over_time(up[2m])").is_some_and(|count| count >= 160.0);
        wait_for_as_long(PATIENCE, long, || "too few samples for a picture".to_owned());
        for dashboard in &dashboards {
            let path = project(&format!("packaging/pictures/{}.svg", dashboard.uid()));
            fs::write(path, pictures::draw(dashboard, &prometheus)).unwrap();
        }
    }
}
