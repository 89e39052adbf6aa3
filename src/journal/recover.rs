//! Reads the newest good snapshot and the journals after it.
//!
//! A torn tail, without a good frame behind it, is cut off, and the next journal goes on from there. A damaged file
//! is set aside (renamed to `….damaged`), and what stands before the damage counts. A journal that
//! follows something that is not there is passed over and set aside. Two things are errors: a
//! file that cannot be read for now, for lack of permission or descriptors, and one that a later version wrote, which
//! is found before anything is touched.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::disk::Disk;
use super::files;
use crate::catalog::Catalogs;
use crate::format::frame::{Frames, Next};
use crate::format::v1::{Follows, JournalStart, SnapshotStart};
use crate::format::{self, FirstLine};
use crate::regular_file;
use crate::state::State;
use crate::state::record::Record;

/// What was found.
#[derive(Default)]
pub(super) struct Recovered {
    pub(super) state: State,
    /// Whether there was anything.
    pub(super) found: bool,
    /// The first number that no file has.
    pub(super) generation: u64,
    /// What the next journal follows; `None`: only from a snapshot that is still to be taken.
    pub(super) follows: Option<Follows>,
    /// Bytes and number of the journals that were read.
    pub(super) journal_bytes: u64,
    pub(super) journals: usize,
    /// When the snapshot was taken, Unix seconds; 0: there is none.
    pub(super) snapshot_at: f64,
    /// Files to be renamed to `….damaged` once a snapshot has replaced what was good in them.
    pub(super) quarantine: Vec<PathBuf>,
}

/// Reads what the directory holds. `fallback` are the catalogs of this run.
pub(super) fn recover(
    directory: &Path,
    disk: &dyn Disk,
    fallback: &Catalogs,
) -> Result<Recovered, Unrecoverable> {
    let listing = files::list(directory)?;
    listing.refuse_newer(directory)?;
    for path in &listing.unfinished {
        let _ = disk.remove(path);
    }
    let mut recovered = Recovered {
        state: State::new(fallback.clone()),
        generation: listing.newest() + 1,
        follows: Some(Follows::Nothing),
        ..Recovered::default()
    };
    let mut base = None;
    let mut damaged = Vec::new();
    for &generation in listing.snapshots.iter().rev() {
        let path = files::snapshot(directory, generation);
        match read_snapshot(&path, generation, fallback) {
            Ok((state, at)) => {
                (recovered.state, recovered.snapshot_at) = (state, at);
                base = Some(generation);
                break;
            }
            Err(Fault::Unreadable(error)) => return Err(error.into()),
            Err(Fault::Damaged(error)) => damaged.push((path, error)),
        }
    }
    recovered.journals_from(directory, base, &listing.journals)?;
    recovered.found = base.is_some() || recovered.journals > 0;
    for (path, error) in damaged {
        let aside = files::marked(&path, ".damaged");
        let moved = disk.rename(&path, &aside);
        let kept = moved.map_or_else(|error| error.to_string(), |()| format!("kept as {}", aside.display()));
        log::error!("{}: damaged: {error}; {kept}", path.display());
    }
    Ok(recovered)
}

/// Why nothing was read.
pub(super) enum Unrecoverable {
    /// A later version of the format wrote a file. Nothing was touched.
    Newer(String),
    /// Something cannot be read for now.
    Unreadable(io::Error),
}

impl From<io::Error> for Unrecoverable {
    fn from(error: io::Error) -> Self {
        Unrecoverable::Unreadable(error)
    }
}

/// Why a file gives nothing.
#[derive(Debug)]
enum Fault {
    /// It cannot be read for now.
    Unreadable(io::Error),
    /// It is not what was written.
    Damaged(String),
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Fault::Damaged(what)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(
                Errno::EACCES | Errno::EPERM | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ESTALE,
            ) => Fault::Unreadable(error),
            _ => Fault::Damaged(error.to_string()),
        }
    }
}

impl Recovered {
    /// Replays the journals that go on from the snapshot `base`, or from nothing.
    fn journals_from(&mut self, directory: &Path, base: Option<u64>, all: &[u64]) -> io::Result<()> {
        let mut rest = all.iter().copied().filter(|generation| base.is_none_or(|base| *generation >= base));
        let mut before: Option<(u64, u64)> = None;
        for generation in rest.by_ref() {
            let path = files::journal(directory, generation);
            let goes_on = |after: &Follows| match (base, before) {
                (Some(base), None) => generation == base,
                (None, None) => *after == Follows::Nothing,
                (_, Some((former, bytes))) => generation == former + 1 && *after == Follows::Journal(bytes),
            };
            let good = match self.replay(&path, generation, goes_on) {
                Ok(Replayed::Whole(bytes)) => bytes,
                Ok(Replayed::Torn(bytes)) => {
                    cut_off(&path, bytes);
                    bytes
                }
                Ok(Replayed::Elsewhere) => {
                    log::warn!("{}: goes on from what is not there; passed over", path.display());
                    self.quarantine.push(path);
                    break;
                }
                Err(Fault::Unreadable(error)) => return Err(error),
                Err(Fault::Damaged(error)) => {
                    let aside = files::marked(&path, ".damaged");
                    let kept = format!("what stands before is taken, it will be kept as {}", aside.display());
                    log::error!("{}: damaged: {error}; {kept}", path.display());
                    self.quarantine.push(path);
                    break;
                }
            };
            before = Some((generation, good));
            self.journals += 1;
            self.journal_bytes += good;
        }
        self.quarantine.extend(rest.map(|generation| files::journal(directory, generation)));
        match (before, base) {
            _ if !self.quarantine.is_empty() => self.follows = None,
            (Some((generation, bytes)), _) => {
                self.generation = generation + 1;
                self.follows = Some(Follows::Journal(bytes));
            }
            (None, Some(base)) => {
                self.generation = base;
                self.follows = Some(Follows::Snapshot);
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn replay(
        &mut self,
        path: &Path,
        generation: u64,
        goes_on: impl Fn(&Follows) -> bool,
    ) -> Result<Replayed, Fault> {
        let mut file = open(path, "journal")?;
        let read = file.as_mut().map_or(Ok(0), Seek::stream_position)?;
        let Some(file) = &mut file else {
            // Not even its first line was written to its end.
            return Ok(Replayed::Torn(0));
        };
        let mut frames = Frames::new(file, read);
        match frames.next()? {
            Next::Payload(payload) => {
                let begin: JournalStart = format::read(payload).map_err(text)?;
                if begin.generation != generation {
                    return Err(format!("expected journal {generation}, found {}", begin.generation).into());
                }
                if !goes_on(&begin.follows) {
                    return Ok(Replayed::Elsewhere);
                }
            }
            Next::End | Next::Torn => return Ok(Replayed::Torn(0)),
            Next::Damaged => return Err("its first frame is no frame".to_owned().into()),
        }
        loop {
            let at = frames.good();
            match frames.next()? {
                Next::Payload(payload) => {
                    let record = Record::read_v1(payload).map_err(|error| at_byte(at, &error))?;
                    self.state.apply(&record, &mut |_| {}).map_err(|misfit| at_byte(at, &misfit.0))?;
                }
                Next::End => return Ok(Replayed::Whole(at)),
                Next::Torn => return Ok(Replayed::Torn(at)),
                Next::Damaged => return Err(at_byte(at, &"what stands there is no frame").into()),
            }
        }
    }
}

/// How the reading of a journal ended.
enum Replayed {
    /// With its last byte, this one.
    Whole(u64),
    /// Within the frame behind this byte.
    Torn(u64),
    /// At once, since it goes on from something else.
    Elsewhere,
}

fn read_snapshot(path: &Path, generation: u64, fallback: &Catalogs) -> Result<(State, f64), Fault> {
    let Some(file) = &mut open(path, "snapshot")? else {
        return Err("its first line is missing".to_owned().into());
    };
    let mut frames = Frames::new(file, 0);
    let Next::Payload(payload) = frames.next()? else {
        return Err("its first frame is no frame".to_owned().into());
    };
    let begin: SnapshotStart = format::read(payload).map_err(text)?;
    if begin.generation != generation {
        return Err(format!("expected snapshot {generation}, found {}", begin.generation).into());
    }
    let mut image = Vec::new();
    loop {
        match frames.next()? {
            Next::Payload(piece) => image.extend_from_slice(piece),
            Next::End if image.len() as u64 == begin.image_bytes => break,
            _ => return Err(format!("{} of {} bytes are good", image.len(), begin.image_bytes).into()),
        }
    }
    let mut note = |text: String| log::error!("{}: {text}", path.display());
    let state = State::read_v1(&image, fallback.clone(), &mut note).map_err(text)?;
    Ok((state, begin.taken_at))
}

/// Opens a file of this kind behind its first line; `None` where not even that is whole.
fn open(path: &Path, kind: &str) -> Result<Option<BufReader<File>>, Fault> {
    let mut file = BufReader::with_capacity(65_536, regular_file::open(path)?);
    match files::first_line(&mut file, kind)? {
        FirstLine::Readable { bytes } => {
            file.seek(SeekFrom::Start(bytes as u64))?;
            Ok(Some(file))
        }
        FirstLine::Torn => Ok(None),
        // Newer ones were refused before.
        FirstLine::Newer(_) | FirstLine::Foreign => {
            let expected = format::first_line(kind);
            Err(format!("expected a file that begins with {:?}", expected.trim_end()).into())
        }
    }
}

/// Removes what was not written to its end. Where that is not possible it does no harm.
fn cut_off(path: &Path, bytes: u64) {
    let cut = || -> io::Result<u64> {
        let file = File::options().write(true).open(path)?;
        let size = file.metadata()?.len();
        file.set_len(bytes)?;
        Ok(size - bytes)
    };
    match cut() {
        Ok(0) => {}
        Ok(cut) => {
            log::warn!(
                "{}: its last {cut} bytes were not written to their end and are cut off",
                path.display()
            );
        }
        Err(error) => log::warn!("{}: its torn end stays: {error}", path.display()),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn at_byte(at: u64, error: &dyn std::fmt::Display) -> String {
    format!("at byte {at}: {error}")
}
