//! The journal's thread: writes blocks, begins journals, asks for snapshots. It may wait for the disk as long
//! as the disk likes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};
use nix::fcntl::Flock;

use super::disk::{Disk, DiskFile, write_all};
use super::files::{self, Locked};
use super::machine::{Action, Image, Input, Machine, State as Standing};
use super::recover::{self, Recovered, Unrecoverable};
use super::snapshotter::{Done, Job, Save, Unsynced};
use super::{Lsn, Order, Progress, Report};
use crate::catalog::Catalogs;
use crate::config::Sync;
use crate::format::v1::{Follows, JournalStart};
use crate::format::{self, frame};
use crate::limits;
use crate::state::State;

/// The writer's ends of its channels.
pub(super) struct Ends {
    pub(super) orders: Receiver<Order>,
    pub(super) reports: Sender<Report>,
    pub(super) jobs: Sender<Job>,
    pub(super) done: Receiver<Done>,
    pub(super) progress: Arc<Progress>,
}

/// The journal's thread.
pub(crate) struct Writer {
    ends: Ends,
    directory: PathBuf,
    catalogs: Catalogs,
    disk: Arc<dyn Disk>,
    sync: Sync,
    machine: Machine,
    lock: Option<Flock<File>>,
    /// Whether what the directory holds has been read. Nothing is written there before.
    was_read: bool,
    /// What was read and is not adopted yet, and what its journal goes on from.
    recovered: Option<State>,
    follows: Option<Follows>,
    segment: Option<Segment>,
    /// The generation of the next journal.
    generation: u64,
    /// Bytes and number of the journals before the present one that no snapshot has replaced yet.
    closed_bytes: u64,
    closed: usize,
    /// Files to be set aside after the next snapshot.
    quarantine: Vec<PathBuf>,
    snapshot_taken: Instant,
    /// The generation of the snapshot of a clean stop.
    last: Option<u64>,
    /// When the directory was last seen to be there.
    seen_at: Instant,
    /// The latest record that was written or dropped.
    handled: Lsn,
    /// The latest record that is as durable as `sync` asks for, and all before it.
    durable: Lsn,
    /// Somebody waits for what was written to become durable.
    confirms: bool,
    /// A failure is in the log, and state is not durable again since.
    is_failing: bool,
}

/// The journal that is appended to.
struct Segment {
    generation: u64,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    /// Of these, what is no record.
    head_bytes: u64,
    /// Whether something was written since the latest sync.
    dirty: Arc<AtomicBool>,
}

impl Writer {
    /// Takes the directory and the state that it holds.
    pub(super) fn open(
        directory: &Path,
        sync: Sync,
        disk: Arc<dyn Disk>,
        catalogs: &Catalogs,
        ends: Ends,
    ) -> Result<(Self, State), String> {
        let mut writer = Writer {
            ends,
            directory: directory.to_owned(),
            catalogs: catalogs.clone(),
            disk,
            sync,
            machine: Machine::new(Standing::Detached),
            lock: None,
            was_read: false,
            recovered: None,
            follows: None,
            segment: None,
            generation: 1,
            closed_bytes: 0,
            closed: 0,
            quarantine: Vec::new(),
            snapshot_taken: Instant::now(),
            last: None,
            seen_at: Instant::now(),
            handled: 0,
            durable: 0,
            confirms: false,
            is_failing: false,
        };
        match writer.attach() {
            Ok(_) => {
                // There is no feed yet: what was found is adopted at once.
                writer.machine = Machine::new(Standing::Offered);
                writer.take(Input::Adopted { whole: writer.follows.is_some() });
            }
            Err(NotAttached::Never(error)) => return Err(error),
            Err(NotAttached::NotYet(error)) => {
                writer.fail(&error, Input::AttachFailed);
            }
        }
        let state = writer.recovered.take().unwrap_or_else(|| State::new(catalogs.clone()));
        writer.publish();
        Ok((writer, state))
    }

    /// Runs until the feed has ended. `wake` lets the feed look up.
    pub(crate) fn run(mut self, wake: impl Fn()) {
        loop {
            let due = self.machine.retry_at();
            let wait = due.map_or(limits::JOURNAL_TICK, |at| at.saturating_duration_since(Instant::now()));
            match self.next(wait.min(limits::JOURNAL_TICK)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.work();
            if self.ends.progress.is_awaited.swap(false, Ordering::SeqCst)
                || self.ends.progress.wants_image.load(Ordering::Acquire)
                || !self.ends.reports.is_empty()
            {
                wake();
            }
        }
    }

    /// Waits for something to do and takes it.
    fn next(&mut self, wait: Duration) -> Result<(), RecvTimeoutError> {
        select! {
            recv(self.ends.orders) -> order => match order {
                Ok(order) => self.carry_out(order),
                Err(_) => return Err(RecvTimeoutError::Disconnected),
            },
            recv(self.ends.done) -> done => if let Ok(done) = done { self.finished(done) },
            default(wait) => return Err(RecvTimeoutError::Timeout),
        }
        Ok(())
    }

    /// Carries out all that waits, and publishes how far it is.
    pub(super) fn work(&mut self) {
        // Not all at once: what is written has to become durable and be published while more comes in.
        for order in self.ends.orders.clone().try_iter().take(limits::JOURNAL_ORDERS_MAX) {
            self.carry_out(order);
        }
        while let Ok(done) = self.ends.done.try_recv() {
            self.finished(done);
        }
        self.tick();
        self.confirm();
        self.publish();
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Block { frames, lsn } => {
                self.make_room(frames.len());
                self.look_at_directory();
                self.take(Input::Block(&frames));
                self.handled = lsn;
                self.ends.progress.written.store(lsn, Ordering::Release);
                self.ends.progress.queued_bytes.fetch_sub(frames.len(), Ordering::AcqRel);
            }
            Order::Confirm => self.confirms = true,
            Order::Gap { lsn } => {
                self.fail(&io::Error::other("the disk did not answer in time"), Input::Gap);
                self.handled = lsn;
            }
            Order::Image { image, lsn, last: false } => {
                self.take(Input::Image(image));
                self.handled = lsn;
            }
            Order::Image { image, lsn, last: true } => {
                self.take(Input::LastImage(image));
                self.handled = lsn;
                if self.last.is_none() {
                    let _ = self.ends.reports.send(Report::Finished);
                }
            }
            Order::Adopted => self.take(Input::Adopted { whole: self.follows.is_some() }),
            Order::Sync(sync) => self.set_sync(sync),
        }
    }

    /// Takes an input and does what follows from it.
    fn take(&mut self, input: Input<'_>) {
        for action in self.machine.step(input, Instant::now()) {
            if let Some(result) = self.perform(action) {
                self.take(result);
            }
        }
        self.is_failing &= !self.machine.is_durable();
    }

    /// Does something; what came of it may be an input.
    fn perform(&mut self, action: Action<'_>) -> Option<Input<'static>> {
        match action {
            Action::Attach => Some(match self.attach() {
                Ok(found) => Input::Attached { found },
                Err(NotAttached::Never(error)) => self.failed(&io::Error::other(error), Input::AttachFailed),
                Err(NotAttached::NotYet(error)) => self.failed(&error, Input::AttachFailed),
            }),
            Action::Offer => {
                let state = self.recovered.take()?;
                let _ = self.ends.reports.send(Report::Recovered(Box::new(state)));
                None
            }
            Action::Continue => {
                let follows = self.follows.take().unwrap_or(Follows::Nothing);
                Some(match self.begin(follows) {
                    Ok(generation) => Input::Begun { generation },
                    Err(error) => self.failed(&error, Input::BeginFailed),
                })
            }
            Action::Write(block) => {
                self.write(block).err().map(|error| self.failed(&error, Input::WriteFailed))
            }
            Action::Request => {
                self.ends.progress.wants_image.store(true, Ordering::Release);
                None
            }
            Action::Begin { image, alone } => Some(self.begin_and_save(image, alone)),
            Action::SaveLast(image) => {
                self.last = Some(self.generation);
                self.save(self.generation, image);
                None
            }
            Action::Close => {
                self.close();
                None
            }
            Action::Discard => {
                if let Some(former) = self.segment.take() {
                    let _ = self.disk.remove(&files::journal(&self.directory, former.generation));
                }
                None
            }
            Action::Announce => {
                log::info!("{}: state is durable again", self.directory.display());
                None
            }
        }
    }

    /// Counts a failure that nothing has asked for, and does what follows from it.
    fn fail(&mut self, error: &io::Error, input: Input<'static>) {
        let input = self.failed(error, input);
        self.take(input);
    }

    /// Counts a failure, and returns the input that stands for it.
    fn failed(&mut self, error: &io::Error, input: Input<'static>) -> Input<'static> {
        self.count_error(error);
        input
    }

    /// The same where no snapshot can be written. As long as the journals are whole, nothing is lost but time at the
    /// next start.
    fn not_saved(&mut self, error: &io::Error, input: Input<'static>) -> Input<'static> {
        if !self.machine.is_durable() {
            return self.failed(error, input);
        }
        self.ends.progress.figures.errors.fetch_add(1, Ordering::Relaxed);
        log::error!("{}: no snapshot can be written: {error}; retrying", self.directory.display());
        input
    }

    /// Counts a failure. The first of a series is an error in the log.
    fn count_error(&mut self, error: &io::Error) {
        self.ends.progress.figures.errors.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.display();
        if std::mem::replace(&mut self.is_failing, true) {
            log::debug!("{directory}: state still cannot be written: {error}");
        } else {
            log::error!(
                "{directory}: state cannot be written: {error}; going on in memory, sessions wait for their \
                 acknowledgements"
            );
        }
    }

    /// Locks the directory and reads it, if that has not been done. Says whether it held state.
    fn attach(&mut self) -> Result<bool, NotAttached> {
        self.lock()?;
        if self.was_read {
            return Ok(false);
        }
        let recovered = recover::recover(&self.directory, &*self.disk, &self.catalogs)?;
        if self.sync != Sync::Never {
            // A former process may have left it to the system, and what follows is built on it.
            self.force_all()?;
        }
        let Recovered { state, found, generation, follows, journal_bytes, journals, snapshot_at, quarantine } =
            recovered;
        self.was_read = true;
        self.generation = generation;
        self.quarantine = quarantine;
        (self.closed_bytes, self.closed) = (journal_bytes, journals);
        self.ends.progress.figures.snapshot_at.store(snapshot_at.to_bits(), Ordering::Relaxed);
        self.recovered = Some(state);
        self.follows = follows;
        Ok(found)
    }

    fn lock(&mut self) -> Result<(), NotAttached> {
        if self.lock.as_ref().is_some_and(|lock| files::is_lock_of(lock, &self.directory)) {
            return Ok(());
        }
        self.lock = None;
        self.disk.make_directory(&self.directory)?;
        self.lock = Some(files::lock(&self.directory).map_err(|error| match error {
            Locked::Not(error) => NotAttached::NotYet(error),
            Locked::Elsewhere => NotAttached::Never(files::used_elsewhere(&self.directory)),
        })?);
        // It may be another directory than before.
        let listing = files::list(&self.directory)?;
        self.generation = self.generation.max(listing.newest() + 1);
        Ok(())
    }

    /// Begins the next journal. Returns its generation.
    fn begin(&mut self, follows: Follows) -> io::Result<u64> {
        let generation = self.generation;
        let path = files::journal(&self.directory, generation);
        let mut bytes = format::first_line("journal").into_bytes();
        frame::push(&mut bytes, |out| format::put(out, &JournalStart { generation, follows }));
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
        self.close();
        self.segment = Some(Segment {
            generation,
            file: file.into(),
            bytes: bytes.len() as u64,
            head_bytes: bytes.len() as u64,
            dirty: Arc::default(),
        });
        self.generation += 1;
        Ok(generation)
    }

    fn begin_and_save(&mut self, image: Image, alone: bool) -> Input<'static> {
        // The next journal does not make durable what stands at the end of this one.
        if !alone && let Err(error) = self.force() {
            return self.failed(&error, Input::SyncFailed);
        }
        let follows = match &self.segment {
            Some(segment) if !alone => Follows::Journal(segment.bytes),
            _ => Follows::Snapshot,
        };
        match self.begin(follows) {
            Ok(generation) => {
                self.save(generation, image);
                Input::Begun { generation }
            }
            Err(error) => self.not_saved(&error, Input::BeginFailed),
        }
    }

    fn save(&mut self, generation: u64, image: Image) {
        self.snapshot_taken = Instant::now();
        let save =
            Save { generation, image, sync: self.sync != Sync::Never, quarantine: self.quarantine.clone() };
        let _ = self.ends.jobs.send(Job::Save(save));
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        let bytes = self.bytes();
        let Some(segment) = &mut self.segment else {
            return Err(io::Error::other("there is no journal to write to"));
        };
        if bytes + block.len() as u64 > limits::JOURNAL_BYTES_MAX {
            return Err(io::Error::other("the journal is full, and no snapshot could replace it"));
        }
        if let Err(error) = write_all(&*segment.file, block) {
            // Half a record is none, whether it can be cut off now or when it is read.
            let _ = segment.file.truncate(segment.bytes);
            return Err(error);
        }
        segment.bytes += block.len() as u64;
        if !segment.dirty.swap(true, Ordering::AcqRel) && self.sync == Sync::Interval {
            let _ = self.ends.jobs.send(Job::Sync(segment.unsynced()));
        }
        Ok(())
    }

    /// Waits for the snapshot that is being saved where the journal would become too long without it.
    fn make_room(&mut self, bytes: usize) {
        let until = Instant::now() + limits::SNAPSHOT_TIMEOUT;
        while self.machine.is_saving() && self.bytes() + bytes as u64 > limits::JOURNAL_BYTES_MAX {
            match self.ends.done.recv_deadline(until) {
                Ok(done) => self.finished(done),
                Err(_) => return,
            }
        }
    }

    /// Looks from time to time whether the directory is still there.
    fn look_at_directory(&mut self) {
        if self.seen_at.elapsed() < limits::SYNC_INTERVAL {
            return;
        }
        self.seen_at = Instant::now();
        let Some(segment) = &self.segment else { return };
        if let Err(error) = std::fs::metadata(files::journal(&self.directory, segment.generation)) {
            self.fail(&error, Input::WriteFailed);
        }
    }

    fn finished(&mut self, done: Done) {
        match done {
            // What was not forced there may be anywhere: only a snapshot of memory is good now.
            Done::SyncFailed { error } => {
                self.fail(&error, Input::SyncFailed);
            }
            Done::Saved { generation, taken_at, result: Ok(()) } => {
                self.ends.progress.figures.snapshot_at.store(taken_at.to_bits(), Ordering::Relaxed);
                (self.closed_bytes, self.closed) = (0, 0);
                self.quarantine.clear();
                self.take(Input::Saved { generation });
                self.finish(generation);
            }
            Done::Saved { generation, result: Err(error), .. } => {
                let input = self.not_saved(&error, Input::SaveFailed { generation });
                self.take(input);
                self.finish(generation);
            }
        }
    }

    fn finish(&mut self, generation: u64) {
        if self.last == Some(generation) {
            let _ = self.ends.reports.send(Report::Finished);
        }
    }

    fn tick(&mut self) {
        let age = self.snapshot_taken.elapsed();
        let snapshot_due = self.bytes() >= limits::JOURNAL_BYTES_SNAPSHOT
            || self.closed >= limits::JOURNALS_MAX
            || (self.has_news() && age >= limits::SNAPSHOT_EVERY);
        self.take(Input::Tick { snapshot_due });
    }

    /// Finds out how much is durable. With `sync = always` that takes a sync, which is done once for all who
    /// wait.
    fn confirm(&mut self) {
        if self.sync == Sync::Always && std::mem::take(&mut self.confirms) {
            if let Err(error) = self.force() {
                self.fail(&error, Input::SyncFailed);
            }
        } else if self.sync == Sync::Always && self.is_dirty() {
            return;
        }
        if self.machine.is_durable() {
            self.durable = self.handled;
        }
    }

    fn is_dirty(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.dirty.load(Ordering::Acquire))
    }

    /// Forces to the disk every file that a start would read, and their names.
    fn force_all(&self) -> io::Result<()> {
        for file in files::list(&self.directory)?.files(&self.directory) {
            File::open(file.path)?.sync_all()?;
        }
        self.disk.sync_directory(&self.directory)
    }

    fn force(&self) -> io::Result<()> {
        match &self.segment {
            Some(segment) if self.sync == Sync::Always && segment.dirty.swap(false, Ordering::AcqRel) => {
                segment.file.sync()
            }
            _ => Ok(()),
        }
    }

    /// Lets a retry come due at once.
    #[cfg(test)]
    pub(super) fn retry_now(&mut self) {
        self.machine.retry_now();
    }

    fn set_sync(&mut self, sync: Sync) {
        let former = std::mem::replace(&mut self.sync, sync);
        let Some(segment) = self.segment.as_ref().filter(|_| former != sync) else { return };
        if sync == Sync::Interval {
            let _ = self.ends.jobs.send(Job::Sync(segment.unsynced()));
        }
        if sync == Sync::Always {
            // The snapshotter may be at it just now: it is done once more before anything is confirmed.
            segment.dirty.store(true, Ordering::Release);
        }
        if (sync == Sync::Always || former == Sync::Never)
            && let Err(error) = self.force_all()
        {
            self.fail(&error, Input::SyncFailed);
        }
    }

    fn close(&mut self) {
        if let Some(former) = self.segment.take() {
            self.closed_bytes += former.bytes;
            self.closed += 1;
        }
    }

    fn bytes(&self) -> u64 {
        self.closed_bytes + self.segment.as_ref().map_or(0, |segment| segment.bytes)
    }

    /// Whether there are records that no snapshot holds.
    fn has_news(&self) -> bool {
        self.closed > 0 || self.segment.as_ref().is_some_and(|segment| segment.bytes > segment.head_bytes)
    }

    fn publish(&self) {
        let progress = &self.ends.progress;
        let is_durable = self.machine.is_durable();
        progress.durable.store(self.durable, Ordering::Release);
        progress.written.store(self.handled, Ordering::Release);
        let is_saved = is_durable && !self.has_news() && !self.machine.is_saving();
        progress.is_saved.store(is_saved, Ordering::Release);
        progress.figures.is_durable.store(is_durable, Ordering::Release);
        progress.figures.bytes.store(self.bytes(), Ordering::Relaxed);
    }
}

/// Why the directory is not the writer's.
enum NotAttached {
    /// A reason not to start.
    Never(String),
    NotYet(io::Error),
}

impl From<io::Error> for NotAttached {
    fn from(error: io::Error) -> Self {
        NotAttached::NotYet(error)
    }
}

impl From<Unrecoverable> for NotAttached {
    fn from(error: Unrecoverable) -> Self {
        match error {
            Unrecoverable::Newer(error) => NotAttached::Never(error),
            Unrecoverable::Unreadable(error) => NotAttached::NotYet(error),
        }
    }
}

impl Segment {
    fn unsynced(&self) -> Unsynced {
        Unsynced { generation: self.generation, file: Arc::clone(&self.file), dirty: Arc::clone(&self.dirty) }
    }
}
