//! Faults of a catalog, and the names that a fault may be about.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::config::ini::Section;
use crate::faults::{listed, meant};

/// A fault of a catalog.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CatalogError {
    /// The file, or `built-in NAME`.
    pub(super) file: String,
    /// The section with its name; empty if the whole file is at fault.
    pub(super) section: String,
    /// Empty if the whole section is at fault.
    pub(super) key: String,
    /// What is wrong and what was expected.
    pub(super) what: String,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.file)?;
        if !self.section.is_empty() {
            write!(out, "[{}] ", self.section)?;
        }
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.what)
    }
}

/// A fault of a section, which does not know its file and section yet.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: String,
    pub(super) what: String,
    /// It follows from another fault, which is reported instead.
    pub(super) follows: bool,
}

pub(super) fn fault(key: &str, what: impl Into<String>) -> Fault {
    Fault { key: key.to_owned(), what: what.into(), follows: false }
}

/// The names of a catalog's entities or metrics, in the order written.
pub(super) struct Names {
    what: &'static str,
    list: Vec<String>,
    index: HashMap<String, usize>,
    /// Those whose section has a fault.
    pub(super) faulty: HashSet<usize>,
    /// A section of this kind has an invalid name, so another name may be missing.
    pub(super) incomplete: bool,
}

impl Names {
    pub(super) fn new(what: &'static str, sections: &[(&str, &Section)]) -> Self {
        let list: Vec<String> = sections.iter().map(|(name, _)| (*name).to_owned()).collect();
        let index = list.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        Names { what, list, index, faulty: HashSet::new(), incomplete: false }
    }

    /// The index of a name in the value of a key.
    pub(super) fn find(&self, key: &str, name: &str) -> Result<usize, Fault> {
        match self.index.get(name) {
            Some(index) if self.faulty.contains(index) => {
                let what = format!("{name}: its own section has a fault");
                Err(Fault { follows: true, ..fault(key, what) })
            }
            Some(index) => Ok(*index),
            None => {
                let expected = match self.what {
                    "entity" if !self.list.is_empty() => {
                        format!("one of {}", listed(self.list.iter().map(String::as_str)))
                    }
                    _ => "one of this catalog".to_owned(),
                };
                let known: Vec<&str> = self.list.iter().map(String::as_str).collect();
                let meant = meant(name, &known);
                let what = format!("{name:?}: unknown {}, expected {expected}{meant}", self.what);
                Err(Fault { follows: self.incomplete, ..fault(key, what) })
            }
        }
    }
}
