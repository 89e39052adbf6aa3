//! The feed of a soak: the demo's lines of all systems at a steady rate. Each system has a session of its own with the tormented
//! exporter, which goes on after whatever break; the reference hears the very same lines over a plain connection. Both hear the
//! lines of a system in the same order, so both come to the same numbers.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lifecycle_exporter::internals;

use crate::support::pass;
use crate::support::session::ack;
use crate::support::wait_for_as_long;

pub const SYSTEMS: [&str; 5] = ["recording", "signaling", "proxy", "edumeet", "vlog"];
pub const LINES_PER_SECOND: f64 = 5_000.0;
/// So long before now the events have happened, by their own times. Clocks jump by less than that in both directions, so that an
/// event never lies in the future of a clock, and never more than a day back.
pub const EVENTS_AGE_SECONDS: f64 = 12.0 * 3_600.0;

const TICK: Duration = Duration::from_millis(20);
/// Lines that wait for one acknowledgement.
const BLOCK_LINES: usize = 2_000;
/// A producer that has heard nothing for so long tries a new connection. No torment lasts as long.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long all lines may take to be acknowledged once no new ones come.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How far the lines of each system have come.
#[derive(Default)]
pub struct Feed {
    /// Held for as long as no lines are made.
    gate: Mutex<()>,
    over: AtomicBool,
    sent: [AtomicU64; SYSTEMS.len()],
    acked: [AtomicU64; SYSTEMS.len()],
}

fn sum(counts: &[AtomicU64]) -> u64 {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
}

impl Feed {
    pub fn sent(&self) -> u64 {
        sum(&self.sent)
    }

    /// No new lines come as long as the guard lives, and all former ones are acknowledged.
    pub fn drain(&self) -> MutexGuard<'_, ()> {
        let guard = self.gate.lock().unwrap();
        let (sent, acked) = (self.sent(), || sum(&self.acked));
        wait_for_as_long(DRAIN_MAX, || acked() == sent, || format!("{} of {sent} are acknowledged", acked()));
        guard
    }

    /// Ends all threads of the feed.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Makes lines up to the end, for the reference and for the producers.
    pub fn make(&self, seed: u64, reference: &Path, producers: &[Sender<Vec<String>>]) {
        let mut reference = UnixStream::connect(reference).unwrap();
        let mut script = internals::demo(seed).map(|(_, line)| line);
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - EVENTS_AGE_SECONDS;
        let (started, mut made) = (Instant::now(), 0_u64);
        while !self.is_over() {
            {
                let _open = self.gate.lock().unwrap();
                let passed = started.elapsed().as_secs_f64();
                let due = (passed * LINES_PER_SECOND) as u64;
                let mut blocks = SYSTEMS.map(|_| Vec::new());
                let mut all = String::new();
                for line in script.by_ref().take((due - made) as usize) {
                    let line = format!("{{\"time\":{:.3},{}\n", began + passed, &line[1..]);
                    all.push_str(&line);
                    blocks[system(&line)].push(line);
                }
                made = due;
                reference.write_all(all.as_bytes()).unwrap();
                for (index, block) in blocks.into_iter().enumerate().filter(|(_, block)| !block.is_empty()) {
                    self.sent[index].fetch_add(block.len() as u64, Ordering::Relaxed);
                    // A producer that is gone has seen the end of the soak before this thread.
                    if producers[index].send(block).is_err() {
                        return;
                    }
                }
            }
            pass(TICK);
        }
    }

    /// Sends the lines of a system up to the end, over as many connections as that takes.
    pub fn produce(&self, system: usize, seed: u64, socket: &Path, lines: &Receiver<Vec<String>>) {
        let mut random = fastrand::Rng::with_seed(seed + system as u64);
        let mut producer = Producer { feed: self, system, acked: 0, waiting: VecDeque::new() };
        while !self.is_over() {
            if producer.converse(socket, lines, &mut random).is_none() {
                pass(Duration::from_micros(random.u64(100..20_000)));
            }
        }
    }
}

fn system(line: &str) -> usize {
    let event = line.split("\"event\":\"").nth(1).expect("a line holds an event");
    SYSTEMS.iter().position(|system| event.starts_with(system)).expect("events of known systems")
}

/// What a producer says first.
pub fn hello(system: usize) -> String {
    format!("{{\"hello\":\"soak-{}\",\"instance\":\"1\"}}\n", SYSTEMS[system])
}

struct Producer<'a> {
    feed: &'a Feed,
    system: usize,
    acked: u64,
    /// Those after the last acknowledged one.
    waiting: VecDeque<String>,
}

impl Producer<'_> {
    /// One connection, up to its end.
    fn converse(
        &mut self,
        socket: &Path,
        lines: &Receiver<Vec<String>>,
        random: &mut fastrand::Rng,
    ) -> Option<()> {
        let mut stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(SILENCE_MAX)).ok()?;
        stream.set_write_timeout(Some(SILENCE_MAX)).ok()?;
        let mut replies = BufReader::new(stream.try_clone().ok()?).lines();
        stream.write_all(hello(self.system).as_bytes()).ok()?;
        self.take(&mut replies)?;
        while !self.feed.is_over() {
            if self.waiting.is_empty() {
                match lines.recv_timeout(TICK) {
                    Ok(block) => self.waiting.extend(block),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Some(()),
                }
            }
            self.waiting.extend(lines.try_iter().flatten());
            let count = self.waiting.len().min(random.usize(1..=BLOCK_LINES));
            let mut block = String::new();
            for line in self.waiting.iter().take(count) {
                let _ = block.write_str(line);
            }
            let breaks = random.u16(..512) == 0;
            if breaks {
                block.truncate(random.usize(..block.len()));
            }
            stream.write_all(block.as_bytes()).ok()?;
            if breaks {
                return None;
            }
            let until = self.acked + count as u64;
            while self.acked < until {
                self.take(&mut replies)?;
            }
        }
        Some(())
    }

    /// Takes the next reply. No line of the demo is rejected.
    fn take(&mut self, replies: &mut Lines<BufReader<UnixStream>>) -> Option<()> {
        let reply = replies.next()?.ok()?;
        let number = ack(&reply).unwrap_or_else(|| panic!("{reply} is no acknowledgement"));
        let sent = self.acked + self.waiting.len() as u64;
        assert!((self.acked..=sent).contains(&number), "{} were acknowledged, now {number}", self.acked);
        let new = number - self.acked;
        self.waiting.drain(..new as usize);
        self.acked = number;
        self.feed.acked[self.system].fetch_add(new, Ordering::Relaxed);
        Some(())
    }
}
