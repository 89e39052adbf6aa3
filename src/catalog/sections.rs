//! The sections of a catalog: for each kind a table of its keys, with what each key takes and sets.
//!
//! A section is read by itself here; `read` checks what sections say of each other, `plan` reads the effects
//! of events.

use super::fault::{Fault, Names, fault};
use super::model::{EntityDef, EntityIndex, MetricDef, MetricKind, OWN_METRICS, ScanEvents, Transform};
use super::verbs::{Kind, VERBS};
use crate::config::ini::{Entry, Section};
use crate::faults::{alternatives, put, unknown};
use crate::limits;

/// A key of a section that `T` is read from; `C` is what its value may name.
pub(super) struct Key<T: 'static, C: 'static = ()> {
    name: &'static str,
    /// What is expected where the key is missing or empty, if that is a fault.
    required: Option<&'static str>,
    set: fn(&mut T, &Entry, &C) -> Result<(), Fault>,
}

const fn required<T, C>(
    name: &'static str,
    expected: &'static str,
    set: fn(&mut T, &Entry, &C) -> Result<(), Fault>,
) -> Key<T, C> {
    Key { name, required: Some(expected), set }
}

const fn optional<T, C>(name: &'static str, set: fn(&mut T, &Entry, &C) -> Result<(), Fault>) -> Key<T, C> {
    Key { name, required: None, set }
}

/// `[system]`.
#[derive(Default)]
pub(super) struct System {
    pub(super) name: String,
    pub(super) title: String,
}

const SYSTEM_KEYS: &[Key<System>] = &[
    required("name", "a text", |system, entry, ()| {
        let name = &entry.value;
        if !is_name(name) {
            return Err(fault("name", format!("{name:?}: expected letters, digits and _")));
        }
        if name == OWN_METRICS {
            let what = format!("{OWN_METRICS}: stands for the exporter's own metrics, expected another name");
            return Err(fault("name", what));
        }
        put(&mut system.name, Ok(name.clone()))
    }),
    required("title", "a text", |system, entry, ()| put(&mut system.title, Ok(entry.value.clone()))),
];

const ENTITY_KEYS: &[Key<EntityDef, Names>] = &[
    required("key", "the fields that identify an open one", |entity, entry, _| {
        put(&mut entity.key, field_names(entry))
    }),
    optional("labels", |entity, entry, _| put(&mut entity.labels, field_names(entry))),
    optional("within", |entity, entry, entities| {
        let parents: Result<Vec<EntityIndex>, Fault> =
            names(entry)?.iter().map(|parent| entities.find("within", parent)).collect();
        put(&mut entity.within, parents)?;
        at_most(&entry.key, entity.within.len(), limits::ENTITY_PARENTS_MAX)
    }),
    // It names an event, so `read` resolves it once the events are known.
    optional(ABANDONED, |_, _, _| Ok(())),
    optional("owned", |entity, entry, _| put(&mut entity.owned, yes_no(entry))),
    optional("when_empty", |entity, entry, _| match entry.value.as_str() {
        "close" => put(&mut entity.closes_when_empty, Ok(true)),
        other => Err(fault("when_empty", format!("{other:?}: expected close, or leave the key out"))),
    }),
];

pub(super) const ABANDONED: &str = "abandoned";

/// `[metric NAME]`, whose keys depend on each other.
#[derive(Default)]
struct Metric {
    def: MetricDef,
    kind: Option<Kind>,
    live: Option<EntityIndex>,
    buckets: Option<Vec<f64>>,
    zero: Option<bool>,
}

const TYPES: &[(&str, Kind)] =
    &[("counter", Kind::Counter), ("gauge", Kind::Gauge), ("histogram", Kind::Histogram), ("age", Kind::Age)];

const METRIC_KEYS: &[Key<Metric, Names>] = &[
    required("type", "counter, gauge, histogram or age", |metric, entry, _| {
        put(&mut metric.kind, one_of(TYPES, entry).map(Some))
    }),
    required("help", "a text", |metric, entry, _| put(&mut metric.def.help, Ok(entry.value.clone()))),
    optional("labels", |metric, entry, _| {
        put(&mut metric.def.labels, label_names(entry))?;
        at_most(&entry.key, metric.def.labels.len(), limits::METRIC_LABELS_MAX)
    }),
    optional("since", |metric, entry, _| put(&mut metric.def.since, Ok(Some(entry.value.clone())))),
    optional("live", |metric, entry, entities| {
        put(&mut metric.live, entities.find("live", &entry.value).map(Some))
    }),
    optional("owner", |metric, entry, entities| {
        put(&mut metric.def.owner, entities.find("owner", &entry.value).map(Some))
    }),
    optional("buckets", |metric, entry, _| put(&mut metric.buckets, read_buckets(&entry.value).map(Some))),
    optional("alias", |metric, entry, _| {
        check_metric_name("alias", &entry.value)?;
        put(&mut metric.def.alias, Ok(Some(entry.value.clone())))
    }),
    optional("zero", |metric, entry, _| put(&mut metric.zero, yes_no(entry).map(Some))),
];

/// `[label NAME]`.
#[derive(Default)]
struct Label {
    transform: Option<Transform>,
    parents: Option<Vec<String>>,
}

const TRANSFORMS: &[(&str, Transform)] = &[
    ("path", Transform::Path(Vec::new())),
    ("slug", Transform::Slug),
    ("address", Transform::Address),
    ("quiet", Transform::Quiet),
];

const LABEL_KEYS: &[Key<Label>] = &[
    required("transform", "path, slug, address or quiet", |label, entry, ()| {
        put(&mut label.transform, one_of(TRANSFORMS, entry).map(Some))
    }),
    optional("parents", |label, entry, ()| {
        let words = entry.value.split(',').map(str::trim).filter(|word| !word.is_empty());
        put(&mut label.parents, Ok(Some(words.map(str::to_owned).collect())))
    }),
];

/// What an event's section holds beside effects: lists of fields.
pub(super) const EVENT_LISTS: [&str; 2] = ["optional", "fields"];

/// The keys of `[scan]`, which may be repeated, and the events that each of them lists.
pub(super) type ScanKey = (&'static str, fn(&mut ScanEvents) -> &mut Vec<String>);
pub(super) const SCAN_KEYS: [ScanKey; 3] = [
    ("succeeded", |scan| &mut scan.succeeded),
    ("partial", |scan| &mut scan.partial),
    ("failed", |scan| &mut scan.failed),
];

/// Every key, type and transform of the grammar but the effects, which are [`VERBS`].
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    let keys = SYSTEM_KEYS.iter().map(|key| key.name);
    let keys = keys.chain(ENTITY_KEYS.iter().map(|key| key.name));
    let keys = keys.chain(METRIC_KEYS.iter().map(|key| key.name));
    let keys = keys.chain(LABEL_KEYS.iter().map(|key| key.name));
    let keys = keys.chain(EVENT_LISTS).chain(SCAN_KEYS.iter().map(|(name, _)| *name));
    let keys = keys.chain(super::lines::LINE_KEYS);
    keys.chain(TYPES.iter().map(|(name, _)| *name)).chain(TRANSFORMS.iter().map(|(name, _)| *name))
}

/// Reads a section by the table of its keys.
fn read_keys<T, C>(section: &Section, keys: &[Key<T, C>], known: &C, mut read: T) -> Result<T, Fault> {
    check_keys(section, keys.iter().map(|key| key.name))?;
    for key in keys {
        match (single(section, key.name)?, key.required) {
            (None, None) => {}
            (Some(entry), None) => (key.set)(&mut read, entry, known)?,
            (Some(entry), Some(_)) if !entry.value.is_empty() => (key.set)(&mut read, entry, known)?,
            (_, Some(expected)) => return Err(fault(key.name, format!("missing, expected {expected}"))),
        }
    }
    Ok(read)
}

pub(super) fn check_keys(
    section: &Section,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<(), Fault> {
    match section.entries.iter().find(|entry| !known.clone().any(|key| key == entry.key)) {
        Some(entry) => {
            let known: Vec<&str> = known.collect();
            Err(fault(&entry.key, unknown("key", &entry.key, &known)))
        }
        None => Ok(()),
    }
}

pub(super) fn check_event_keys(section: &Section) -> Result<(), Fault> {
    check_keys(section, EVENT_LISTS.into_iter().chain(VERBS.iter().map(|verb| verb.key)))
}

pub(super) fn check_scan_keys(section: &Section) -> Result<(), Fault> {
    check_keys(section, SCAN_KEYS.iter().map(|(name, _)| *name))
}

pub(super) fn single<'a>(section: &'a Section, key: &str) -> Result<Option<&'a Entry>, Fault> {
    section.single(key).map_err(|_| fault(key, "written twice, expected once"))
}

/// A comma-separated list of names.
pub(super) fn names(entry: &Entry) -> Result<Vec<String>, Fault> {
    let mut list: Vec<String> = Vec::new();
    for name in entry.value.split(',').map(str::trim) {
        if list.len() == limits::LIST_NAMES_MAX {
            return Err(fault(&entry.key, format!("too many, expected at most {} names", list.len())));
        }
        if !is_name(name) {
            let what = format!("{name:?}: expected names of letters, digits and _, separated by commas");
            return Err(fault(&entry.key, what));
        }
        if list.iter().any(|other| other == name) {
            return Err(fault(&entry.key, format!("{name}: a name taken twice, expected each name once")));
        }
        list.push(name.to_owned());
    }
    Ok(list)
}

fn at_most(key: &str, count: usize, max: usize) -> Result<(), Fault> {
    if count > max { Err(fault(key, format!("{count} names, expected at most {max}"))) } else { Ok(()) }
}

pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Refuses the names that a line uses for itself.
pub(super) fn check_field_name(key: &str, name: &str) -> Result<(), Fault> {
    if matches!(name, "event" | "time" | "hello" | "bye") {
        return Err(fault(key, format!("{name}: every line uses this field itself, expected another name")));
    }
    Ok(())
}

fn field_names(entry: &Entry) -> Result<Vec<String>, Fault> {
    let list = names(entry)?;
    list.iter().try_for_each(|name| check_field_name(&entry.key, name))?;
    Ok(list)
}

fn label_names(entry: &Entry) -> Result<Vec<String>, Fault> {
    let list = field_names(entry)?;
    for label in &list {
        if label == "le" {
            let what = "le: a histogram uses this label itself, expected another name";
            return Err(fault(&entry.key, what));
        }
        if label.starts_with("__") || label == "quantile" {
            let what = format!("{label}: Prometheus reserves this label, expected another name");
            return Err(fault(&entry.key, what));
        }
    }
    Ok(list)
}

fn yes_no(entry: &Entry) -> Result<bool, Fault> {
    match entry.value.as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(fault(&entry.key, format!("{other:?}: expected yes or no"))),
    }
}

/// What a table has for a value.
fn one_of<V: Clone>(table: &[(&str, V)], entry: &Entry) -> Result<V, Fault> {
    let found = table.iter().find(|(name, _)| *name == entry.value);
    found.map(|(_, value)| value.clone()).ok_or_else(|| {
        let expected = alternatives(table.iter().map(|(name, _)| *name));
        fault(&entry.key, format!("{:?}: expected {expected}", entry.value))
    })
}

pub(super) fn read_system(section: &Section) -> Result<System, Fault> {
    read_keys(section, SYSTEM_KEYS, &(), System::default())
}

pub(super) fn read_entity(name: &str, section: &Section, all: &Names) -> Result<EntityDef, Fault> {
    if !is_name(name) {
        return Err(fault("", "expected a name of letters, digits and _"));
    }
    let entity = EntityDef { name: name.to_owned(), owned: true, ..EntityDef::default() };
    let entity = read_keys(section, ENTITY_KEYS, all, entity)?;
    if let Some(field) = entity.labels.iter().find(|field| entity.key.contains(field)) {
        return Err(fault("labels", format!("{field}: already in the key, expected further fields")));
    }
    if entity.key.len() + entity.labels.len() > limits::ENTITY_PARTS_MAX {
        let what = format!("too many, expected at most {} fields", limits::ENTITY_PARTS_MAX);
        return Err(fault("labels", what));
    }
    Ok(entity)
}

/// Refuses names that Prometheus does not take, and those that it and this program reserve.
pub(super) fn check_metric_name(key: &str, name: &str) -> Result<(), Fault> {
    if !is_name(name) {
        let what =
            format!("{name:?}: expected names by Prometheus's rules: letters, digits and _, no digit first");
        return Err(fault(key, what));
    }
    if name.starts_with("lifecycle_exporter_") || name.starts_with("process_") {
        return Err(fault(key, format!("{name}: reserved, expected a name of the system's own")));
    }
    Ok(())
}

/// Reads a metric; `read` fills in the transforms of its labels.
pub(super) fn read_metric(name: &str, section: &Section, entities: &Names) -> Result<MetricDef, Fault> {
    let metric = read_keys(section, METRIC_KEYS, entities, Metric::default())?;
    let kind = kind(&metric)?;
    if metric.zero.is_some() && !metric.def.labels.is_empty() {
        return Err(fault("zero", "this metric has labels, expected one that exists at 0 from the start"));
    }
    Ok(MetricDef { name: name.to_owned(), kind, zero: metric.zero.unwrap_or(true), ..metric.def })
}

fn kind(metric: &Metric) -> Result<MetricKind, Fault> {
    if metric.live.is_some() && metric.kind != Some(Kind::Gauge) {
        return Err(fault("live", "only a gauge can be live, expected type = gauge"));
    }
    if metric.buckets.is_some() && metric.kind != Some(Kind::Histogram) {
        return Err(fault("buckets", "only a histogram has buckets, expected none"));
    }
    Ok(match (metric.kind.expect("the table requires a type"), metric.live, &metric.buckets) {
        (Kind::Counter, ..) => MetricKind::Counter,
        (Kind::Age, ..) => MetricKind::Age,
        (Kind::Gauge | Kind::LiveGauge, Some(entity), _) => MetricKind::Live(entity),
        (Kind::Gauge | Kind::LiveGauge, None, _) => MetricKind::Gauge,
        (Kind::Histogram, _, Some(bounds)) => MetricKind::Histogram(bounds.clone()),
        (Kind::Histogram, ..) => {
            return Err(fault("buckets", "missing, expected the buckets of the histogram"));
        }
    })
}

/// `0.1, 1, 10` or `exponential MIN MAX COUNT`: COUNT bounds from MIN to MAX, each the same multiple of the
/// last.
fn read_buckets(text: &str) -> Result<Vec<f64>, Fault> {
    let expected = "expected rising numbers, or: exponential MIN MAX COUNT";
    let number = |word: &str| word.parse::<f64>().ok().filter(|number| number.is_finite());
    let bounds = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["exponential", min, max, count] => match (number(min), number(max), count.parse::<usize>().ok()) {
            (Some(min), Some(max), Some(count @ 2..=limits::BUCKETS_MAX))
                if 0.0 < min && min < max && (max / min).is_finite() =>
            {
                let factor = root(max / min, count as i32 - 1);
                let mut bounds: Vec<f64> = (0..count).map(|i| min * factor.powi(i as i32)).collect();
                bounds[count - 1] = max;
                bounds
            }
            _ => {
                return Err(fault(
                    "buckets",
                    format!(
                        "{text:?}: {expected}, with 0 < MIN < MAX, MAX / MIN below {:e} and \
                         2 <= COUNT <= {}",
                        f64::MAX,
                        limits::BUCKETS_MAX
                    ),
                ));
            }
        },
        _ => text
            .split(',')
            .map(|word| number(word.trim()))
            .collect::<Option<Vec<f64>>>()
            .ok_or_else(|| fault("buckets", format!("{text:?}: {expected}")))?,
    };
    if bounds.len() > limits::BUCKETS_MAX || bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(fault("buckets", format!("{text:?}: {expected}, at most {}", limits::BUCKETS_MAX)));
    }
    Ok(bounds)
}

/// The positive root of a number above 1, by Newton's method. The C library's `pow` would keep half a MiB
/// resident.
fn root(number: f64, degree: i32) -> f64 {
    // The power of two next above it, so that a few hundred steps suffice for every number.
    let bits = (number.to_bits() >> 52) as i32 - 1_022;
    let mut root = 2_f64.powi((bits + degree - 1) / degree).min(number);
    loop {
        let next = root - (root - number / root.powi(degree - 1)) / f64::from(degree);
        if next >= root {
            return root;
        }
        root = next;
    }
}

pub(super) fn read_label(section: &Section) -> Result<Transform, Fault> {
    let label = read_keys(section, LABEL_KEYS, &(), Label::default())?;
    match (label.transform.expect("the table requires a transform"), label.parents) {
        (Transform::Path(_), parents) => Ok(Transform::Path(parents.unwrap_or_default())),
        (_, Some(_)) => Err(fault("parents", "only transform = path has parents, expected none")),
        (transform, None) => Ok(transform),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_each_key_once_and_name_every_type_and_transform() {
        let event: Vec<&str> = EVENT_LISTS.into_iter().chain(VERBS.iter().map(|verb| verb.key)).collect();
        let metric: Vec<&str> = METRIC_KEYS.iter().map(|key| key.name).collect();
        let entity: Vec<&str> = ENTITY_KEYS.iter().map(|key| key.name).collect();
        for keys in [event, metric, entity] {
            let once: std::collections::HashSet<&str> = keys.iter().copied().collect();
            assert_eq!(once.len(), keys.len(), "{keys:?}");
        }
        let types = alternatives(TYPES.iter().map(|(name, _)| *name));
        let transforms = alternatives(TRANSFORMS.iter().map(|(name, _)| *name));
        assert_eq!(METRIC_KEYS[0].required, Some(types.as_str()));
        assert_eq!(LABEL_KEYS[0].required, Some(transforms.as_str()));
    }

    #[test]
    fn exponential_buckets_begin_and_end_where_they_say() {
        for (text, count, second) in
            [("exponential 0.01 30 30", 30, 0.013_179), ("exponential 1 30000 50", 50, 1.234_2)]
        {
            let bounds = read_buckets(text).unwrap();
            assert_eq!(bounds.len(), count);
            assert!((bounds[1] / second - 1.0).abs() < 1e-4, "{bounds:?}");
            let factor = bounds[1] / bounds[0];
            assert!(
                bounds.windows(2).all(|pair| (pair[1] / pair[0] / factor - 1.0).abs() < 1e-9),
                "{bounds:?}"
            );
        }
        assert_eq!(read_buckets("exponential 1 8 4").unwrap(), [1.0, 2.0, 4.0, 8.0]);
    }

    #[test]
    fn exponential_buckets_take_no_time_whatever_they_say() {
        let started = std::time::Instant::now();
        for text in ["exponential 1e-300 1e308 200", "exponential 5e-324 1e308 2"] {
            let error = read_buckets(text).unwrap_err().what;
            assert!(error.contains("MAX / MIN below 1.79"), "{text}: {error}");
        }
        for _ in 0..1_000 {
            let bounds = read_buckets("exponential 1e-150 1e150 200").unwrap();
            assert!((bounds[100] / bounds[99] / 32.19 - 1.0).abs() < 1e-2, "{}", bounds[100] / bounds[99]);
            assert_eq!(read_buckets("exponential 1 1.7e308 200").unwrap().len(), 200);
        }
        assert!(read_buckets("exponential 1 1.0000000000000002 3").is_err());
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
