//! Looks at an exporter each second as Prometheus and an administrator would: a scrape, its memory, its descriptors and the size
//! of its state directory.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::feed::Feed;
use crate::laws::Laws;
use crate::support::Response;
use crate::support::pass;
use crate::target::Life;

const EVERY: Duration = Duration::from_secs(1);
const MIB: f64 = 1_048_576.0;

/// Bounds of what a second shows.
pub const RESIDENT_MIB_MAX: f64 = 96.0;
pub const DESCRIPTORS_MAX: f64 = 256.0;
/// What the README promises to suffice, with three snapshots of these few series.
pub const STATE_MIB_MAX: f64 = 170.0;
pub const SCRAPE_SECONDS_MAX: f64 = 1.0;

/// What was seen at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight {
    pub resident_mib: f64,
    pub descriptors: f64,
    pub state_mib: f64,
    pub scrape_seconds: f64,
}

/// One scrape. `None`: nobody answers, or not with 200.
pub fn scrape(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let response = Response::read(&mut stream);
    let length = response.head.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next());
    let is_whole = length.is_none_or(|length| length.parse() == Ok(response.raw_body.len()));
    (response.status == 200 && is_whole).then_some(response.body)
}

/// Looks at the tormented exporter up to the end of the feed. The reference is scraped in the same moment: where that takes as
/// long, it is the machine that is busy.
pub fn watch(
    feed: &Feed,
    laws: &Laws,
    state: &Path,
    reference: SocketAddr,
    life: &Mutex<Option<Life>>,
    sights: &Mutex<Vec<Sight>>,
) {
    while !feed.is_over() {
        pass(EVERY);
        let now = || *life.lock().unwrap();
        let Some(before) = now() else { continue };
        let ((page, scrape_seconds), (_, beside_seconds)) = thread::scope(|scope| {
            let beside = scope.spawn(|| timed(reference));
            (timed(before.address), beside.join().unwrap())
        });
        let sight = Sight {
            resident_mib: resident_mib(before.process),
            descriptors: descriptors(before.process),
            state_mib: size(state) / MIB,
            scrape_seconds,
        };
        if now() != Some(before) {
            continue;
        }
        laws.demand(page.is_some(), || "a scrape failed".to_owned());
        for (what, value, most) in [
            ("resident MiB", sight.resident_mib, RESIDENT_MIB_MAX),
            ("descriptors", sight.descriptors, DESCRIPTORS_MAX),
            ("MiB of state", sight.state_mib, STATE_MIB_MAX),
            (
                "seconds a scrape more than the reference",
                sight.scrape_seconds - beside_seconds,
                SCRAPE_SECONDS_MAX,
            ),
        ] {
            laws.demand(value <= most, || format!("{value} {what}, at most {most} are allowed"));
        }
        sights.lock().unwrap().push(sight);
    }
}

fn timed(address: SocketAddr) -> (Option<String>, f64) {
    let started = Instant::now();
    (scrape(address), started.elapsed().as_secs_f64())
}

/// 0 for a process that is gone.
pub fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(0.0) / 1_024.0
}

pub fn descriptors(process: u32) -> f64 {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0.0, |files| files.count() as f64)
}

fn size(directory: &Path) -> f64 {
    let Ok(files) = fs::read_dir(directory) else { return 0.0 };
    files.map_while(Result::ok).filter_map(|file| file.metadata().ok()).map(|file| file.len() as f64).sum()
}
