//! libFuzzer's way to the law of `laws/patterns.rs`, where it is said what the bytes mean.

#![no_main]
#![allow(dead_code, reason = "a target uses a part of what the laws share")]

#[path = "../laws/patterns.rs"]
mod law;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| law::check(bytes));
