//! `check`: reports what a start would report, without starting or changing anything.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use crate::catalog;
use crate::clock;
use crate::daemon::activation::{self, Passed};
use crate::daemon::configuration::Overrides;
use crate::daemon::configuration::{self, Config};
use crate::engine::{Engine, EngineSettings};
use crate::faults::Faults;
use crate::feed::{listener, peers};
use crate::http::access::Access;
use crate::http::listen;
use crate::journal::{self, Unusable};

/// The text to print, and every fault that was found.
#[derive(Default)]
pub(crate) struct Report {
    /// The files that were read or passed over, warnings, and the verdict.
    pub(crate) text: String,
    /// Why a start would fail, or would run without its state.
    pub(crate) faults: Faults,
}

impl Report {
    fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Checks everything. With a client, only reports whether it would be let in; if not, that is a fault.
pub(crate) fn run(overrides: &Overrides, client: Option<IpAddr>, forwarded: &[String]) -> Report {
    let mut report = Report::default();
    let config = configuration::load_good(overrides, &mut report.faults);
    if let Some(client) = client {
        config.warnings.iter().for_each(|warning| report.say(&format!("warning: {warning}")));
        let verdict = Access::new(&config.settings, &[]).decide(client, forwarded.iter().map(String::as_str));
        if verdict.allowed {
            report.say(&verdict.to_string());
        } else {
            report.faults.add(verdict.to_string());
        }
        if is_missing(overrides) {
            report.say(NO_CONFIGURATION);
        }
        return report;
    }
    list_files(overrides, &config, &mut report);
    config.warnings.iter().for_each(|warning| report.say(&format!("warning: {warning}")));
    if report.faults.is_empty() {
        apply_startup_events(&config, &mut report);
    }
    probe(&config, &mut report);
    if report.faults.is_empty() {
        let systems: Vec<&str> = config.catalogs.all.iter().map(|catalog| catalog.name.as_str()).collect();
        report.say(&format!("good: configuration and {} catalogs ({})", systems.len(), systems.join(", ")));
    }
    report
}

const NO_CONFIGURATION: &str = "no configuration: /etc/lifecycle-exporter/lifecycle-exporter.conf does not exist, every \
                                setting has its default";

/// Whether the usual configuration is not there, and nothing names another.
fn is_missing(overrides: &Overrides) -> bool {
    overrides.config.is_none() && !configuration::config_file(overrides).exists()
}

fn list_files(overrides: &Overrides, config: &Config, report: &mut Report) {
    if is_missing(overrides) {
        report.say(NO_CONFIGURATION);
    } else {
        report.say(&format!("read: {}", configuration::config_file(overrides).display()));
    }
    let listing = config.settings.catalog_directory.as_deref().map(catalog::list);
    if let Some(Ok(listing)) = listing {
        listing.catalogs.iter().for_each(|path| report.say(&format!("read: {}", path.display())));
        for path in &listing.passed_over {
            report.say(&format!("passed over: {}: not named *.ini", path.display()));
        }
    }
}

/// Applies the start-up events as a first start would.
fn apply_startup_events(config: &Config, report: &mut Report) {
    let mut engine = Engine::default();
    let settings = EngineSettings::from(&config.settings);
    for said in engine.configure(&config.catalogs.all, settings, clock::unix_seconds()) {
        report.say(&format!("warning: {said}"));
    }
}

/// Tries what a start would use: sockets, addresses, directories.
fn probe(config: &Config, report: &mut Report) {
    let settings = &config.settings;
    let passed = match activation::take() {
        Ok(passed) => passed,
        Err(error) => {
            report.faults.add(error);
            Passed::default()
        }
    };
    let group = settings.group.as_deref().map(peers::socket_group);
    let group = group.and_then(|group| report.faults.take(group));
    let probe = listener::probe(settings.socket.as_deref(), group);
    // If the exporter with this configuration is running, what it holds is not a fault, since a reload keeps
    // it.
    let running = probe.listener.filter(|pid| is_exporter(*pid));
    if let Some(pid) = running {
        let path = probe.path.display();
        report.say(&format!("running: process {pid} listens on {path}; what it has in use is not checked"));
    } else if let Some(fault) = probe.fault.filter(|_| passed.events.is_none()) {
        report.faults.add(fault);
    }
    match passed.overrides(settings).or_else(|| active_http_socket(settings)) {
        Some(warning) => report.say(&format!("warning: {warning}")),
        None if passed.http.is_empty() => {
            let failed = listen::bind_all(&settings.listen).err().unwrap_or_default();
            for fault in failed.iter().filter(|fault| running.is_none() || !fault.is_in_use()) {
                report.faults.add(fault.to_string());
            }
        }
        None => {}
    }
    if !settings.allowed_ips.contains(Ipv4Addr::LOCALHOST.into()) {
        report.say(
            "warning: [stats] allowed_ips: does not have 127.0.0.1: open, check --alive and curl on this machine \
             are denied",
        );
    }
    match settings.state_directory.as_deref().map(journal::probe) {
        None => report.say("state: in memory only ([state] directory)"),
        Some(Ok(())) => {}
        Some(Err(Unusable::Locked(_))) if running.is_some() => {}
        Some(Err(Unusable::Locked(fault) | Unusable::Fault(fault))) => report.faults.add(fault),
    }
    for scan in &settings.scans {
        if let Err(error) = fs::read_dir(&scan.directory) {
            report.say(&format!(
                "warning: [scan {}] {} cannot be read: {error}",
                scan.name,
                scan.directory.display()
            ));
        }
    }
}

/// Whether a process is an exporter, or systemd, which listens for one.
fn is_exporter(pid: i32) -> bool {
    // The kernel keeps fifteen characters of a name.
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| matches!(name.trim(), "lifecycle-expor" | "systemd"))
}

/// The warning if systemd holds the HTTP socket, so that the configured addresses have no effect.
fn active_http_socket(settings: &crate::config::Settings) -> Option<String> {
    const UNIT: &str = "lifecycle-exporter-http.socket";
    if !settings.listen_is_configured() || !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let output =
        Command::new("systemctl").args(["show", "--property=ActiveState,Listen", UNIT]).output().ok()?;
    let properties = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| properties.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    (value("ActiveState") == Some("active")).then(|| {
        let listens = value("Listen").unwrap_or_default();
        format!(
            "[http] listen has no effect: {UNIT} is active and listens on {listens}; stop and \
             disable it to use the setting"
        )
    })
}
