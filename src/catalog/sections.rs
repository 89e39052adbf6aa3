//! The sections of a catalog, each by itself: keys, names, types, buckets, transforms. What one says of others is `read`'s.

use super::model::{EntityDef, EntityIndex, EventPlan, MetricDef, MetricKind, Transform};
use super::read::{Fault, Names, fault};
use crate::config::ini::{Entry, Section};
use crate::limits;

pub(super) fn check_keys(section: &Section, known: &[&str]) -> Result<(), Fault> {
    match section.entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
        Some(entry) => Err(fault(&entry.key, format!("unknown key, expected one of {}", known.join(", ")))),
        None => Ok(()),
    }
}

pub(super) fn single<'a>(section: &'a Section, key: &str) -> Result<Option<&'a Entry>, Fault> {
    section.single(key).map_err(|_| fault(key, "written twice, expected once"))
}

pub(super) fn text<'a>(section: &'a Section, key: &str) -> Result<&'a str, Fault> {
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

pub(super) fn read_system(section: &Section) -> Result<(String, String), Fault> {
    let name = text(section, "name")?;
    if !is_name(name) {
        return Err(fault("name", format!("{name:?}: expected letters, digits and _")));
    }
    if name == "exporter" {
        return Err(fault("name", "exporter: stands for the exporter's own metrics, expected another name"));
    }
    Ok((name.to_owned(), text(section, "title")?.to_owned()))
}

pub(super) fn read_entity(name: &str, section: &Section, all: &Names) -> Result<EntityDef, Fault> {
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
    let within = names(section, "within")?;
    let within: Result<Vec<EntityIndex>, Fault> =
        within.iter().map(|parent| all.find("within", parent)).collect();
    let closes_when_empty = match single(section, "when_empty")?.map(|entry| entry.value.as_str()) {
        None => false,
        Some("close") => true,
        Some(other) => return Err(fault("when_empty", format!("{other:?}: expected close, or no such key"))),
    };
    Ok(EntityDef {
        name: name.to_owned(),
        key,
        labels,
        within: within?,
        abandoned: None,
        owned: yes_no(section, "owned")?.unwrap_or(true),
        closes_when_empty,
        gauges: EventPlan::default(),
    })
}

/// The value of a key that is `yes` or `no`.
pub(super) fn yes_no(section: &Section, key: &str) -> Result<Option<bool>, Fault> {
    match single(section, key)?.map(|entry| entry.value.as_str()) {
        None => Ok(None),
        Some("yes") => Ok(Some(true)),
        Some("no") => Ok(Some(false)),
        Some(other) => Err(fault(key, format!("{other:?}: expected yes or no"))),
    }
}

/// Names that Prometheus and this program keep for themselves, and what is no name at all.
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

pub(super) fn read_metric(name: &str, section: &Section, entities: &Names) -> Result<MetricDef, Fault> {
    let help = text(section, "help")?.to_owned();
    let labels = names(section, "labels")?;
    for label in &labels {
        check_field_name("labels", label)?;
        if label == "le" {
            let what = "le: a histogram uses this label itself, expected another name";
            return Err(fault("labels", what));
        }
        if label.starts_with("__") || label == "quantile" {
            return Err(fault(
                "labels",
                format!("{label}: Prometheus reserves this label, expected another name"),
            ));
        }
    }
    let kind = read_kind(section, entities)?;
    let alias = single(section, "alias")?.map(|entry| entry.value.clone());
    if let Some(alias) = &alias {
        check_metric_name("alias", alias)?;
    }
    let owner = match single(section, "owner")? {
        None => None,
        Some(entry) => Some(entities.find("owner", &entry.value)?),
    };
    let since = single(section, "since")?.map(|entry| entry.value.clone());
    let zero = yes_no(section, "zero")?;
    if zero.is_some() && !labels.is_empty() {
        return Err(fault("zero", "this metric has labels, expected one that exists at 0 from the start"));
    }
    let zero = zero.unwrap_or(true);
    Ok(MetricDef { name: name.to_owned(), alias, kind, help, labels, since, owner, zero })
}

fn read_kind(section: &Section, entities: &Names) -> Result<MetricKind, Fault> {
    let live = single(section, "live")?;
    let buckets = single(section, "buckets")?;
    let kind = match (text(section, "type")?, live, buckets) {
        ("counter", None, None) => MetricKind::Counter,
        ("age", None, None) => MetricKind::Age,
        ("gauge", None, None) => MetricKind::Gauge,
        ("gauge", Some(entry), None) => MetricKind::Live(entities.find("live", &entry.value)?),
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

pub(super) fn read_transform(section: &Section) -> Result<Transform, Fault> {
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
