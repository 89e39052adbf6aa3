//! The journal's files: the one that is appended to, and what is known of those before it that no snapshot
//! has replaced yet. When one begins, and why, is the `writer`'s.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::{Disk, DiskFile, write_all};
use super::files;
use super::snapshotter::Unsynced;
use crate::format::v1::{Follows, JournalStart};
use crate::format::{self, frame};
use crate::limits;

pub(super) struct Segments {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    current: Option<Segment>,
    next_generation: u64,
    /// Bytes and number of those before the present one.
    closed_bytes: u64,
    closed: usize,
}

/// The file that is appended to.
struct Segment {
    generation: u64,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    /// Of these, what is no record.
    head_bytes: u64,
    /// Whether something was written since the latest sync.
    dirty: Arc<AtomicBool>,
}

impl Segments {
    pub(super) fn new(directory: &Path, disk: Arc<dyn Disk>) -> Self {
        let directory = directory.to_owned();
        Segments { directory, disk, current: None, next_generation: 1, closed_bytes: 0, closed: 0 }
    }

    /// Goes on from what a start has read.
    pub(super) fn take_over(&mut self, next_generation: u64, closed: usize, closed_bytes: u64) {
        self.next_generation = next_generation;
        (self.closed, self.closed_bytes) = (closed, closed_bytes);
    }

    /// Generations up to this one are taken.
    pub(super) fn go_on_after(&mut self, generation: u64) {
        self.next_generation = self.next_generation.max(generation + 1);
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.next_generation
    }

    /// Begins the next file, `forced` to the disk with its name. Returns its generation. Where that fails, the former
    /// one goes on.
    pub(super) fn begin(&mut self, follows: Follows, forced: bool) -> io::Result<u64> {
        let generation = self.next_generation;
        let path = files::journal(&self.directory, generation);
        let mut bytes = format::first_line("journal").into_bytes();
        frame::push(&mut bytes, |out| format::put(out, &JournalStart { generation, follows }));
        let make = || {
            let file = self.disk.create(&path)?;
            write_all(&*file, &bytes)?;
            if forced {
                file.sync()?;
                self.disk.sync_directory(&self.directory)?;
            }
            Ok(file)
        };
        let file = make().inspect_err(|_: &io::Error| {
            let _ = self.disk.remove(&path);
        })?;
        self.close();
        let bytes = bytes.len() as u64;
        self.current =
            Some(Segment { generation, file: file.into(), bytes, head_bytes: bytes, dirty: Arc::default() });
        self.next_generation += 1;
        Ok(generation)
    }

    /// Appends frames. Says whether they are the first since the latest sync.
    pub(super) fn append(&mut self, frames: &[u8]) -> io::Result<bool> {
        let bytes = self.bytes();
        let Some(segment) = &mut self.current else {
            return Err(io::Error::other("there is no journal to write to"));
        };
        if bytes + frames.len() as u64 > limits::JOURNAL_BYTES_MAX {
            return Err(io::Error::other("the journal is full, and no snapshot could replace it"));
        }
        if let Err(error) = write_all(&*segment.file, frames) {
            // Half a record is none, whether it can be cut off now or when it is read.
            let _ = segment.file.truncate(segment.bytes);
            return Err(error);
        }
        segment.bytes += frames.len() as u64;
        Ok(!segment.dirty.swap(true, Ordering::AcqRel))
    }

    /// Forces what was appended to the disk.
    pub(super) fn force(&self) -> io::Result<()> {
        match &self.current {
            Some(segment) if segment.dirty.swap(false, Ordering::AcqRel) => segment.file.sync(),
            _ => Ok(()),
        }
    }

    pub(super) fn are_dirty(&self) -> bool {
        self.current.as_ref().is_some_and(|segment| segment.dirty.load(Ordering::Acquire))
    }

    /// The next [`Self::force`] has something to do.
    pub(super) fn note_dirty(&self) {
        if let Some(segment) = &self.current {
            segment.dirty.store(true, Ordering::Release);
        }
    }

    /// What another thread needs to force the present file.
    pub(super) fn unsynced(&self) -> Option<Unsynced> {
        let Segment { generation, file, dirty, .. } = self.current.as_ref()?;
        Some(Unsynced { generation: *generation, file: Arc::clone(file), dirty: Arc::clone(dirty) })
    }

    /// Nothing more is appended to the present file.
    pub(super) fn close(&mut self) {
        if let Some(former) = self.current.take() {
            self.closed_bytes += former.bytes;
            self.closed += 1;
        }
    }

    /// Removes the present file.
    pub(super) fn discard(&mut self) {
        if let Some(former) = self.current.take() {
            let _ = self.disk.remove(&files::journal(&self.directory, former.generation));
        }
    }

    /// A snapshot has replaced all but the present file.
    pub(super) fn forget_closed(&mut self) {
        (self.closed_bytes, self.closed) = (0, 0);
    }

    /// Whether the present file still has its name. Without one no start would find it.
    pub(super) fn look(&self) -> io::Result<()> {
        match &self.current {
            Some(segment) => std::fs::metadata(files::journal(&self.directory, segment.generation)).map(drop),
            None => Ok(()),
        }
    }

    /// Bytes of the present file, if there is one.
    pub(super) fn current_bytes(&self) -> Option<u64> {
        self.current.as_ref().map(|segment| segment.bytes)
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.closed_bytes + self.current_bytes().unwrap_or(0)
    }

    /// Whether a snapshot should replace them.
    pub(super) fn are_due(&self) -> bool {
        self.bytes() >= limits::JOURNAL_BYTES_SNAPSHOT || self.closed >= limits::JOURNALS_MAX
    }

    /// Whether there are records that no snapshot holds.
    pub(super) fn have_news(&self) -> bool {
        self.closed > 0 || self.current.as_ref().is_some_and(|segment| segment.bytes > segment.head_bytes)
    }
}
