//! How long scrapes wait while what concerns a million open entities happens.

use std::fmt::Write as _;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::report::report;
use crate::support::session::Session;
use crate::support::{Exporter, binary, preload, wait_for_as_long};

const ENTITIES: usize = 1_000_000;
/// Producers with two series each that have an address.
const ADDRESSED: usize = 50_000;
const CONFIG: &str = "[limits]\nentities = 2000000\nseries_per_metric = 200000\nmemory = 1G\n[events]\ngrace = 1s\n[state]\ndirectory = {directory}/state\n";
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
    jumping();
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

/// Configurations that differ in one thing from the one before.
fn reloading(exporter: &Exporter) {
    let mut stream = UnixStream::connect(&exporter.socket).unwrap();
    addressed(exporter, &mut stream, "127.0.0.1", 1.0);
    let names = format!("{CONFIG}[privacy]\nnumeric = no\n");
    let catalogs = exporter.directory.path().join("catalogs");
    std::fs::create_dir(&catalogs).unwrap();
    std::fs::write(catalogs.join("x.ini"), "[system]\nname = x\ntitle = X\n").unwrap();
    let more = |privacy: &str| {
        format!("{CONFIG}[privacy]\n{privacy}\n[systems]\ncatalog_directory = {}\n", catalogs.display())
    };
    measured_reload(exporter, "a reload asks for names", &names);
    measured(exporter, "… an address of 100,000 series gets its name: ms", || {
        let mut line = String::new();
        write_stats(&mut line, "127.0.0.1", 0).unwrap();
        stream.write_all((line + "\n").as_bytes()).unwrap();
        // Whoever looks for the name would have the metrics of the whole system made.
        let started = Instant::now();
        wait_for_as_long(Duration::from_secs(5), || started.elapsed().as_secs() >= 2, String::new);
    });
    let named = exporter.system("edumeet").matches("remote_addr=\"localhost\"").count();
    assert!(named >= 2 * ADDRESSED, "{named} series have the name");
    measured_reload(exporter, "a reload adds a catalog", &more("numeric = no"));
    addressed(exporter, &mut stream, "192.0.2.1", 2.0);
    measured_reload(exporter, "a reload hides an address of 100,000 series", &more("deidentify = yes"));
}

fn measured_reload(exporter: &Exporter, what: &str, config: &str) {
    let reloads = || exporter.log().matches("was read again").count();
    let before = reloads();
    measured(exporter, &format!("… {what}: ms"), || {
        exporter.configure(config);
        exporter.signal("HUP");
        wait_for_as_long(Duration::from_secs(60), || reloads() > before, || exporter.log());
    });
}

/// A hundred thousand series begin with this address, as the `batch`th of such.
fn addressed(exporter: &Exporter, stream: &mut UnixStream, address: &str, batch: f64) {
    let before = format!(
        "{{\"event\":\"edumeet.room.opened\",\"room_id\":\"{address}\"}}\n\
         {{\"event\":\"edumeet.peer.joined\",\"room_id\":\"{address}\",\"peer_id\":\"{address}\"}}\n\
         {{\"event\":\"edumeet.transport.connected\",\"peer_id\":\"{address}\",\"transport_id\":\"{address}\",\"pid\":1,\
         \"proto\":\"udp\",\"local_addr\":\"10.1.1.1:1\",\"remote_addr\":\"{address}\"}}\n"
    );
    stream.write_all(before.as_bytes()).unwrap();
    write_all(stream, ADDRESSED, |number, line| {
        write!(
            line,
            "{{\"event\":\"edumeet.producer.created\",\"transport_id\":\"{address}\",\"id\":\"{address}-{number}\",\"kind\":\"video\",\"codec\":\"{number}\"}}"
        )
    });
    write_all(stream, ADDRESSED, |number, line| write_stats(line, address, number));
    // What comes behind them on the same connection.
    stream.write_all(b"{\"event\":\"vlog.server_started\",\"version\":\"1\"}\n").unwrap();
    wait_for(exporter, "lifecycle_exporter_events_total{event=\"vlog.server_started\"}", batch);
}

fn write_stats(line: &mut String, address: &str, number: usize) -> std::fmt::Result {
    write!(
        line,
        "{{\"event\":\"edumeet.producer.stats\",\"id\":\"{address}-{number}\",\"type\":\"t\",\"byte_count\":10,\"score\":1}}"
    )
}

/// The clock goes a day ahead and back.
fn jumping() {
    let Some(library) = preload::faketime() else { return };
    let directory = tempfile::tempdir().unwrap();
    let clock = directory.path().join("clock");
    preload::set_clock(&clock, 0);
    let mut command = binary();
    preload::take_clock(command.env("LD_PRELOAD", library), &clock);
    let exporter = Exporter::start_by(CONFIG, |_| {}, command);
    let mut run = begin(&exporter, "a");
    longest(&exporter, "opening a million, with another clock", 1e6, || open(&mut run));
    let latest = "lifecycle_exporter_last_event_timestamp_seconds{system=\"vlog\"}";
    for (what, offset) in [("ahead", 86_400), ("back", 0)] {
        measured(&exporter, &format!("… the clock jumps {what} by a day: ms"), || {
            preload::set_clock(&clock, offset);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() + offset as f64;
            exporter.feed("{\"event\":\"vlog.server_started\",\"version\":\"1\"}\n");
            let at = || crate::support::value(&exporter.get(OWN).body, latest);
            let has_come = || at().is_some_and(|at| (at - now).abs() < 3_600.0);
            wait_for_as_long(Duration::from_secs(60), has_come, || format!("{latest} is {:?}", at()));
        });
    }
    let process = exporter.child.id();
    drop(exporter);
    preload::clean_up_after(process);
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
