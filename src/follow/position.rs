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

use crate::format::position::{KIND, Position};
use crate::format::{FirstLine, first_line, read_first_line};
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
        let head = &bytes[..bytes.len().min(crate::format::FIRST_LINE_BYTES_MAX)];
        let read = match read_first_line(KIND, head) {
            FirstLine::Newer(version) => {
                return Err(format!(
                    "{path}: version {version} of this program's files; a newer one has to read it"
                ));
            }
            FirstLine::Readable { bytes: start } => {
                serde_json::from_slice(&bytes[start..]).map_err(|error| error.to_string())
            }
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
        serde_json::to_writer(&mut bytes, position)?;
        bytes.push(b'\n');
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        // The rename, too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
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
    use crate::format::position::Place;

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
    fn what_version_1_wrote_of_a_journal_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p");
        let text = "{\"log\":\"unit x\",\"producer\":\"follow:t\",\"instance\":\"i\",\"number\":7,\
                    \"place\":{\"journal\":\"c7\"},\"places\":[{\"journal\":\"c8\"}]}\n";
        fs::write(&path, format!("lifecycle-exporter position 1\n{text}")).unwrap();
        assert_eq!(PositionFile::open(path).unwrap().read().unwrap(), Ok(position()));
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_what_is_newer_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p");
        let file = PositionFile::open(path.clone()).unwrap();
        for text in
            ["", "garbage", "lifecycle-exporter position 1\n{\"log\":", "lifecycle-exporter journal 1\n{}"]
        {
            fs::write(&path, text).unwrap();
            let why = file.read().unwrap().unwrap_err();
            assert!(why.contains("is damaged") && why.contains("p.damaged now"), "{text}: {why}");
            assert_eq!(fs::read_to_string(directory.path().join("p.damaged")).unwrap(), text);
        }
        fs::write(&path, "lifecycle-exporter position 2\n{}").unwrap();
        assert!(file.read().unwrap_err().contains("version 2"));
        assert!(path.exists());
    }
}
