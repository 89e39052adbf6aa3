//! Loads settings and catalogs and checks them against each other, for a start, a reload and `check`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::model::{EventPlan, FieldUse};
use crate::catalog::{self, Catalog, Catalogs};
use crate::config::{Settings, read_good_settings};
use crate::faults::{Faults, listed, meant};
use crate::feed::peers::Peers;
use crate::{limits, regular_file};

/// Settings of the command line, which override the configuration file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--listen`.
    pub(crate) listen: Vec<SocketAddr>,
    /// `--socket`.
    pub(crate) socket: Option<PathBuf>,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
    /// `--log-level`.
    pub(crate) log_level: Option<log::LevelFilter>,
    /// The command is `demo`.
    pub(crate) is_demo: bool,
}

/// The configuration file, unless `--config` names another.
const CONFIG_FILE: &str = "/etc/lifecycle-exporter/lifecycle-exporter.conf";

/// Everything that a start or a reload needs.
#[derive(Default)]
pub(crate) struct Config {
    /// With the overrides applied.
    pub(crate) settings: Settings,
    pub(crate) catalogs: Catalogs,
    /// The users who may connect.
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

pub(crate) fn config_file(overrides: &Overrides) -> PathBuf {
    overrides.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE))
}

/// Like [`load_settings`], but adds the faults to `faults` and leaves out what has one.
pub(crate) fn load_good_settings(overrides: &Overrides, faults: &mut Faults) -> (Settings, Vec<String>) {
    let path = config_file(overrides);
    let file = path.display().to_string();
    let text = match regular_file::read(&path, limits::CONFIG_BYTES_MAX) {
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
    let socket = overrides.socket.clone().or_else(|| path_in("LIFECYCLE_EVENTS_SOCKET"));
    settings.socket = socket.or(settings.socket);
    if let Some(state) = &overrides.state {
        settings.state_directory = Some(state.clone());
    }
    if let Some(level) = overrides.log_level {
        settings.log_level = level;
    }
    if settings.state_directory.is_none() {
        let is_usual = settings.socket.is_none() && !overrides.is_demo;
        // At another socket is another exporter, with a state of its own.
        settings.state_directory =
            if is_usual { default_state_directory() } else { path_in("STATE_DIRECTORY") };
    }
    (settings, warnings)
}

/// The path that a variable of the environment names.
fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Where state is kept if nothing says so: where systemd says, else, for an ordinary user, where the XDG base
/// directories say.
pub(crate) fn default_state_directory() -> Option<PathBuf> {
    let passed = path_in("STATE_DIRECTORY");
    if passed.is_some() || nix::unistd::geteuid().is_root() {
        return passed;
    }
    let in_home = || Some(path_in("HOME")?.join(".local/state"));
    let base = path_in("XDG_STATE_HOME").or_else(in_home).filter(|base| base.is_absolute())?;
    Some(base.join("lifecycle-exporter"))
}

/// Reads and checks everything. The error holds every fault.
pub(crate) fn load(overrides: &Overrides) -> Result<Config, Faults> {
    let mut faults = Faults::default();
    let loaded = load_good(overrides, &mut faults);
    faults.or(loaded)
}

/// Like [`load`], but adds the faults to `faults` and leaves out what has one.
pub(crate) fn load_good(overrides: &Overrides, faults: &mut Faults) -> Config {
    let (settings, mut warnings) = load_good_settings(overrides, faults);
    let catalogs = catalog::load_good(settings.catalog_directory.as_deref(), faults);
    // An unknown system may be that of a catalog that cannot be read.
    let all_known = faults.is_empty();
    warnings.extend(check_against(&settings, &catalogs.all, all_known, faults));
    let peers = faults.take(Peers::look_up(&settings)).unwrap_or_default();
    Config { settings, catalogs, peers, warnings }
}

/// Checks that the catalogs have the systems and events that the settings name. Returns warnings.
///
/// Without `all_known`, an unknown system is not a fault, because it may follow from another one.
fn check_against(
    settings: &Settings,
    catalogs: &[Arc<Catalog>],
    all_known: bool,
    faults: &mut Faults,
) -> Vec<String> {
    let names: Vec<&str> = catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
    let mut check = |place: &str, name: &str| {
        if all_known && !names.contains(&name) {
            let expected = listed(names.iter().copied());
            let meant = meant(name, &names);
            faults.add(format!("{place}: {name:?}: unknown system, expected one of {expected}{meant}"));
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
    let events = catalogs.iter().flat_map(|catalog| &catalog.events);
    let events: HashMap<&str, &EventPlan> = events.map(|plan| (&*plan.name, plan)).collect();
    for startup in &settings.startup {
        let Some(plan) = events.get(startup.event.as_str()) else {
            let system = startup.event.split('.').next().unwrap_or_default();
            if all_known || names.contains(&system) {
                let event = &startup.event;
                let meant = meant(event, &events.keys().copied().collect::<Vec<_>>());
                faults.add(format!(
                    "[startup] event: {event:?}: unknown event, expected one of a catalog{meant}"
                ));
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
