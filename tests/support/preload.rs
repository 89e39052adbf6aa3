//! Libraries that are preloaded into an exporter: a disk that does not answer or is full, a name server
//! that knows every address, and a clock that a file sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{has_program, run, switches};

/// Builds the disk's library in this directory; `None` where there is no compiler.
pub fn disk(directory: &Path) -> Option<PathBuf> {
    build("disk/disk.c", directory)
}

/// The same of the name server that knows every address.
pub fn names(directory: &Path) -> Option<PathBuf> {
    build("fairness/names.c", directory)
}

/// `source`: below the folder of the tests.
fn build(source: &str, directory: &Path) -> Option<PathBuf> {
    if !has_program("cc") {
        return None;
    }
    let library = directory.join("preloaded.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl"));
    Some(library)
}

/// Where Debian has the library that changes the clock, in its edition for threads: with the other one, two threads that read
/// the file in the same moment can see the former time. Without it a test says so and ends, unless `CI` is set.
pub fn faketime() -> Option<PathBuf> {
    let mut folders = fs::read_dir("/usr/lib").ok()?.map_while(Result::ok);
    let found = folders.find_map(|folder| {
        let library = folder.path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    assert!(found.is_some() || !switches::in_ci(), "libfaketime is missing, and CI is set");
    if found.is_none() {
        println!("skipped: libfaketime is not on this machine (Debian's package is called faketime)");
    }
    found
}

/// Lets a process with the clock's library take this file for its clock.
pub fn take_clock(command: &mut Command, file: &Path) {
    command.env("FAKETIME_TIMESTAMP_FILE", file);
    command.envs([("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1")]);
}

/// Sets the clock that is this file, from the true time on. The new file takes the former one's place, so that nobody
/// reads half of it.
pub fn set_clock(file: &Path, offset_seconds: i64) {
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset_seconds:+}\n")).unwrap();
    fs::rename(new, file).unwrap();
}

/// Removes what the clock's library shares with children of a process, which stays behind when that is killed.
pub fn clean_up_after(process: u32) {
    for left in [format!("faketime_shm_{process}"), format!("sem.faketime_sem_{process}")] {
        let _ = fs::remove_file(Path::new("/dev/shm").join(left));
    }
}
