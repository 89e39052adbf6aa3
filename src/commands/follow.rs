//! `follow`: reads configuration and catalogs, then follows a log or shows what the patterns find in it.

use std::path::PathBuf;
use std::sync::Arc;

use super::send;
use crate::catalog::{self, Catalog};
use crate::config::Settings;
use crate::daemon::configuration::{Overrides, load_settings};
use crate::daemon::logging;
use crate::faults::{alternatives, meant};
use crate::follow::matcher::Matcher;
use crate::follow::{self, Log, Orders, trial};

/// Follows a log for ever, or to the end of standard input.
pub(super) fn run(overrides: &Overrides, orders: &Orders) -> Result<(), String> {
    let (settings, warnings) = load_settings(overrides)?;
    logging::configure(&settings);
    for warning in warnings {
        log::warn!("{warning}");
    }
    let matcher = matcher(&settings, &orders.system)?;
    let socket: PathBuf = send::socket(overrides, &settings)?;
    follow::run(orders, matcher, socket)
}

/// Shows what the patterns of a system find in a log.
pub(super) fn try_patterns(
    overrides: &Overrides,
    system: &str,
    log: &Log,
    format: trial::Format,
) -> Result<(), String> {
    let (settings, _) = load_settings(overrides)?;
    let matcher = matcher(&settings, system)?;
    trial::run(&matcher, log, format, &mut std::io::BufWriter::new(std::io::stdout().lock()))
}

fn matcher(settings: &Settings, system: &str) -> Result<Matcher, String> {
    let catalogs = catalog::load(settings.catalog_directory.as_deref())?;
    let has_lines = |catalog: &&Arc<Catalog>| !catalog.lines.is_empty();
    match catalogs.all.iter().find(|catalog| catalog.name == system) {
        Some(catalog) if has_lines(&catalog) => Matcher::new(catalog),
        Some(_) => Err(format!(
            "{system}: its catalog has no [line NAME] sections, which say what the lines of a log mean"
        )),
        None => {
            let names = catalogs.all.iter().filter(has_lines).map(|catalog| catalog.name.as_str());
            let names: Vec<&str> = names.collect();
            let meant = meant(system, &names);
            Err(format!("{system}: unknown system, expected {}{meant}", alternatives(names)))
        }
    }
}
