//! The journal: every entry on the disk before it is applied, so that what was acknowledged outlives a `kill -9`.
//!
//! A state directory holds journals and snapshots (`files`), both made of frames (`frame`): a journal's payloads are
//! entries, a snapshot's are pieces of an image. When the journal has become long a new one is begun, and the state at
//! that point goes to the `saver`, a thread of its own, which writes the snapshot. `recover` reads all that at start.
//!
//! What cannot be written does not stop anything. From then on memory is ahead of the disk: nothing is appended, sessions get no
//! acknowledgements, and from time to time a new journal is begun whose entries count only together with a snapshot of all
//! that memory holds. When that snapshot is there, state is durable again.

pub mod disk;
mod files;
mod frame;
mod recover;
mod saver;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::fcntl::Flock;

pub use saver::Saver;

use crate::config::Sync;
use crate::image;
use crate::limits;
use crate::process::heart::Heart;
use crate::state::State;
use crate::state::entry::Entry;
use disk::{Disk, DiskFile, write_all};
use files::{After, JournalBegin, Locked};
use saver::{Job, Report, Save, Unsynced};

/// The feed's end of the journal.
pub struct Journal {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    sync: Sync,
    lock: Option<Flock<File>>,
    /// What is appended to; none while nothing can be written.
    segment: Option<Segment>,
    /// Whether the disk holds all that memory does.
    durable: bool,
    /// The number of the next journal.
    generation: u64,
    /// Bytes and number of the journals before this one that no snapshot has replaced yet.
    closed_bytes: u64,
    closed: usize,
    /// The snapshot that is being written.
    saving: Option<u64>,
    jobs: Sender<Job>,
    reports: Receiver<Report>,
    /// Files to be set aside after the next snapshot.
    aside: Vec<PathBuf>,
    errors: u64,
    /// Unix seconds; 0: never.
    snapshot_at: f64,
    snapshot_taken: Instant,
    next_try: Option<Instant>,
    pause: Duration,
    buffer: Vec<u8>,
}

/// The journal that is appended to.
struct Segment {
    generation: u64,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    /// Of these, what is no entry.
    head_bytes: u64,
    /// Whether something was written since the latest sync.
    dirty: Arc<AtomicBool>,
}

impl Journal {
    /// Takes the directory and what state it holds. Another exporter that uses it is the only error.
    pub fn open(directory: &Path, sync: Sync, disk: Arc<dyn Disk>) -> Result<(Self, Saver, State), String> {
        let (jobs, saver_jobs) = unbounded();
        let (saver_reports, reports) = unbounded();
        let saver = Saver {
            directory: directory.to_owned(),
            disk: Arc::clone(&disk),
            jobs: saver_jobs,
            reports: saver_reports,
        };
        let mut journal = Journal {
            directory: directory.to_owned(),
            disk,
            sync,
            lock: None,
            segment: None,
            durable: false,
            generation: 1,
            closed_bytes: 0,
            closed: 0,
            saving: None,
            jobs,
            reports,
            aside: Vec::new(),
            errors: 0,
            snapshot_at: 0.0,
            snapshot_taken: Instant::now(),
            next_try: None,
            pause: limits::JOURNAL_RETRY_FIRST,
            buffer: Vec::new(),
        };
        let locked = journal.lock()?;
        let recovered = recover::recover(directory, &*journal.disk);
        journal.generation = recovered.generation;
        journal.aside = recovered.aside;
        journal.closed_bytes = recovered.journal_bytes;
        journal.closed = recovered.journals;
        journal.snapshot_at = recovered.snapshot_at;
        // A chain that is broken needs a snapshot first, which is wanted as long as state is not durable.
        let whole = recovered.after.is_some();
        match locked.and_then(|()| recovered.after.map_or(Ok(()), |after| journal.begin(after))) {
            Ok(()) => journal.durable = whole,
            Err(error) => journal.fail(&error),
        }
        Ok((journal, saver, recovered.state))
    }

    /// Locks the directory. That it cannot be locked for now is not the outer error.
    fn lock(&mut self) -> Result<io::Result<()>, String> {
        if self.lock.is_some() {
            return Ok(Ok(()));
        }
        if let Err(error) = self.disk.make_directory(&self.directory) {
            return Ok(Err(error));
        }
        match files::lock(&self.directory) {
            Ok(lock) => self.lock = Some(lock),
            Err(Locked::Not(error)) => return Ok(Err(error)),
            Err(Locked::Elsewhere) => {
                return Err(format!(
                    "{}: another exporter uses this directory; give each its own ([state] directory)",
                    self.directory.display()
                ));
            }
        }
        Ok(Ok(()))
    }

    /// Begins the next journal.
    fn begin(&mut self, after: After) -> io::Result<()> {
        let generation = self.generation;
        let path = files::journal(&self.directory, generation);
        let mut bytes = files::JOURNAL_HEAD.to_vec();
        frame::push(&mut bytes, |out| image::put(out, &JournalBegin { generation, after }));
        let make = || {
            // What stands at the end of the former journal is confirmed by this one from here on.
            if let Some(former) = &self.segment
                && self.sync == Sync::Always
                && former.dirty.swap(false, Ordering::AcqRel)
            {
                former.file.sync()?;
            }
            let file = self.disk.create(&path)?;
            write_all(&*file, &bytes)?;
            if self.sync == Sync::Always {
                file.sync()?;
                self.disk.sync_directory(&self.directory)?;
            }
            Ok(file)
        };
        let file = make().inspect_err(|_: &io::Error| {
            let _ = self.disk.remove(&path);
        })?;
        if let Some(former) = self.segment.take() {
            self.closed_bytes += former.bytes;
            self.closed += 1;
        }
        self.segment = Some(Segment {
            generation,
            file: file.into(),
            bytes: bytes.len() as u64,
            head_bytes: bytes.len() as u64,
            dirty: Arc::default(),
        });
        self.generation += 1;
        Ok(())
    }

    /// Appends an entry. `heart` beats if that takes long.
    pub fn append(&mut self, entry: &Entry<'_>, heart: &Heart) {
        if self.segment.is_none() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        frame::push(&mut buffer, |out| image::put(out, entry));
        if self.bytes() + buffer.len() as u64 > limits::JOURNAL_BYTES_MAX {
            self.wait_for_saver(heart);
        }
        if self.bytes() + buffer.len() as u64 > limits::JOURNAL_BYTES_MAX {
            self.fail(&io::Error::other("the journal is full, and no snapshot could replace it"));
        } else if let Some(segment) = &mut self.segment {
            match write_all(&*segment.file, &buffer) {
                Ok(()) => {
                    segment.bytes += buffer.len() as u64;
                    if !segment.dirty.swap(true, Ordering::AcqRel) && self.sync == Sync::Interval {
                        let _ = self.jobs.send(Job::Sync(segment.unsynced()));
                    }
                }
                Err(error) => {
                    // Half an entry is no entry, whether it can be cut off now or when it is read.
                    let _ = segment.file.truncate(segment.bytes);
                    self.fail(&error);
                }
            }
        }
        buffer.shrink_to(limits::JOURNAL_BUFFER_BYTES);
        self.buffer = buffer;
    }

    /// Whether all that was appended is as durable as was asked for. Forces it to the disk first, with `sync = always`.
    pub fn confirm(&mut self) -> bool {
        if let Some(segment) = &self.segment
            && self.sync == Sync::Always
            && segment.dirty.swap(false, Ordering::AcqRel)
            && let Err(error) = segment.file.sync()
        {
            self.fail(&error);
        }
        self.durable
    }

    /// Whether [`Self::confirm`] has to wait for the disk, so that it pays to ask once for several.
    pub fn confirming_takes_long(&self) -> bool {
        self.sync == Sync::Always && self.durable
    }

    /// Memory is ahead of the disk from here on.
    fn fail(&mut self, error: &io::Error) {
        self.errors += 1;
        if self.durable || self.next_try.is_none() {
            log::error!(
                "{}: state cannot be written: {error}; going on in memory, sessions wait for their acknowledgements",
                self.directory.display()
            );
        } else {
            log::debug!("{}: state still cannot be written: {error}", self.directory.display());
        }
        self.durable = false;
        if let Some(former) = self.segment.take() {
            self.closed_bytes += former.bytes;
            self.closed += 1;
        }
        self.retry_later();
    }

    fn retry_later(&mut self) {
        self.next_try = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(limits::JOURNAL_RETRY_MAX);
    }

    /// Takes in what the saver has done.
    pub fn collect(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            // What was not forced there may be anywhere: only a snapshot of memory is good now.
            Report::SyncFailed(error) => self.fail(&error),
            Report::Saved { generation, at, result: Ok(()) } => {
                self.saving = None;
                self.snapshot_at = at;
                (self.closed_bytes, self.closed) = (0, 0);
                self.aside.clear();
                let whole = self.segment.as_ref().is_some_and(|segment| segment.generation >= generation);
                if whole && !std::mem::replace(&mut self.durable, true) {
                    log::info!("{}: state is durable again", self.directory.display());
                }
                if whole {
                    self.next_try = None;
                    self.pause = limits::JOURNAL_RETRY_FIRST;
                }
            }
            Report::Saved { result: Err(error), .. } => {
                self.saving = None;
                if self.durable {
                    // The journals are whole: nothing is lost but time at the next start.
                    self.errors += 1;
                    log::error!("{}: a snapshot cannot be written: {error}", self.directory.display());
                    self.retry_later();
                } else {
                    self.fail(&error);
                }
            }
        }
    }

    fn wait_for_saver(&mut self, heart: &Heart) {
        let until = Instant::now() + saver::PATIENCE;
        while self.saving.is_some() && Instant::now() < until {
            heart.beat();
            if let Ok(report) = self.reports.recv_timeout(Duration::from_millis(100)) {
                self.take(report);
            }
        }
    }

    /// Whether it is time for a snapshot.
    pub fn wants_snapshot(&self, now: Instant) -> bool {
        if self.saving.is_some() || self.next_try.is_some_and(|at| now < at) {
            return false;
        }
        let written = self.closed > 0 || self.segment.as_ref().is_some_and(Segment::has_entries);
        !self.durable
            || self.bytes() >= limits::JOURNAL_BYTES_SNAPSHOT
            || self.closed >= limits::JOURNALS_MAX
            || (written && now.duration_since(self.snapshot_taken) >= limits::SNAPSHOT_EVERY)
    }

    /// Begins a new journal and hands the state at this point to the saver. `at` is Unix seconds.
    pub fn snapshot(&mut self, at: f64, image: impl FnOnce() -> Vec<u8>) {
        match self.lock() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.fail(&error),
            Err(error) => return self.fail(&io::Error::other(error)),
        }
        let after = match &self.segment {
            Some(segment) if self.durable => After::Journal(segment.bytes),
            _ => After::Snapshot,
        };
        let generation = self.generation;
        match self.begin(after) {
            Ok(()) => self.save(generation, at, image()),
            Err(error) if self.durable => {
                // The former journal is still good.
                self.errors += 1;
                log::error!("{}: no new journal can be begun: {error}", self.directory.display());
                self.retry_later();
            }
            Err(error) => self.fail(&error),
        }
    }

    fn save(&mut self, generation: u64, at: f64, image: Vec<u8>) {
        let (sync, aside) = (self.sync != Sync::Never, self.aside.clone());
        self.saving = Some(generation);
        self.snapshot_taken = Instant::now();
        let _ = self.jobs.send(Job::Save(Save { generation, at, image, sync, aside }));
    }

    /// At a clean stop: waits until a snapshot holds everything, or cannot.
    pub fn finish(&mut self, at: f64, image: impl FnOnce() -> Vec<u8>, heart: &Heart) {
        self.wait_for_saver(heart);
        let is_new = self.segment.as_ref().is_some_and(|segment| !segment.has_entries()) && self.closed == 0;
        if (self.durable && is_new) || self.lock.is_none() || self.saving.is_some() {
            return;
        }
        let generation = self.generation;
        self.save(generation, at, image());
        self.wait_for_saver(heart);
    }

    /// Goes on with another setting.
    pub fn set_sync(&mut self, sync: Sync) {
        let changed = std::mem::replace(&mut self.sync, sync) != sync;
        if let Some(segment) = &self.segment
            && changed
            && sync == Sync::Interval
            && segment.dirty.load(Ordering::Acquire)
        {
            let _ = self.jobs.send(Job::Sync(segment.unsynced()));
        }
    }

    /// Bytes that a start would have to read beside the newest snapshot.
    pub fn bytes(&self) -> u64 {
        self.closed_bytes + self.segment.as_ref().map_or(0, |segment| segment.bytes)
    }

    /// How often something could not be written.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// When the newest snapshot was taken, Unix seconds; 0: never.
    pub fn snapshot_at(&self) -> f64 {
        self.snapshot_at
    }

    /// Whether the disk holds all that memory does.
    pub fn is_durable(&self) -> bool {
        self.durable
    }
}

impl Segment {
    fn has_entries(&self) -> bool {
        self.bytes > self.head_bytes
    }

    fn unsynced(&self) -> Unsynced {
        Unsynced { generation: self.generation, file: Arc::clone(&self.file), dirty: Arc::clone(&self.dirty) }
    }
}
