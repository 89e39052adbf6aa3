//! The status page in a real browser: `tests/browser` holds the scenes.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::Path;
use std::process::Command;

use support::has_program;

#[test]
fn the_status_page_is_a_good_one_in_chromium() {
    if !has_program("node") || !has_program("chromium") {
        return;
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !tests.join("node_modules").exists() {
        assert!(!support::switches::in_ci(), "tests/browser/node_modules is missing, and CI is set");
        println!("skipped: npm install has not been run in tests/browser");
        return;
    }
    support::run(
        Command::new("node")
            .arg("--test")
            .arg(tests.join("status.test.js"))
            .env("LIFECYCLE_EXPORTER", env!("CARGO_BIN_EXE_lifecycle-exporter")),
    );
}
