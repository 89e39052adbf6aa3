//! The clients under `packaging/producers`: their helpers are what the catalogs say, their own tests pass, and what they send counts
//! exactly once while the exporter is killed under them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

#[path = "producers/helpers.rs"]
mod helpers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use helpers::System;
use support::{binary, has_program};

/// A path below `packaging/producers`.
fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/producers").join(path)
}

#[test]
fn helpers_are_made_from_the_catalogs() {
    let listed = binary().args(["catalog", "--format", "json"]).output().unwrap();
    let systems = helpers::systems(&String::from_utf8(listed.stdout).unwrap());
    assert!(!systems.is_empty());
    type Made = fn(&[System]) -> String;
    let files: [(&str, Made); 4] = [
        ("python/lifecycle_events/systems.py", helpers::python),
        ("node/systems.js", helpers::javascript),
        ("node/systems.d.ts", helpers::typescript),
        ("go/systems.go", helpers::go),
    ];
    for (path, made) in files {
        let expected = made(&systems);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(shipped(path), &expected).unwrap();
        }
        let now = fs::read_to_string(shipped(path)).unwrap_or_default();
        assert!(now == expected, "{path} is out of date; UPDATE_GOLDEN=1 writes it anew");
    }
}
