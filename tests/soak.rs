//! Everything at once: the demo's feed at 5,000 events a second, while the exporter is killed, stopped and reloaded, its disk is
//! full or does not answer, its clock jumps and its neighbours are hostile. A second exporter hears the same lines and is left
//! alone; at each check both have to show the same numbers. Each second the first one is scraped, and has to stay within bounds.
//!
//! `SOAK_SECONDS=7200 cargo test --test soak -- --ignored --nocapture` does so for two hours, checks each minute, and draws what
//! it has seen. `SOAK_SEED` repeats the order of what happens; moments are never quite the same.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a failure here is a failed test"
)]

mod support;
#[path = "soak/feed.rs"]
mod feed;
#[path = "soak/laws.rs"]
mod laws;
#[path = "soak/neighbours.rs"]
mod neighbours;
#[path = "soak/picture.rs"]
mod picture;
#[path = "soak/target.rs"]
mod target;
#[path = "soak/torments.rs"]
mod torments;
#[path = "soak/watch.rs"]
mod watch;

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use feed::{Feed, SYSTEMS};
use laws::Laws;
use picture::{Row, Story};
use support::{Exporter, switches, wait_until};
use target::Target;
use torments::{Torment, Torments};
use watch::Sight;

/// Descriptors of an exporter to which only the five producers are connected.
const DESCRIPTORS_AT_REST_MAX: f64 = 48.0;
/// Resident size of the exporter that is left alone, its journal in memory only.
const REFERENCE_RESIDENT_MIB_MAX: f64 = 64.0;

/// How long a soak takes, and how often what happens.
struct Plan {
    seconds: u64,
    seed: u64,
    between_checks: Duration,
    between_torments_max: Duration,
}

/// Ends the feed's threads, whatever ends the driver.
struct End<'a>(&'a Feed);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Feeds and torments an exporter as planned. Returns what was seen, and what happened when.
fn soak(plan: &Plan, laws: &Laws) -> (Vec<Row>, Vec<(f64, Torment)>) {
    println!("SOAK_SEED={}, {} seconds\n{}", plan.seed, plan.seconds, picture::COLUMN_NAMES);
    let (feed, life, sights) = (Feed::default(), Mutex::default(), Mutex::default());
    let reference = Exporter::start("");
    let mut target = Target::start(laws, &life);
    let (socket, state) = (target.exporter.socket.clone(), target.state_directory());
    let (mut rows, mut done) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let _end = End(&feed);
        let (senders, receivers): (Vec<_>, Vec<_>) = SYSTEMS.iter().map(|_| channel()).unzip();
        for (system, lines) in receivers.into_iter().enumerate() {
            let (feed, socket) = (&feed, &socket);
            scope.spawn(move || feed.produce(system, plan.seed, socket, &lines));
        }
        let (all, heard_by) = (&feed, &reference.socket);
        scope.spawn(move || all.make(plan.seed, heard_by, &senders));
        scope.spawn(|| watch::watch(&feed, laws, &state, reference.address, &life, &sights));

        let mut torments = Torments::new(plan.seed);
        let (mut next_check, end) = (plan.between_checks, Duration::from_secs(plan.seconds));
        let started = Instant::now();
        loop {
            let now = started.elapsed();
            if now < next_check.min(end) {
                torments.pause(plan.between_torments_max);
                let torment = torments.choose(&target);
                done.push((laws.seconds(), torment));
                laws.set_scene(torment);
                torments.run(torment, &mut target);
                continue;
            }
            torments.neighbours.leave();
            check(&feed, laws, &target, &reference);
            // One that is down each second is not seen.
            let seen: Vec<_> = std::mem::take(&mut *sights.lock().unwrap());
            if !seen.is_empty() {
                rows.push(row(laws, &seen, &target, &reference));
            }
            next_check += plan.between_checks;
            if now >= end {
                break;
            }
        }
        // And once more from what is on the disk.
        target.stop();
        target.start_again();
        check(&feed, laws, &target, &reference);
    });
    println!("{} events, {} torments", feed.sent(), done.len());
    (rows, done)
}

/// What was seen since the last check, and what is counted now.
fn row(laws: &Laws, seen: &[Sight], target: &Target, reference: &Exporter) -> Row {
    let page = target.exporter.metrics();
    let row = Row::of(seen, laws.seconds(), &page, watch::resident_mib(reference.child.id()));
    println!("{row}");
    row
}

/// Once all lines have been heard by both exporters, both show the same.
fn check(feed: &Feed, laws: &Laws, target: &Target, reference: &Exporter) {
    let _guard = feed.drain();
    let sent = feed.sent();
    reference.wait_for_events(sent);
    let exporter = &target.exporter;
    laws.demand_equal(&exporter.metrics(), &reference.metrics());
    for (process, what) in [(exporter.child.id(), "tormented"), (reference.child.id(), "reference")] {
        let count = || watch::descriptors(process);
        wait_until(
            || count() <= DESCRIPTORS_AT_REST_MAX,
            || format!("the {what} exporter keeps {} descriptors", count()),
        );
    }
    let resident = watch::resident_mib(reference.child.id());
    laws.demand(resident <= REFERENCE_RESIDENT_MIB_MAX, || {
        format!("the reference takes {resident:.1} MiB, at most {REFERENCE_RESIDENT_MIB_MAX} are allowed")
    });
}

fn story<'a>(plan: &Plan, laws: &Laws, rows: &'a [Row], torments: &'a [(f64, Torment)]) -> Story<'a> {
    Story { rows, torments, seconds: laws.seconds(), seed: plan.seed, broken: laws.broken() }
}

#[test]
fn all_torments_at_once_lose_nothing_and_count_nothing_twice() {
    let plan = Plan {
        seconds: 20,
        seed: switches::soak_seed().unwrap_or(1),
        between_checks: Duration::from_secs(5),
        between_torments_max: Duration::from_millis(600),
    };
    let laws = Laws::new();
    let (rows, torments) = soak(&plan, &laws);
    laws.assert();
    let story = story(&plan, &laws, &rows, &torments);
    assert!(story.svg().ends_with("</svg>\n"));
    assert_eq!(story.tsv().lines().count(), rows.len() + 1);
}

#[test]
#[ignore = "takes as long as SOAK_SECONDS says (600): SOAK_SECONDS=7200 cargo test --test soak -- --ignored --nocapture"]
fn a_long_soak_is_drawn() {
    let seconds = switches::soak_seconds().unwrap_or(600);
    let between_checks = Duration::from_secs((seconds / 120).clamp(5, 60));
    let plan = Plan {
        seconds,
        seed: switches::soak_seed().unwrap_or_else(|| fastrand::u64(..1_000_000)),
        between_checks,
        between_torments_max: between_checks / 5,
    };
    let laws = Laws::new();
    let (rows, torments) = soak(&plan, &laws);
    let story = story(&plan, &laws, &rows, &torments);
    let default = || Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak.svg");
    let picture = switches::soak_picture().map_or_else(default, Into::into);
    std::fs::write(&picture, story.svg()).unwrap();
    std::fs::write(picture.with_extension("tsv"), story.tsv()).unwrap();
    println!("drawn as {}", picture.display());
    laws.assert();
}
