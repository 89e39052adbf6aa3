//! The exporter's own metrics, `lifecycle_exporter_…` and `process_…`, and their text.
//!
//! Counters that several threads change are in a registry of the `prometheus` crate. [`FAMILIES`] lists those
//! that the feed's thread reads from its own state at each scrape. Both become text through the crate's
//! `TextEncoder`. Label values come from catalogs, the configuration and fixed lists; `producer` alone comes
//! from outside, bounded in number and length.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use prometheus::proto::{Counter, Gauge as GaugeValue, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::engine::{Engine, EntityCount};
use crate::scan::{ScanState, Scans};

/// A family's name, and its lines in the text format 0.0.4.
pub(crate) type EncodedFamily = (String, Vec<u8>);

/// Counters and gauges that any role may change.
pub(crate) struct Metrics {
    registry: Registry,
    http_requests: IntCounterVec,
    /// The label is the reason: [`REFUSED_MAX_CONNECTIONS`] or [`REFUSED_PEER_CREDENTIALS`].
    pub(crate) connections_refused: IntCounterVec,
    /// 1 or 0.
    pub(crate) reload_successful: IntGauge,
    reload_success_time: Gauge,
}

/// The status codes of HTTP responses. Each has a series from the start.
const STATUS_CODES: [u16; 12] = [200, 400, 403, 404, 405, 408, 413, 421, 431, 500, 503, 505];
/// `[events] max_connections` or the descriptors are used up.
pub(crate) const REFUSED_MAX_CONNECTIONS: &str = "max_connections";
/// The peer's user or group may not connect.
pub(crate) const REFUSED_PEER_CREDENTIALS: &str = "peer_credentials";

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let opts = |name: &str, help: &str| Opts::new(full_name(name), help);
        let http_requests = IntCounterVec::new(
            opts("http_requests_total", "HTTP requests answered, by status code"),
            &["code"],
        )?;
        let connections_refused = IntCounterVec::new(
            opts("connections_refused_total", "Producer connections refused, by reason"),
            &["reason"],
        )?;
        let reload_successful = IntGauge::with_opts(opts(
            "config_last_reload_successful",
            "Whether the latest reading of the configuration succeeded",
        ))?;
        let reload_success_time = Gauge::with_opts(opts(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration was last read with success, Unix seconds",
        ))?;
        let info = IntGaugeVec::new(
            opts("build_info", "The version of the exporter, always 1"),
            &["version", "revision"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), revision()]).set(1);
        registry.register(Box::new(http_requests.clone()))?;
        registry.register(Box::new(connections_refused.clone()))?;
        registry.register(Box::new(reload_successful.clone()))?;
        registry.register(Box::new(reload_success_time.clone()))?;
        registry.register(Box::new(info))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        for code in STATUS_CODES {
            http_requests.with_label_values(&[code.to_string().as_str()]);
        }
        for reason in [REFUSED_MAX_CONNECTIONS, REFUSED_PEER_CREDENTIALS] {
            connections_refused.with_label_values(&[reason]);
        }
        Ok(Metrics { registry, http_requests, connections_refused, reload_successful, reload_success_time })
    }

    pub(crate) fn count_response(&self, code: u16) {
        self.http_requests.with_label_values(&[code.to_string().as_str()]).inc();
    }

    /// Notes whether the configuration was read. `now` is Unix seconds.
    pub(crate) fn note_reload(&self, succeeded: bool, now: f64) {
        self.reload_successful.set(i64::from(succeeded));
        if succeeded {
            self.reload_success_time.set(now);
        }
    }

    /// The families of the registry, sorted by name.
    pub(crate) fn encode(&self) -> Vec<EncodedFamily> {
        let mut families = self.registry.gather();
        // The process collector gives whole seconds, of which a rate is a square wave.
        if let Some(family) = families.iter_mut().find(|family| family.name() == PROCESS_CPU)
            && let Some(seconds) = cpu_seconds()
        {
            family.set_metric(vec![metric(COUNTER, Vec::new(), seconds)]);
        }
        families.iter().filter_map(encode).collect()
    }
}

const PROCESS_CPU: &str = "process_cpu_seconds_total";

/// The CPU time of this process, user and system.
fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

/// The commit of a release build (`packaging/build.rs`), or what the builder has set.
pub(crate) fn revision() -> &'static str {
    option_env!("LIFECYCLE_EXPORTER_REVISION").unwrap_or("unknown")
}

/// What the feed counts outside the engine.
pub(crate) struct FeedStats {
    /// Open connections of producers.
    pub(crate) connections: usize,
    /// Producers with sessions, by name, and how many runs of each are connected.
    pub(crate) producers: BTreeMap<String, usize>,
    /// `[events] expect`.
    pub(crate) expected: BTreeSet<String>,
    /// False while a state directory is configured and cannot be written.
    pub(crate) state_writable: bool,
    pub(crate) journal_bytes: u64,
    pub(crate) journal_errors: u64,
    /// Unix seconds; 0: never.
    pub(crate) snapshot_at: f64,
}

/// What [`FAMILIES`] reads.
struct Source<'a> {
    engine: &'a Engine,
    feed: &'a FeedStats,
    scans: &'a Scans,
    /// The counts of each kind of entity, with the name of its system.
    entities: &'a [(&'a str, &'a EntityCount<'a>)],
}

/// A family that is read at each scrape.
struct FamilyDef {
    /// Without the prefix.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    read: fn(&Source<'_>) -> Vec<Sample>,
}

/// Label pairs and a value.
type Sample = (Vec<LabelPair>, f64);

const COUNTER: MetricType = MetricType::COUNTER;
const GAUGE: MetricType = MetricType::GAUGE;

const FAMILIES: [FamilyDef; 23] = [
    FamilyDef {
        name: "events_total",
        help: "Events applied, by event",
        kind: COUNTER,
        read: |source| by("event", source.engine.applied()),
    },
    FamilyDef {
        name: "events_rejected_total",
        help: "Lines rejected, by reason",
        kind: COUNTER,
        read: |source| by("reason", source.engine.rejected().map(|(reason, count)| (reason.name(), count))),
    },
    FamilyDef {
        name: "entities",
        help: "Entities open, by system and entity",
        kind: GAUGE,
        read: |source| by_entity(source, |count| count.open as f64),
    },
    FamilyDef {
        name: "oldest_entity_age_seconds",
        help: "How long the oldest open entity has been open, 0 where none is",
        kind: GAUGE,
        read: |source| by_entity(source, |count| count.oldest_age_seconds.unwrap_or(0.0)),
    },
    FamilyDef {
        name: "abandoned_total",
        help: "Entities abandoned by their producer, by system and entity",
        kind: COUNTER,
        read: |source| by_entity(source, |count| count.abandoned as f64),
    },
    FamilyDef {
        name: "series",
        help: "Series shown, by system",
        kind: GAUGE,
        read: |source| by("system", source.engine.series().map(|(system, count)| (system, count as u64))),
    },
    FamilyDef {
        name: "last_event_timestamp_seconds",
        help: "When the latest event of a producer was applied, Unix seconds, 0: never",
        kind: GAUGE,
        read: |source| {
            source.engine.last_events().map(|(system, at)| (vec![pair("system", system)], at)).collect()
        },
    },
    FamilyDef {
        name: "label_cuts_total",
        help: "Labels cut to 1024 bytes, by system",
        kind: COUNTER,
        read: |source| by("system", source.engine.label_cuts()),
    },
    FamilyDef {
        name: "series_overflow_total",
        help: "Changes that found their metric at its limit of series, by metric",
        kind: COUNTER,
        // There are a hundred metrics and more, and hardly any ever overflows.
        read: |source| by("metric", source.engine.overflowed().filter(|(_, count)| *count > 0)),
    },
    FamilyDef {
        name: "producers",
        help: "Producers connected",
        kind: GAUGE,
        read: |source| single(source.feed.connections as f64),
    },
    FamilyDef {
        name: "producer_connected",
        help: "Connected runs of a producer that own what they open, \
               0 where one may still come back, by producer",
        kind: GAUGE,
        read: |source| {
            by("producer", source.feed.producers.iter().map(|(name, runs)| (name.as_str(), *runs as u64)))
        },
    },
    FamilyDef {
        name: "producer_expected",
        help: "The producers that the configuration expects, always 1, by producer",
        kind: GAUGE,
        read: |source| by("producer", source.feed.expected.iter().map(|name| (name.as_str(), 1))),
    },
    FamilyDef {
        name: "event_times_ignored_total",
        help: "Event times that were more than a day off the clock",
        kind: COUNTER,
        read: |source| single(source.engine.times_ignored() as f64),
    },
    FamilyDef {
        name: "state_writable",
        help: "Whether state is kept as configured, 0 while its directory cannot be written",
        kind: GAUGE,
        read: |source| single(f64::from(u8::from(source.feed.state_writable))),
    },
    FamilyDef {
        name: "journal_bytes",
        help: "Size of the journal, 0 without a state directory",
        kind: GAUGE,
        read: |source| single(source.feed.journal_bytes as f64),
    },
    FamilyDef {
        name: "journal_errors_total",
        help: "Failures to write state to disk",
        kind: COUNTER,
        read: |source| single(source.feed.journal_errors as f64),
    },
    FamilyDef {
        name: "snapshot_timestamp_seconds",
        help: "When state was last saved, Unix seconds, 0: never",
        kind: GAUGE,
        read: |source| single(source.feed.snapshot_at),
    },
    FamilyDef {
        name: "scan_bytes",
        help: "Size of the files of the latest complete scan",
        kind: GAUGE,
        read: |source| by_scan(source, |scan| scan.bytes),
    },
    FamilyDef {
        name: "scan_files",
        help: "Number of files of the latest complete scan",
        kind: GAUGE,
        read: |source| by_scan(source, |scan| scan.files),
    },
    FamilyDef {
        name: "scan_oldest_file_timestamp_seconds",
        help: "Modification time of the oldest file, Unix seconds, 0: no file",
        kind: GAUGE,
        read: |source| by_scan(source, |scan| scan.oldest),
    },
    FamilyDef {
        name: "scan_status",
        help: "Result of the latest scan (1 success, 0 failed or not yet ended, -1 partial)",
        kind: GAUGE,
        read: |source| by_scan(source, |scan| scan.status),
    },
    FamilyDef {
        name: "scan_duration_seconds",
        help: "Duration of the latest scan",
        kind: GAUGE,
        read: |source| by_scan(source, |scan| scan.duration_seconds),
    },
    FamilyDef {
        name: "scan_last_success_timestamp_seconds",
        help: "When a scan last was complete, Unix seconds, 0: never",
        kind: GAUGE,
        read: |source| by_scan(source, |scan| scan.last_success),
    },
];

fn single(value: f64) -> Vec<Sample> {
    vec![(Vec::new(), value)]
}

fn by<'a>(label: &str, counts: impl Iterator<Item = (&'a str, u64)>) -> Vec<Sample> {
    counts.map(|(text, count)| (vec![pair(label, text)], count as f64)).collect()
}

fn by_entity(source: &Source<'_>, read: fn(&EntityCount<'_>) -> f64) -> Vec<Sample> {
    let labels = |system: &str, entity: &str| vec![pair("system", system), pair("entity", entity)];
    source.entities.iter().map(|(system, count)| (labels(system, count.entity), read(count))).collect()
}

fn by_scan(source: &Source<'_>, read: fn(&ScanState) -> f64) -> Vec<Sample> {
    source.scans.iter().map(|(scan, state)| (vec![pair("scan", scan)], read(state))).collect()
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// The families of what the engine and the feed count. `now` is Unix seconds.
pub(crate) fn encode_engine(
    engine: &Engine,
    feed: &FeedStats,
    scans: &Scans,
    now: f64,
) -> Vec<EncodedFamily> {
    let systems = engine.counts(now);
    let entities: Vec<(&str, &EntityCount<'_>)> = systems
        .iter()
        .flat_map(|system| system.kinds.iter().map(|count| (system.catalog.name.as_str(), count)))
        .collect();
    let source = Source { engine, feed, scans, entities: &entities };
    FAMILIES.iter().filter_map(|def| encode(&family(def, (def.read)(&source)))).collect()
}

/// Merges two lists into one that is sorted by name.
pub(crate) fn merge(mut families: Vec<EncodedFamily>, more: Vec<EncodedFamily>) -> Vec<EncodedFamily> {
    families.extend(more);
    families.sort_by(|a, b| a.0.cmp(&b.0));
    families
}

fn full_name(name: &str) -> String {
    format!("lifecycle_exporter_{name}")
}

/// Series are sorted by the values of their labels.
fn family(def: &FamilyDef, mut samples: Vec<Sample>) -> MetricFamily {
    samples.sort_by(|(a, _), (b, _)| a.iter().map(LabelPair::value).cmp(b.iter().map(LabelPair::value)));
    let mut family = MetricFamily::default();
    family.set_name(full_name(def.name));
    family.set_help(def.help.to_owned());
    family.set_field_type(def.kind);
    family.set_metric(samples.into_iter().map(|(labels, value)| metric(def.kind, labels, value)).collect());
    family
}

fn metric(kind: MetricType, labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut metric = Metric::from_label(labels);
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = GaugeValue::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

/// `None` for a family without series, which has no text.
fn encode(family: &MetricFamily) -> Option<EncodedFamily> {
    if family.get_metric().is_empty() {
        return None;
    }
    let text = TextEncoder::new().encode_to_string(std::slice::from_ref(family));
    let text = text.expect("a family with a name and series has a text");
    Some((family.name().to_owned(), text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::number;
    use proptest::prelude::*;

    fn text_of(value: f64) -> String {
        let def = FamilyDef { name: "x", help: "x", kind: GAUGE, read: |_| Vec::new() };
        let (_, text) = encode(&family(&def, single(value))).unwrap();
        String::from_utf8(text).unwrap().lines().last().unwrap().replace("lifecycle_exporter_x ", "")
    }

    fn series_text_of(value: f64) -> String {
        let mut out = Vec::new();
        number::push(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn series_have_their_labels_as_given_and_are_sorted_by_value() {
        let def = FamilyDef { name: "x_total", help: "a \\ b", kind: COUNTER, read: |_| Vec::new() };
        let labels = |system: &str, entity: &str| vec![pair("system", system), pair("entity", entity)];
        let samples = vec![(labels("b", "a"), 1.0), (labels("a!", "\"\n\\"), 2.0), (labels("a", "z"), 3.5)];
        let (name, text) = encode(&family(&def, samples)).unwrap();
        assert_eq!(name, "lifecycle_exporter_x_total");
        let expected = "# HELP lifecycle_exporter_x_total a \\\\ b\n\
             # TYPE lifecycle_exporter_x_total counter\n\
             lifecycle_exporter_x_total{system=\"a\",entity=\"z\"} 3.5\n\
             lifecycle_exporter_x_total{system=\"a!\",entity=\"\\\"\\n\\\\\"} 2\n\
             lifecycle_exporter_x_total{system=\"b\",entity=\"a\"} 1\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_family_without_series_has_no_text() {
        let none = FamilyDef { name: "x", help: "x", kind: GAUGE, read: |_| Vec::new() };
        assert_eq!(encode(&family(&none, Vec::new())), None);
    }

    #[test]
    fn numbers_are_written_as_those_of_series_are() {
        for value in [0.0, 1.0, -1.0, 1e9, 1_764_000_000.123_456_7, 9_007_199_254_740_993.0, 1e20, 1e-6, 0.1]
        {
            assert_eq!(text_of(value), series_text_of(value));
        }
        // Below a microsecond the notation differs; the number that is read does not.
        assert_eq!((text_of(2.5e-7), series_text_of(2.5e-7)), ("0.00000025".to_owned(), "2.5e-7".to_owned()));
    }

    proptest! {
        #[test]
        fn counts_and_seconds_are_written_as_those_of_series_are(
            count in 0_u64..u64::MAX, seconds in 1e-6..1e12_f64,
        ) {
            prop_assert_eq!(text_of(count as f64), series_text_of(count as f64));
            prop_assert_eq!(text_of(seconds), series_text_of(seconds));
        }
    }
}
