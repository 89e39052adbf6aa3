//! The exporter's own metrics, `lifecycle_exporter_…` and `process_…`.
//!
//! Counters that several threads touch live in a registry of the `prometheus` crate; what the engine and the feed
//! count themselves is turned into families at each scrape. Labels here come from catalogs and fixed lists.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::engine::{Engine, EntityCount};
use crate::scan::{ScanState, Scans};
use crate::series::{number, text};

/// A family's name and its text.
pub(crate) type Block = (String, Vec<u8>);

/// Counters and gauges that any role may touch.
pub(crate) struct Metrics {
    registry: Registry,
    /// By status code.
    pub(crate) http_requests: IntCounterVec,
    /// By reason: `max_connections`, `peer_credentials`.
    pub(crate) connections_refused: IntCounterVec,
    /// 1 or 0.
    pub(crate) reload_successful: IntGauge,
    /// Unix seconds.
    pub(crate) reload_success_time: Gauge,
}

/// The status codes that are answered.
pub(crate) const STATUS_CODES: [u16; 11] = [200, 400, 403, 404, 405, 408, 413, 431, 500, 503, 505];
/// Why a producer's connection is refused.
pub(crate) const REFUSED_MAX_CONNECTIONS: &str = "max_connections";
/// Why a producer's connection is refused.
pub(crate) const REFUSED_PEER_CREDENTIALS: &str = "peer_credentials";

impl Metrics {
    /// All of them at 0.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let name = |name: &str| format!("lifecycle_exporter_{name}");
        let http_requests = IntCounterVec::new(
            Opts::new(name("http_requests_total"), "HTTP requests answered, by status code"),
            &["code"],
        )?;
        let connections_refused = IntCounterVec::new(
            Opts::new(name("connections_refused_total"), "Producer connections refused, by reason"),
            &["reason"],
        )?;
        let reload_successful = IntGauge::new(
            name("config_last_reload_successful"),
            "Whether the latest reading of the configuration succeeded",
        )?;
        let reload_success_time = Gauge::new(
            name("config_last_reload_success_timestamp_seconds"),
            "When the configuration was last read with success, Unix seconds",
        )?;
        let info = prometheus::IntGaugeVec::new(
            Opts::new(name("build_info"), "The version of the exporter, always 1"),
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

    /// Counts an answered request.
    pub(crate) fn count_response(&self, code: u16) {
        self.http_requests.with_label_values(&[code.to_string().as_str()]).inc();
    }

    /// The configuration was read, or could not be.
    pub(crate) fn note_reload(&self, succeeded: bool, now: f64) {
        self.reload_successful.set(i64::from(succeeded));
        if succeeded {
            self.reload_success_time.set(now);
        }
    }

    /// The registry's families as text, sorted by name.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.registry.gather().iter().map(block).collect()
    }
}

/// What the build was made from, where the builder says.
pub(crate) fn revision() -> &'static str {
    option_env!("LIFECYCLE_EXPORTER_REVISION").unwrap_or("unknown")
}

/// What the feed knows beside the engine.
pub(crate) struct FeedFigures {
    /// Connections of producers.
    pub(crate) connections: usize,
    /// Producers with sessions, by name, and how many runs of them are connected.
    pub(crate) producers: BTreeMap<String, usize>,
    /// Whether state is written to disk; `None`: there is no state directory.
    pub(crate) state_writable: Option<bool>,
    /// Size of the journal.
    pub(crate) journal_bytes: u64,
    /// Failures to write state.
    pub(crate) journal_errors: u64,
    /// Unix seconds; 0: never.
    pub(crate) snapshot_at: f64,
}

type Read = fn(&ScanState) -> f64;

/// The families of what the engine and the feed count, as text, sorted by name.
pub(crate) fn engine_blocks(engine: &Engine, feed: &FeedFigures, scans: &Scans, now: f64) -> Vec<Block> {
    let mut families = Families::default();
    let applied = engine.applied().map(|(event, count)| (vec![("event", event)], count as f64));
    families.counter("events_total", "Events applied, by event", applied);
    let rejected = engine.rejected().map(|(reason, count)| (vec![("reason", reason.name())], count as f64));
    families.counter("events_rejected_total", "Lines rejected, by reason", rejected);
    let census = engine.census(now);
    let entities: Vec<(Vec<(&'static str, &str)>, &EntityCount<'_>)> = census
        .iter()
        .flat_map(|system| system.kinds.iter().map(|count| (system.catalog.name.as_str(), count)))
        .map(|(system, count)| (vec![("system", system), ("entity", count.entity)], count))
        .collect();
    families.gauge(
        "entities",
        "Entities open, by system and entity",
        entities.iter().map(|(labels, count)| (labels.clone(), count.open as f64)),
    );
    families.gauge(
        "oldest_entity_age_seconds",
        "How long the oldest open entity has been open, 0 where none is",
        entities.iter().map(|(labels, count)| {
            (labels.clone(), count.oldest.as_ref().map_or(0.0, |oldest| oldest.age_seconds))
        }),
    );
    families.counter(
        "abandoned_total",
        "Entities abandoned by their producer, by system and entity",
        entities.iter().map(|(labels, count)| (labels.clone(), count.abandoned as f64)),
    );
    let series = engine.series().map(|(system, count)| (vec![("system", system)], count as f64));
    families.gauge("series", "Series shown, by system", series);
    let cuts = engine.label_cuts().map(|(system, count)| (vec![("system", system)], count as f64));
    families.counter("label_cuts_total", "Labels cut to 1024 bytes, by system", cuts);
    let overflowed = engine.overflowed().map(|(metric, count)| (vec![("metric", metric)], count as f64));
    families.counter(
        "series_overflow_total",
        "Changes that found their metric at its limit of series, by metric",
        overflowed,
    );
    families.gauge("producers", "Producers connected", [(vec![], feed.connections as f64)]);
    let connected = feed.producers.iter();
    families.gauge(
        "producer_connected",
        "Connected runs of a producer that own what they open, 0 where one may still come back, by producer",
        connected.map(|(producer, runs)| (vec![("producer", producer.as_str())], *runs as f64)),
    );
    families.counter(
        "event_times_ignored_total",
        "Event times that were more than a day off the clock",
        [(vec![], engine.times_ignored() as f64)],
    );
    families.gauge(
        "state_writable",
        "Whether the state directory takes what is written, 0 without one",
        [(vec![], f64::from(u8::from(feed.state_writable == Some(true))))],
    );
    families.gauge(
        "journal_bytes",
        "Size of the journal, 0 without a state directory",
        [(vec![], feed.journal_bytes as f64)],
    );
    families.counter(
        "journal_errors_total",
        "Failures to write state to disk",
        [(vec![], feed.journal_errors as f64)],
    );
    families.gauge(
        "snapshot_timestamp_seconds",
        "When state was last saved, Unix seconds, 0: never",
        [(vec![], feed.snapshot_at)],
    );
    let gauges: [(&str, &str, Read); 6] = [
        ("scan_bytes", "Size of the files of the latest complete scan", |scan| scan.bytes),
        ("scan_files", "Number of files of the latest complete scan", |scan| scan.files),
        (
            "scan_oldest_file_timestamp_seconds",
            "Modification time of the oldest file, Unix seconds, 0: no file",
            |scan| scan.oldest,
        ),
        (
            "scan_status",
            "Result of the latest scan (1 success, 0 failed or not yet ended, -1 partial)",
            |scan| scan.status,
        ),
        ("scan_duration_seconds", "Duration of the latest scan", |scan| scan.duration_seconds),
        (
            "scan_last_success_timestamp_seconds",
            "When a scan last was complete, Unix seconds, 0: never",
            |scan| scan.last_success,
        ),
    ];
    for (name, help, read) in gauges {
        families.gauge(
            name,
            help,
            scans.iter().map(|(scan, state)| (vec![("scan", scan.as_str())], read(state))),
        );
    }
    families.0
}

/// Merges two lists of blocks that are sorted by name.
pub(crate) fn merge(mut blocks: Vec<Block>, more: Vec<Block>) -> Vec<Block> {
    blocks.extend(more);
    blocks.sort_by(|a, b| a.0.cmp(&b.0));
    blocks
}

/// Families as text, in the order they were added.
#[derive(Default)]
struct Families(Vec<Block>);

/// Labels and value.
type Series<'a> = (Vec<(&'static str, &'a str)>, f64);

impl Families {
    fn counter<'a>(&mut self, name: &str, help: &str, all: impl IntoIterator<Item = Series<'a>>) {
        self.add(name, help, "counter", all);
    }

    fn gauge<'a>(&mut self, name: &str, help: &str, all: impl IntoIterator<Item = Series<'a>>) {
        self.add(name, help, "gauge", all);
    }

    fn add<'a>(&mut self, name: &str, help: &str, kind: &str, all: impl IntoIterator<Item = Series<'a>>) {
        let mut rows: Vec<(Vec<u8>, f64)> =
            all.into_iter().map(|(labels, value)| (text::of(&labels), value)).collect();
        if rows.is_empty() {
            return;
        }
        rows.sort_by(|a, b| text::compare(&a.0, &b.0));
        let name = format!("lifecycle_exporter_{name}");
        let mut out = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n").into_bytes();
        for (labels, value) in rows {
            out.extend_from_slice(name.as_bytes());
            if !labels.is_empty() {
                out.push(b'{');
                out.extend_from_slice(&labels);
                out.push(b'}');
            }
            out.push(b' ');
            number::push(&mut out, value);
            out.push(b'\n');
        }
        self.0.push((name, out));
    }
}

fn block(family: &MetricFamily) -> Block {
    let text = TextEncoder::new().encode_to_string(std::slice::from_ref(family)).unwrap_or_default();
    (family.name().to_owned(), text.into_bytes())
}
