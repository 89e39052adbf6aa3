//! A day that was never scraped (`day`), in a Prometheus that has been given it.

use std::sync::LazyLock;

use crate::day::{self, HOUR};
use crate::has_program;
use crate::servers::Server;

/// 2026-01-20.
pub const MIDNIGHT: f64 = 1_768_867_200.0;

/// The hour in which a recording fails, at 11:40.
pub static SAMPLES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut samples = Vec::new();
    day::write(MIDNIGHT, 11.0..12.0, &mut samples).unwrap();
    samples
});

#[test]
fn an_hour_of_the_day_is_openmetrics() {
    let text = std::str::from_utf8(&SAMPLES).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    let mut families: Vec<&str> = Vec::new();
    let mut last: Option<(&str, f64)> = None;
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            families.push(head);
            last = None;
            continue;
        }
        let (name, kind) = families.last().unwrap().split_once(' ').unwrap();
        let (series, sample) = line.rsplit_once("} ").unwrap();
        let (written, _) = series.split_once('{').unwrap();
        let ends: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "gauge" | "unknown" => &[""],
            _ => panic!("{name} is a {kind}"),
        };
        assert!(ends.iter().any(|end| format!("{name}{end}") == written), "{name} {kind}: {line}");
        let at: f64 = sample.split_once(' ').unwrap().1.parse().unwrap();
        assert!((MIDNIGHT + 11.0 * HOUR..=MIDNIGHT + 12.0 * HOUR).contains(&at), "{line}");
        // The series of a histogram take turns, and time goes on with each turn.
        let goes_on = last.is_none_or(|(before, then)| before != series || then < at);
        assert!(goes_on, "{line}");
        last = Some((series, at));
    }
    let mut names: Vec<&str> = families.iter().map(|head| head.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!((names.len() > 80, names.len()), (true, all), "each family once");
}

#[test]
fn prometheus_shows_an_hour_of_the_day() {
    if !has_program("prometheus") || !has_program("promtool") {
        return;
    }
    let prometheus = Server::prometheus_with_past(&SAMPLES);
    let at = |minute: f64, expression: &str| {
        prometheus.value_at(expression, MIDNIGHT + 11.0 * HOUR + minute * 60.0)
    };
    let failed = "round(sum(increase(recording_recordings_failed_total[10m])))";
    assert_eq!([39.0, 45.0, 58.0].map(|minute| at(minute, failed)), [Some(0.0), Some(1.0), Some(0.0)]);
    for (expression, expected) in [
        ("count(up{job=\"lifecycles\", instance=\"talk.example.com\"} == 1)", 1.0),
        ("count(lifecycle_exporter_build_info)", 1.0),
        ("count(process_start_time_seconds < time())", 1.0),
        // The signaling server, the proxy and the video platform; recordings are rarer.
        ("count(lifecycle_exporter_last_event_timestamp_seconds > time() - 60)", 3.0),
        ("sum(signaling_hub_sessions) > bool 10", 1.0),
        ("sum(signaling_hub_sessions) < bool 45", 1.0),
        ("histogram_quantile(0.9, sum by (le) (rate(signaling_client_rtt_bucket[10m]))) > bool 12", 1.0),
        ("sum(rate(vlog_http_requests_total[10m])) > bool 0.1", 1.0),
        ("signaling_proxy_load > bool 0", 1.0),
    ] {
        assert_eq!(at(30.0, expression), Some(expected), "{expression}");
    }
}
