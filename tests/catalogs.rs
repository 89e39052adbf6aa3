//! Catalogs of the operator: a sixth system without a change of the program, and what is said of faulty ones.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use support::{Exporter, binary, value};

/// A printer farm: parents, owners, live gauges, ages, every effect, every transform, an alias.
const PRINTERS: &str = r#"
[system]
name  = printers                          ; events are named printers.…
title = Printer farm

[entity hall]
key = hall

[entity printer]
key    = printer
labels = model, address, state
within = hall

[entity job]
key       = job
labels    = user
within    = printer
abandoned = printers.job_failed

[metric printers_online]
type   = gauge
help   = Printers that are online
labels = hall, state
live   = printer
owner  = hall

[metric printers_jobs]
type = gauge
help = Jobs being printed
live = job

[metric printers_jobs_total]
type   = counter
help   = Jobs by result
labels = model, result
alias  = printers_all_jobs_total

[metric printers_pages_total]
type   = counter
help   = Pages printed, as the printer counts them
labels = printer
owner  = printer

[metric printers_toner_percent]
type   = gauge
help   = Toner left
labels = printer, colour
owner  = printer

[metric printers_stock_sheets]
type   = gauge
help   = Sheets in stock

[metric printers_job_seconds]
type    = histogram
help    = Duration of jobs
labels  = page
buckets = 1, 10

[metric printers_seen_age_seconds]
type   = age
help   = Since a printer was last heard of
labels = printer, address
owner  = printer

[label page]
transform = path
parents   = jobs

[label address]
transform = address

[event printers.restarted]
reset = printers

[event printers.server_restarted]
abandon = printers

[event printers.hall_opened]
open = hall

[event printers.hall_closed]
close = hall

[event printers.online]
optional = state
open = printer
set  = printers_toner_percent{colour="black"} from 100
zero = printers_jobs_total{result="failed"}

[event printers.state]
update = printer

[event printers.heard]
optional = pages, toner
of     = printer
mark   = printers_seen_age_seconds
follow = printers_pages_total from pages
set    = printers_toner_percent{colour="black"} from toner

[event printers.job_started]
open = job

[event printers.job_done]
optional = seconds
close   = job
inc     = printers_jobs_total{result="done"}
observe = printers_job_seconds from seconds|elapsed

[event printers.job_failed]
close = job
inc   = printers_jobs_total{result="failed"}

[event printers.stock]
add = printers_stock_sheets from more
sub = printers_stock_sheets from less
"#;

fn start(config: &str) -> Exporter {
    let config = format!("[systems]\ncatalog_directory = {{directory}}\n{config}");
    Exporter::start_with(&config, |directory| fs::write(directory.join("printers.ini"), PRINTERS).unwrap())
}

#[test]
fn a_sixth_system_works_without_a_change_of_the_program() {
    let exporter = start("[stats]\naliases = yes\n");
    exporter.feed(
        r#"{"event":"printers.hall_opened","hall":"h"}
{"event":"printers.online","hall":"h","printer":"p1","model":"m","address":"10.0.0.7:9100","state":"idle"}
{"event":"printers.online","hall":"h","printer":"p2","model":"m","address":"10.0.0.8:9100"}
{"event":"printers.state","printer":"p2","state":"busy"}
{"event":"printers.heard","printer":"p1","pages":100,"toner":40}
{"event":"printers.heard","printer":"p1","pages":130}
{"event":"printers.heard","printer":"p1","pages":5}
{"event":"printers.job_started","printer":"p1","job":"j1","user":"u"}
{"event":"printers.job_started","printer":"p1","job":"j2","user":"u"}
{"event":"printers.job_done","job":"j1","page":"/jobs/7?x","seconds":5}
{"event":"printers.stock","more":500,"less":20}
"#,
    );
    let metrics = exporter.system("printers");
    for (series, expected) in [
        ("printers_online{hall=\"h\",state=\"idle\"}", Some(1.0)),
        ("printers_online{hall=\"h\",state=\"busy\"}", Some(1.0)),
        ("printers_online{hall=\"h\",state=\"\"}", Some(0.0)),
        ("printers_jobs", Some(1.0)),
        ("printers_jobs_total{model=\"m\",result=\"done\"}", Some(1.0)),
        ("printers_jobs_total{model=\"m\",result=\"failed\"}", Some(0.0)),
        ("printers_all_jobs_total{model=\"m\",result=\"done\"}", Some(1.0)),
        ("printers_pages_total{printer=\"p1\"}", Some(135.0)),
        ("printers_toner_percent{printer=\"p1\",colour=\"black\"}", Some(40.0)),
        ("printers_stock_sheets", Some(480.0)),
        ("printers_job_seconds_bucket{page=\"/jobs/{id}\",le=\"10\"}", Some(1.0)),
        ("printers_seen_age_seconds{printer=\"p2\",address=\"10.0.0.8:9100\"}", Some(f64::INFINITY)),
    ] {
        assert_eq!(value(&metrics, series), expected, "{series} in:\n{metrics}");
    }
    exporter.feed("{\"event\":\"printers.hall_closed\",\"hall\":\"h\"}\n");
    let metrics = exporter.system("printers");
    for gone in
        ["printers_online", "printers_pages_total", "printers_toner_percent", "printers_seen_age_seconds"]
    {
        assert!(!metrics.contains(gone), "{gone} in:\n{metrics}");
    }
    assert_eq!(value(&metrics, "printers_jobs"), Some(0.0));
    exporter.assert_law(12);
}

#[test]
fn a_full_metric_goes_on_in_one_series() {
    let exporter = Exporter::start("[limits]\nseries_per_metric = 2\n");
    for kind in ["a", "b", "c", "d", "a"] {
        exporter.feed(format!("{{\"event\":\"signaling.message.received\",\"type\":\"{kind}\"}}\n"));
    }
    for (host, count) in [("h1", 1), ("h2", 2), ("h3", 3)] {
        exporter.feed(format!(
            "{{\"event\":\"signaling.http_pool.connections\",\"host\":\"{host}\",\"connections\":{count}}}\n"
        ));
    }
    exporter.wait_for("signaling_server_messages_total{type=\"_overflow\"}", 2.0);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, "signaling_server_messages_total{type=\"a\"}"), Some(2.0));
    assert!(!metrics.contains("host=\"h3\"") && !metrics.contains("host=\"_overflow\""), "{metrics}");
    for (metric, count) in
        [("signaling_server_messages_total", 2.0), ("signaling_http_client_pool_connections", 1.0)]
    {
        let series = format!("lifecycle_exporter_series_overflow_total{{metric=\"{metric}\"}}");
        assert_eq!(value(&metrics, &series), Some(count), "{series}");
    }
    assert_eq!(metrics.matches("series_overflow_total{").count(), 2, "those above 0 alone: {metrics}");
    exporter.assert_law(8);
}

#[test]
fn privacy_hides_and_merges() {
    let events = |exporter: &Exporter| {
        exporter.feed(
            r#"{"event":"edumeet.room.opened","room_id":"r"}
{"event":"edumeet.peer.joined","room_id":"r","peer_id":"p"}
{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"t1","pid":1,"proto":"udp","local_addr":"10.1.2.3:1","remote_addr":"[2001:db8::a:b]:2"}
{"event":"edumeet.producer.created","transport_id":"t1","id":"a","kind":"video","codec":"VP8"}
{"event":"edumeet.producer.created","transport_id":"t1","id":"b","kind":"video","codec":"VP8"}
{"event":"edumeet.producer.stats","id":"a","type":"t","byte_count":10,"score":1}
{"event":"edumeet.producer.stats","id":"b","type":"t","byte_count":100,"score":2}
{"event":"edumeet.producer.stats","id":"a","type":"t","byte_count":15,"score":3}
"#,
        );
    };
    let exporter = Exporter::start("[privacy]\ndeidentify = yes\nnumeric = no\nquiet = yes\n");
    events(&exporter);
    let series = |metric: &str| {
        format!(
            "{metric}{{pid=\"1\",room_id=\"r\",peer_id=\"p\",display_name=\"\",user_agent=\"\",transport_id=\"\",proto=\"udp\",\
             local_addr=\"xx.xx.2.3:1\",remote_addr=\"[xx:xx:xx:xx:xx:xx:a:b]:2\",id=\"\",kind=\"video\",codec=\"VP8\",type=\"t\"}}"
        )
    };
    exporter.wait_for(&series("mediasoup_producer_byte_count_bytes"), 115.0);
    exporter.wait_for(&series("mediasoup_producer_score"), 3.0);
    exporter.feed("{\"event\":\"edumeet.producer.closed\",\"id\":\"a\"}\n");
    exporter.wait_for(&series("mediasoup_producer_byte_count_bytes"), 115.0);
    exporter.feed("{\"event\":\"edumeet.producer.closed\",\"id\":\"b\"}\n");
    assert!(!exporter.system("edumeet").contains("mediasoup_producer"), "both are closed");
}

#[test]
fn names_replace_numbers_once_they_are_known() {
    let exporter = Exporter::start("[privacy]\nnumeric = no\n");
    exporter.feed(
        r#"{"event":"edumeet.room.opened","room_id":"r"}
{"event":"edumeet.peer.joined","room_id":"r","peer_id":"p"}
{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"t1","pid":1,"proto":"udp","local_addr":"127.0.0.1:1","remote_addr":"127.0.0.1:2"}
{"event":"edumeet.producer.created","transport_id":"t1","id":"a","kind":"video","codec":"VP8"}
{"event":"edumeet.producer.stats","id":"a","type":"t","byte_count":10,"score":1}
"#,
    );
    // The hosts file of every machine has this name.
    support::wait_until(
        || exporter.metrics().contains("remote_addr=\"localhost:2\""),
        || format!("no name in:\n{}", exporter.system("edumeet")),
    );
    exporter.feed(
        "{\"event\":\"edumeet.producer.stats\",\"id\":\"a\",\"type\":\"t\",\"byte_count\":12,\"score\":1}\n",
    );
    let metrics = exporter.system("edumeet");
    assert_eq!(metrics.matches("mediasoup_producer_byte_count_bytes{").count(), 1, "{metrics}");
    assert!(metrics.contains("type=\"t\"} 12\n"), "{metrics}");
}

#[test]
fn start_up_events_come_at_the_start_and_after_a_reset() {
    let startup = "[startup]\nevent = recording.backend_configured backend=b\n[systems]\nrestart = reset\n";
    let exporter = Exporter::start(startup);
    assert_eq!(exporter.value("recording_recordings_total{backend=\"b\"}"), Some(0.0));
    exporter.feed("{\"event\":\"recording.started\",\"backend\":\"b\",\"recording\":\"r\"}\n{\"event\":\"recording.server_started\"}\n");
    exporter.wait_for("lifecycle_exporter_events_total{event=\"recording.server_started\"}", 1.0);
    assert_eq!(exporter.value("recording_recordings_total{backend=\"b\"}"), Some(0.0));
    assert_eq!(exporter.value("recording_recordings_current{backend=\"b\"}"), Some(0.0));
}

fn check(catalog: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("x.ini"), catalog).unwrap();
    let config = directory.path().join("c.conf");
    fs::write(&config, format!("[systems]\ncatalog_directory = {}\n", directory.path().display())).unwrap();
    binary().arg("check").arg("--config").arg(&config).output().unwrap()
}

/// Faults: the catalog's text, and what has to be said. Most are the printers with one thing changed.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_faulty_catalog_is_named_with_section_key_and_expectation() {
    let changed = |from: &str, to: &str| {
        assert!(PRINTERS.contains(from), "{from}");
        PRINTERS.replacen(from, to, 1)
    };
    let cases = [
        ("[entity a]\nkey = b\n".to_owned(), "[system] missing, expected"),
        ("[system]\nname = vlog\ntitle = x\n".to_owned(), "[system] name: vlog is taken"),
        (changed("key = hall", "keys = hall"), "[entity hall] keys: unknown key, expected one of key"),
        (changed("key = hall", "key ="), "[entity hall] key:"),
        (
            changed("within = hall", "within = cellar"),
            "[entity printer] within: \"cellar\": unknown entity, expected one of hall",
        ),
        (changed("key = hall", "key = hall\nwithin = job"), "[entity hall] within: a cycle"),
        (
            changed("abandoned = printers.job_failed", "abandoned = printers.stock"),
            "[entity job] abandoned: printers.stock: does not close job",
        ),
        (
            changed("abandoned = printers.job_failed", "abandoned = printers.job_done"),
            "[entity job] abandoned: printers.job_done: needs page",
        ),
        (
            changed("live   = printer", "live   = cat"),
            "[metric printers_online] live: \"cat\": unknown entity",
        ),
        (
            changed("owner  = hall", "owner  = job"),
            "printers_online: its owner is neither printer nor a parent",
        ),
        (
            changed("labels = hall, state", "labels = hall, job"),
            "nothing can fill the label job of printers_online",
        ),
        (
            changed("type   = counter", "type   = meter"),
            "type: \"meter\": expected counter, gauge, histogram or age",
        ),
        (
            changed("buckets = 1, 10", "buckets = 10, 1"),
            "[metric printers_job_seconds] buckets: \"10, 1\": expected rising numbers",
        ),
        (changed("buckets = 1, 10", "buckets = exponential 0 1 5"), "buckets:"),
        (changed("labels  = page", "labels  = page, le"), "le: a histogram uses this label itself"),
        (
            changed("[metric printers_stock_sheets]", "[metric printers-stock]"),
            "expected names by Prometheus's rules",
        ),
        (changed("[metric printers_stock_sheets]", "[metric process_sheets]"), "reserved"),
        (PRINTERS.replace("printers_stock_sheets", "printers_job_seconds_count"), "is taken by"),
        (PRINTERS.replace("printers_stock_sheets", "vlog_info"), "the name vlog_info is taken by built-in"),
        (
            changed("transform = address", "transform = upper"),
            "[label address] transform: \"upper\": expected path, slug",
        ),
        (changed("[label address]", "[label street]"), "[label street] no metric has this label"),
        (changed("[event printers.stock]", "[event paper.stock]"), "expected an event named printers."),
        (
            changed("open = hall", "open = cellar"),
            "[event printers.hall_opened] open: \"cellar\": unknown entity",
        ),
        (
            changed("mark   = printers_seen_age_seconds", "mark   = printers_stock_sheets"),
            "mark: printers_stock_sheets is a gauge, expected an age",
        ),
        (
            changed(
                "set    = printers_toner_percent{colour=\"black\"} from toner",
                "set = printers_jobs_total from toner",
            ),
            "set: printers_jobs_total is a counter, expected a gauge",
        ),
        (
            changed("from 100", "from hundred%"),
            "set: \"hundred%\": expected a field, a number, now or elapsed",
        ),
        (changed("from 100", ""), "expected \"from VALUE\""),
        (
            changed("{colour=\"black\"} from 100", "{color=\"black\"} from 100"),
            "has no label \"color\", expected one of printer, colour",
        ),
        (
            changed("inc     = printers_jobs_total", "inc     = printers_lost_total"),
            "inc: \"printers_lost_total\": unknown metric",
        ),
        (changed("reset = printers", "reset = vlog"), "reset: \"vlog\": expected the system itself"),
        (changed("abandon = printers", "abandon = vlog"), "abandon: \"vlog\": expected the system itself"),
        (
            changed("name  = printers", "name  = exporter"),
            "name: exporter: stands for the exporter's own metrics",
        ),
        (changed("labels    = user", "owned = maybe"), "[entity job] owned: \"maybe\": expected yes or no"),
        (changed("labels    = user", "when_empty = go"), "[entity job] when_empty: \"go\": expected close"),
        (
            changed("labels = printer, colour", "labels = printer, __colour"),
            "labels: __colour: Prometheus reserves",
        ),
        (
            changed("labels = printer, colour", "labels = printer, quantile"),
            "labels: quantile: Prometheus reserves",
        ),
        (
            changed("labels = printer, colour\n", "labels = printer, colour\nzero = no\n"),
            "zero: this metric has labels",
        ),
        (
            changed("mark   = printers_seen_age_seconds", "mark   = printers_seen_age_seconds if pages==1"),
            "mark: \"pages==1\": expected FIELD=VALUE",
        ),
        (
            changed(
                "mark   = printers_seen_age_seconds",
                "mark   = printers_seen_age_seconds if pages=\"1\"",
            ),
            "mark: \"pages=\\\"1\\\"\": expected FIELD=VALUE",
        ),
        (
            changed("mark   = printers_seen_age_seconds", "mark   = printers_seen_age_seconds if pages!=1"),
            "mark: \"pages!=1\": expected FIELD=VALUE",
        ),
        (
            changed("set  = printers_toner_percent{colour=\"black\"} from 100", "remove = printers_online"),
            "remove: printers_online is a live gauge (no effect sets it), expected anything but a live gauge",
        ),
        (
            changed(
                "set  = printers_toner_percent{colour=\"black\"} from 100",
                "set_existing = printers_jobs_total from 1",
            ),
            "set_existing: printers_jobs_total is a counter, expected a gauge",
        ),
        (
            changed("add = printers_stock_sheets from more", "add = printers_stock_sheets from 1e16"),
            "add: \"1e16\": expected a field, a number",
        ),
        (changed("optional = seconds", "optional = minutes"), "optional: minutes: no effect uses it"),
        (
            changed("set  = printers_toner_percent{colour=\"black\"} from 100", "set = printers_jobs from 1"),
            "set: printers_jobs is a live gauge (no effect sets it), expected a gauge",
        ),
        (changed("of     = printer", "fly = printer"), "[event printers.heard] fly: unknown key"),
        (changed("of     = printer", "  of = printer"), "indented"),
        (format!("{PRINTERS}[event printers.stock]\n"), "written twice"),
    ];
    let mut wrong = Vec::new();
    for (catalog, expected) in cases {
        let output = check(&catalog);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good = output.status.code() == Some(1) && said.contains("x.ini: ") && said.contains(expected);
        if !good || said.lines().count() != 1 {
            wrong.push(format!("expected {expected}, said {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(check(PRINTERS).status.success());
}

#[test]
fn a_changed_catalog_keeps_what_it_still_describes() {
    let exporter = start("");
    exporter.feed(
        r#"{"event":"printers.hall_opened","hall":"h"}
{"event":"printers.online","hall":"h","printer":"p1","model":"m","address":"10.0.0.7:9100","state":"idle"}
{"event":"printers.job_started","printer":"p1","job":"j1","user":"u"}
{"event":"printers.stock","more":500,"less":20}
"#,
    );
    exporter.wait_for("printers_jobs", 1.0);
    let reload = |catalog: &str, times: usize| {
        fs::write(Path::new(exporter.directory.path()).join("printers.ini"), catalog).unwrap();
        exporter.signal("HUP");
        let done = |log: &str| log.matches("was read again").count() + log.matches("was not taken").count();
        support::wait_until(|| done(&exporter.log()) >= times, || exporter.log());
    };
    // What an entity carried and its kind no longer has is a loss; what it carries beside it is empty.
    reload(&PRINTERS.replace("labels    = user\n", ""), 1);
    let metrics = exporter.system("printers");
    assert_eq!(value(&metrics, "printers_jobs"), Some(0.0), "the job is of another kind now:\n{metrics}");
    assert_eq!(value(&metrics, "printers_stock_sheets"), Some(480.0));
    assert_eq!(value(&metrics, "printers_online{hall=\"h\",state=\"idle\"}"), Some(1.0));
    reload("[system]\n", 2);
    exporter.wait_for("lifecycle_exporter_config_last_reload_successful", 0.0);
    exporter.feed("{\"event\":\"printers.hall_closed\",\"hall\":\"h\"}\n");
    assert!(!exporter.system("printers").contains("printers_online"), "{}", exporter.log());
}
