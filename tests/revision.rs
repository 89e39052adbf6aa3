//! A release build knows the commit of its checkout, and takes no other repository's for its own.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a failure here is a failed test; cargo runs the rest of the script"
)]

#[path = "../packaging/build.rs"]
mod build;

use std::fs;
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").current_dir(folder);
    let output = git.args(["-c", "user.name=n", "-c", "user.email=e"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_revision_is_the_commit_of_the_checkout() {
    let directory = tempfile::tempdir().unwrap();
    let [outside, checkout, tree] = ["outside", "checkout", "tree"].map(|name| directory.path().join(name));
    let within = checkout.join("within");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(&within).unwrap();
    assert_eq!(build::commit(&outside), None, "no repository");
    git(&checkout, &["init", "--quiet"]);
    assert_eq!(build::commit(&checkout), None, "no commit");

    let commit = |folder: &Path| git(folder, &["commit", "--quiet", "--allow-empty", "--message", "m"]);
    commit(&checkout);
    git(&checkout, &["worktree", "add", "--quiet", tree.to_str().unwrap()]);
    assert_eq!(build::commit(&within), None, "a folder of another repository");
    for folder in [&checkout, &tree] {
        let (former, log) = build::commit(folder).unwrap();
        assert!(former.len() == 12 && git(folder, &["rev-parse", "HEAD"]).starts_with(&former), "{former}");
        let written = fs::read(&log).unwrap();
        // Equal commits of one second would have one id.
        git(folder, &["commit", "--quiet", "--allow-empty", "--message", folder.to_str().unwrap()]);
        assert_ne!(build::commit(folder).unwrap().0, former);
        assert!(fs::read(&log).unwrap().len() > written.len(), "cargo sees no change");
    }
}
