//! Starting what is measured, feeding it, and reading what that has cost.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::mix::{self, SESSIONS};
use crate::support::{self, Exporter, wait_until};

/// CPU-seconds of a process so far, its ended threads included. To the nanosecond: `/proc` counts in hundredths.
pub fn cpu_seconds(pid: u32) -> f64 {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed())).unwrap();
    Duration::from(clock.now().unwrap()).as_secs_f64()
}

pub fn resident_mib(exporter: &Exporter) -> f64 {
    exporter.resident_bytes() as f64 / 1_048_576.0
}

/// Room for as many series as are measured.
pub const ROOM: &str = "[limits]\nseries_per_metric = 2000000\nentities = 2000000\n";

pub fn exporter() -> Exporter {
    Exporter::start(ROOM)
}

pub const APPLIED: &str = "lifecycle_exporter_events_total";
const REJECTED: &str = "lifecycle_exporter_events_rejected_total";

/// What an exporter has used and counted when a measurement began.
pub struct Meter<'a> {
    exporter: &'a Exporter,
    counter: &'static str,
    cpu: f64,
    read: f64,
}

impl<'a> Meter<'a> {
    pub fn start(exporter: &'a Exporter) -> Self {
        Self::by(exporter, APPLIED)
    }

    /// Counts rejected lines instead of events.
    pub fn of_rejected(exporter: &'a Exporter) -> Self {
        Self::by(exporter, REJECTED)
    }

    fn by(exporter: &'a Exporter, counter: &'static str) -> Self {
        let read = read_so_far(exporter, counter);
        Meter { exporter, counter, cpu: cpu_seconds(exporter.child.id()), read }
    }

    /// Waits until so many more are counted. CPU-seconds since the start, without the scrape that says so.
    pub fn cpu_of(&self, events: usize) -> f64 {
        let mut cpu = 0.0;
        wait_until(
            || {
                cpu = cpu_seconds(self.exporter.child.id()) - self.cpu;
                read_so_far(self.exporter, self.counter) - self.read >= events as f64
            },
            || "not all events were counted".to_owned(),
        );
        cpu
    }
}

/// Feeds blocks and waits until all is applied. CPU-seconds per million events.
pub fn feed(exporter: &Exporter, blocks: &[Vec<u8>], events: usize) -> (f64, f64) {
    let meter = Meter::start(exporter);
    let started = Instant::now();
    let mut stream = UnixStream::connect(&exporter.socket).unwrap();
    for block in blocks {
        stream.write_all(block).unwrap();
    }
    drop(stream);
    let cpu = meter.cpu_of(events);
    let seconds = started.elapsed().as_secs_f64();
    assert!(read_so_far(exporter, REJECTED) < 0.5, "{}", exporter.log());
    (cpu * 1e6 / events as f64, events as f64 / seconds / 1e6)
}

/// A counter of the exporter's own. Asking for those alone costs little, however many series there are.
pub fn read_so_far(exporter: &Exporter, counter: &str) -> f64 {
    support::sum(&exporter.get("/metrics?system=exporter").body, counter)
}

pub fn blocks(lines: &[String], bytes: usize) -> Vec<Vec<u8>> {
    let all: Vec<u8> = lines.concat().into_bytes();
    all.chunks(bytes).map(<[u8]>::to_vec).collect()
}

pub fn start_counter() -> (Child, std::path::PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let child =
        Command::new(std::env::current_exe().unwrap()).arg("count-newlines").arg(&path).spawn().unwrap();
    wait_until(|| path.exists(), || "the counter does not start".to_owned());
    (child, path, directory)
}

/// The limit: reads and counts line ends, nothing else. Ends with its first connection, printing nothing.
pub fn count_newlines(path: &str) {
    let listener = UnixListener::bind(path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut buffer = vec![0; 65_536];
    let mut count = 0_usize;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        count += memchr::memchr_iter(b'\n', &buffer[..read]).count();
    }
    std::hint::black_box(count);
    // Stays for its CPU time to be read.
    let _ = fs::write(format!("{path}.done"), "");
    std::thread::park();
}

/// CPU-seconds per million events of the newline counter for these blocks.
pub fn feed_counter(blocks: &[Vec<u8>], events: usize) -> f64 {
    let cpu = cpu_of_counter(|mut stream| {
        for block in blocks {
            stream.write_all(block).unwrap();
        }
    });
    cpu * 1e6 / events as f64
}

/// CPU-seconds of the newline counter for what is written to it.
pub fn cpu_of_counter(write: impl FnOnce(UnixStream)) -> f64 {
    let (mut child, path, _directory) = start_counter();
    // The path is there before anybody listens.
    let mut stream = None;
    let connect = || {
        stream = UnixStream::connect(&path).ok();
        stream.is_some()
    };
    wait_until(connect, || "the counter does not listen".to_owned());
    write(stream.unwrap());
    let done = std::path::PathBuf::from(format!("{}.done", path.display()));
    wait_until(|| done.exists(), || "the counter does not end".to_owned());
    let cpu = cpu_seconds(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    cpu
}

/// One with this configuration and the sessions of the mix open.
pub fn opened(config: &str) -> Exporter {
    let exporter = Exporter::start(config);
    exporter.feed(mix::opening());
    wait_until(|| read_so_far(&exporter, APPLIED) >= SESSIONS as f64, || exporter.log());
    exporter
}
