//! What has to hold all the time, and how two expositions are compared. A law that is broken is said at once; the soak goes on,
//! and fails at its end.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// Own metrics that the same lines make the same, whatever happens to the exporter.
const OWN: [&str; 5] = [
    "lifecycle_exporter_events_total{",
    "lifecycle_exporter_entities{",
    "lifecycle_exporter_series{",
    "lifecycle_exporter_abandoned_total{",
    "lifecycle_exporter_event_times_ignored_total",
];
/// A gauge that its producer may set below 0.
const MAY_BE_NEGATIVE: &str = "vlog_storage_reconciliation_status";
/// Sums of fractions depend on the order in which they are added.
const ROUNDING: f64 = 1e-9;
const DIFFERENCES_SHOWN: usize = 20;

pub struct Laws {
    started: Instant,
    /// What happens to the exporter, and since when.
    scene: Mutex<String>,
    broken: Mutex<Vec<String>>,
}

impl Laws {
    pub fn new() -> Self {
        Laws { started: Instant::now(), scene: Mutex::default(), broken: Mutex::default() }
    }

    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// What happens from now on; a law that is broken is told with it.
    pub fn set_scene(&self, scene: impl std::fmt::Debug) {
        *self.scene.lock().unwrap() = format!("{scene:?} since {:.1} s", self.seconds());
    }

    pub fn demand(&self, holds: bool, why: impl FnOnce() -> String) {
        if !holds {
            let text = format!("at {:.1} s ({}): {}", self.seconds(), self.scene.lock().unwrap(), why());
            println!("BROKEN {text}");
            self.broken.lock().unwrap().push(text);
        }
    }

    pub fn broken(&self) -> usize {
        self.broken.lock().unwrap().len()
    }

    pub fn assert(&self) {
        let broken = self.broken.lock().unwrap();
        assert!(broken.is_empty(), "{} laws were broken:\n{}", broken.len(), broken.join("\n"));
    }

    /// Both have heard the same lines, and nothing but them counts.
    pub fn demand_equal(&self, tormented: &str, reference: &str) {
        let (ours, theirs) = (series(tormented), series(reference));
        let mut names: Vec<&&str> = ours.keys().chain(theirs.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let differs = |name: &&&&str| match (ours.get(**name), theirs.get(**name)) {
            (Some(a), Some(b)) => !is_age(name) && (a - b).abs() > ROUNDING * a.abs().max(b.abs()),
            _ => true,
        };
        let found: Vec<_> = names.iter().filter(differs).collect();
        self.demand(found.is_empty(), || {
            let line = |name: &str| format!("{name}: {:?}, expected {:?}", ours.get(name), theirs.get(name));
            let shown: Vec<_> = found.iter().take(DIFFERENCES_SHOWN).map(|name| line(name)).collect();
            format!("{} series differ:\n{}", found.len(), shown.join("\n"))
        });
        let names = tormented.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge"));
        let gauges: Vec<&str> = names.filter(|name| *name != MAY_BE_NEGATIVE).collect();
        let below: Vec<_> = ours
            .iter()
            .filter(|(name, value)| **value < 0.0 && gauges.contains(&name.split('{').next().unwrap()))
            .collect();
        self.demand(below.is_empty(), || format!("gauges are below 0: {below:?}"));
    }
}

/// The time since a moment that an event tells differs from scrape to scrape, and between clocks.
fn is_age(name: &str) -> bool {
    name.split('{').next().is_some_and(|name| name.ends_with("_age_seconds"))
}

/// The series that come from events, with their values.
fn series(exposition: &str) -> BTreeMap<&str, f64> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    let counts = |line: &&str| {
        let is_own = line.starts_with("lifecycle_exporter_") || line.starts_with("process_");
        !is_own || OWN.iter().any(|own| line.starts_with(own))
    };
    lines.filter(counts).filter_map(|line| line.rsplit_once(' ')).map(parsed).collect()
}

fn parsed<'a>((name, value): (&'a str, &str)) -> (&'a str, f64) {
    (name, value.parse().unwrap_or_else(|_| panic!("{name} is {value}")))
}
