//! From the text of a configuration file to [`Settings`]: every key, what it takes, and what is said when it does not.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Networks, ScanSettings, Settings, StartupEvent, Sync, duration, parse_level};
use crate::config::ini::{self, Entry, InlineComments, Section};
use crate::faults::Faults;
use crate::limits;
use crate::protocol::shorthand::EventSpec;

/// The sections shared with other servers' files: unknown keys are theirs.
const SHARED: [(&str, &[&str]); 4] = [
    ("logs", &["level"]),
    ("http", &["listen"]),
    ("app", &["trustedproxies"]),
    ("stats", &["allowed_ips", "aliases"]),
];

/// The sections that only this program has.
const OWN: [(&str, &[&str]); 6] = [
    (
        "events",
        &[
            "socket",
            "mode",
            "group",
            "allowed_users",
            "allowed_groups",
            "max_connections",
            "max_line",
            "grace",
            "expect",
        ],
    ),
    ("systems", &["enabled", "catalog_directory", "restart"]),
    ("privacy", &["deidentify", "numeric", "quiet"]),
    ("limits", &["series_per_metric", "entities"]),
    ("state", &["directory", "sync"]),
    ("startup", &["event"]),
];

const SCAN_KEYS: [&str; 6] = ["directory", "interval", "timeout", "max_files", "pattern", "system"];

/// Reads a file's text as far as it has no faults. `file` is only named in faults and in the warnings that are returned.
pub(crate) fn read_good_settings(file: &str, text: &str, faults: &mut Faults) -> (Settings, Vec<String>) {
    let settings = Settings::default();
    let document = match ini::parse(text, InlineComments::AsWritten, knows) {
        Ok(document) => document,
        Err(errors) => {
            for error in errors {
                faults.add(format!("{file}: {error}"));
            }
            return (settings, Vec::new());
        }
    };
    let mut reader = Reader { file, settings, warnings: Vec::new(), faults };
    for section in &document.sections {
        reader.section(section);
    }
    if !document.ignored.is_empty() {
        let names: Vec<String> = document.ignored.iter().map(|name| format!("[{name}]")).collect();
        reader.warnings.push(format!("{file}: sections of other programs are ignored: {}", names.join(", ")));
    }
    if reader.settings.grace < limits::CLIENT_PAUSE_MAX * 3 {
        reader.warnings.push(format!(
            "[events] grace: {} s: producers may pause for {} s between two attempts to come back, so what they have open \
             may be abandoned at each restart of the exporter; expected at least {} s",
            reader.settings.grace.as_secs_f64(),
            limits::CLIENT_PAUSE_MAX.as_secs(),
            3 * limits::CLIENT_PAUSE_MAX.as_secs()
        ));
    }
    (reader.settings, reader.warnings)
}

fn knows(section: &str) -> bool {
    let names = SHARED.iter().chain(&OWN).map(|(name, _)| *name);
    section.split_whitespace().next() == Some("scan") || names.into_iter().any(|name| name == section)
}

struct Reader<'a> {
    file: &'a str,
    settings: Settings,
    warnings: Vec<String>,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    fn section(&mut self, section: &Section) {
        let name = section.name.as_str();
        if let Some(scan) = name.strip_prefix("scan") {
            return self.scan(section, scan.trim());
        }
        let shared = SHARED.iter().find(|(other, _)| *other == name);
        let keys =
            shared.or_else(|| OWN.iter().find(|(other, _)| *other == name)).map_or(&[][..], |(_, keys)| keys);
        for (index, entry) in section.entries.iter().enumerate() {
            let is_known = keys.contains(&entry.key.as_str());
            let again = section.entries[..index].iter().any(|other| other.key == entry.key);
            if !is_known && shared.is_some() {
                let line = entry.line;
                self.warnings.push(format!(
                    "{}: line {line}: [{name}] {}: unknown key, ignored",
                    self.file, entry.key
                ));
            } else if !is_known {
                self.fault(section, entry, &format!("unknown key, expected one of {}", keys.join(", ")));
            } else if again && entry.key != "event" {
                self.fault(section, entry, "written twice, expected once");
            } else if let Err(what) = self.read_entry(name, entry) {
                self.fault(section, entry, &what);
            }
        }
    }

    fn fault(&mut self, section: &Section, entry: &Entry, what: &str) {
        let (line, name, key) = (entry.line, &section.name, &entry.key);
        self.faults.add(format!("{}: line {line}: [{name}] {key}: {what}", self.file));
    }

    fn read_entry(&mut self, section: &str, entry: &Entry) -> Result<(), String> {
        let value = plain(&entry.value)?;
        let settings = &mut self.settings;
        match (section, entry.key.as_str()) {
            ("logs", "level") => settings.log_level = parse_level(value)?,
            ("http", "listen") => settings.listen = list(value, parse_listen)?,
            ("app", "trustedproxies") => {
                settings.trusted_proxies = networks(value)?.unwrap_or_else(Networks::none);
            }
            ("stats", "allowed_ips") => {
                settings.allowed_ips = networks(value)?.unwrap_or_else(Networks::loopback);
            }
            ("stats", "aliases") => settings.aliases = yes_no(value)?,
            ("events", "socket") => settings.socket = path(value)?,
            ("events", "mode") => settings.mode = parse_mode(value)?,
            ("events", "group") => settings.group = (!value.is_empty()).then(|| value.to_owned()),
            ("events", "allowed_users") => settings.allowed_users = names(value)?,
            ("events", "allowed_groups") => settings.allowed_groups = names(value)?,
            ("events", "max_connections") => settings.max_connections = number(value, 1, 1_000_000)?,
            ("events", "max_line") => settings.max_line = number(value, 256, 16_777_216)?,
            ("events", "grace") => settings.grace = duration::parse(value)?,
            ("events", "expect") => settings.expect = names(value)?,
            ("systems", "enabled") => settings.enabled = names(value)?,
            ("systems", "catalog_directory") => settings.catalog_directory = path(value)?,
            ("systems", "restart") => settings.restart_resets = parse_restart(value)?,
            ("privacy", "deidentify") => settings.privacy.deidentify = yes_no(value)?,
            ("privacy", "numeric") => settings.privacy.numeric = yes_no(value)?,
            ("privacy", "quiet") => settings.privacy.quiet = yes_no(value)?,
            ("limits", "series_per_metric") => settings.series_per_metric = number(value, 1, 100_000_000)?,
            ("limits", "entities") => settings.entities = number(value, 1, 100_000_000)?,
            ("state", "directory") => settings.state_directory = path(value)?,
            ("state", "sync") => settings.sync = parse_sync(value)?,
            ("startup", "event") => settings.startup.push(parse_startup(value)?),
            (section, key) => return Err(format!("[{section}] {key}: no reader for this key")),
        }
        Ok(())
    }

    fn scan(&mut self, section: &Section, name: &str) {
        let place = format!("{}: line {}: [{}]", self.file, section.line, section.name);
        if name.is_empty() || name.split_whitespace().count() != 1 {
            return self.faults.add(format!("{place}: expected [scan NAME] with one word for the name"));
        }
        if self.settings.scans.iter().any(|scan| scan.name == name) {
            return self.faults.add(format!("{place}: a name taken twice, expected each name once"));
        }
        let mut scan = ScanSettings {
            name: name.to_owned(),
            directory: PathBuf::new(),
            interval: Duration::from_secs(6 * 3_600),
            timeout: Duration::from_secs(30 * 60),
            max_files: 5_000_000,
            pattern: None,
            system: None,
        };
        for (index, entry) in section.entries.iter().enumerate() {
            if section.entries[..index].iter().any(|other| other.key == entry.key) {
                self.fault(section, entry, "written twice, expected once");
            } else if let Err(what) = read_scan_entry(&mut scan, entry) {
                self.fault(section, entry, &what);
            }
        }
        if !section.entries.iter().any(|entry| entry.key == "directory" && !entry.value.is_empty()) {
            self.faults.add(format!("{place}: directory: missing, expected an absolute path"));
        }
        self.settings.scans.push(scan);
    }
}

fn read_scan_entry(scan: &mut ScanSettings, entry: &Entry) -> Result<(), String> {
    let value = plain(&entry.value)?;
    match entry.key.as_str() {
        "directory" => scan.directory = path(value)?.ok_or("expected an absolute path")?,
        "interval" => {
            scan.interval = duration::parse(value)?;
            if scan.interval < Duration::from_secs(1) {
                return Err(format!("{value:?}: expected at least 1s"));
            }
        }
        "timeout" => scan.timeout = duration::parse(value)?,
        "max_files" => scan.max_files = number(value, 1, usize::MAX)? as u64,
        "pattern" => {
            let pattern = glob::Pattern::new(value)
                .map_err(|error| format!("{value:?}: {error}; expected a glob such as *.webm"))?;
            scan.pattern = Some(pattern);
        }
        "system" => scan.system = Some(value.to_owned()),
        _ => return Err(format!("unknown key, expected one of {}", SCAN_KEYS.join(", "))),
    }
    Ok(())
}

/// Values are taken as written, so a quote around one is a mistake that would be part of it.
fn plain(value: &str) -> Result<&str, String> {
    if value.starts_with(['"', '\'']) || value.ends_with(['"', '\'']) {
        return Err(format!("{value}: a quote, expected the value itself (values are taken as written)"));
    }
    Ok(value)
}

fn list<T>(value: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    value.split(',').map(|text| item(text.trim())).collect()
}

fn names(value: &str) -> Result<Vec<String>, String> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    list(value, |name| {
        if name.is_empty() || name.contains(char::is_whitespace) {
            Err(format!("{value:?}: expected names separated by commas"))
        } else {
            Ok(name.to_owned())
        }
    })
}

fn networks(value: &str) -> Result<Option<Networks>, String> {
    if value.is_empty() { Ok(None) } else { Networks::parse(value).map(Some) }
}

/// Reads an address to listen on.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    SocketAddr::from_str(text)
        .map_err(|_| format!("{text:?}: expected ADDRESS:PORT such as 127.0.0.1:10048 or [::1]:10048"))
}

fn path(value: &str) -> Result<Option<PathBuf>, String> {
    match value {
        "" => Ok(None),
        value if value.starts_with('/') => Ok(Some(PathBuf::from(value))),
        value => Err(format!("{value:?}: expected an absolute path")),
    }
}

fn yes_no(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(format!("{value:?}: expected yes or no")),
    }
}

fn number(value: &str, min: usize, max: usize) -> Result<usize, String> {
    let number = value.parse::<usize>().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| match max {
        usize::MAX => format!("{value:?}: expected a whole number of at least {min}"),
        _ => format!("{value:?}: expected a whole number from {min} to {max}"),
    })
}

fn parse_mode(value: &str) -> Result<u32, String> {
    u32::from_str_radix(value, 8)
        .ok()
        .filter(|mode| value.len() >= 3 && *mode <= 0o777)
        .ok_or_else(|| format!("{value:?}: expected permission bits in octal such as 0660"))
}

fn parse_sync(value: &str) -> Result<Sync, String> {
    match value {
        "always" => Ok(Sync::Always),
        "interval" => Ok(Sync::Interval),
        "never" => Ok(Sync::Never),
        _ => Err(format!("{value:?}: expected always, interval or never")),
    }
}

fn parse_restart(value: &str) -> Result<bool, String> {
    match value {
        "keep" => Ok(false),
        "reset" => Ok(true),
        _ => Err(format!("{value:?}: expected keep or reset")),
    }
}

fn parse_startup(value: &str) -> Result<StartupEvent, String> {
    let words = EventSpec::parse(value)?;
    let fields = words.fields.iter().map(|(name, _)| (*name).to_owned()).collect();
    Ok(StartupEvent { event: words.event.to_owned(), fields, line: words.to_line() })
}
