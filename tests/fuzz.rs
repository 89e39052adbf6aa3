//! The laws of the fuzz targets, with the inputs that are kept: each file of `tests/fuzz/corpus/TARGET` is an
//! input that reaches a part of the code which no other one does, or one that once broke the law.
//! `tests/fuzz/README.md` says how new ones are found.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a failure here is a failed test")]

#[path = "fuzz/laws/exposition.rs"]
mod exposition;
#[path = "fuzz/laws/files.rs"]
mod files;
#[path = "fuzz/laws/input.rs"]
mod input;
#[path = "fuzz/laws/json.rs"]
mod json;
#[path = "fuzz/laws/play.rs"]
mod play;

#[path = "fuzz/laws/blocks.rs"]
mod blocks;
#[path = "fuzz/laws/handshake.rs"]
mod handshake;
#[path = "fuzz/laws/ini_and_catalog.rs"]
mod ini_and_catalog;
#[path = "fuzz/laws/journal.rs"]
mod journal;
#[path = "fuzz/laws/line.rs"]
mod line;
#[path = "fuzz/laws/patterns.rs"]
mod patterns;
#[path = "fuzz/laws/request.rs"]
mod request;
#[path = "fuzz/laws/snapshot.rs"]
mod snapshot;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Files in one corpus, and bytes in one of its files.
const FILES_MAX: usize = 64;
const BYTES_MAX: usize = 1_024;

fn keep(target: &str, law: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&directory).expect("a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!((1..=FILES_MAX).contains(&files.len()), "{target}: {} files", files.len());
    for file in files {
        let bytes = fs::read(&file).expect("a file of the corpus can be read");
        assert!(bytes.len() <= BYTES_MAX, "{}: {} bytes", file.display(), bytes.len());
        assert!(catch_unwind(|| law(&bytes)).is_ok(), "{} breaks the law", file.display());
    }
}

#[test]
fn lines_are_read_as_serde_json_reads_them() {
    keep("line", line::check);
}

#[test]
fn control_lines_are_those_of_the_contract() {
    keep("handshake", handshake::check);
}

#[test]
fn catalogs_that_load_count_each_line_once() {
    keep("ini_and_catalog", ini_and_catalog::check);
}

#[test]
fn a_restored_state_goes_on_as_the_original() {
    keep("blocks", blocks::check);
}

#[test]
fn a_journal_gives_what_stands_before_its_damage() {
    keep("journal", journal::check);
}

#[test]
fn an_image_is_refused_or_gives_a_state_that_goes_on() {
    keep("snapshot", snapshot::check);
}

#[test]
fn a_request_is_the_same_in_pieces_and_at_once() {
    keep("request", request::check);
}

#[test]
fn patterns_find_in_a_log_what_they_find_in_each_line() {
    keep("patterns", patterns::check);
}
