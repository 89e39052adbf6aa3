//! A small, independent model of the contract beside the real binary: both are given the same random events, sessions,
//! crashes, restarts, reloads and clocks, and have to come to the same page and the same replies.
//! `MODEL_SEED=n` plays a sequence again, `MODEL_SECONDS=3600` plays for an hour. With `CI` set the sequences are always the
//! same ones, so that a failure there is of the change; by hand each run plays others.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a failure here is a failed test"
)]

mod support;
#[path = "model/tables.rs"]
mod tables;
#[path = "model/line.rs"]
mod line;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/world.rs"]
mod world;
#[path = "model/page.rs"]
mod page;
#[path = "model/generator.rs"]
mod generator;
#[path = "model/process.rs"]
mod process;
#[path = "model/driver.rs"]
mod driver;

use std::time::{Duration, Instant};

use driver::{Driver, Played};

/// So many steps an exporter plays before a fresh one takes its place.
const STEPS_EACH: usize = 300;

#[test]
fn the_exporter_does_what_the_model_does() {
    let ci = support::switches::in_ci();
    let Some(library) = support::preload::faketime() else { return };
    let seconds = support::switches::model_seconds().unwrap_or(if ci { 120 } else { 20 });
    let first = support::switches::model_seed()
        .unwrap_or_else(|| if ci { 1 } else { fastrand::u64(..1_000_000_000) });
    println!("MODEL_SEED={first}, {seconds} seconds");
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut played = Played::default();
    for seed in first.. {
        Driver::new(seed, &library, &mut played).play(STEPS_EACH, deadline);
        if Instant::now() > deadline {
            break;
        }
    }
    println!("played: {played:?}");
}
