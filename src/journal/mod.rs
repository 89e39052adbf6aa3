//! The journal: every entry on the disk before it is applied, so that what was acknowledged outlives a `kill -9`.
//!
//! A state directory holds journals and snapshots (`files`), both made of frames (`frame`): a journal's payloads are
//! entries, a snapshot's are pieces of an image. When the journal has become long a new one is begun, and the state at
//! that point goes to the `saver`, a thread of its own, which writes the snapshot. `recover` reads all that at start.
//!
//! What cannot be written does not stop anything. From then on memory is ahead of the disk: nothing is appended, sessions get no
//! acknowledgements, and from time to time a new journal is begun whose entries count only together with a snapshot of all
//! that memory holds. When that snapshot is there, state is durable again.

pub(crate) mod disk;
mod files;
mod recover;
mod snapshotter;

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

pub(crate) use files::{Unusable, probe};
pub(crate) use snapshotter::Snapshotter;

use crate::config::Sync;
use crate::format::{self, frame};
use crate::limits;
use crate::liveness::Liveness;
use crate::state::State;
use crate::state::record::Record;
use disk::{Disk, DiskFile, write_all};
use files::{After, JournalBegin, Locked};
use recover::Recovered;
use snapshotter::{Job, Report, Save, Unsynced};

/// The feed's end of the journal.
pub(crate) struct Journal {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    sync: Sync,
    lock: Option<Flock<File>>,
    /// Whether what the directory holds has been read. Until then nothing may be written there.
    was_read: bool,
    /// When it was last seen that the directory is still there.
    seen_at: Instant,
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
    pub(crate) fn open(
        directory: &Path,
        sync: Sync,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Snapshotter, State), String> {
        let (jobs, saver_jobs) = unbounded();
        let (saver_reports, reports) = unbounded();
        let saver = Snapshotter {
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
            was_read: false,
            seen_at: Instant::now(),
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
        let state = match journal.lock()?.and_then(|()| journal.read()) {
            Ok(recovered) => journal.go_on_from(recovered),
            Err(error) => {
                journal.fail(&error);
                State::default()
            }
        };
        Ok((journal, saver, state))
    }

    /// Locks the directory. That it cannot be locked for now is not the outer error.
    fn lock(&mut self) -> Result<io::Result<()>, String> {
        if self.lock.as_ref().is_some_and(|lock| files::is_lock_of(lock, &self.directory)) {
            return Ok(Ok(()));
        }
        self.lock = None;
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
        // It may be another directory than before.
        let listed = files::list(&self.directory);
        Ok(listed.map(|listing| self.generation = self.generation.max(listing.newest() + 1)))
    }

    /// Reads what the directory holds.
    fn read(&mut self) -> io::Result<Recovered> {
        let mut recovered = recover::recover(&self.directory, &*self.disk)?;
        self.was_read = true;
        self.generation = recovered.generation;
        self.aside = std::mem::take(&mut recovered.aside);
        self.closed_bytes = recovered.journal_bytes;
        self.closed = recovered.journals;
        self.snapshot_at = recovered.snapshot_at;
        Ok(recovered)
    }

    /// Begins the journal that goes on from what was read.
    fn go_on_from(&mut self, recovered: Recovered) -> State {
        // A chain that is broken needs a snapshot first, which is wanted as long as state is not durable.
        if let Some(after) = recovered.after {
            match self.begin(after) {
                Ok(()) => self.durable = true,
                Err(error) => self.fail(&error),
            }
        }
        recovered.state
    }

    /// Sees to it that the directory is this process's own. If it could not be read at the start and turns out to hold
    /// state, that is returned: it was acknowledged, what memory holds was not.
    pub(crate) fn prepare(&mut self) -> Option<State> {
        let locked = self.lock().unwrap_or_else(|elsewhere| Err(io::Error::other(elsewhere)));
        if let Err(error) = locked {
            self.fail(&error);
            return None;
        }
        if self.was_read {
            return None;
        }
        match self.read() {
            // Where there is nothing, a snapshot of what memory holds has to come first.
            Ok(recovered) => recovered.found.then(|| self.go_on_from(recovered)),
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Begins the next journal.
    fn begin(&mut self, after: After) -> io::Result<()> {
        let generation = self.generation;
        let path = files::journal(&self.directory, generation);
        let mut bytes = files::JOURNAL_HEAD.to_vec();
        frame::push(&mut bytes, |out| format::put(out, &JournalBegin { generation, after }));
        let make = || {
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
    pub(crate) fn append(&mut self, record: &Record<'_>, heart: &Liveness) {
        if self.segment.is_none() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        frame::push(&mut buffer, |out| format::put(out, record));
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
    pub(crate) fn confirm(&mut self) -> bool {
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
    pub(crate) fn confirming_takes_long(&self) -> bool {
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
        if let Some(former) = self.segment.take() {
            if self.durable {
                self.closed_bytes += former.bytes;
                self.closed += 1;
            } else {
                // Without its snapshot it is worth nothing, and may take the room that is missing.
                let _ = self.disk.remove(&files::journal(&self.directory, former.generation));
            }
        }
        self.durable = false;
        self.retry_later();
    }

    fn retry_later(&mut self) {
        self.next_try = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(limits::JOURNAL_RETRY_MAX);
    }

    /// Takes in what the saver has done, and looks from time to time whether the directory is still there.
    pub(crate) fn collect(&mut self, now: Instant) {
        if now.duration_since(self.seen_at) >= limits::SYNC_INTERVAL {
            self.seen_at = now;
            let path =
                self.segment.as_ref().map(|segment| files::journal(&self.directory, segment.generation));
            if let Some(Err(error)) = path.map(std::fs::metadata) {
                self.fail(&error);
            }
        }
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

    fn wait_for_saver(&mut self, heart: &Liveness) {
        let until = Instant::now() + limits::SNAPSHOT_PATIENCE;
        while self.saving.is_some() && Instant::now() < until {
            heart.heartbeat();
            if let Ok(report) = self.reports.recv_timeout(Duration::from_millis(100)) {
                self.take(report);
            }
        }
    }

    /// Whether it is time for a snapshot.
    pub(crate) fn wants_snapshot(&self, now: Instant) -> bool {
        if self.saving.is_some() || self.next_try.is_some_and(|at| now < at) {
            return false;
        }
        let written = self.closed > 0 || self.segment.as_ref().is_some_and(Segment::has_entries);
        !self.durable
            || self.bytes() >= limits::JOURNAL_BYTES_SNAPSHOT
            || self.closed >= limits::JOURNALS_MAX
            || (written && now.duration_since(self.snapshot_taken) >= limits::SNAPSHOT_EVERY)
    }

    /// Whether it has become so long that a snapshot should not wait for anything else.
    pub(crate) fn is_long(&self) -> bool {
        self.bytes() >= limits::JOURNAL_BYTES_SNAPSHOT && self.segment.is_some() && self.saving.is_none()
    }

    /// Begins a new journal and hands the state at this point to the saver. `at` is Unix seconds. [`Self::prepare`] goes
    /// before.
    pub(crate) fn snapshot(&mut self, at: f64, image: impl FnOnce() -> Vec<u8>) {
        if self.lock.is_none() || !self.was_read {
            return;
        }
        // What stands at the end of this journal is not confirmed by the next one.
        if self.durable && !self.confirm() {
            return;
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
    pub(crate) fn finish(&mut self, at: f64, image: impl FnOnce() -> Vec<u8>, heart: &Liveness) {
        self.wait_for_saver(heart);
        let is_new = self.segment.as_ref().is_some_and(|segment| !segment.has_entries()) && self.closed == 0;
        let can = self.lock.is_some() && self.was_read && self.saving.is_none();
        if (self.durable && is_new) || !can {
            return;
        }
        let generation = self.generation;
        self.save(generation, at, image());
        self.wait_for_saver(heart);
    }

    /// Goes on with another setting.
    pub(crate) fn set_sync(&mut self, sync: Sync) {
        let changed = std::mem::replace(&mut self.sync, sync) != sync;
        let Some(segment) = self.segment.as_ref().filter(|_| changed) else { return };
        match sync {
            Sync::Never => {}
            Sync::Interval => drop(self.jobs.send(Job::Sync(segment.unsynced()))),
            Sync::Always => {
                // The saver may be at it just now: it is done once more before the next acknowledgement.
                segment.dirty.store(true, Ordering::Release);
                if let Err(error) = self.disk.sync_directory(&self.directory) {
                    self.fail(&error);
                }
            }
        }
    }

    /// Bytes that a start would have to read beside the newest snapshot.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed_bytes + self.segment.as_ref().map_or(0, |segment| segment.bytes)
    }

    /// How often something could not be written.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// When the newest snapshot was taken, Unix seconds; 0: never.
    pub(crate) fn snapshot_at(&self) -> f64 {
        self.snapshot_at
    }

    /// Whether the disk holds all that memory does.
    pub(crate) fn is_durable(&self) -> bool {
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
