//! `follow`: reads configuration and catalogs, then follows a log or shows what the patterns find in it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::{self, Catalog};
use crate::config::Settings;
use crate::daemon::configuration::{Overrides, default_state_directory, load_settings};
use crate::daemon::logging;
use crate::faults::{alternatives, meant};
use crate::feed::listener;
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
    let socket = listener::find_path(settings.socket.as_deref())?;
    follow::run(&Orders { position: position(overrides, orders)?, ..orders.clone() }, matcher, socket)
}

/// Where how far the log is read is kept: in a file that is named, else in the state directory. Standard input has
/// no position.
fn position(overrides: &Overrides, orders: &Orders) -> Result<Option<PathBuf>, String> {
    if orders.log == Log::StandardInput {
        return Ok(None);
    }
    if orders.position.is_some() {
        return Ok(orders.position.clone());
    }
    let Some(directory) = overrides.state.clone().or_else(default_state_directory) else { return Ok(None) };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| {
        format!("{}: cannot be made: {error}; --position names a file", directory.display())
    })?;
    Ok(Some(directory.join(orders.producer.replace('/', "_") + ".position")))
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
