//! Tells a release build which commit it is of: the label `revision` of `lifecycle_exporter_build_info`. And
//! leaves out of it the table by which a process finds its own stack frames.
//!
//! A builder without git sets `LIFECYCLE_EXPORTER_REVISION` itself. Without either the revision is unknown. Builds
//! for development have none, so that not every commit means to compile everything again.

#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const VARIABLE: &str = "LIFECYCLE_EXPORTER_REVISION";

fn main() {
    println!("cargo:rerun-if-changed=packaging/build.rs");
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    if env::var("PROFILE").as_deref() == Ok("release") {
        // It aborts on a panic and has no symbols, so it never looks at its frames: 27 KB less. A debugger finds
        // them without that table.
        // A compiler that links wants to know that this is for its linker; a linker by itself does not take that.
        let is_linker = env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"));
        let prefix = if is_linker { "" } else { "-Wl," };
        println!("cargo:rustc-link-arg-bins={prefix}--no-eh-frame-hdr");
    }
    if env::var_os(VARIABLE).is_some() || env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let checkout = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    if let Some((revision, log)) = checkout.as_deref().and_then(commit) {
        println!("cargo:rustc-env={VARIABLE}={revision}");
        println!("cargo:rerun-if-changed={}", log.display());
    }
}

/// The short id of a checkout's commit, and the log that grows with each commit and checkout; where git keeps none,
/// cargo runs this at every build. `None` without git, and for a folder within a checkout of something else.
pub(crate) fn commit(checkout: &Path) -> Option<(String, PathBuf)> {
    // Of a fixed length: the shortest unique one differs from clone to clone.
    let arguments = ["rev-parse", "--show-cdup", "--git-path", "logs/HEAD", "--short=12", "HEAD"];
    let mut git = Command::new("git");
    // A hook of another repository has these set.
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").current_dir(checkout).args(arguments);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    let (path_to_top, log, revision) = (lines.next()?, lines.next()?, lines.next()?);
    path_to_top.is_empty().then(|| (revision.to_owned(), checkout.join(log)))
}
