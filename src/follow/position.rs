//! Keeps how far a log has been read in a file, for the next start. What the numbers in it mean for the session is
//! `session`'s to know.
//!
//! The file is replaced as a whole: whenever the process ends, there is the former one or the new one. Another file
//! beside it is locked, so that two processes never follow with one position.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::format::frame::{self, Frames, Next};
use crate::format::position::{KIND, Position};
use crate::format::{self, FirstLine, first_line, read_first_line};
use crate::{limits, regular_file};

pub(super) struct PositionFile {
    path: PathBuf,
    /// For this process alone, as long as this lives.
    _lock: Flock<File>,
}

impl PositionFile {
    /// Takes the file for this process.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let lock = with_ending(&path, ".lock");
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock);
        let opened = opened.map_err(|error| {
            let lock = lock.display();
            format!(
                "{lock}: {error}; expected a directory that this user can write (--position names another)"
            )
        })?;
        match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(PositionFile { path, _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(format!(
                "{}: another process follows with this position; give each its own",
                path.display()
            )),
            Err((_, errno)) => Err(format!("{}: {errno}", lock.display())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. `Ok(Err(why))`: there is nothing to go on from. It is an error if a later version wrote it.
    pub(super) fn read(&self) -> Result<Result<Position, String>, String> {
        let path = self.path.display();
        let bytes = match regular_file::read(&self.path, limits::POSITION_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(format!("there is no {path} yet")));
            }
            Err(error) => {
                return Err(format!("{path}: {error}; expected a position file that this user can read"));
            }
        };
        let head = &bytes[..bytes.len().min(format::FIRST_LINE_BYTES_MAX)];
        let read = match read_first_line(KIND, head) {
            FirstLine::Newer(version) => {
                return Err(format!(
                    "{path}: version {version} of this program's files; a newer one has to read it"
                ));
            }
            FirstLine::Readable { bytes: start } => read_frame(&bytes[start..]),
            FirstLine::Torn | FirstLine::Foreign => Err("it is no position file".to_owned()),
        };
        Ok(read.map_err(|what| {
            let aside = with_ending(&self.path, ".damaged");
            let kept = fs::rename(&self.path, &aside).map(|()| format!("; it is {} now", aside.display()));
            format!("{path} is damaged: {what}{}", kept.unwrap_or_default())
        }))
    }

    /// Replaces it. Afterwards it is on the disk.
    pub(super) fn write(&self, position: &Position) -> io::Result<()> {
        let new = with_ending(&self.path, ".new");
        let mut bytes = first_line(KIND).into_bytes();
        frame::push(&mut bytes, |out| format::put(out, position));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        // The rename, too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn read_frame(bytes: &[u8]) -> Result<Position, String> {
    match Frames::new(bytes, 0).next() {
        Ok(Next::Payload(payload)) => format::read(payload).map_err(|corrupt| corrupt.to_string()),
        _ => Err("it is not as it was written".to_owned()),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::position::{Change, FileMark, FilePlace, Place, Waiter};

    fn position() -> Position {
        Position {
            log: "unit x".to_owned(),
            producer: "follow:t".to_owned(),
            instance: "i".to_owned(),
            number: 7,
            place: Place::Journal("c7".to_owned()),
            places: vec![Place::Journal("c8".to_owned())],
            waiting: Vec::new(),
            changes: Vec::new(),
        }
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = PositionFile::open(directory.path().join("p")).unwrap();
        assert!(file.read().unwrap().unwrap_err().contains("there is no"));
        file.write(&position()).unwrap();
        file.write(&Position { number: 8, ..position() }).unwrap();
        assert_eq!(file.read().unwrap(), Ok(Position { number: 8, ..position() }));
        let error = PositionFile::open(directory.path().join("p")).err().unwrap();
        assert!(error.contains("another process follows with this position"), "{error}");
    }

    #[test]
    fn what_version_1_wrote_is_read() {
        let waiter = |key: &str, until| Waiter {
            key: key.to_owned(),
            line: format!("{{\"event\":\"t.closed\",\"{key}\"}}"),
            milliseconds: 35_000,
            until,
        };
        let file = FileMark { inode: 4_711, head_bytes: 12, head_crc: 2_797_141_963, modified: -1 };
        let written = Position {
            places: vec![Place::File(FilePlace { file, offset: 12 }), Place::Input],
            waiting: vec![waiter("id=1", None)],
            changes: vec![
                (1, Change::Waits(waiter("id=2", Some(1e9)))),
                (2, Change::Ends("id=1".to_owned())),
            ],
            ..position()
        };
        let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored/v1/follow.position");
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("p");
        let file = PositionFile::open(copy.clone()).unwrap();
        if std::env::var_os("UPDATE_STORED_STATE").is_some() {
            file.write(&written).unwrap();
            fs::copy(&copy, &stored).unwrap();
        }
        fs::copy(&stored, &copy).unwrap();
        assert_eq!(file.read().unwrap(), Ok(written));
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_what_is_newer_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p");
        let file = PositionFile::open(path.clone()).unwrap();
        file.write(&position()).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bytes in [
            b"",
            b"garbage".as_slice(),
            &whole[..whole.len() - 1],
            &changed,
            b"lifecycle-exporter journal 1\n{}",
        ] {
            fs::write(&path, bytes).unwrap();
            let why = file.read().unwrap().unwrap_err();
            assert!(why.contains("is damaged") && why.contains("p.damaged now"), "{why}");
            assert_eq!(fs::read(directory.path().join("p.damaged")).unwrap(), bytes);
        }
        fs::write(&path, "lifecycle-exporter position 2\n{}").unwrap();
        assert!(file.read().unwrap_err().contains("version 2"));
        assert!(path.exists());
    }
}
