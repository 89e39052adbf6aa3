//! From the command line to settings and catalogs that are checked whole, for `serve`, its reload, and
//! `check`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::model::FieldUse;
use crate::catalog::{self, Catalog, Catalogs};
use crate::config::{Settings, read_good_settings};
use crate::faults::Faults;
use crate::feed::peers::Peers;

/// What the command line sets; it wins over the configuration file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--listen`.
    pub(crate) listen: Vec<SocketAddr>,
    /// `--socket`.
    pub(crate) socket: Option<PathBuf>,
    /// `--log-level`.
    pub(crate) log_level: Option<log::LevelFilter>,
}

/// Where the configuration is, unless `--config` says otherwise.
pub(crate) const CONFIG_FILE: &str = "/etc/lifecycle-exporter/lifecycle-exporter.conf";

/// Everything that a start or a reload needs.
#[derive(Default)]
pub(crate) struct Loaded {
    /// With the command line's own above them.
    pub(crate) settings: Settings,
    /// All catalogs.
    pub(crate) catalogs: Catalogs,
    /// Who may connect.
    pub(crate) peers: Peers,
    /// For the log.
    pub(crate) warnings: Vec<String>,
}

/// Reads the configuration file alone. Only the default file may be missing.
pub(crate) fn load_settings(overrides: &Overrides) -> Result<(Settings, Vec<String>), Faults> {
    let mut faults = Faults::default();
    let loaded = load_good_settings(overrides, &mut faults);
    faults.or(loaded)
}

/// The file of the settings.
pub(crate) fn config_file(overrides: &Overrides) -> PathBuf {
    overrides.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE))
}

fn load_good_settings(overrides: &Overrides, faults: &mut Faults) -> (Settings, Vec<String>) {
    let path = config_file(overrides);
    let file = path.display().to_string();
    let text = match fs::read(&path) {
        Ok(bytes) => {
            faults.take(String::from_utf8(bytes).map_err(|_| format!("{file}: expected UTF-8 text")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && overrides.config.is_none() => None,
        Err(error) => {
            faults.add(format!("{file}: cannot be read: {error}; expected a readable file"));
            None
        }
    };
    let (mut settings, warnings) =
        text.map(|text| read_good_settings(&file, &text, faults)).unwrap_or_default();
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
    (settings, warnings)
}

/// Reads and checks everything. The error holds every fault.
pub(crate) fn load(overrides: &Overrides) -> Result<Loaded, Faults> {
    let mut faults = Faults::default();
    let loaded = load_good(overrides, &mut faults);
    faults.or(loaded)
}

/// The same as far as there are no faults.
pub(crate) fn load_good(overrides: &Overrides, faults: &mut Faults) -> Loaded {
    let (settings, mut warnings) = load_good_settings(overrides, faults);
    let catalogs = catalog::load_good(settings.catalog_directory.as_deref(), faults);
    // A system that is not there may be that of a catalog that cannot be read.
    let all_known = faults.is_empty();
    warnings.extend(check_against(&settings, &catalogs.all, all_known, faults));
    let peers = faults.take(Peers::look_up(&settings)).unwrap_or_default();
    Loaded { settings, catalogs, peers, warnings }
}

/// What the settings say of systems and events has to be in the catalogs. Returns warnings.
/// Where not all systems are known, one that is missing is no fault: it only follows from another.
fn check_against(
    settings: &Settings,
    catalogs: &[Arc<Catalog>],
    all_known: bool,
    faults: &mut Faults,
) -> Vec<String> {
    let names: Vec<&str> = catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
    let mut check = |place: &str, name: &str| {
        if all_known && !names.contains(&name) {
            let expected = names.join(", ");
            faults.add(format!("{place}: {name:?}: unknown system, expected one of {expected}"));
        }
    };
    for name in &settings.enabled {
        check("[systems] enabled", name);
    }
    for scan in &settings.scans {
        if let Some(system) = &scan.system {
            check(&format!("[scan {}] system", scan.name), system);
        }
    }
    let mut warnings = Vec::new();
    for startup in &settings.startup {
        let mut events = catalogs.iter().flat_map(|catalog| &catalog.events);
        let Some(plan) = events.find(|plan| plan.name == startup.event) else {
            let system = startup.event.split('.').next().unwrap_or_default();
            if all_known || names.contains(&system) {
                let event = &startup.event;
                faults.add(format!("[startup] event: {event:?}: unknown event, expected one of a catalog"));
            }
            continue;
        };
        let given = |field: &str| startup.fields.iter().any(|name| name == field);
        if let Some(field) = plan.fields_used_as(FieldUse::Required).find(|field| !given(field)) {
            faults.add(format!(
                "[startup] event: {}: expected {field}=…, which the event needs",
                startup.event
            ));
        }
        let unknown = plan.unknown_fields(startup.fields.iter().map(String::as_str));
        warnings.extend(unknown.map(|(_, what)| format!("[startup] event: {what}")));
    }
    warnings
}
