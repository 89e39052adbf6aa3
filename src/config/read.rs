//! Reads the text of a configuration file into [`Settings`]: a table of every section and key, and what each
//! value takes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{FsyncPolicy, Networks, ScanSettings, Settings, StartupEvent, duration, parse_level};
use crate::config::ini::{self, Entry, InlineComments, Section};
use crate::faults::{Faults, alternatives, meant, put, unknown};
use crate::limits;
use crate::protocol::shorthand::EventSpec;

/// A key of a section, and what reads its value.
type Key<T> = (&'static str, fn(&mut T, &str) -> Result<(), String>);

/// Every section but `[scan NAME]`.
const SECTIONS: &[(&str, &[Key<Settings>])] = &[
    ("logs", &[("level", |all, value| put(&mut all.log_level, parse_level(value)))]),
    (
        "http",
        &[
            ("listen", |all, value| put(&mut all.listen, list(value, parse_listen))),
            ("hosts", |all, value| put(&mut all.hosts, host_names(value))),
        ],
    ),
    (
        "app",
        &[("trustedproxies", |all, value| {
            put(&mut all.trusted_proxies, Ok::<_, String>(networks(value, Networks::none)))
        })],
    ),
    (
        "stats",
        &[
            ("allowed_ips", |all, value| {
                put(&mut all.allowed_ips, Ok::<_, String>(networks(value, Networks::loopback)))
            }),
            ("aliases", |all, value| put(&mut all.aliases, yes_no(value))),
        ],
    ),
    (
        "events",
        &[
            ("socket", |all, value| put(&mut all.socket, path(value))),
            ("mode", |all, value| put(&mut all.mode, parse_mode(value))),
            ("group", |all, value| put(&mut all.group, Ok((!value.is_empty()).then(|| value.to_owned())))),
            ("allowed_users", |all, value| put(&mut all.allowed_users, names(value))),
            ("allowed_groups", |all, value| put(&mut all.allowed_groups, names(value))),
            ("max_connections", |all, value| put(&mut all.max_connections, number(value, 1, 1_000_000))),
            ("max_line", |all, value| put(&mut all.max_line, number(value, 256, 16_777_216))),
            ("grace", |all, value| put(&mut all.grace, duration::parse(value))),
            ("expect", |all, value| put(&mut all.expect, names(value))),
        ],
    ),
    (
        "systems",
        &[
            ("enabled", |all, value| put(&mut all.enabled, names(value))),
            ("catalog_directory", |all, value| put(&mut all.catalog_directory, path(value))),
            ("restart", |all, value| {
                put(&mut all.restart_resets, choice(value, &[("keep", false), ("reset", true)]))
            }),
        ],
    ),
    (
        "privacy",
        &[
            ("deidentify", |all, value| put(&mut all.privacy.deidentify, yes_no(value))),
            ("numeric", |all, value| put(&mut all.privacy.numeric, yes_no(value))),
            ("quiet", |all, value| put(&mut all.privacy.quiet, yes_no(value))),
        ],
    ),
    (
        "limits",
        &[
            ("series_per_metric", |all, value| {
                put(&mut all.series_per_metric, number(value, 1, 100_000_000))
            }),
            ("entities", |all, value| put(&mut all.entities, number(value, 1, 100_000_000))),
            ("memory", |all, value| put(&mut all.memory, bytes(value))),
        ],
    ),
    (
        "state",
        &[
            ("directory", |all, value| put(&mut all.state_directory, path(value))),
            ("sync", |all, value| {
                put(&mut all.sync, choice(value, &FsyncPolicy::ALL.map(|sync| (sync.name(), sync))))
            }),
        ],
    ),
    (
        "startup",
        &[(REPEATED, |all, value| {
            all.startup.push(parse_startup(value)?);
            Ok(())
        })],
    ),
];

/// `[scan NAME]`.
const SCAN_KEYS: &[Key<ScanSettings>] = &[
    ("directory", |scan, value| {
        put(&mut scan.directory, path(value)?.ok_or_else(|| "expected an absolute path".to_owned()))
    }),
    ("interval", |scan, value| {
        scan.interval = duration::parse(value)?;
        if scan.interval < Duration::from_secs(1) {
            return Err(format!("{value:?}: expected at least 1s"));
        }
        Ok(())
    }),
    ("timeout", |scan, value| put(&mut scan.timeout, duration::parse(value))),
    ("max_files", |scan, value| {
        put(&mut scan.max_files, number(value, 1, usize::MAX).map(|files| files as u64))
    }),
    ("pattern", |scan, value| {
        let pattern = glob::Pattern::new(value).map(Some);
        put(
            &mut scan.pattern,
            pattern.map_err(|error| format!("{value:?}: {error}; expected a glob such as *.webm")),
        )
    }),
    ("system", |scan, value| put(&mut scan.system, Ok(Some(value.to_owned())))),
];

/// Sections that this program shares with the files of other servers, whose keys it does not know.
const SHARED: [&str; 4] = ["logs", "http", "app", "stats"];

/// The one key that may be written more than once in a section.
const REPEATED: &str = "event";

/// Reads the text of a file. A setting with a fault keeps its default. Faults and the returned warnings name
/// `file`.
pub(crate) fn read_good_settings(file: &str, text: &str, faults: &mut Faults) -> (Settings, Vec<String>) {
    let mut settings = Settings::default();
    let document = match ini::parse(text, InlineComments::AsWritten, knows) {
        Ok(document) => document,
        Err(errors) => {
            for error in errors {
                faults.add(format!("{file}: {error}"));
            }
            return (settings, Vec::new());
        }
    };
    let mut reader = Reader { file, warnings: Vec::new(), faults };
    let mut scan_names = HashSet::new();
    for section in &document.sections {
        match SECTIONS.iter().find(|(name, _)| *name == section.name) {
            Some((_, keys)) => {
                reader.read(section, keys, &mut settings);
                reader.warn_of_networks(section, &settings);
            }
            None => settings.scans.extend(reader.scan(section, &mut scan_names)),
        }
    }
    if !document.ignored.is_empty() {
        let names: Vec<String> = document.ignored.iter().map(|name| format!("[{name}]")).collect();
        reader.warnings.push(format!("{file}: sections of other programs are ignored: {}", names.join(", ")));
    }
    if settings.grace < limits::CLIENT_PAUSE_MAX * 3 {
        reader.warnings.push(format!(
            "[events] grace: {} s: producers may pause for {} s between two attempts to reconnect, so what \
             they have open may be abandoned at each restart of the exporter; expected at least {} s",
            settings.grace.as_secs_f64(),
            limits::CLIENT_PAUSE_MAX.as_secs(),
            3 * limits::CLIENT_PAUSE_MAX.as_secs()
        ));
    }
    (settings, reader.warnings)
}

fn knows(section: &str) -> bool {
    section.split_whitespace().next() == Some("scan") || SECTIONS.iter().any(|(name, _)| *name == section)
}

struct Reader<'a> {
    file: &'a str,
    warnings: Vec<String>,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    /// Reads the entries of a section by the table of its keys.
    fn read<T>(&mut self, section: &Section, keys: &[Key<T>], into: &mut T) {
        let is_shared = SHARED.contains(&section.name.as_str());
        let mut taken = HashSet::new();
        for entry in &section.entries {
            let again = !taken.insert(entry.key.as_str());
            let read = match keys.iter().find(|(key, _)| *key == entry.key) {
                None => {
                    let known: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
                    if is_shared {
                        let what = format!("unknown key, ignored{}", meant(&entry.key, &known));
                        self.warnings.push(self.describe(section, entry, &what));
                        continue;
                    }
                    Err(unknown("key", &entry.key, &known))
                }
                Some((key, _)) if again && *key != REPEATED => Err("written twice, expected once".to_owned()),
                Some((_, set)) => unquoted(&entry.value).and_then(|value| set(into, value)),
            };
            if let Err(what) = read {
                self.faults.add(self.describe(section, entry, &what));
            }
        }
    }

    fn warn_of_networks(&mut self, section: &Section, settings: &Settings) {
        for entry in &section.entries {
            let networks = match (section.name.as_str(), entry.key.as_str()) {
                ("app", "trustedproxies") => &settings.trusted_proxies,
                ("stats", "allowed_ips") => &settings.allowed_ips,
                _ => continue,
            };
            for what in networks.refused() {
                self.warnings.push(self.describe(section, entry, what));
            }
        }
    }

    fn describe(&self, section: &Section, entry: &Entry, what: &str) -> String {
        format!("{}: line {}: [{}] {}: {what}", self.file, entry.line, section.name, entry.key)
    }

    /// Reads a `[scan NAME]`; `taken` holds the names of those before it.
    fn scan<'a>(&mut self, section: &'a Section, taken: &mut HashSet<&'a str>) -> Option<ScanSettings> {
        let name = section.name.strip_prefix("scan").unwrap_or_default().trim();
        let place = format!("{}: line {}: [{}]", self.file, section.line, section.name);
        if name.is_empty() || name.split_whitespace().count() != 1 {
            self.faults.add(format!("{place}: expected [scan NAME] with one word for the name"));
            return None;
        }
        if !taken.insert(name) {
            self.faults.add(format!("{place}: a name taken twice, expected each name once"));
            return None;
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
        self.read(section, SCAN_KEYS, &mut scan);
        if !section.entries.iter().any(|entry| entry.key == "directory" && !entry.value.is_empty()) {
            self.faults.add(format!("{place}: directory: missing, expected an absolute path"));
        }
        Some(scan)
    }
}

/// Refuses a quote around a value: values are taken as written, so it would be part of the value.
fn unquoted(value: &str) -> Result<&str, String> {
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

fn host_names(value: &str) -> Result<Vec<String>, String> {
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let names = names(value)?;
    match names.iter().find(|name| !name.bytes().all(is_host_byte)) {
        Some(name) => Err(format!(
            "{name:?}: expected host names such as metrics.example.com, separated by commas, without scheme \
             and port"
        )),
        None => Ok(names),
    }
}

fn networks(value: &str, if_empty: fn() -> Networks) -> Networks {
    if value.is_empty() { if_empty() } else { Networks::parse(value) }
}

/// Parses an address to listen on.
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

/// A size such as `512K`, `256M` or `4G`.
fn bytes(value: &str) -> Result<usize, String> {
    let expected = || format!("{value:?}: expected a size from 1M to 1024G such as 256M");
    let digits = value.trim_end_matches(['K', 'M', 'G']);
    let shift = match &value[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(expected()),
    };
    let number = digits.parse::<usize>().ok().filter(|number| *number <= 1 << 40 >> shift);
    number.map(|number| number << shift).filter(|bytes| *bytes >= 1 << 20).ok_or_else(expected)
}

fn parse_mode(value: &str) -> Result<u32, String> {
    u32::from_str_radix(value, 8)
        .ok()
        .filter(|mode| value.len() >= 3 && *mode <= 0o777)
        .ok_or_else(|| format!("{value:?}: expected permission bits in octal such as 0660"))
}

fn choice<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let chosen = choices.iter().find(|(name, _)| *name == value);
    chosen
        .map(|(_, choice)| *choice)
        .ok_or_else(|| format!("{value:?}: expected {}", alternatives(choices.iter().map(|(name, _)| *name))))
}

fn parse_startup(value: &str) -> Result<StartupEvent, String> {
    let words = EventSpec::parse(value)?;
    let fields = words.fields.iter().map(|(name, _)| (*name).to_owned()).collect();
    Ok(StartupEvent { event: words.event.to_owned(), fields, line: words.to_line() })
}
