//! libFuzzer's way to the law of `laws/ini_and_catalog.rs`, where it is said what the bytes mean.

#![no_main]
#![allow(dead_code, reason = "a target uses a part of what the laws share")]

#[path = "../laws/exposition.rs"]
mod exposition;
#[path = "../laws/input.rs"]
mod input;
#[path = "../laws/ini_and_catalog.rs"]
mod law;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| law::check(bytes));
