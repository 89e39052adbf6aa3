//! The settings: an INI file parsed once into types that cannot be wrong.
//!
//! `[logs]`, `[http]`, `[app]` and `[stats]` are shared with the servers' own configuration files, so unknown keys
//! there are warnings; the other sections are this program's, so there they are errors. What depends on the machine (whether a
//! user exists, whether a directory can be written) is found out by those who need it.

pub(crate) mod duration;
pub(crate) mod ini;
pub(crate) mod networks;
mod read;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use networks::Networks;
pub(crate) use read::{parse_listen, read_good_settings};

/// Every setting, with its default where the file does not say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// `[logs] level`.
    pub(crate) log_level: log::LevelFilter,
    /// `[http] listen`.
    pub(crate) listen: Vec<SocketAddr>,
    /// `[app] trustedproxies`.
    pub(crate) trusted_proxies: Networks,
    /// `[stats] allowed_ips`.
    pub(crate) allowed_ips: Networks,
    /// `[stats] aliases`.
    pub(crate) aliases: bool,
    /// `[events] socket`.
    pub(crate) socket: Option<PathBuf>,
    /// `[events] mode`, permission bits.
    pub(crate) mode: u32,
    /// `[events] group`.
    pub(crate) group: Option<String>,
    /// `[events] allowed_users`; empty with no allowed groups: everyone whom the file mode lets in.
    pub(crate) allowed_users: Vec<String>,
    /// `[events] allowed_groups`.
    pub(crate) allowed_groups: Vec<String>,
    /// `[events] max_connections`.
    pub(crate) max_connections: usize,
    /// `[events] max_line`, bytes without the line's end.
    pub(crate) max_line: usize,
    /// `[events] grace`.
    pub(crate) grace: Duration,
    /// `[events] expect`: producers that should be there.
    pub(crate) expect: Vec<String>,
    /// `[systems] enabled`; empty: all.
    pub(crate) enabled: Vec<String>,
    /// `[systems] catalog_directory`.
    pub(crate) catalog_directory: Option<PathBuf>,
    /// `[systems] restart`: whether the metrics of a server that has been restarted begin at 0.
    pub(crate) restart_resets: bool,
    /// `[privacy]`.
    pub(crate) privacy: Privacy,
    /// `[limits] series_per_metric`.
    pub(crate) series_per_metric: usize,
    /// `[limits] entities`, for each system.
    pub(crate) entities: usize,
    /// `[state] directory`.
    pub(crate) state_directory: Option<PathBuf>,
    /// `[state] sync`.
    pub(crate) sync: Sync,
    /// `[startup] event`.
    pub(crate) startup: Vec<StartupEvent>,
    /// `[scan NAME]`.
    pub(crate) scans: Vec<ScanSettings>,
}

/// `[privacy]`: what addresses and ids show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Privacy {
    /// Only the last two parts of an address.
    pub(crate) deidentify: bool,
    /// Addresses stay numbers; otherwise names replace them once they are known.
    pub(crate) numeric: bool,
    /// Labels for single connections are blank.
    pub(crate) quiet: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Privacy { deidentify: false, numeric: true, quiet: false }
    }
}

/// `[state] sync`: when what was written is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before each acknowledgement.
    Always,
    /// At most every second.
    Interval,
    /// When the system likes.
    Never,
}

impl Sync {
    const ALL: [Sync; 3] = [Sync::Always, Sync::Interval, Sync::Never];

    /// As the configuration writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sync::Always => "always",
            Sync::Interval => "interval",
            Sync::Never => "never",
        }
    }
}

/// An event that is applied at start and after a reset of its system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartupEvent {
    /// Its name.
    pub(crate) event: String,
    /// The names of its fields.
    pub(crate) fields: Vec<String>,
    /// The whole event as a line of the feed.
    pub(crate) line: String,
}

/// `[scan NAME]`: a directory that the exporter itself looks at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanSettings {
    /// The `scan` label.
    pub(crate) name: String,
    /// Where to look.
    pub(crate) directory: PathBuf,
    /// From the start of one scan to the start of the next.
    pub(crate) interval: Duration,
    /// A scan that takes longer is partial.
    pub(crate) timeout: Duration,
    /// A scan that finds more is partial.
    pub(crate) max_files: u64,
    /// Which file names count.
    pub(crate) pattern: Option<glob::Pattern>,
    /// The system whose catalog says which events a scan causes.
    pub(crate) system: Option<String>,
}

impl Settings {
    /// Whether `[http] listen` says anything but its default.
    pub(crate) fn listen_is_configured(&self) -> bool {
        self.listen != Settings::default().listen
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            log_level: log::LevelFilter::Info,
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 10_048))],
            trusted_proxies: Networks::none(),
            allowed_ips: Networks::loopback(),
            aliases: false,
            socket: None,
            mode: 0o660,
            group: None,
            allowed_users: Vec::new(),
            allowed_groups: Vec::new(),
            max_connections: 1_024,
            max_line: 65_536,
            grace: Duration::from_secs(30),
            expect: Vec::new(),
            enabled: Vec::new(),
            catalog_directory: Some(PathBuf::from("/etc/lifecycle-exporter/catalog.d")),
            restart_resets: false,
            privacy: Privacy::default(),
            series_per_metric: 10_000,
            entities: 1_000_000,
            state_directory: None,
            sync: Sync::Interval,
            startup: Vec::new(),
            scans: Vec::new(),
        }
    }
}

/// Reads a log level: a name, or Python's 10 to 50.
pub(crate) fn parse_level(text: &str) -> Result<log::LevelFilter, String> {
    use log::LevelFilter;
    match text.to_ascii_lowercase().as_str() {
        "debug" | "10" => Ok(LevelFilter::Debug),
        "info" | "20" | "0" | "notset" => Ok(LevelFilter::Info),
        "warning" | "warn" | "30" => Ok(LevelFilter::Warn),
        "error" | "40" | "critical" | "50" => Ok(LevelFilter::Error),
        _ => Err(format!(
            "{text:?}: expected debug, info, warning, error or critical, or a number: 10, 20, 30, 40 or 50"
        )),
    }
}

#[cfg(test)]
mod tests;
