//! What this package's own benchmarks, generators, fuzz targets and tests of the packaging use. Nothing here is stable.

pub mod fuzz;

use std::collections::BTreeSet;

use crate::catalog::model::{AmountSource, Step};
use crate::catalog::{self, Catalogs};
use crate::commands::demo::script::Script;
use crate::config::Settings;
use crate::engine::EngineSettings;
use crate::protocol::line::Fields;
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

    /// Applies whole lines, all of which have to be good.
    pub fn apply(&mut self, block: &[u8]) {
        let record = Record::Lines { at: 1e9, position: None, block };
        let applied = self.0.apply(&record, &mut |_| panic!("a line was rejected"));
        applied.expect("lines without a session fit every state");
    }

    /// Appends what a scrape shows.
    pub fn render(&mut self, out: &mut Vec<u8>) {
        self.0.engine.render(&[], &[], 1e9, out).expect("no system is asked for by name");
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

/// Splits lines into fields.
#[derive(Default)]
pub struct Splitter(Fields);

impl Splitter {
    /// Splits one line, which has to be good.
    pub fn split(&mut self, line: &str) {
        self.0.scan(line).expect("the line is a flat JSON object");
    }
}

/// The fields of a built-in event that hold numbers.
pub fn number_fields(event: &str) -> BTreeSet<String> {
    let catalogs = catalog::load(None).expect("built-in catalogs have no faults").all;
    let plans = catalogs.iter().flat_map(|catalog| &catalog.events).filter(|plan| plan.name == event);
    let fields = plans.flat_map(|plan| {
        let amounts = plan.steps.iter().filter_map(|step| match step {
            Step::Change(change) => change.amount.as_ref(),
            _ => None,
        });
        amounts.flat_map(|amount| &amount.alternatives).filter_map(|source| match source {
            AmountSource::Field(field) => Some(plan.fields[*field].name.clone()),
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
