//! The exporter's page as it is compared: only families that the model knows, each series with its labels in one order and
//! its number in one form.

use std::collections::BTreeMap;

use crate::tables::{Kind, System};
use crate::world::{number, series};

/// The exporter's own families that the model knows.
const OWN: [&str; 8] = [
    "events_total",
    "events_rejected_total",
    "entities",
    "abandoned_total",
    "label_cuts_total",
    "last_event_timestamp_seconds",
    "event_times_ignored_total",
    "producer_connected",
];

/// Reads an exposition.
pub fn read(text: &str) -> BTreeMap<String, String> {
    let mut page = BTreeMap::new();
    for line in text.lines() {
        if let Some((key, value)) = comment(line) {
            page.insert(key, value);
            continue;
        }
        let (head, value) = line.rsplit_once(' ').unwrap_or((line, ""));
        let (name, labels) = head.split_once('{').unwrap_or((head, ""));
        if let Some(own) =
            name.strip_prefix("lifecycle_exporter_").or(name.strip_prefix("process_").and(Some("")))
            && !OWN.contains(&own)
        {
            continue;
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let before = page.insert(series(name, read_labels(labels).into_iter()), number(value));
        assert!(before.is_none(), "a series stands twice: {line}");
    }
    page
}

/// A line of type or help of a family of the five systems.
fn comment(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("# ")?;
    let (kind, rest) = rest.split_once(' ')?;
    let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let own = name.starts_with("lifecycle_exporter_") || name.starts_with("process_");
    Some((
        if own { "#".to_owned() } else { format!("# {kind} {name}") },
        if own { String::new() } else { text.to_owned() },
    ))
}

/// Labels with their escapes undone; those of buckets as numbers.
fn read_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at;
                    break;
                }
                '\\' => value.push(chars.next().map_or('\\', |(_, c)| if c == 'n' { '\n' } else { c })),
                _ => value.push(c),
            }
        }
        if name == "le" {
            value = number(value.parse().unwrap());
        }
        labels.push((name.to_owned(), value));
        text = rest[end..].trim_start_matches('"').trim_start_matches(',');
    }
    labels
}

/// The lines in which the program's page differs from the model's. What the contract leaves open is no difference.
pub fn differences(
    model: &BTreeMap<String, String>,
    actual: &BTreeMap<String, String>,
    systems: &[&System],
) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in model {
        match actual.get(key) {
            Some(other) if other == value => {}
            None if value == "0" && key.starts_with("lifecycle_exporter_label_cuts_total") => {}
            other => found
                .push(format!("{key}: model {value}, program {}", other.map_or("nothing", String::as_str))),
        }
    }
    for (key, value) in actual.iter().filter(|(key, _)| !model.contains_key(*key)) {
        if !is_open(key, value, systems) {
            found.push(format!("{key}: model nothing, program {value}"));
        }
    }
    found
}

/// Whether the contract leaves open if this line is there: help texts that no table gives, zeroes, families without series.
fn is_open(key: &str, value: &str, systems: &[&System]) -> bool {
    if key.starts_with('#') {
        return true;
    }
    let name = key.split(' ').next().unwrap_or_default();
    let zero = |system: &&System| {
        system.name == "vlog" && system.metrics.get(name).is_some_and(|metric| metric.kind == Kind::Counter)
    };
    value == "0" && (name == "lifecycle_exporter_label_cuts_total" || systems.iter().any(zero))
}
