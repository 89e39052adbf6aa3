//! `catalog`: prints the metrics and events of the systems, for people and for programs.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use super::args::Format;
use super::table::columns;
use crate::catalog::model::FieldUse;
use crate::catalog::{self, Catalog};
use crate::daemon::configuration::Overrides;
use crate::daemon::configuration::load_settings;
use crate::faults::unknown;

#[derive(Serialize)]
struct System<'a> {
    name: &'a str,
    title: &'a str,
    metrics: Vec<Metric<'a>>,
    events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Metric<'a> {
    name: &'a str,
    r#type: &'a str,
    help: &'a str,
    labels: &'a [String],
    since: Option<&'a str>,
}

#[derive(Serialize)]
struct Event<'a> {
    name: &'a str,
    fields: Vec<&'a str>,
    optional: Vec<&'a str>,
}

/// Returns the text to print.
pub(crate) fn run(overrides: &Overrides, system: Option<&str>, format: Format) -> Result<String, String> {
    let (settings, _) = load_settings(overrides)?;
    let catalogs = catalog::load(settings.catalog_directory.as_deref())?.all;
    let wanted: Vec<&Arc<Catalog>> =
        catalogs.iter().filter(|catalog| system.is_none_or(|name| catalog.name == name)).collect();
    if wanted.is_empty() {
        let (name, known) =
            (system.unwrap_or_default(), catalogs.iter().map(|catalog| catalog.name.as_str()));
        return Err(format!("{name:?}: {}", unknown("system", name, &known.collect::<Vec<_>>())));
    }
    let systems: Vec<System<'_>> = wanted.into_iter().map(|catalog| describe(catalog)).collect();
    Ok(match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&systems).map_err(|error| error.to_string())?;
            format!("{text}\n")
        }
        Format::Table => tables(&systems, columns),
        Format::Markdown => tables(&systems, markdown),
    })
}

fn describe(catalog: &Catalog) -> System<'_> {
    let metrics = catalog.metrics.iter().map(|metric| Metric {
        name: &metric.name,
        r#type: metric.kind.prometheus_type(),
        help: &metric.help,
        labels: &metric.labels,
        since: metric.since.as_deref(),
    });
    let events = catalog.events.iter().map(|event| Event {
        name: &event.name,
        fields: event.fields_used_as(FieldUse::Required).collect(),
        optional: event.fields_used_as(FieldUse::Optional).collect(),
    });
    System {
        name: &catalog.name,
        title: &catalog.title,
        metrics: metrics.collect(),
        events: events.collect(),
    }
}

type Table = fn(&mut String, &[&str], &[Vec<String>]);

fn tables(systems: &[System<'_>], table: Table) -> String {
    let mut out = String::new();
    for (index, system) in systems.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "# {} ({})\n", system.title, system.name);
        let metrics: Vec<Vec<String>> = system
            .metrics
            .iter()
            .map(|m| {
                vec![
                    m.name.to_owned(),
                    m.r#type.to_owned(),
                    m.since.unwrap_or("-").to_owned(),
                    m.labels.join(", "),
                    m.help.to_owned(),
                ]
            })
            .collect();
        table(&mut out, &["Metric", "Type", "Since", "Labels", "Description"], &metrics);
        out.push('\n');
        let events: Vec<Vec<String>> = system
            .events
            .iter()
            .map(|e| vec![e.name.to_owned(), e.fields.join(", "), e.optional.join(", ")])
            .collect();
        table(&mut out, &["Event", "Fields", "Optional"], &events);
    }
    out
}

fn markdown(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let _ = writeln!(out, "| {} |", head.join(" | "));
    let _ = writeln!(out, "|{}", " :-- |".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}
