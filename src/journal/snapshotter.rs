//! The snapshotter's thread: writes snapshots, and forces the journal to the disk once a second with
//! `sync = interval`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::disk::{Disk, DiskFile, write_all};
use super::files;
use super::machine::Image;
use crate::format::v1::SnapshotStart;
use crate::format::{self, frame};
use crate::limits;

/// What the snapshotter is asked to do.
pub(super) enum Job {
    Save(Save),
    /// Force a journal to the disk, at most once a second.
    Sync(Unsynced),
}

/// A snapshot to be written.
pub(super) struct Save {
    pub(super) generation: u64,
    pub(super) image: Image,
    /// Whether to force it to the disk before it replaces anything.
    pub(super) sync: bool,
    /// Files to be set aside once it is written.
    pub(super) quarantine: Vec<PathBuf>,
}

/// A journal with something in it that has not been forced to the disk.
#[derive(Clone)]
pub(super) struct Unsynced {
    pub(super) generation: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Set by whoever writes, cleared before a sync.
    pub(super) dirty: Arc<AtomicBool>,
}

/// What came of a job.
pub(super) enum Done {
    Saved { generation: u64, taken_at: f64, result: io::Result<()> },
    SyncFailed { error: io::Error },
}

/// The snapshotter's ends of its channels.
pub(crate) struct Snapshotter {
    pub(super) directory: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) jobs: Receiver<Job>,
    pub(super) done: Sender<Done>,
}

impl Snapshotter {
    /// Runs until the writer has ended.
    pub(crate) fn run(self) {
        let mut due: Option<(Instant, Unsynced)> = None;
        // The journal whose name is known to be durable.
        let mut named = None;
        let mut sync = |unsynced: &Unsynced| self.sync(unsynced, &mut named);
        loop {
            let job = match &due {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some((at, _)) => self.jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let done = match job {
                Ok(Job::Sync(unsynced)) => {
                    // Another journal has begun: the former one is not waited for.
                    let former = due.replace((Instant::now() + limits::SYNC_INTERVAL, unsynced));
                    former.and_then(|(_, former)| sync(&former))
                }
                Ok(Job::Save(save)) => Some(self.save(&save)),
                Err(RecvTimeoutError::Timeout) => due.take().and_then(|(_, unsynced)| sync(&unsynced)),
                Err(RecvTimeoutError::Disconnected) => {
                    if let Some((_, unsynced)) = due {
                        sync(&unsynced);
                    }
                    return;
                }
            };
            if let Some(done) = done {
                let _ = self.done.send(done);
            }
        }
    }

    pub(super) fn sync(&self, unsynced: &Unsynced, named: &mut Option<u64>) -> Option<Done> {
        // Cleared first: what is written from here on asks for another sync.
        unsynced.dirty.store(false, Ordering::Release);
        let generation = unsynced.generation;
        let mut result = unsynced.file.sync();
        if result.is_ok() && *named != Some(generation) {
            result = self.disk.sync_directory(&self.directory);
            *named = result.is_ok().then_some(generation);
        }
        result.err().map(|error| Done::SyncFailed { error })
    }

    pub(super) fn save(&self, save: &Save) -> Done {
        let result = self.try_to_save(save);
        Done::Saved { generation: save.generation, taken_at: save.image.taken_at, result }
    }

    fn try_to_save(&self, save: &Save) -> io::Result<()> {
        let path = files::snapshot(&self.directory, save.generation);
        let new = files::marked(&path, ".new");
        let written = self.write(&new, save).and_then(|()| self.disk.rename(&new, &path));
        if let Err(error) = written {
            let _ = self.disk.remove(&new);
            return Err(error);
        }
        if save.sync {
            self.disk.sync_directory(&self.directory)?;
        }
        for path in &save.quarantine {
            if let Err(error) = self.disk.rename(path, &files::marked(path, ".damaged")) {
                log::warn!("{}: cannot be set aside: {error}", path.display());
            }
        }
        self.prune();
        Ok(())
    }

    fn write(&self, path: &Path, save: &Save) -> io::Result<()> {
        let file = self.disk.create(path)?;
        let begin = SnapshotStart {
            generation: save.generation,
            taken_at: save.image.taken_at,
            image_bytes: save.image.bytes.len() as u64,
        };
        let mut bytes = format::first_line("snapshot").into_bytes();
        frame::push(&mut bytes, |out| format::put(out, &begin));
        write_all(&*file, &bytes)?;
        for piece in save.image.bytes.chunks(limits::SNAPSHOT_CHUNK_BYTES) {
            bytes.clear();
            frame::push(&mut bytes, |out| out.extend_from_slice(piece));
            write_all(&*file, &bytes)?;
        }
        if save.sync { file.sync() } else { Ok(()) }
    }

    /// Removes what two snapshots have made superfluous: the former one and its journals are kept, in case
    /// that the newest one cannot be read.
    fn prune(&self) {
        let Ok(listing) = files::list(&self.directory) else { return };
        let [.., kept, _] = listing.snapshots.as_slice() else { return };
        for old in listing.files(&self.directory).filter(|file| file.generation < *kept) {
            if let Err(error) = self.disk.remove(&old.path) {
                log::warn!("{}: cannot be removed: {error}", old.path.display());
            }
        }
    }
}
