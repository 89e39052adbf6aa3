//! The dashboards: made from their tables, as the public linter and the rules below want them, and with data in every query.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::servers::Server;
use crate::support::python::python_with;
use crate::support::session::Session;
use crate::support::{Exporter, binary, catalogs, has_program, run, wait_for_as_long, wait_until};
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

impl Query {
    /// What the legend says of a series.
    pub fn name(&self, labels: &BTreeMap<String, String>) -> String {
        let named = labels.iter().fold(self.legend.clone(), |legend, (name, value)| {
            legend.replace(&format!("{{{{{name}}}}}"), value)
        });
        // A label that a series does not have is nothing.
        let pieces = named.split("{{").enumerate();
        let known =
            pieces.map(
                |(place, piece)| {
                    if place == 0 { piece } else { piece.split_once("}}").map_or("", |rest| rest.1) }
                },
            );
        known.collect::<String>().trim().to_owned()
    }
}

impl Dashboard {
    pub fn all() -> Vec<Self> {
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

/// What a query looks back for, which depends on the time that is shown.
pub struct Window {
    pub rate_interval: String,
    pub interval: String,
    pub range: String,
}

impl Default for Window {
    /// What suits a Prometheus that scrapes every half second.
    fn default() -> Self {
        let [rate_interval, interval, range] = ["4s", "4s", "1m"].map(str::to_owned);
        Window { rate_interval, interval, range }
    }
}

/// The queries of a panel, with values for the variables.
pub fn queries(panel: &Value, window: &Window) -> Vec<Query> {
    let targets = panel["targets"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    targets
        .iter()
        .map(|target| Query {
            expression: filled(target["expr"].as_str().unwrap_or_default(), window),
            legend: text(&target["legendFormat"]),
        })
        .collect()
}

/// A query with values for its variables.
pub fn filled(expression: &str, window: &Window) -> String {
    expression
        .replace("$site", ".*")
        .replace("$job", ".+")
        .replace("$instance", ".+")
        .replace("$backend", ".*")
        .replace("$__rate_interval", &window.rate_interval)
        .replace("$__interval", &window.interval)
        .replace("$__range", &window.range)
}

#[test]
fn dashboards_are_made_from_their_table() {
    let Some(python) = python_with("grafana_foundation_sdk") else { return };
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
            let text = panel["description"].as_str().unwrap();
            let own = text.split(" Red ").next().unwrap().split(" Orange ").next().unwrap();
            let says_more = [". ", ": "].iter().any(|end| own.contains(end));
            assert!(says_more, "{about}: what it shows, but not what to do: {own}");
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
        // Some alerts have no job or instance.
        let or_none = if selector.contains("alertstate") { "|" } else { "" };
        assert!(selector.contains("site=~\"$site\""), "{about}: site");
        assert!(selector.contains(&format!("job=~\"$job{or_none}\"")), "{about}: target-job-rule");
        assert!(
            selector.contains(&format!("instance=~\"$instance{or_none}\"")),
            "{about}: target-instance-rule"
        );
    }
    for range in ranges(expression, "rate(") {
        assert_eq!(range, "$__rate_interval", "{about}: target-rate-interval-rule");
    }
    for (at, _) in expression.match_indices('{') {
        let start = expression[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(0, |place| place + 1);
        let metric = &expression[start..at];
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| metric.ends_with(end));
        let before = &expression[..start];
        let is_counted = ["rate(", "increase(", "absent("].iter().any(|function| before.ends_with(function));
        assert!(!counts || is_counted || gauges.contains(&metric), "{about}: target-counter-agg-rule");
    }
}

/// The ranges that a function is applied to.
fn ranges<'a>(expression: &'a str, function: &str) -> Vec<&'a str> {
    let calls = expression.split(function).skip(1);
    calls.map(|rest| rest.split('[').nth(1).unwrap().split(']').next().unwrap()).collect()
}

/// The names in a query, of metrics, labels, functions and whatever else there is.
fn words(expression: &str) -> BTreeSet<&str> {
    expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect()
}

/// The metrics in a query, with what stands in their braces. A histogram's series count as the histogram.
fn selectors(expression: &str) -> Vec<(&str, &str)> {
    let starts = expression.match_indices('{').map(|(at, _)| at);
    starts
        .map(|at| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let start = expression[..at].rfind(|c| !is_name(c)).map_or(0, |place| place + 1);
            let name = &expression[start..at];
            (name.strip_suffix("_bucket").unwrap_or(name), expression[at + 1..].split('}').next().unwrap())
        })
        .collect()
}

/// What is said about each panel begins with its dashboard and its title.
fn each_panel(mut check: impl FnMut(&str, &Value, &[String])) {
    for dashboard in Dashboard::all() {
        for panel in &dashboard.panels {
            let targets = panel["targets"].as_array().unwrap();
            let expressions: Vec<String> =
                targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
            let about = format!("{}: {}", dashboard.title(), panel["title"].as_str().unwrap());
            check(&about, panel, &expressions);
        }
    }
}

#[test]
fn pages_have_a_shared_tooltip_ids_variables_and_annotations() {
    let dashboards = Dashboard::all();
    let uids: Vec<&str> = dashboards.iter().map(Dashboard::uid).collect();
    let expected = ["edumeet", "exporter", "overview", "proxy", "recording", "signaling", "vlog"];
    assert_eq!(uids, expected.map(|name| format!("lifecycle-{name}")));
    for dashboard in dashboards {
        let about = dashboard.title();
        assert_eq!(dashboard.json["graphTooltip"], 2, "{about}");
        let all = dashboard.json["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = all.iter().filter_map(|panel| panel["id"].as_u64()).collect();
        assert!(ids.len() == all.len() && !ids.contains(&0), "{about}: {ids:?}");
        for panel in all {
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{about}: {}", panel["title"]);
        }

        let variables = dashboard.json["templating"]["list"].as_array().unwrap();
        let all_value = |name: &str| {
            variables.iter().find(|variable| variable["name"] == name).map(|variable| &variable["allValue"])
        };
        // Also what has no such label is shown.
        assert_eq!(all_value("site"), Some(&".*".into()), "{about}");
        let has_backends = dashboard.json["panels"].to_string().contains("$backend");
        assert_eq!(all_value("backend"), has_backends.then_some(&".*".into()), "{about}");

        let annotations = dashboard.json["annotations"]["list"].as_array().unwrap();
        let expressions: Vec<&str> =
            annotations.iter().map(|annotation| annotation["expr"].as_str().unwrap()).collect();
        assert!(expressions[0].contains("time() - process_start_time_seconds{"), "{about}: {expressions:?}");
        assert!(expressions[1].contains("ALERTS{alertstate=\"firing\""), "{about}: {expressions:?}");
        for (annotation, expression) in annotations.iter().zip(expressions) {
            check_expression(&format!("{about}: {expression}"), expression, &[]);
            assert_eq!(annotation["enable"], true, "{about}: {expression}");
            assert_eq!(annotation["datasource"]["uid"], "${datasource}", "{about}: {expression}");
        }
    }
}

#[test]
fn the_first_row_of_each_page_says_in_whole_numbers_whether_all_is_well() {
    for dashboard in Dashboard::all() {
        let about = dashboard.title();
        let all = dashboard.json["panels"].as_array().unwrap();
        assert_eq!(all[0]["type"], "row", "{about}");
        assert!(
            all[0]["title"].as_str().unwrap().starts_with("Is all well, what is going on now, was any"),
            "{about}"
        );
        let first: Vec<&Value> = all[1..].iter().take_while(|panel| panel["type"] != "row").collect();
        assert_eq!((&first[0]["title"], &first[1]["title"]), (&"Alerts".into(), &"Exporters down".into()));
        for panel in first {
            assert_eq!(panel["type"], "stat", "{about}: {}", panel["title"]);
            let defaults = &panel["fieldConfig"]["defaults"];
            assert_eq!(defaults["decimals"], 0.0, "{about}: {}", panel["title"]);
            assert_ne!(defaults["unit"], "short", "{about}: {}: 12 K is no whole number", panel["title"]);
        }
    }
}

#[test]
fn what_happens_rarely_is_shown_as_bars_or_as_a_number_over_the_time_shown() {
    each_panel(|about, panel, expressions| {
        let kind = panel["type"].as_str().unwrap();
        // A number may have a curve behind it.
        let has_curve = panel["options"]["graphMode"] == "area";
        let is_instant = ["stat", "bargauge", "table"].contains(&kind) && !has_curve;
        for target in panel["targets"].as_array().unwrap() {
            let (instant, range) = (target["instant"] == true, target["range"] == true);
            assert_eq!((instant, range), (is_instant, !is_instant), "{about}");
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        for range in expressions.iter().flat_map(|expression| ranges(expression, "increase(")) {
            match kind {
                "stat" => {
                    assert!(["$__range", "10m"].contains(&range), "{about}: {range}");
                    assert_eq!(defaults["decimals"], 0.0, "{about}");
                }
                "timeseries" => {
                    assert_eq!(range, "$__interval", "{about}");
                    assert_eq!(defaults["custom"]["drawStyle"], "bars", "{about}");
                    assert!(
                        panel["interval"].is_string(),
                        "{about}: two bars may be nearer than two scrapes"
                    );
                }
                _ => assert_eq!((kind, range), ("heatmap", "$__interval"), "{about}"),
            }
        }
        let is_number = expressions.iter().any(|expression| expression.contains("[$__range]"));
        assert!(!is_number || kind == "stat", "{about}");
    });
}

#[test]
fn histograms_are_heatmaps_and_states_have_names() {
    let mut heatmaps = BTreeSet::new();
    let states = [
        "up",
        "lifecycle_exporter_scan_status",
        "lifecycle_exporter_state_writable",
        "lifecycle_exporter_config_last_reload_successful",
        "vlog_redis_circuit_breaker_state",
        "vlog_storage_reconciliation_status",
    ];
    each_panel(|about, panel, expressions| {
        let has_names = panel["fieldConfig"]["defaults"]["mappings"].is_array();
        for expression in expressions {
            if panel["type"] == "heatmap" {
                assert!(expression.contains("by (le)"), "{about}: {expression}");
                assert_eq!(panel["targets"][0]["format"], "heatmap", "{about}");
                heatmaps.extend(selectors(expression).iter().map(|(name, _)| (*name).to_owned()));
            } else {
                let is_line = expression.contains("_bucket{") && !expression.contains("histogram_quantile(");
                assert!(!is_line, "{about}: {expression}");
            }
            let is_state = selectors(expression).iter().any(|(name, _)| states.contains(name));
            let is_count = expression.contains("count(");
            assert!(!is_state || is_count || has_names, "{about}: values without names: {expression}");
        }
        assert!(panel["type"] != "state-timeline" || has_names, "{about}: values without names");
    });
    let all = catalogs();
    let metrics = all.iter().flat_map(|system| system["metrics"].as_array().unwrap());
    let histograms = metrics.filter(|metric| metric["type"] == "histogram");
    let histograms: BTreeSet<String> =
        histograms.map(|metric| metric["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(heatmaps, histograms);
}

/// The constants of `limits.py`: numbers, other constants, and products of them.
fn limits() -> BTreeMap<String, f64> {
    let mut limits: BTreeMap<String, f64> = BTreeMap::new();
    for line in fs::read_to_string(project("packaging/monitoring/limits.py")).unwrap().lines() {
        if let Some((name, value)) = line.split_once(" = ") {
            let factors = value.split('*').map(str::trim).map(|of| of.parse().unwrap_or_else(|_| limits[of]));
            let value = factors.product();
            limits.insert(name.to_owned(), value);
        }
    }
    limits
}

#[test]
fn thresholds_are_the_limits_that_alerts_have() {
    let limits = limits();
    let mut named = 0;
    each_panel(|about, panel, _| {
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().unwrap();
        let text = panel["description"].as_str().unwrap();
        let mut expected = Vec::new();
        // Such as "Red from 0.9 on (SESSIONS_SHARE in limits.py)."
        for (words, colour) in [("Orange from ", "orange"), ("Red from ", "red"), ("Red below ", "green")] {
            if let Some((_, rest)) = text.split_once(words) {
                let name = rest.split_once('(').unwrap().1.split(' ').next().unwrap();
                let said: f64 = rest.split(' ').next().unwrap().parse().unwrap();
                assert_eq!(Some(&said), limits.get(name), "{about}: {name}");
                expected.push((said, colour));
                named += 1;
            }
        }
        let is =
            steps[1..].iter().map(|step| (step["value"].as_f64().unwrap(), step["color"].as_str().unwrap()));
        assert_eq!(is.collect::<Vec<_>>(), expected, "{about}");
        let first = if text.contains("Red below ") { "red" } else { "green" };
        assert_eq!((&steps[0]["color"], &steps[0]["value"]), (&first.into(), &Value::Null), "{about}");
    });
    assert!(named > 50, "{named}");
}

#[test]
fn legends_are_short_and_sites_stay_apart() {
    // Labels that may have any number of values.
    let unbounded = [
        "backend",
        "country",
        "display_name",
        "endpoint",
        "entity",
        "host",
        "id",
        "instance",
        "metric",
        "peer_id",
        "pid",
        "producer",
        "reason",
        "remote_addr",
        "room",
        "room_id",
        "task_name",
        "transport_id",
        "url",
        "worker_id",
        "worker_name",
    ];
    // Labels that may have the same values elsewhere, and mean something else there.
    let of_one_host = BTreeSet::from(["instance", "job", "pid", "producer", "room_id", "scan"]);
    each_panel(|about, panel, expressions| {
        for (target, expression) in panel["targets"].as_array().unwrap().iter().zip(expressions) {
            let legend = target["legendFormat"].as_str().unwrap();
            let is_bounded = ["topk(", "bottomk("].iter().any(|first| expression.starts_with(first));
            let shown = legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
            for label in shown {
                assert!(is_bounded || !unbounded.contains(&label), "{about}: {label} in {expression}");
            }
            let may_be_auto = panel["type"] == "stat" || panel["type"] == "table";
            assert!(legend != "__auto" || may_be_auto, "{about}: a series without a name");
            for labels in expression.split("by (").skip(1).map(|rest| rest.split(')').next().unwrap()) {
                let merged: Vec<&str> = words(labels).intersection(&of_one_host).copied().collect();
                assert!(
                    merged.is_empty(),
                    "{about}: {merged:?} of two hosts or sites are one in {expression}"
                );
            }
        }
    });
}

#[test]
fn every_metric_is_on_a_panel_or_left_out_for_a_reason() {
    let systems = catalogs();
    let documented = systems.iter().flat_map(|system| system["metrics"].as_array().unwrap());
    let mut known: BTreeMap<String, bool> = documented
        .map(|metric| {
            let has_backend = metric["labels"].as_array().unwrap().contains(&"backend".into());
            (metric["name"].as_str().unwrap().to_owned(), has_backend)
        })
        .collect();
    // Some metrics are only there when something is wrong.
    let config = "[events]\nexpect = talk-recording\n[scan recordings]\ndirectory = {directory}\n[limits]\nseries_per_metric = 1\n";
    let exporter = Exporter::start(config);
    let _session = Session::begin(&exporter.socket, "talk-recording", "1");
    // Some of its metrics begin with the first event of a system.
    exporter.feed(fs::read(project("tests/golden/recording.ndjson")).unwrap());
    let overflown = || exporter.metrics().contains("lifecycle_exporter_series_overflow_total{");
    wait_until(overflown, || exporter.metrics());
    let shown = exporter.metrics();
    let own = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let own = own.filter(|name| name.starts_with("lifecycle_exporter_") || name.starts_with("process_"));
    known.extend(own.map(|name| (name.to_owned(), false)));

    let mut used = BTreeSet::new();
    each_panel(|about, _, expressions| {
        let has_variable = !about.starts_with("Overview");
        for expression in expressions {
            for (name, selector) in selectors(expression) {
                if name != "up" && name != "ALERTS" {
                    let has_backend = *known.get(name).unwrap_or_else(|| panic!("{about}: {name}"));
                    let selects = selector.contains("backend=~\"$backend\"");
                    assert_eq!(selects, has_backend && has_variable, "{about}: {name}{{{selector}}}");
                    used.insert(name.to_owned());
                }
            }
        }
    });
    let table = fs::read_to_string(project("packaging/monitoring/dashboards/left_out.py")).unwrap();
    let entries = table.lines().filter_map(|line| line.strip_prefix("    \"")?.split_once("\": \""));
    let left_out: BTreeSet<String> = entries
        .map(|(name, reason)| {
            assert!(reason.len() > 10, "{name} is left out for no reason");
            name.to_owned()
        })
        .collect();
    assert_eq!(used.intersection(&left_out).collect::<Vec<_>>(), Vec::<&String>::new(), "shown and left out");
    let all: BTreeSet<String> = used.union(&left_out).cloned().collect();
    assert_eq!(all, known.into_keys().collect(), "left: shown or left out; right: there are");
}

#[test]
fn every_query_of_every_dashboard_has_data() {
    if !has_program("prometheus") {
        return;
    }
    let mut demo = binary();
    demo.args(["demo", "--speed", "30"]);
    let config = "[events]\nexpect = talk-recording\n[scan recordings]\ndirectory = {directory}\n";
    let exporter = Exporter::start_by(config, |_| {}, demo);
    // The demo's own connection is a plain one.
    let _session = Session::begin(&exporter.socket, "talk-recording", "1");
    // An alert that fires, for the table of those.
    let rules = exporter.directory.path().join("rules.yml");
    fs::write(&rules, "groups: [{name: one, rules: [{alert: LifecycleDemo, expr: up}]}]\n").unwrap();
    let target = |labels: &str| format!("{{targets: [\"{}\"], labels: {{{labels}}}}}", exporter.address);
    let server = |targets: &str| {
        let rules = rules.display();
        let config = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\nrule_files: [\"{rules}\"]\nscrape_configs: [{{job_name: lifecycles, static_configs: [{targets}]}}]\n"
        );
        Server::prometheus(&config, &[])
    };
    let prometheus = server(&target(""));
    // Hosts of the same name on two sites.
    let [north, south] = ["north", "south"].map(|site| target(&format!("instance: host, site: {site}")));
    let sites = server(&format!("{north}, {south}"));
    sites.wait_for("count(up == 1)", 2.0);
    let (dashboards, window) = (Dashboard::all(), Window::default());
    for dashboard in &dashboards {
        for query in dashboard.panels.iter().flat_map(|panel| queries(panel, &window)) {
            let has_data = || prometheus.query(&query.expression).iter().any(|(_, value)| value.is_finite());
            let why = || format!("{}: no data: {}", dashboard.title(), query.expression);
            wait_for_as_long(PATIENCE, has_data, why);
            let (mut names, mut series) = (BTreeSet::new(), 0);
            let is_apart = || {
                let found = sites.query(&query.expression);
                names = found.iter().map(|(labels, _)| query.name(labels)).collect();
                series = found.len();
                let has = |site: &str| names.iter().any(|name| name.contains(site));
                !query.legend.contains("{{instance}}") || (has("north") && has("south"))
            };
            wait_for_as_long(PATIENCE, is_apart, || format!("sites are merged: {}", query.expression));
            let why = format!("{}: {names:?}: {}", dashboard.title(), query.expression);
            // The table of alerts shows all labels.
            let is_table = query.expression.starts_with("ALERTS");
            assert!(names.len() == series || is_table, "two series of one name: {why}");
            // A heatmap has a series for each bucket.
            assert!(series <= 30 || query.legend == "{{le}}", "{why}");
        }
    }
    for dashboard in &dashboards {
        let is_exporter = ["lifecycle-exporter", "lifecycle-overview"].contains(&dashboard.uid());
        let marks = dashboard.json["annotations"]["list"].as_array().unwrap();
        let found: Vec<bool> = marks
            .iter()
            .map(|mark| {
                // The alert may have begun a while ago.
                let expression = filled(mark["expr"].as_str().unwrap(), &window);
                !prometheus.query(&format!("last_over_time(({expression})[10m:1s])")).is_empty()
            })
            .collect();
        // It has just been started, and the one alert is not about a system.
        assert_eq!(found, [true, is_exporter], "{}", dashboard.title());
    }
}
