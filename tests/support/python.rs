//! Python, with the packages that a test needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{has_program, switches};

/// The virtual environment `target/python` where there is one, else the machine's Python.
pub fn python() -> Option<PathBuf> {
    let prepared = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    if prepared.exists() {
        return Some(prepared);
    }
    assert!(!switches::in_ci(), "{} is missing, and CI is set", prepared.display());
    has_program("python3").then(|| PathBuf::from("python3"))
}

/// The same if it has this module.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let python = python()?;
    let import = Command::new(&python).args(["-c", &format!("import {module}")]).output().unwrap();
    assert!(import.status.success() || !switches::in_ci(), "{module} is missing, and CI is set");
    if !import.status.success() {
        println!("skipped: {} has no {module}", python.display());
    }
    import.status.success().then_some(python)
}
