//! From a catalog's text to a checked [`Catalog`]: sections, names, types, buckets, transforms.
//!
//! Every fault is an error with file, section, key and what was expected. Effects are handed to `plan`.

use std::collections::HashMap;
use std::fmt;

use super::model::{Catalog, EntityDef, FieldUse, MetricDef, MetricKind, ScanEvents, Then, Transform};
use super::model::{EventPlan, Step};
use super::plan;
use crate::event::words::EventWords;
use crate::ini::{self, Entry, InlineComments, Section};
use crate::limits;

/// A fault of a catalog.
#[derive(Debug, PartialEq, Eq)]
pub struct CatalogError {
    /// The file, or `built-in NAME`.
    pub file: String,
    /// The section with its name, empty where the file as a whole is at fault.
    pub section: String,
    /// The key, empty where the section as a whole is at fault.
    pub key: String,
    /// What is wrong and what was expected.
    pub what: String,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.file)?;
        if !self.section.is_empty() {
            write!(out, "[{}] ", self.section)?;
        }
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.what)
    }
}

impl std::error::Error for CatalogError {}

/// A fault with its key, still without file and section.
pub(super) type Fault = (String, String);

pub(super) fn fault(key: &str, what: impl Into<String>) -> Fault {
    (key.to_owned(), what.into())
}

/// Reads one catalog. `file` is only named in errors.
pub fn read_catalog(file: &str, text: &str) -> Result<Catalog, CatalogError> {
    let document = ini::parse(text, InlineComments::Stripped, |_| true).map_err(|error| CatalogError {
        file: file.to_owned(),
        section: String::new(),
        key: String::new(),
        what: error.to_string(),
    })?;
    let at = |section: &str| {
        let (file, section) = (file.to_owned(), section.to_owned());
        move |(key, what): Fault| CatalogError { file, section, key, what }
    };
    let mut parts = Parts::default();
    for section in &document.sections {
        parts.sort_in(section).map_err(at(&section.name))?;
    }
    let Some(system) = parts.system else {
        return Err(at("system")(fault("", "missing, expected a section that names the system")));
    };
    let (name, title) = read_system(system).map_err(at("system"))?;
    let entity_names: Vec<&str> = parts.entities.iter().map(|(name, _)| *name).collect();
    let metric_names: Vec<&str> = parts.metrics.iter().map(|(name, _)| *name).collect();
    let mut entities = Vec::new();
    for (name, section) in &parts.entities {
        entities.push(read_entity(name, section, &entity_names).map_err(at(&section.name))?);
    }
    for (index, (_, section)) in parts.entities.iter().enumerate() {
        check_cycle(index, &entities).map_err(at(&section.name))?;
    }
    let mut metrics = Vec::new();
    for (name, section) in &parts.metrics {
        metrics.push(read_metric(name, section, &entity_names).map_err(at(&section.name))?);
    }
    let mut transforms = HashMap::new();
    for (label, section) in &parts.labels {
        if !metrics.iter().any(|metric| metric.labels.iter().any(|name| name == label)) {
            return Err(at(&section.name)(fault(
                "",
                "no metric has this label, expected one that a metric lists",
            )));
        }
        transforms.insert((*label).to_owned(), read_transform(section).map_err(at(&section.name))?);
    }
    let mut events: Vec<EventPlan> = Vec::new();
    for (event, section) in &parts.events {
        if event.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.')).is_none_or(str::is_empty) {
            return Err(at(&section.name)(fault("", format!("expected an event named {name}.…"))));
        }
        let context = plan::Context {
            system: &name,
            entities: &entities,
            metrics: &metrics,
            metric_names: &metric_names,
            transforms: &transforms,
        };
        events.push(plan::plan_event(event, section, &context).map_err(at(&section.name))?);
    }
    for (index, (_, section)) in parts.entities.iter().enumerate() {
        if let Some(entry) = single(section, "abandoned").map_err(at(&section.name))? {
            let event = find_abandoned(entry, index, &entities, &events).map_err(at(&section.name))?;
            entities[index].abandoned = Some(event);
        }
    }
    let scan = match parts.scan {
        Some(section) => read_scan(section, &events).map_err(at("scan"))?,
        None => ScanEvents::default(),
    };
    Ok(Catalog { name, title, entities, metrics, events, scan })
}

/// The sections by their first word.
#[derive(Default)]
struct Parts<'a> {
    system: Option<&'a Section>,
    scan: Option<&'a Section>,
    entities: Vec<(&'a str, &'a Section)>,
    metrics: Vec<(&'a str, &'a Section)>,
    labels: Vec<(&'a str, &'a Section)>,
    events: Vec<(&'a str, &'a Section)>,
}

impl<'a> Parts<'a> {
    fn sort_in(&mut self, section: &'a Section) -> Result<(), Fault> {
        let words: Vec<&str> = section.name.split_whitespace().collect();
        let (list, keys): (_, &[&str]) = match words.as_slice() {
            ["system"] => {
                self.system = Some(section);
                return check_keys(section, &["name", "title"]);
            }
            ["scan"] => {
                self.scan = Some(section);
                return check_keys(section, &["succeeded", "partial", "failed"]);
            }
            ["entity", _] => (&mut self.entities, &["key", "labels", "within", "abandoned"]),
            ["metric", _] => {
                (&mut self.metrics, &["type", "help", "labels", "since", "live", "owner", "buckets", "alias"])
            }
            ["label", _] => (&mut self.labels, &["transform", "parents"]),
            ["event", _] => (&mut self.events, plan::EVENT_KEYS),
            _ => {
                return Err(fault(
                    "",
                    "expected [system], [entity NAME], [metric NAME], [label NAME], [event NAME] or [scan]",
                ));
            }
        };
        if list.iter().any(|(name, _)| *name == words[1]) {
            return Err(fault("", "a name taken twice, expected each name once"));
        }
        list.push((words[1], section));
        check_keys(section, keys)
    }
}

fn check_keys(section: &Section, known: &[&str]) -> Result<(), Fault> {
    match section.entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
        Some(entry) => Err(fault(&entry.key, format!("unknown key, expected one of {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn single<'a>(section: &'a Section, key: &str) -> Result<Option<&'a Entry>, Fault> {
    section.single(key).map_err(|_| fault(key, "written twice, expected once"))
}

fn text<'a>(section: &'a Section, key: &str) -> Result<&'a str, Fault> {
    match single(section, key)? {
        Some(entry) if !entry.value.is_empty() => Ok(&entry.value),
        _ => Err(fault(key, "missing, expected a text")),
    }
}

/// A comma-separated list of names, empty where the key is missing.
pub(super) fn names(section: &Section, key: &str) -> Result<Vec<String>, Fault> {
    let Some(entry) = single(section, key)? else { return Ok(Vec::new()) };
    let mut list: Vec<String> = Vec::new();
    for name in entry.value.split(',').map(str::trim) {
        if !is_name(name) {
            return Err(fault(
                key,
                format!("{name:?}: expected names of letters, digits and _, separated by commas"),
            ));
        }
        if list.iter().any(|other| other == name) {
            return Err(fault(key, format!("{name}: a name taken twice, expected each name once")));
        }
        list.push(name.to_owned());
    }
    Ok(list)
}

pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Names that a line uses for itself.
pub(super) fn check_field_name(key: &str, name: &str) -> Result<(), Fault> {
    if matches!(name, "event" | "time" | "hello" | "bye") {
        return Err(fault(key, format!("{name}: every line uses this field itself, expected another name")));
    }
    Ok(())
}

fn read_system(section: &Section) -> Result<(String, String), Fault> {
    let name = text(section, "name")?;
    if !is_name(name) {
        return Err(fault("name", format!("{name:?}: expected letters, digits and _")));
    }
    Ok((name.to_owned(), text(section, "title")?.to_owned()))
}

fn read_entity(name: &str, section: &Section, all: &[&str]) -> Result<EntityDef, Fault> {
    if !is_name(name) {
        return Err(fault("", "expected a name of letters, digits and _"));
    }
    let key = names(section, "key")?;
    if key.is_empty() {
        return Err(fault("key", "missing, expected the fields that tell open ones apart"));
    }
    let labels = names(section, "labels")?;
    for (list, field) in
        key.iter().map(|field| ("key", field)).chain(labels.iter().map(|field| ("labels", field)))
    {
        check_field_name(list, field)?;
    }
    if let Some(field) = labels.iter().find(|field| key.contains(field)) {
        return Err(fault("labels", format!("{field}: already in the key, expected further fields")));
    }
    if key.len() + labels.len() > limits::ENTITY_PARTS_MAX {
        return Err(fault(
            "labels",
            format!("too many, expected at most {} fields", limits::ENTITY_PARTS_MAX),
        ));
    }
    let mut within = Vec::new();
    for parent in names(section, "within")? {
        within.push(find(&parent, all).ok_or_else(|| fault("within", unknown("entity", &parent, all)))?);
    }
    Ok(EntityDef { name: name.to_owned(), key, labels, within, abandoned: None })
}

pub(super) fn find(name: &str, all: &[&str]) -> Option<usize> {
    all.iter().position(|other| *other == name)
}

pub(super) fn unknown(what: &str, name: &str, all: &[&str]) -> String {
    format!("{name:?}: unknown {what}, expected one of {}", all.join(", "))
}

fn check_cycle(start: usize, entities: &[EntityDef]) -> Result<(), Fault> {
    let mut reached = vec![false; entities.len()];
    let mut open = entities[start].within.clone();
    while let Some(next) = open.pop() {
        if next == start {
            return Err(fault("within", "a cycle, expected parents that are not within it themselves"));
        }
        if !std::mem::replace(&mut reached[next], true) {
            open.extend(&entities[next].within);
        }
    }
    Ok(())
}

fn read_metric(name: &str, section: &Section, entities: &[&str]) -> Result<MetricDef, Fault> {
    let help = text(section, "help")?.to_owned();
    let labels = names(section, "labels")?;
    for label in &labels {
        check_field_name("labels", label)?;
    }
    let kind = read_kind(section, entities)?;
    if matches!(kind, MetricKind::Histogram(_)) && labels.iter().any(|label| label == "le") {
        return Err(fault("labels", "le: a histogram uses this label itself, expected another name"));
    }
    let alias = single(section, "alias")?.map(|entry| entry.value.clone());
    for (key, name) in [("", Some(name)), ("alias", alias.as_deref())] {
        let Some(name) = name else { continue };
        prometheus::core::Desc::new(name.to_owned(), help.clone(), labels.clone(), HashMap::new())
            .map_err(|error| fault(key, format!("{error}; expected names by Prometheus's rules")))?;
        if name.starts_with("lifecycle_exporter_") || name.starts_with("process_") || name.contains(':') {
            return Err(fault(key, format!("{name}: reserved, expected a name of the system's own")));
        }
    }
    let owner = match single(section, "owner")? {
        None => None,
        Some(entry) => Some(
            find(&entry.value, entities)
                .ok_or_else(|| fault("owner", unknown("entity", &entry.value, entities)))?,
        ),
    };
    let since = single(section, "since")?.map(|entry| entry.value.clone());
    Ok(MetricDef { name: name.to_owned(), alias, kind, help, labels, since, owner })
}

fn read_kind(section: &Section, entities: &[&str]) -> Result<MetricKind, Fault> {
    let live = single(section, "live")?;
    let buckets = single(section, "buckets")?;
    let kind = match (text(section, "type")?, live, buckets) {
        ("counter", None, None) => MetricKind::Counter,
        ("age", None, None) => MetricKind::Age,
        ("gauge", None, None) => MetricKind::Gauge,
        ("gauge", Some(entry), None) => MetricKind::Live(
            find(&entry.value, entities)
                .ok_or_else(|| fault("live", unknown("entity", &entry.value, entities)))?,
        ),
        ("histogram", None, Some(entry)) => MetricKind::Histogram(read_buckets(&entry.value)?),
        ("histogram", None, None) => {
            return Err(fault("buckets", "missing, expected the buckets of the histogram"));
        }
        ("counter" | "age" | "gauge", None, Some(_)) => {
            return Err(fault("buckets", "only a histogram has buckets, expected none"));
        }
        ("counter" | "age" | "histogram", Some(_), _) => {
            return Err(fault("live", "only a gauge can be live, expected type = gauge"));
        }
        (other, ..) => {
            return Err(fault("type", format!("{other:?}: expected counter, gauge, histogram or age")));
        }
    };
    Ok(kind)
}

/// `0.1, 1, 10` or `exponential MIN MAX COUNT`: COUNT bounds from MIN to MAX, each the same multiple of the last.
fn read_buckets(text: &str) -> Result<Vec<f64>, Fault> {
    let expected = "expected rising numbers, or: exponential MIN MAX COUNT";
    let number = |word: &str| word.parse::<f64>().ok().filter(|number| number.is_finite());
    let bounds = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["exponential", min, max, count] => match (number(min), number(max), count.parse::<usize>().ok()) {
            (Some(min), Some(max), Some(count @ 2..=limits::BUCKETS_MAX)) if 0.0 < min && min < max => {
                let factor = root(max / min, count as i32 - 1);
                let mut bounds: Vec<f64> = (0..count).map(|i| min * factor.powi(i as i32)).collect();
                bounds[count - 1] = max;
                bounds
            }
            _ => {
                return Err(fault(
                    "buckets",
                    format!(
                        "{text:?}: {expected}, with 0 < MIN < MAX and 2 <= COUNT <= {}",
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

/// The positive root of a number above 1, by Newton's method. The C library's `pow` would keep half a MiB resident.
fn root(number: f64, degree: i32) -> f64 {
    let mut root = number;
    loop {
        let next = root - (root - number / root.powi(degree - 1)) / f64::from(degree);
        if next >= root {
            return root;
        }
        root = next;
    }
}

fn read_transform(section: &Section) -> Result<Transform, Fault> {
    let transform = text(section, "transform")?;
    let parents = single(section, "parents")?;
    match (transform, parents) {
        ("path", parents) => Ok(Transform::Path(
            parents
                .map_or("", |entry| &entry.value)
                .split(',')
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect(),
        )),
        (_, Some(_)) => Err(fault("parents", "only transform = path has parents, expected none")),
        ("slug", None) => Ok(Transform::Slug),
        ("address", None) => Ok(Transform::Address),
        ("quiet", None) => Ok(Transform::Quiet),
        (other, None) => Err(fault("transform", format!("{other:?}: expected path, slug, address or quiet"))),
    }
}

/// An abandoned event has to close the entity, and the entity has to be able to fill all it needs.
fn find_abandoned(
    entry: &Entry,
    index: usize,
    entities: &[EntityDef],
    events: &[EventPlan],
) -> Result<usize, Fault> {
    let wrong = |what: String| fault("abandoned", format!("{}: {what}", entry.value));
    let entity = &entities[index];
    let Some(at) = events.iter().position(|event| event.name == entry.value) else {
        return Err(wrong("unknown event, expected one of this catalog that closes the entity".to_owned()));
    };
    let closes = events[at]
        .steps
        .iter()
        .any(|step| matches!(step, Step::Find { entity, then: Then::Close, .. } if *entity == index));
    if !closes {
        return Err(wrong(format!("does not close {}, expected an event that does", entity.name)));
    }
    let missing = events[at].fields_used_as(FieldUse::Required).find(|field| entity.part(field).is_none());
    match missing {
        Some(field) => {
            Err(wrong(format!("needs {field}, expected only what {} has in key and labels", entity.name)))
        }
        None => Ok(at),
    }
}

fn read_scan(section: &Section, events: &[EventPlan]) -> Result<ScanEvents, Fault> {
    let list = |key: &str| -> Result<Vec<String>, Fault> {
        let mut list = Vec::new();
        for entry in section.repeated(key) {
            let words = EventWords::parse(&entry.value).map_err(|error| fault(key, error))?;
            let Some(event) = events.iter().find(|event| event.name == words.event) else {
                return Err(fault(
                    key,
                    format!("{}: unknown event, expected one of this catalog", words.event),
                ));
            };
            let given = |field: &str| words.fields.iter().any(|(name, _)| *name == field);
            if let Some(field) = event.fields_used_as(FieldUse::Required).find(|field| !given(field)) {
                return Err(fault(
                    key,
                    format!("{}: expected {field}=…, which the event needs", words.event),
                ));
            }
            list.push(entry.value.clone());
        }
        Ok(list)
    };
    Ok(ScanEvents { succeeded: list("succeeded")?, partial: list("partial")?, failed: list("failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
