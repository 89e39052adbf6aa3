//! The files of the state directory: their names, which there are, and the lock.
//!
//! `snapshot.N` is the state at the beginning of `journal.N`; `journal.N+1` goes on where `journal.N` ends. A
//! name that ends in `.new` is being written, one that ends in `.damaged` was set aside; neither is ever
//! read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::{AccessFlags, eaccess};

use super::recover::Unrecoverable;
use crate::format::{self, FirstLine};
use crate::regular_file;

/// No generation is higher; there is always a next one.
const GENERATION_MAX: u64 = 1 << 60;

pub(super) fn journal(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("journal.{generation}"))
}

pub(super) fn snapshot(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("snapshot.{generation}"))
}

/// The same name, marked.
pub(super) fn marked(path: &Path, mark: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(mark);
    PathBuf::from(name)
}

/// The generations of which there are files, in rising order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) snapshots: Vec<u64>,
    pub(super) journals: Vec<u64>,
    /// Left behind half-written.
    pub(super) unfinished: Vec<PathBuf>,
}

impl Listing {
    /// The newest generation; 0: there is none.
    pub(super) fn newest(&self) -> u64 {
        self.snapshots.iter().chain(&self.journals).max().copied().unwrap_or(0)
    }

    /// All snapshots and then all journals, each in rising order.
    pub(super) fn files(&self, directory: &Path) -> impl Iterator<Item = ListedFile> {
        let snapshots = self.snapshots.iter().map(|&generation| {
            let path = snapshot(directory, generation);
            ListedFile { kind: "snapshot", generation, path }
        });
        let journals = self.journals.iter().map(|&generation| {
            let path = journal(directory, generation);
            ListedFile { kind: "journal", generation, path }
        });
        snapshots.chain(journals)
    }

    /// The error where a later version of the format wrote one of the files.
    pub(super) fn refuse_newer(&self, directory: &Path) -> Result<(), Unrecoverable> {
        for ListedFile { kind, path, .. } in self.files(directory) {
            // What cannot be read is dealt with where it is needed.
            let Ok(mut file) = regular_file::open(&path) else { continue };
            if let Ok(FirstLine::Newer(version)) = first_line(&mut file, kind) {
                return Err(Unrecoverable::Newer(format!(
                    "{}: state of format version {version}, expected at most {} (lifecycle-exporter {}); nothing was \
                     changed: start the version that wrote it, or choose another [state] directory",
                    path.display(),
                    format::VERSION,
                    env!("CARGO_PKG_VERSION")
                )));
            }
        }
        Ok(())
    }
}

/// A snapshot or a journal.
pub(super) struct ListedFile {
    /// As in the first line.
    kind: &'static str,
    pub(super) generation: u64,
    pub(super) path: PathBuf,
}

/// What the beginning of a file of this kind says.
pub(super) fn first_line(file: &mut impl Read, kind: &str) -> io::Result<FirstLine> {
    let mut beginning = Vec::with_capacity(format::FIRST_LINE_BYTES_MAX);
    file.take(format::FIRST_LINE_BYTES_MAX as u64).read_to_end(&mut beginning)?;
    Ok(format::read_first_line(kind, &beginning))
}

/// A generation, as it is written in a name.
fn number(text: &str) -> Option<u64> {
    let number = text.parse().ok().filter(|number| (1..=GENERATION_MAX).contains(number))?;
    (number.to_string() == text).then_some(number)
}

pub(super) fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        match name.split_once('.').map(|(kind, rest)| (kind, number(rest), rest.strip_suffix(".new"))) {
            Some(("snapshot", Some(generation), _)) => listing.snapshots.push(generation),
            Some(("journal", Some(generation), _)) => listing.journals.push(generation),
            Some(("snapshot", None, Some(_))) => listing.unfinished.push(path),
            _ => {}
        }
    }
    listing.snapshots.sort_unstable();
    listing.journals.sort_unstable();
    Ok(listing)
}

/// Why the directory is not this process's own.
pub(super) enum Locked {
    /// Another exporter has it.
    Elsewhere,
    /// There can be no lock here, for now.
    Not(io::Error),
}

/// Why a start would not keep its state in this directory, without changing anything there.
pub(crate) fn probe(directory: &Path) -> Result<(), Unusable> {
    let fail = |what: String| Err(Unusable::Fault(format!("{}: {what}", directory.display())));
    let found = match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return fail(error.to_string()),
        Ok(found) => Some(found),
    };
    let Some(found) = found else {
        // It will be made, with those above it.
        let nearest = directory.ancestors().find(|ancestor| ancestor.exists());
        let can = nearest.is_some_and(|nearest| {
            nearest.is_dir() && eaccess(nearest, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
        });
        return if can { Ok(()) } else { fail("cannot be made; expected a directory that can".to_owned()) };
    };
    if !found.is_dir() {
        return fail("is no directory, expected one for the state".to_owned());
    }
    if let Err(errno) = eaccess(directory, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK) {
        return fail(format!("{errno}; expected a directory that this user can write"));
    }
    if let Ok(listing) = list(directory)
        && let Err(Unrecoverable::Newer(fault)) = listing.refuse_newer(directory)
    {
        return Err(Unusable::Fault(fault));
    }
    for opened in [File::open(directory), regular_file::open(&directory.join("lock"))] {
        match opened.map(|file| Flock::lock(file, FlockArg::LockSharedNonblock)) {
            Ok(Err((_, Errno::EWOULDBLOCK))) => return Err(Unusable::Locked(used_elsewhere(directory))),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return fail(format!("its lock cannot be opened: {error}")),
        }
    }
    Ok(())
}

/// The fault of a directory that another exporter has locked.
pub(super) fn used_elsewhere(directory: &Path) -> String {
    let directory = directory.display();
    format!("{directory}: another exporter uses this directory; give each its own ([state] directory)")
}

/// Why a directory cannot keep state.
pub(crate) enum Unusable {
    /// Another exporter has it.
    Locked(String),
    /// Anything else.
    Fault(String),
}

/// A directory that belongs to this process alone.
pub(super) struct Lock {
    /// The lock of the directory itself, which nobody can remove from under it. `None` where the file system
    /// locks no directories.
    directory: Option<Flock<File>>,
    /// The lock of a file in it, the only one that former versions know.
    file: Flock<File>,
}

impl Lock {
    /// Whether this is the lock of the directory of this name, which may have been replaced.
    pub(super) fn is_of(&self, directory: &Path) -> bool {
        let identity = |metadata: io::Result<Metadata>| metadata.map(|found| (found.dev(), found.ino())).ok();
        let (held, now) = match &self.directory {
            Some(lock) => (identity(lock.metadata()), identity(fs::metadata(directory))),
            None => (identity(self.file.metadata()), identity(fs::metadata(directory.join("lock")))),
        };
        held.is_some() && held == now
    }
}

/// Takes the directory for this process alone, as long as the result lives.
pub(super) fn lock(directory: &Path) -> Result<Lock, Locked> {
    let exclusive = |file: File| Flock::lock(file, FlockArg::LockExclusiveNonblock);
    let whole = match exclusive(File::open(directory).map_err(Locked::Not)?) {
        Err((_, Errno::EWOULDBLOCK)) => return Err(Locked::Elsewhere),
        taken => taken.ok(),
    };
    let path = directory.join("lock");
    // One that cannot be made, in a directory that is only read, may be there all the same.
    let mut options = OpenOptions::new();
    let made = options.create(true).append(true).mode(0o600).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = made.open(&path).or_else(|error| regular_file::open(&path).map_err(|_| error));
    match exclusive(file.map_err(Locked::Not)?) {
        Ok(file) => Ok(Lock { directory: whole, file }),
        Err((_, Errno::EWOULDBLOCK)) => Err(Locked::Elsewhere),
        Err((_, errno)) => Err(Locked::Not(errno.into())),
    }
}
