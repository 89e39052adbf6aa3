//! Catalogs: each file describes one system.
//!
//! `read` checks a file; `sections` and `verbs` hold the tables of its keys; `effect`, `plan` and `additions` compile
//! its events; `model` is the result. This file holds the set of all catalogs, built-in ones and those of the
//! operator's directory, and the checks across them. The configuration says which of them are enabled, and
//! `engine` applies their events.

mod additions;
mod effect;
mod fault;
pub(crate) mod lines;
pub(crate) mod model;
mod plan;
mod read;
mod sections;
mod verbs;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

pub(crate) use model::Catalog;
pub(crate) use read::read_catalog;
pub(crate) use sections::words;
pub(crate) use verbs::VERBS;

use crate::faults::Faults;
use crate::{limits, regular_file};
use fault::CatalogError;
use model::MetricKind;

/// The text of a catalog, and its name in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogText {
    /// The file, or `built-in NAME`.
    pub(crate) file: Cow<'static, str>,
    pub(crate) text: Cow<'static, str>,
}

/// All catalogs in force, and the texts they were read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogs {
    /// In the order of `all`.
    pub(crate) texts: Arc<[CatalogText]>,
    pub(crate) all: Vec<Arc<Catalog>>,
}

/// The built-in catalogs: a name for errors, and the text.
const BUILT_IN: [(&str, &str); 5] = [
    ("built-in recording.ini", include_str!("recording.ini")),
    ("built-in signaling.ini", include_str!("signaling.ini")),
    ("built-in proxy.ini", include_str!("proxy.ini")),
    ("built-in edumeet.ini", include_str!("edumeet.ini")),
    ("built-in vlog.ini", include_str!("vlog.ini")),
];

/// Whether this is the text of a built-in catalog.
fn is_built_in(text: &str) -> bool {
    BUILT_IN.iter().any(|(_, built_in)| *built_in == text)
}

/// Loads the built-in catalogs and every `*.ini` of the operator's directory, in the order of their names.
/// The error holds every fault.
///
/// A missing directory holds no catalogs. Two catalogs of the same name are an error.
pub(crate) fn load(directory: Option<&Path>) -> Result<Catalogs, Faults> {
    let mut faults = Faults::default();
    let catalogs = load_good(directory, &mut faults);
    faults.or(catalogs)
}

/// Like [`load`], but adds the faults to `faults` and leaves out the catalogs that have one.
pub(crate) fn load_good(directory: Option<&Path>, faults: &mut Faults) -> Catalogs {
    let built_in = BUILT_IN.map(|(file, text)| CatalogText { file: file.into(), text: text.into() });
    let mut texts = Vec::from(built_in);
    let listing = directory.map(|directory| list(directory).map_err(|error| unreadable(directory, &error)));
    let listing = listing.and_then(|listing| faults.take(listing)).unwrap_or_default();
    let mut bytes_left = limits::CATALOGS_BYTES_MAX;
    for path in listing.catalogs {
        let text = read_file(&path, bytes_left.min(limits::CATALOG_BYTES_MAX));
        if let Some(text) = faults.take(text.map_err(|error| unreadable(&path, &error))) {
            bytes_left -= text.len();
            texts.push(CatalogText { file: path.display().to_string().into(), text: text.into() });
        }
    }
    let (catalogs, more) = read_good(&texts);
    faults.take(more.or(()));
    catalogs
}

/// Parses catalogs and checks them against each other. The error holds every fault.
pub(crate) fn read_texts(texts: &[CatalogText]) -> Result<Catalogs, Faults> {
    let (catalogs, faults) = read_good(texts);
    faults.or(catalogs)
}

/// Like [`read_texts`], but returns the faults, and leaves out the catalogs that have one with their texts.
pub(crate) fn read_good(texts: &[CatalogText]) -> (Catalogs, Faults) {
    let (mut good, mut all) = (Vec::new(), Vec::new());
    let mut taken = Taken::default();
    let mut faults = Faults::default();
    for text in texts {
        let Some(catalog) = faults.take(read_catalog(&text.file, &text.text)) else { continue };
        let errors = taken.add(&text.file, &catalog);
        if errors.is_empty() {
            good.push(text.clone());
            all.push(Arc::new(catalog));
        }
        for error in errors {
            faults.add(error.to_string());
        }
    }
    (Catalogs { texts: good.into(), all }, faults)
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{}: cannot be read: {error}; expected a readable catalog", path.display())
}

fn read_file(path: &Path, bytes_max: usize) -> io::Result<String> {
    let bytes = regular_file::read(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("is no UTF-8 text"))
}

/// The files of a catalog directory, sorted by name.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The files named `*.ini`.
    pub(crate) catalogs: Vec<PathBuf>,
    /// All other files.
    pub(crate) passed_over: Vec<PathBuf>,
}

/// Lists a catalog directory; a missing one is empty.
pub(crate) fn list(directory: &Path) -> io::Result<Listing> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::default()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        if paths.len() == limits::CATALOG_FILES_MAX {
            let what = format!("holds more than {} files", limits::CATALOG_FILES_MAX);
            return Err(io::Error::other(what));
        }
        paths.push(entry?.path());
    }
    paths.sort();
    let is_catalog = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "ini");
    let (catalogs, passed_over) = paths.into_iter().partition(is_catalog);
    Ok(Listing { catalogs, passed_over })
}

/// The names that catalogs use, each with its file.
#[derive(Default)]
struct Taken {
    systems: HashMap<String, String>,
    metrics: HashMap<String, String>,
}

impl Taken {
    /// Adds the names of a catalog. Returns the conflicts.
    fn add(&mut self, file: &str, catalog: &Catalog) -> Vec<CatalogError> {
        let error = |section: String, what: String| CatalogError {
            file: file.to_owned(),
            section,
            key: String::new(),
            what,
        };
        if let Some(other) = self.systems.insert(catalog.name.clone(), file.to_owned()) {
            let what = format!("name: {} is taken by {other}, expected another name", catalog.name);
            return vec![error("system".to_owned(), what)];
        }
        let mut errors = Vec::new();
        for metric in &catalog.metrics {
            let mut names = vec![metric.name.clone()];
            names.extend(metric.alias.clone());
            if matches!(metric.kind, MetricKind::Histogram(_)) {
                let suffixed =
                    names.iter().flat_map(|name| ["_bucket", "_sum", "_count"].map(|s| format!("{name}{s}")));
                let suffixed: Vec<String> = suffixed.collect();
                names.extend(suffixed);
            }
            for name in names {
                if let Some(other) = self.metrics.insert(name.clone(), file.to_owned()) {
                    let what = format!("the name {name} is taken by {other}, expected another name");
                    errors.push(error(format!("metric {}", metric.name), what));
                }
            }
        }
        errors
    }
}

#[cfg(test)]
mod tests;
