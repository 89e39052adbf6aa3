//! What this package's own benchmarks, generators, examples, fuzz targets and tests of the packaging use. Nothing here is stable.

pub mod fuzz;

use std::collections::BTreeSet;

use crate::catalog::model::{AmountSource, Step};
use crate::catalog::{self, Catalogs};
use crate::commands::demo::script::Script;
use crate::config::Settings;
use crate::engine::EngineSettings;
use crate::metrics::{self, FeedStats, Metrics};
use crate::protocol::line::{Fields, Value};
use crate::protocol::shape::Shapes;
use crate::protocol::shorthand::EventSpec;
use crate::scan::{ScanState, Scans};
use crate::state::State;
use crate::state::record::Record;

/// The state with the built-in catalogs, without threads, sockets and files.
pub struct Bench(State);

impl Bench {
    /// No events yet. A metric may have a million series.
    #[expect(clippy::new_without_default, reason = "it loads catalogs")]
    pub fn new() -> Self {
        let mut state = State::default();
        let settings = EngineSettings { series_max: 1_000_000, ..EngineSettings::from(&Settings::default()) };
        state.configure(&catalog::load(None).expect("built-in catalogs have no faults"), settings, 0.0);
        Bench(state)
    }

    /// Applies whole lines, all of which have to be good. `at` is Unix seconds.
    pub fn apply(&mut self, at: f64, block: &[u8]) {
        let record = Record::Lines { at, position: None, block };
        let applied = self.0.apply(&record, &mut |_| panic!("a line was rejected"));
        applied.expect("lines without a session fit every state");
    }

    /// Appends what a scrape shows of the systems. `at` is Unix seconds.
    pub fn render(&mut self, at: f64, out: &mut Vec<u8>) {
        self.0.engine.render(&[], &[], at, out).expect("no system is asked for by name");
    }

    /// Appends what a whole scrape shows but `process_…`, and counts it as answered. `at` is Unix seconds.
    pub fn scrape(&mut self, at: f64, around: &Surroundings, out: &mut Vec<u8>) {
        around.metrics.count_response(200);
        let mut families = metrics::encode_engine(&self.0.engine, &around.feed, &around.scans, at);
        families = metrics::merge(families, around.metrics.encode());
        families.retain(|(name, _)| !name.starts_with("process_"));
        self.0.engine.render(&[], &families, at, out).expect("no system is asked for by name");
    }

    /// The state as a snapshot holds it.
    pub fn save(&self) -> Vec<u8> {
        self.0.write()
    }

    /// The state that was saved.
    pub fn restore(bytes: &[u8]) -> Self {
        Bench(State::read_v1(bytes, Catalogs::default(), &mut |_| {}).expect("what was saved can be read"))
    }
}

/// What the own metrics of an exporter show besides what its engine counts.
pub struct Surroundings {
    metrics: Metrics,
    feed: FeedStats,
    scans: Scans,
}

impl Surroundings {
    /// An exporter that started `at` these Unix seconds and expects these producers, which are all connected.
    pub fn new(at: f64, producers: &[&str]) -> Self {
        let metrics = Metrics::new().expect("the names of the own metrics are good");
        metrics.note_reload(true, at);
        let feed = FeedStats {
            connections: producers.len(),
            producers: producers.iter().map(|name| ((*name).to_owned(), 1)).collect(),
            expected: producers.iter().map(|name| (*name).to_owned()).collect(),
            state_writable: true,
            journal_bytes: 0,
            journal_errors: 0,
            snapshot_at: at,
        };
        Surroundings { metrics, feed, scans: Scans::new() }
    }

    /// The size of the journal, and when state was last saved.
    pub fn journal(&mut self, bytes: u64, snapshot_at: f64) {
        self.feed.journal_bytes = bytes;
        self.feed.snapshot_at = snapshot_at;
    }

    /// A complete scan has ended `at` these Unix seconds; `oldest` is the modification time of the oldest file.
    pub fn scanned(&mut self, scan: &str, at: f64, files: f64, bytes: f64, oldest: f64) {
        let state =
            ScanState { bytes, files, oldest, status: 1.0, duration_seconds: 0.004, last_success: at };
        self.scans.insert(scan.to_owned(), state);
    }
}

/// The line of the feed for an event in the words of `send`: `EVENT KEY=VALUE…`.
pub fn line(words: &str) -> String {
    EventSpec::parse(words).expect("an event and its fields").to_line()
}

/// Splits lines into fields.
#[derive(Default)]
pub struct Splitter {
    fields: Fields,
    shapes: Shapes<()>,
    values: Vec<Option<Value>>,
}

impl Splitter {
    /// Splits the first line of a text, which has to be good. Returns its bytes, with its newline.
    pub fn split(&mut self, text: &str) -> usize {
        if let Some(((), length)) = self.shapes.split(text, &mut self.values) {
            return length + 1;
        }
        let length = memchr::memchr(b'\n', text.as_bytes()).expect("a whole line");
        let line = &text[..length];
        self.fields.scan(line).expect("the line is a flat JSON object");
        let values = self.fields.iter(line).count() + 1;
        self.shapes.learn(line, &self.fields, values, |keys| ((), (0..keys.len()).collect()));
        length + 1
    }
}

/// The fields of a built-in event that hold numbers.
pub fn number_fields(event: &str) -> BTreeSet<String> {
    let catalogs = catalog::load(None).expect("built-in catalogs have no faults").all;
    let plans = catalogs.iter().flat_map(|catalog| &catalog.events).filter(|plan| *plan.name == *event);
    let fields = plans.flat_map(|plan| {
        let amounts = plan.steps.iter().filter_map(|step| match step {
            Step::Change(change) => change.amount.as_ref(),
            _ => None,
        });
        amounts.flat_map(|amount| &amount.alternatives).filter_map(|source| match source {
            AmountSource::Field(field) => Some(plan.fields[*field].name.to_string()),
            _ => None,
        })
    });
    fields.collect()
}

/// The effects of catalogs: key, operand and the text of the manual page.
pub fn effects() -> Vec<(&'static str, &'static str, &'static str)> {
    catalog::VERBS.iter().map(|verb| (verb.key, verb.operand(), verb.help)).collect()
}

/// The demo's endless feed of all built-in systems: lines, each with its time in seconds. The same seed gives the same lines.
pub fn demo(seed: u64) -> impl Iterator<Item = (f64, String)> {
    Script::new(seed)
}

/// Every key, type and transform of the grammar of catalogs but the effects.
pub fn catalog_words() -> Vec<&'static str> {
    catalog::words().collect()
}
