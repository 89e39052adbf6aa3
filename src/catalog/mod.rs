//! Catalogs: a system is a file. `read` checks a file, `effect` and `plan` its events; `model` is the result.
//!
//! This file holds the set of all catalogs in force: those compiled in and those of the operator's directory,
//! and the checks across them. Which of them are enabled is the configuration's; what an event does is `lifecycles`'.

mod effect;
pub mod model;
mod plan;
mod read;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use serde::{Deserialize, Serialize};

pub use model::Catalog;
pub use read::{CatalogError, read_catalog};

use model::MetricKind;

/// The text of a catalog, and what it is called in errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogText {
    /// The file, or `built-in NAME`.
    pub file: Cow<'static, str>,
    /// The whole file.
    pub text: Cow<'static, str>,
}

/// All catalogs in force, and the texts they were read from.
#[derive(Debug, Clone, Default)]
pub struct Catalogs {
    /// In the order of `all`.
    pub texts: Arc<[CatalogText]>,
    /// Checked.
    pub all: Vec<Arc<Catalog>>,
}

/// The catalogs compiled in: a name for errors, and the text.
const BUILT_IN: [(&str, &str); 5] = [
    ("built-in recording.ini", include_str!("recording.ini")),
    ("built-in signaling.ini", include_str!("signaling.ini")),
    ("built-in proxy.ini", include_str!("proxy.ini")),
    ("built-in edumeet.ini", include_str!("edumeet.ini")),
    ("built-in vlog.ini", include_str!("vlog.ini")),
];

/// Reads the catalogs compiled in and every `*.ini` of the operator's directory, in the order of their names.
///
/// A directory that is not there holds no catalogs. A catalog with the name of another replaces nothing: it is an error.
pub fn load(directory: Option<&Path>) -> Result<Catalogs, CatalogError> {
    let built_in = BUILT_IN.map(|(file, text)| CatalogText { file: file.into(), text: text.into() });
    let mut texts = Vec::from(built_in);
    if let Some(directory) = directory {
        for path in ini_files(directory).map_err(|error| file_error(directory, &error))? {
            let text = fs::read_to_string(&path).map_err(|error| file_error(&path, &error))?;
            texts.push(CatalogText { file: path.display().to_string().into(), text: text.into() });
        }
    }
    read_texts(texts.into())
}

/// Reads catalogs from their texts and checks them against each other.
pub fn read_texts(texts: Arc<[CatalogText]>) -> Result<Catalogs, CatalogError> {
    let mut all = Vec::new();
    let mut taken = Taken::default();
    for CatalogText { file, text } in &*texts {
        let catalog = read_catalog(file, text)?;
        taken.add(file, &catalog)?;
        all.push(Arc::new(catalog));
    }
    Ok(Catalogs { texts, all })
}

fn file_error(path: &Path, error: &io::Error) -> CatalogError {
    CatalogError {
        file: path.display().to_string(),
        section: String::new(),
        key: String::new(),
        what: format!("cannot be read: {error}; expected a readable catalog"),
    }
}

fn ini_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ini") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Names that are taken, by whom.
#[derive(Default)]
struct Taken {
    systems: HashMap<String, String>,
    metrics: HashMap<String, String>,
}

impl Taken {
    fn add(&mut self, file: &str, catalog: &Catalog) -> Result<(), CatalogError> {
        let error = |section: String, what: String| CatalogError {
            file: file.to_owned(),
            section,
            key: String::new(),
            what,
        };
        if let Some(other) = self.systems.insert(catalog.name.clone(), file.to_owned()) {
            let what = format!("name: {} is taken by {other}, expected another name", catalog.name);
            return Err(error("system".to_owned(), what));
        }
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
                    return Err(error(format!("metric {}", metric.name), what));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
