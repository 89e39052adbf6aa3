//! The journal: what was acknowledged outlives a `kill -9`.
//!
//! The feed appends records and hands them over in blocks. A thread of its own (`writer`) writes them to the
//! state directory, so the feed never waits for a disk; how far the blocks are written and durable, the feed
//! reads from [`Journal`]. `machine` decides what a block, a failure or a snapshot leads to. A second thread
//! (`snapshotter`) writes snapshots and syncs once a second. `recover` reads all of it at a start; `files`
//! knows the directory, `format` what stands in the files.
//!
//! What cannot be written stops nothing. Memory is then ahead of the disk: blocks are dropped, sessions wait
//! for their acknowledgements, and once a snapshot of all that memory holds is written, state is durable
//! again. A disk that does not answer leads to the same as soon as the blocks on their way fill their queue.

pub(crate) mod disk;
mod files;
mod machine;
mod recover;
mod segments;
mod snapshotter;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

pub(crate) use files::{Unusable, probe};
pub(crate) use snapshotter::Snapshotter;
pub(crate) use writer::Writer;

use crate::catalog::Catalogs;
use crate::config::FsyncPolicy;
use crate::format::frame;
use crate::limits;
use crate::state::State;
use crate::state::record::Record;
use disk::Disk;
use machine::Image;

/// The number of a record, from 1, among all that this process has appended.
pub(crate) type Lsn = u64;

/// What the feed hands to the writer.
enum Order {
    /// Whole frames; the last of them is this record.
    Block {
        frames: Vec<u8>,
        lsn: Lsn,
    },
    /// Sessions wait for an acknowledgement of what was handed over.
    Confirm,
    /// The records from the last block to this one were dropped, since the queue was full.
    Gap {
        lsn: Lsn,
    },
    /// The state after the record of this LSN; `last`: at a clean stop.
    Image {
        image: Image,
        lsn: Lsn,
        last: bool,
    },
    /// The state that was offered is in force.
    Adopted,
    Sync(FsyncPolicy),
}

/// What the writer tells the feed beside its progress.
enum Report {
    /// State was found after the start, when the directory could be read at last.
    Recovered(Box<State>),
    /// The last image is saved, or cannot be.
    Finished,
}

/// How far the writer is. Written by the writer, read by the feed.
#[derive(Default)]
struct Progress {
    /// Records that were written, or dropped.
    written: AtomicU64,
    /// Records that are as durable as `[state] sync` asks for.
    durable: AtomicU64,
    /// Bytes of blocks in the queue.
    queued_bytes: AtomicUsize,
    wants_image: AtomicBool,
    /// The feed wants to be woken when there is progress.
    is_awaited: AtomicBool,
    /// The newest snapshot holds everything.
    is_saved: AtomicBool,
    figures: Figures,
}

/// What is shown of the journal.
#[derive(Default)]
struct Figures {
    is_durable: AtomicBool,
    bytes: AtomicU64,
    errors: AtomicU64,
    /// Unix seconds as the bits of an `f64`.
    snapshot_at: AtomicU64,
}

/// The feed's end of the journal.
pub(crate) struct Journal {
    orders: Sender<Order>,
    reports: Receiver<Report>,
    progress: Arc<Progress>,
    /// Frames that have not been handed over, and since when.
    block: Vec<u8>,
    block_since: Option<Instant>,
    appended: Lsn,
    /// The latest record that the writer was asked to confirm.
    asked: Lsn,
    /// Blocks that may not be written yet, and when they were handed over.
    in_flight: VecDeque<(Lsn, Instant)>,
    /// What was written when that was last seen to change, and when.
    seen: (Lsn, Instant),
    /// Records are dropped since the queue was full. A snapshot makes them good.
    has_gap: bool,
}

impl Journal {
    /// Takes the directory and the state that it holds. `catalogs` are those of this run. The error is a
    /// reason not to start: another exporter uses the directory, or a newer one has written it.
    pub(crate) fn open(
        directory: &Path,
        sync: FsyncPolicy,
        disk: Arc<dyn Disk>,
        catalogs: &Catalogs,
    ) -> Result<(Self, Writer, Snapshotter, State), String> {
        let (orders, writer_orders) = unbounded();
        let (writer_reports, reports) = unbounded();
        let (jobs, snapshotter_jobs) = unbounded();
        let (snapshotter_done, done) = unbounded();
        let progress = Arc::new(Progress::default());
        let snapshotter = Snapshotter {
            directory: directory.to_owned(),
            disk: Arc::clone(&disk),
            jobs: snapshotter_jobs,
            done: snapshotter_done,
        };
        let ends = writer::Ends {
            orders: writer_orders,
            reports: writer_reports,
            jobs,
            done,
            progress: Arc::clone(&progress),
        };
        let (writer, state) = Writer::open(directory, sync, disk, catalogs, ends)?;
        let journal = Journal {
            orders,
            reports,
            progress,
            block: Vec::new(),
            block_since: None,
            appended: 0,
            asked: 0,
            in_flight: VecDeque::new(),
            seen: (0, Instant::now()),
            has_gap: false,
        };
        Ok((journal, writer, snapshotter, state))
    }

    /// Appends a record. It is on its way to the disk once it has been handed over.
    pub(crate) fn append(&mut self, record: &Record<'_>) {
        self.appended += 1;
        if self.has_gap {
            return;
        }
        self.block_since.get_or_insert_with(Instant::now);
        frame::push(&mut self.block, |out| record.write(out));
        if self.block.len() >= limits::JOURNAL_BLOCK_BYTES {
            self.hand_over();
        }
    }

    /// Hands over what has been kept back for long enough. A wake-up of the writer costs more than a record,
    /// so where nobody waits for them, records of [`limits::JOURNAL_DELAY`] share one.
    pub(crate) fn hand_over_if_due(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.hand_over();
        }
    }

    /// When [`Self::hand_over_if_due`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.block_since.map(|since| since + limits::JOURNAL_DELAY)
    }

    /// Hands the records so far to the writer.
    pub(crate) fn hand_over(&mut self) {
        self.block_since = None;
        if self.block.is_empty() {
            return;
        }
        let frames = std::mem::take(&mut self.block);
        let (bytes, lsn) = (frames.len(), self.appended);
        let queued = self.progress.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        if queued > 0 && queued + bytes > limits::JOURNAL_QUEUE_BYTES_MAX {
            self.progress.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.has_gap = true;
            self.send(Order::Gap { lsn });
            log::error!(
                "the disk of the state does not answer: going on in memory, without acknowledgements"
            );
        } else {
            let now = Instant::now();
            self.silence(now);
            self.in_flight.push_back((lsn, now));
            self.send(Order::Block { frames, lsn });
        }
    }

    fn send(&self, order: Order) {
        // A writer that has ended has taken the process with it.
        let _ = self.orders.send(order);
    }

    /// The latest record.
    pub(crate) fn appended(&self) -> Lsn {
        self.appended
    }

    /// The latest record that is durable, and all before it.
    pub(crate) fn durable(&self) -> Lsn {
        self.progress.durable.load(Ordering::Acquire)
    }

    /// Whether every record is written, or the disk has not answered for too long to wait for it.
    pub(crate) fn is_written(&mut self, now: Instant) -> bool {
        self.silence(now).is_none_or(|silence| silence >= limits::DISK_ANSWER_MAX)
    }

    /// How long the disk has not answered; `None`: nothing is on its way.
    fn silence(&mut self, now: Instant) -> Option<Duration> {
        let written = self.progress.written.load(Ordering::Acquire);
        if written != self.seen.0 {
            self.seen = (written, now);
        }
        while self.in_flight.front().is_some_and(|(lsn, _)| *lsn <= written) {
            self.in_flight.pop_front();
        }
        let (_, since) = self.in_flight.front()?;
        Some(now.duration_since(self.seen.1.max(*since)))
    }

    /// Whether so much is on its way that producers have to wait: the disk is slow, but it answers.
    pub(crate) fn is_congested(&mut self, now: Instant) -> bool {
        self.progress.queued_bytes.load(Ordering::Acquire) >= limits::JOURNAL_QUEUE_BYTES_HIGH
            && self.silence(now).is_some_and(|silence| silence < limits::DISK_SILENCE_MAX)
    }

    /// Hands the records so far over and asks to be woken when they are written. What is there already has to
    /// be looked at after this.
    pub(crate) fn await_written(&mut self) {
        self.progress.is_awaited.store(true, Ordering::SeqCst);
        self.hand_over();
    }

    /// Hands the records so far over to be made durable.
    pub(crate) fn confirm(&mut self) {
        self.hand_over();
        // What is dropped cannot be confirmed; the snapshot that makes it good is asked for by itself.
        if self.asked < self.appended && !self.has_gap {
            self.asked = self.appended;
            self.send(Order::Confirm);
        }
    }

    /// The same, and asks to be woken when they are durable.
    pub(crate) fn await_durable(&mut self) {
        self.progress.is_awaited.store(true, Ordering::SeqCst);
        self.confirm();
    }

    /// Whether a snapshot should be taken now. Says so once.
    pub(crate) fn wants_image(&self) -> bool {
        self.progress.wants_image.swap(false, Ordering::AcqRel)
    }

    /// Hands over an image of the state as it is now.
    pub(crate) fn snapshot(&mut self, bytes: Vec<u8>, taken_at: f64) {
        self.hand_over();
        self.has_gap = false;
        self.send(Order::Image { image: Image { bytes, taken_at }, lsn: self.appended, last: false });
    }

    /// State that was found after the start; it was acknowledged, what memory holds was not.
    /// [`Self::adopted`] has to follow.
    pub(crate) fn recovered(&self) -> Option<State> {
        self.reports.try_iter().find_map(|report| match report {
            Report::Recovered(state) => Some(*state),
            Report::Finished => None,
        })
    }

    /// The recovered state is in force. What was appended before belongs to another.
    pub(crate) fn adopted(&mut self) {
        self.block.clear();
        self.block_since = None;
        self.has_gap = false;
        self.send(Order::Adopted);
    }

    /// Changes when what was written is forced to the disk.
    pub(crate) fn set_sync(&mut self, sync: FsyncPolicy) {
        self.hand_over();
        self.send(Order::Sync(sync));
    }

    /// At a clean stop: saves the state, and waits for that no longer than `until`. `alive` is called while it
    /// waits.
    pub(crate) fn finish(
        &mut self,
        taken_at: f64,
        image: impl FnOnce() -> Vec<u8>,
        alive: impl Fn(),
        until: Instant,
    ) {
        self.hand_over();
        while !self.has_gap
            && self.progress.written.load(Ordering::Acquire) < self.appended
            && Instant::now() < until
        {
            alive();
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if self.progress.is_saved.load(Ordering::Acquire) && !self.has_gap {
            return;
        }
        let image = Image { bytes: image(), taken_at };
        self.send(Order::Image { image, lsn: self.appended, last: true });
        while Instant::now() < until {
            alive();
            let left = until.saturating_duration_since(Instant::now());
            match self.reports.recv_timeout(left.min(Duration::from_millis(100))) {
                Ok(Report::Finished) | Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return,
                Ok(Report::Recovered(_)) | Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
            }
        }
        log::error!("the state could not be saved in time: what was acknowledged is in the journal");
    }

    /// Bytes that a start would have to read beside the newest snapshot.
    pub(crate) fn bytes(&self) -> u64 {
        self.progress.figures.bytes.load(Ordering::Relaxed)
    }

    /// How often something could not be written.
    pub(crate) fn errors(&self) -> u64 {
        self.progress.figures.errors.load(Ordering::Relaxed)
    }

    /// When the newest snapshot was taken, Unix seconds; 0: never.
    pub(crate) fn snapshot_at(&self) -> f64 {
        f64::from_bits(self.progress.figures.snapshot_at.load(Ordering::Relaxed))
    }

    /// Whether the disk holds all that memory does, but for what is on its way.
    pub(crate) fn is_durable(&mut self, now: Instant) -> bool {
        let is_stalled = self.silence(now).is_some_and(|silence| silence >= limits::DISK_ANSWER_MAX);
        self.progress.figures.is_durable.load(Ordering::Acquire) && !self.has_gap && !is_stalled
    }
}
