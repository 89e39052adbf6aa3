//! The settings: an INI file, parsed once into checked types.
//!
//! `[logs]`, `[http]`, `[app]` and `[stats]` are shared with the configuration files of other servers, so
//! unknown keys in them are warnings. The other sections belong to this program, so unknown keys in them are
//! errors. The modules that use a setting check what depends on the machine: whether a user exists, whether a
//! directory is writable.

pub(crate) mod duration;
pub(crate) mod ini;
pub(crate) mod networks;
mod read;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use networks::Networks;
pub(crate) use read::{parse_listen, read_good_settings};

/// All settings. What the file does not set has its default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// `[logs] level`.
    pub(crate) log_level: log::LevelFilter,
    /// `[http] listen`.
    pub(crate) listen: Vec<SocketAddr>,
    /// `[http] hosts`: names of this machine that it does not know itself.
    pub(crate) hosts: Vec<String>,
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
    /// `[events] allowed_users`. If it and the allowed groups are empty, the mode of the socket decides.
    pub(crate) allowed_users: Vec<String>,
    /// `[events] allowed_groups`.
    pub(crate) allowed_groups: Vec<String>,
    /// `[events] max_connections`.
    pub(crate) max_connections: usize,
    /// `[events] max_line`, bytes without the line ending.
    pub(crate) max_line: usize,
    /// `[events] grace`.
    pub(crate) grace: Duration,
    /// `[events] expect`: producers that should be connected.
    pub(crate) expect: Vec<String>,
    /// `[systems] enabled`; empty: all.
    pub(crate) enabled: Vec<String>,
    /// `[systems] catalog_directory`.
    pub(crate) catalog_directory: Option<PathBuf>,
    /// `[systems] restart`: whether the metrics of a server start at 0 after its restart.
    pub(crate) restart_resets: bool,
    /// `[privacy]`.
    pub(crate) privacy: Privacy,
    /// `[limits] series_per_metric`.
    pub(crate) series_per_metric: usize,
    /// `[limits] entities`, for each system.
    pub(crate) entities: usize,
    /// `[limits] memory`: bytes of all open entities and series.
    pub(crate) memory: usize,
    /// `[state] directory`.
    pub(crate) state_directory: Option<PathBuf>,
    /// `[state] sync`.
    pub(crate) sync: FsyncPolicy,
    /// `[startup] event`.
    pub(crate) startup: Vec<StartupEvent>,
    /// `[scan NAME]`.
    pub(crate) scans: Vec<ScanSettings>,
}

/// `[privacy]`: what labels reveal of addresses and ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Privacy {
    /// Addresses keep only their last two parts.
    pub(crate) deidentify: bool,
    /// Addresses stay numeric; otherwise host names replace them once they are known.
    pub(crate) numeric: bool,
    /// Labels of single connections are empty.
    pub(crate) quiet: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Privacy { deidentify: false, numeric: true, quiet: false }
    }
}

/// `[state] sync`: when written data is synced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FsyncPolicy {
    /// Before each acknowledgement.
    Always,
    /// At most every second.
    Interval,
    /// When the operating system does it.
    Never,
}

impl FsyncPolicy {
    const ALL: [FsyncPolicy; 3] = [FsyncPolicy::Always, FsyncPolicy::Interval, FsyncPolicy::Never];

    /// As the configuration writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FsyncPolicy::Always => "always",
            FsyncPolicy::Interval => "interval",
            FsyncPolicy::Never => "never",
        }
    }
}

/// An event that is applied at start and after a reset of its system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartupEvent {
    pub(crate) event: String,
    /// The names of its fields.
    pub(crate) fields: Vec<String>,
    /// The whole event as a line of the feed.
    pub(crate) line: String,
}

/// `[scan NAME]`: a directory that the exporter scans itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanSettings {
    /// The `scan` label.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// From the start of one scan to the start of the next.
    pub(crate) interval: Duration,
    /// A scan that takes longer is partial.
    pub(crate) timeout: Duration,
    /// A scan that finds more is partial.
    pub(crate) max_files: u64,
    /// The file names that count; `None`: all.
    pub(crate) pattern: Option<glob::Pattern>,
    /// The system whose catalog lists the events that a scan causes.
    pub(crate) system: Option<String>,
}

impl Settings {
    /// Whether `[http] listen` differs from its default.
    pub(crate) fn listen_is_configured(&self) -> bool {
        self.listen != Settings::default().listen
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            log_level: log::LevelFilter::Info,
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 10_048))],
            hosts: Vec::new(),
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
            memory: 256 << 20,
            state_directory: None,
            sync: FsyncPolicy::Interval,
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
