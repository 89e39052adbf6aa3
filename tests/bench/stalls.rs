//! How long scrapes wait while what concerns a million open entities happens.

use std::fmt::Write as _;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::report;
use crate::support::session::Session;
use crate::support::{Exporter, wait_for_as_long};

const ENTITIES: usize = 1_000_000;
const CONFIG: &str = "[limits]\nentities = 2000000\nmemory = 1G\n[events]\ngrace = 1s\n[state]\ndirectory = {directory}/state\n";
/// A part of the metrics that is short whatever is open.
const OWN: &str = "/metrics?system=exporter";

pub fn stalls() {
    idle();
    let exporter = Exporter::start(CONFIG);
    let mut run = begin(&exporter, "a");
    longest(&exporter, "opening a million, with images of the state", 1e6, || open(&mut run));
    closing_a_room(&exporter);
    reloading(&exporter);
    longest(&exporter, "its producer stays away for longer than the grace time", 0.0, || drop(run));
    let mut run = begin(&exporter, "b");
    longest(&exporter, "opening a million again", 1e6, || open(&mut run));
    let mut next = None;
    longest(&exporter, "the next run of the producer says hello", 0.0, || {
        drop(run);
        next = Some(begin(&exporter, "c"));
    });
    let mut plain = UnixStream::connect(&exporter.socket).unwrap();
    longest(&exporter, "opening a million without a session", 1e6, || open(&mut plain));
    longest(&exporter, "their server reports a restart", 0.0, || {
        plain.write_all(b"{\"event\":\"signaling.server_started\"}\n").unwrap();
    });
}

fn idle() {
    let exporter = Exporter::start(CONFIG);
    let started = Instant::now();
    measured(&exporter, "slowest of the scrapes of a second, idle: ms", || {
        wait_for_as_long(Duration::from_secs(2), || started.elapsed().as_secs() >= 1, String::new);
    });
}

fn begin(exporter: &Exporter, instance: &str) -> UnixStream {
    Session::begin(&exporter.socket, "big", instance).0.stream
}

fn open(stream: &mut UnixStream) {
    write_all(stream, ENTITIES, |number, line| {
        write!(
            line,
            "{{\"event\":\"signaling.session.joined\",\"session\":\"session-{number}-abcdefghijklmnopqrst\",\"backend\":\"b{}\",\"clienttype\":\"client\"}}",
            number % 10
        )
    });
}

fn write_all(stream: &mut UnixStream, lines: usize, write: impl Fn(usize, &mut String) -> std::fmt::Result) {
    let mut block = String::new();
    for number in 0..lines {
        write(number, &mut block).unwrap();
        block.push('\n');
        if block.len() > 60_000 || number + 1 == lines {
            stream.write_all(block.as_bytes()).unwrap();
            block.clear();
        }
    }
}

fn closing_a_room(exporter: &Exporter) {
    let mut stream = UnixStream::connect(&exporter.socket).unwrap();
    stream.write_all(b"{\"event\":\"edumeet.room.opened\",\"room_id\":\"r\"}\n").unwrap();
    write_all(&mut stream, ENTITIES / 2, |number, line| {
        write!(
            line,
            "{{\"event\":\"edumeet.peer.joined\",\"room_id\":\"r\",\"peer_id\":\"peer-{number}\",\"display_name\":\"Name\",\"user_agent\":\"Mozilla\"}}"
        )
    });
    let peers = "lifecycle_exporter_entities{system=\"edumeet\",entity=\"peer\"}";
    wait_for(exporter, peers, ENTITIES as f64 / 2.0);
    measured(exporter, "… a room of 500,000 closes: ms", || {
        stream.write_all(b"{\"event\":\"edumeet.room.closed\",\"room_id\":\"r\"}\n").unwrap();
        wait_for(exporter, peers, 0.0);
    });
}

fn reloading(exporter: &Exporter) {
    let catalogs = exporter.directory.path().join("catalogs");
    std::fs::create_dir(&catalogs).unwrap();
    std::fs::write(catalogs.join("x.ini"), "[system]\nname = x\ntitle = X\n").unwrap();
    let more = format!("{CONFIG}[systems]\ncatalog_directory = {}\n", catalogs.display());
    let private = format!("{more}[privacy]\ndeidentify = yes\n");
    for (what, config) in [("a reload adds a catalog", more), ("a reload hides addresses", private)] {
        let reloads = || exporter.log().matches("was read again").count();
        let before = reloads();
        measured(exporter, &format!("… {what}: ms"), || {
            exporter.configure(&config);
            exporter.signal("HUP");
            wait_for_as_long(Duration::from_secs(60), || reloads() > before, || exporter.log());
        });
    }
}

/// The longest scrape while something is done, up to the moment at which so many sessions are open.
fn longest(exporter: &Exporter, what: &str, sessions: f64, act: impl FnOnce()) {
    measured(exporter, &format!("… {what}: ms"), || {
        act();
        wait_for(exporter, "lifecycle_exporter_entities{system=\"signaling\",entity=\"session\"}", sessions);
    });
}

fn wait_for(exporter: &Exporter, series: &str, expected: f64) {
    let value = || crate::support::value(&exporter.get(OWN).body, series);
    let reached = || value().is_some_and(|value| (value - expected).abs() < 0.5);
    wait_for_as_long(Duration::from_secs(60), reached, || format!("{series} is {:?}", value()));
}

/// Scrapes all the time, and reports the longest.
fn measured(exporter: &Exporter, what: &str, act: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    let address = exporter.address;
    let slowest = thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut slowest = 0.0_f64;
            while !is_over.load(Ordering::Relaxed) {
                let started = Instant::now();
                crate::scrape::get(address, &format!("GET {OWN} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
                slowest = slowest.max(started.elapsed().as_secs_f64() * 1_000.0);
            }
            slowest
        });
        act();
        is_over.store(true, Ordering::Relaxed);
        scraper.join().unwrap()
    });
    report(what, vec![slowest]);
}
