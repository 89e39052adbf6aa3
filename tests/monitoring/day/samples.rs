//! Collects the text of scrapes, and writes what they show as `OpenMetrics`: all samples of a metric together, in the
//! order of time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

/// Labels that Prometheus adds to what it scrapes.
const TARGET: &str = "job=\"lifecycles\",instance=\"talk.example.com\"";

/// The samples of all scrapes, by family.
#[derive(Default)]
pub(super) struct Samples(BTreeMap<String, Family>);

#[derive(Default)]
struct Family {
    kind: String,
    metrics: Vec<Metric>,
    /// Where a metric is, by its labels.
    places: HashMap<String, usize>,
}

/// A time series, or all of a histogram's with the same labels.
#[derive(Default)]
struct Metric {
    /// Names and labels, the same in each scrape.
    series: Vec<String>,
    /// Times, Unix seconds, and the values of all series.
    points: Vec<(f64, Vec<f64>)>,
}

impl Samples {
    /// Adds what one scrape shows, in the text format 0.0.4. `at` is Unix seconds.
    pub(super) fn add(&mut self, at: f64, text: &str) {
        let mut family = None;
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                let (name, kind) = head.split_once(' ').expect("a name and a type");
                let of = self.0.entry(name.to_owned()).or_default();
                kind.clone_into(&mut of.kind);
                family = Some(of);
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                let family = family.as_mut().expect("samples come after the type of their family");
                family.add(at, series, value.parse().expect("values are numbers"));
            }
        }
    }

    /// Writes all families.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let names: HashSet<&str> = self.0.keys().map(String::as_str).collect();
        for (name, family) in &self.0 {
            // The samples of a counter end in `_total` and its family does not; a gauge may have that name already.
            let stem = name.strip_suffix("_total").filter(|stem| !names.contains(stem));
            match (family.kind.as_str(), stem) {
                ("counter", Some(stem)) => writeln!(out, "# TYPE {stem} counter")?,
                ("counter", None) => writeln!(out, "# TYPE {name} unknown")?,
                (kind, _) => writeln!(out, "# TYPE {name} {kind}")?,
            }
            for metric in &family.metrics {
                for (at, values) in &metric.points {
                    for (series, value) in metric.series.iter().zip(values) {
                        writeln!(out, "{series} {value} {at}")?;
                    }
                }
            }
        }
        writeln!(out, "# EOF")?;
        out.flush()
    }
}

impl Family {
    fn add(&mut self, at: f64, series: &str, value: f64) {
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.trim_end_matches('}')),
            None => (series, ""),
        };
        // The bound of a bucket is the last label.
        let key = if self.kind == "histogram" {
            labels.split_once("le=\"").map_or(labels, |(labels, _)| labels).trim_end_matches(',')
        } else {
            labels
        };
        let place = self.places.get(key).copied().unwrap_or_else(|| {
            self.places.insert(key.to_owned(), self.metrics.len());
            self.metrics.push(Metric::default());
            self.metrics.len() - 1
        });
        let metric = &mut self.metrics[place];
        if metric.points.last().is_none_or(|(last, _)| *last < at) {
            metric.points.push((at, Vec::new()));
        }
        let (_, values) = metric.points.last_mut().expect("there is a point of this scrape");
        values.push(value);
        if metric.series.len() < values.len() {
            let separator = if labels.is_empty() { "" } else { "," };
            metric.series.push(format!("{name}{{{labels}{separator}{TARGET}}}"));
        }
    }
}
