//! From the command line to settings and catalogs that are checked whole, for `serve`, its reload, and `check`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Overrides;
use crate::catalog::model::FieldUse;
use crate::catalog::{self, Catalog, Catalogs};
use crate::config::{Settings, read_settings};
use crate::feed::peers::Peers;

/// Where the configuration is, unless `--config` says otherwise.
pub const CONFIG_FILE: &str = "/etc/lifecycle-exporter/lifecycle-exporter.conf";

/// Everything that a start or a reload needs, without a fault.
pub struct Loaded {
    /// With the command line's own above them.
    pub settings: Settings,
    /// All catalogs.
    pub catalogs: Catalogs,
    /// Who may connect.
    pub peers: Peers,
    /// For the log.
    pub warnings: Vec<String>,
}

/// Reads the configuration file alone. Only the default file may be missing.
pub fn load_settings(overrides: &Overrides) -> Result<(Settings, Vec<String>), String> {
    let default = PathBuf::from(CONFIG_FILE);
    let path: &Path = overrides.config.as_deref().unwrap_or(&default);
    let (mut settings, warnings) = match fs::read(path) {
        Ok(bytes) => {
            let file = path.display().to_string();
            let text = String::from_utf8(bytes).map_err(|_| format!("{file}: expected UTF-8 text"))?;
            read_settings(&file, &text).map_err(|error| error.to_string())?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && overrides.config.is_none() => {
            (Settings::default(), Vec::new())
        }
        Err(error) => {
            return Err(format!("{}: cannot be read: {error}; expected a readable file", path.display()));
        }
    };
    if !overrides.listen.is_empty() {
        settings.listen.clone_from(&overrides.listen);
    }
    if let Some(socket) = &overrides.socket {
        settings.socket = Some(socket.clone());
    }
    if let Some(level) = overrides.log_level {
        settings.log_level = level;
    }
    if settings.state_directory.is_none() {
        settings.state_directory = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    }
    Ok((settings, warnings))
}

/// Reads and checks everything.
pub fn load(overrides: &Overrides) -> Result<Loaded, String> {
    let (settings, warnings) = load_settings(overrides)?;
    let catalogs = catalog::load(settings.catalog_directory.as_deref()).map_err(|error| error.to_string())?;
    let peers = Peers::look_up(&settings)?;
    check_against(&settings, &catalogs.all)?;
    Ok(Loaded { settings, catalogs, peers, warnings })
}

/// What the settings say of systems and events has to be in the catalogs.
fn check_against(settings: &Settings, catalogs: &[Arc<Catalog>]) -> Result<(), String> {
    let names: Vec<&str> = catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
    let check = |place: &str, name: &str| {
        if names.contains(&name) {
            Ok(())
        } else {
            Err(format!("{place}: {name:?}: unknown system, expected one of {}", names.join(", ")))
        }
    };
    for name in &settings.enabled {
        check("[systems] enabled", name)?;
    }
    for scan in &settings.scans {
        if let Some(system) = &scan.system {
            check(&format!("[scan {}] system", scan.name), system)?;
        }
    }
    for startup in &settings.startup {
        let mut events = catalogs.iter().flat_map(|catalog| &catalog.events);
        let Some(plan) = events.find(|plan| plan.name == startup.event) else {
            return Err(format!(
                "[startup] event: {:?}: unknown event, expected one of a catalog",
                startup.event
            ));
        };
        let quoted = |field: &str| startup.line.contains(&format!(",\"{field}\":"));
        if let Some(field) = plan.fields_used_as(FieldUse::Required).find(|field| !quoted(field)) {
            return Err(format!(
                "[startup] event: {}: expected {field}=…, which the event needs",
                startup.event
            ));
        }
    }
    Ok(())
}
