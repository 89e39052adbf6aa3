//! What alerts would have said: rules are asked about a past that no Prometheus has evaluated.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::Value;

use crate::day::HOUR;
use crate::servers::Server;
use crate::support::has_program;
use crate::{files, history};

/// Seconds between two evaluations.
const STEP: f64 = 30.0;

/// Adds `ALERTS` of the alerts that fire within this time, in Unix seconds, to samples that are `OpenMetrics`.
pub fn add(samples: &mut Vec<u8>, rules: &[PathBuf], time: Range<f64>) {
    let past = Server::prometheus_with_past_and_rules(samples, rules);
    let groups = past.get("/api/v1/rules?type=alert").unwrap();
    let mut text = String::from("# TYPE ALERTS gauge\n");
    for group in groups["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            // A rule with a limit of time has to be asked about what was before, too.
            let start = (time.start - seconds(rule, "duration") - seconds(rule, "keepFiringFor")).max(0.0);
            let start = (start / STEP).floor() * STEP;
            for (labels, points) in past.range(rule["query"].as_str().unwrap(), start, time.end, STEP) {
                let name = rule["name"].as_str().unwrap();
                let severity = rule["labels"]["severity"].as_str().unwrap();
                let mut series =
                    format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\",severity=\"{severity}\"");
                for (label, value) in labels.iter().filter(|(label, _)| *label != "__name__") {
                    let _ = write!(series, ",{label}=\"{value}\"");
                }
                let mut fires: Vec<f64> = points.iter().map(|(at, _)| *at).collect();
                held(&mut fires, seconds(rule, "duration"), seconds(rule, "keepFiringFor"), time.end);
                for at in fires.into_iter().filter(|at| (time.start..=time.end).contains(at)) {
                    let _ = writeln!(text, "{series}}} 1 {at}");
                }
            }
        }
    }
    let end = samples.len() - "# EOF\n".len();
    samples.truncate(end);
    samples.extend_from_slice(text.as_bytes());
    samples.extend_from_slice(b"# EOF\n");
}

fn seconds(rule: &Value, key: &str) -> f64 {
    rule[key].as_f64().unwrap_or_default()
}

/// Of the times at which a condition is true, those at which it has been so for long; and those after it at which the alert is kept.
fn held(times: &mut Vec<f64>, wait: f64, keep: f64, end: f64) {
    let Some(first) = times.first() else { return };
    let mut fires: Vec<f64> = Vec::new();
    let mut last = first - 2.0 * STEP;
    let (mut since, mut until) = (last, last);
    for &at in times.iter() {
        kept(&mut fires, last, until.min(at - STEP));
        if at - last > STEP {
            since = at;
        }
        // What is kept does not have to wait again.
        if at - since >= wait || at <= until {
            fires.push(at);
            until = at + keep;
        }
        last = at;
    }
    kept(&mut fires, last, until.min(end));
    *times = fires;
}

/// Adds the evaluations after a time, up to another.
fn kept(fires: &mut Vec<f64>, after: f64, until: f64) {
    let mut at = after + STEP;
    while at <= until {
        fires.push(at);
        at += STEP;
    }
}

#[test]
fn only_what_went_wrong_in_an_hour_of_the_day_fires() {
    if !has_program("prometheus") || !has_program("promtool") {
        return;
    }
    let mut samples = history::SAMPLES.clone();
    let time = history::MIDNIGHT + 11.0 * HOUR..history::MIDNIGHT + 12.0 * HOUR;
    add(&mut samples, &files("packaging/prometheus/rules", ".yml"), time);
    let text = String::from_utf8(samples).unwrap();
    let fired = text.split("ALERTS{alertname=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    // A recording and the upload of a video.
    assert_eq!(fired.collect::<BTreeSet<_>>(), BTreeSet::from(["RecordingFailed", "VlogUploadsFail"]));
}

#[test]
fn an_alert_waits_and_is_kept() {
    let check = |times: &[f64], wait, keep, expected: &[f64]| {
        let mut times = times.to_vec();
        held(&mut times, wait, keep, 300.0);
        assert_eq!(times, expected);
    };
    check(&[30.0, 60.0, 90.0], 0.0, 0.0, &[30.0, 60.0, 90.0]);
    check(&[30.0, 60.0, 90.0, 150.0], 60.0, 0.0, &[90.0]);
    check(&[30.0, 180.0], 0.0, 60.0, &[30.0, 60.0, 90.0, 180.0, 210.0, 240.0]);
    check(&[270.0], 0.0, 60.0, &[270.0, 300.0]);
}
