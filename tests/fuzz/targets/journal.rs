//! libFuzzer's way to the law of `laws/journal.rs`, where it is said what the bytes mean.

#![no_main]
#![allow(dead_code, reason = "a target uses a part of what the laws share")]

#[path = "../laws/files.rs"]
mod files;
#[path = "../laws/input.rs"]
mod input;
#[path = "../laws/play.rs"]
mod play;
#[path = "../laws/journal.rs"]
mod law;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| law::check(bytes));
