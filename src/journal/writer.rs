//! The journal's thread: writes blocks, begins journals, asks for snapshots. It may wait for the disk as long
//! as the disk likes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};

use super::disk::Disk;
use super::files::{self, Lock, Locked};
use super::machine::{Action, Image, Input, Machine, State as Standing};
use super::recover::{self, Recovered, Unrecoverable};
use super::segments::Segments;
use super::snapshotter::{Done, Job, Save};
use super::{Lsn, Order, Progress, Report};
use crate::catalog::Catalogs;
use crate::config::FsyncPolicy;
use crate::format::v1::Follows;
use crate::state::State;
use crate::{limits, regular_file};

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
    sync: FsyncPolicy,
    machine: Machine,
    lock: Option<Lock>,
    /// Whether what the directory holds has been read. Nothing is written there before.
    was_read: bool,
    /// What was read and is not adopted yet, and what its journal goes on from.
    recovered: Option<State>,
    follows: Option<Follows>,
    segments: Segments,
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

impl Writer {
    /// Takes the directory and the state that it holds.
    pub(super) fn open(
        directory: &Path,
        sync: FsyncPolicy,
        disk: Arc<dyn Disk>,
        catalogs: &Catalogs,
        ends: Ends,
    ) -> Result<(Self, State), String> {
        let mut writer = Writer {
            ends,
            directory: directory.to_owned(),
            catalogs: catalogs.clone(),
            segments: Segments::new(directory, Arc::clone(&disk)),
            disk,
            sync,
            machine: Machine::new(Standing::Detached),
            lock: None,
            was_read: false,
            recovered: None,
            follows: None,
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
                let generation = self.segments.next_generation();
                self.last = Some(generation);
                self.save(generation, image);
                None
            }
            Action::Close => {
                self.segments.close();
                None
            }
            Action::Discard => {
                self.segments.discard();
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
        if self.sync != FsyncPolicy::Never {
            // A former process may have left it to the system, and what follows is built on it.
            self.force_all()?;
        }
        let Recovered { state, found, generation, follows, journal_bytes, journals, snapshot_at, quarantine } =
            recovered;
        self.was_read = true;
        self.quarantine = quarantine;
        self.segments.take_over(generation, journals, journal_bytes);
        self.ends.progress.figures.snapshot_at.store(snapshot_at.to_bits(), Ordering::Relaxed);
        self.recovered = Some(state);
        self.follows = follows;
        Ok(found)
    }

    fn lock(&mut self) -> Result<(), NotAttached> {
        if self.lock.as_ref().is_some_and(|lock| lock.is_of(&self.directory)) {
            return Ok(());
        }
        self.lock = None;
        self.disk.make_directory(&self.directory)?;
        self.lock = Some(files::lock(&self.directory).map_err(|error| match error {
            Locked::Not(error) => NotAttached::NotYet(error),
            Locked::Elsewhere => NotAttached::Never(files::used_elsewhere(&self.directory)),
        })?);
        // It may be another directory than before.
        self.segments.go_on_after(files::list(&self.directory)?.newest());
        Ok(())
    }

    fn begin(&mut self, follows: Follows) -> io::Result<u64> {
        self.segments.begin(follows, self.sync == FsyncPolicy::Always)
    }

    fn begin_and_save(&mut self, image: Image, alone: bool) -> Input<'static> {
        // The next journal does not make durable what stands at the end of this one.
        if !alone && let Err(error) = self.force() {
            return self.failed(&error, Input::SyncFailed);
        }
        let follows = match self.segments.current_bytes() {
            Some(bytes) if !alone => Follows::Journal(bytes),
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
        let save = Save {
            generation,
            image,
            sync: self.sync != FsyncPolicy::Never,
            quarantine: self.quarantine.clone(),
        };
        let _ = self.ends.jobs.send(Job::Save(save));
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        let is_first = self.segments.append(block)?;
        if is_first && self.sync == FsyncPolicy::Interval {
            self.ask_for_sync();
        }
        Ok(())
    }

    /// Lets the snapshotter force the journal to the disk within a second.
    fn ask_for_sync(&self) {
        if let Some(unsynced) = self.segments.unsynced() {
            let _ = self.ends.jobs.send(Job::Sync(unsynced));
        }
    }

    /// Waits for the snapshot that is being saved where the journal would become too long without it.
    fn make_room(&mut self, bytes: usize) {
        let until = Instant::now() + limits::SNAPSHOT_TIMEOUT;
        while self.machine.is_saving() && self.segments.bytes() + bytes as u64 > limits::JOURNAL_BYTES_MAX {
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
        if let Err(error) = self.segments.look() {
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
                self.segments.forget_closed();
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
        let snapshot_due =
            self.segments.are_due() || (self.segments.have_news() && age >= limits::SNAPSHOT_EVERY);
        self.take(Input::Tick { snapshot_due });
    }

    /// Finds out how much is durable. With `sync = always` that takes a sync, which is done once for all who
    /// wait.
    fn confirm(&mut self) {
        if self.sync == FsyncPolicy::Always && std::mem::take(&mut self.confirms) {
            if let Err(error) = self.force() {
                self.fail(&error, Input::SyncFailed);
            }
        } else if self.sync == FsyncPolicy::Always && self.segments.are_dirty() {
            return;
        }
        if self.machine.is_durable() {
            self.durable = self.handled;
        }
    }

    /// Forces to the disk every file that a start would read, and their names.
    fn force_all(&self) -> io::Result<()> {
        for file in files::list(&self.directory)?.files(&self.directory) {
            // What is no regular file will be set aside; opening it could wait for ever.
            if fs::metadata(&file.path)?.is_file() {
                regular_file::open(&file.path)?.sync_all()?;
            }
        }
        self.disk.sync_directory(&self.directory)
    }

    fn force(&self) -> io::Result<()> {
        if self.sync == FsyncPolicy::Always { self.segments.force() } else { Ok(()) }
    }

    /// Lets a retry come due at once.
    #[cfg(test)]
    pub(super) fn retry_now(&mut self) {
        self.machine.retry_now();
    }

    fn set_sync(&mut self, sync: FsyncPolicy) {
        let former = std::mem::replace(&mut self.sync, sync);
        if former == sync || self.segments.current_bytes().is_none() {
            return;
        }
        if sync == FsyncPolicy::Interval {
            self.ask_for_sync();
        }
        if sync == FsyncPolicy::Always {
            // The snapshotter may be at it just now: it is done once more before anything is confirmed.
            self.segments.note_dirty();
        }
        if (sync == FsyncPolicy::Always || former == FsyncPolicy::Never)
            && let Err(error) = self.force_all()
        {
            self.fail(&error, Input::SyncFailed);
        }
    }

    fn publish(&self) {
        let progress = &self.ends.progress;
        let is_durable = self.machine.is_durable();
        progress.durable.store(self.durable, Ordering::Release);
        progress.written.store(self.handled, Ordering::Release);
        let is_saved = is_durable && !self.segments.have_news() && !self.machine.is_saving();
        progress.is_saved.store(is_saved, Ordering::Release);
        progress.figures.is_durable.store(is_durable, Ordering::Release);
        progress.figures.bytes.store(self.segments.bytes(), Ordering::Relaxed);
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
