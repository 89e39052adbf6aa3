//! What rotation makes of a log file: other names, copies, compressed files. A file is known again by its inode and its
//! beginning, a rotated one by its name: that of the log and a number or date behind it. All lie in one folder.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::format::position::{FileMark, FilePlace};
use crate::{limits, regular_file};

/// When a file was last written, in nanoseconds of Unix time.
pub(super) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// What a file is known by.
pub(super) fn mark(file: &File) -> io::Result<FileMark> {
    let metadata = file.metadata()?;
    let mut head = [0; limits::FILE_HEAD_BYTES];
    let count = read_head(file, &mut head)?;
    Ok(FileMark {
        inode: metadata.ino(),
        head_bytes: count as u32,
        head_crc: crc32fast::hash(&head[..count]),
        modified: modified(&metadata),
    })
}

fn read_head(file: &File, head: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < head.len() {
        match file.read_at(&mut head[count..], count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Whether a file begins as the one with this mark did.
pub(super) fn begins_as(file: &File, mark: &FileMark) -> bool {
    let mut head = vec![0; (mark.head_bytes as usize).min(limits::FILE_HEAD_BYTES)];
    read_head(file, &mut head).is_ok_and(|count| count == head.len())
        && crc32fast::hash(&head) == mark.head_crc
}

/// The files of a log, and all others in its folder.
pub(super) struct Folder<'a> {
    log: &'a Path,
    entries: Vec<PathBuf>,
}

impl<'a> Folder<'a> {
    pub(super) fn of(log: &'a Path) -> Self {
        let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        Folder { log, entries }
    }

    /// The file that holds this place: under whatever name, or a copy that rotation has made of it.
    pub(super) fn find(&self, place: &FilePlace) -> Option<(PathBuf, File)> {
        let log = [self.log.to_owned()];
        let is_same = |path: &&PathBuf| fs::metadata(path).is_ok_and(|found| found.ino() == place.file.inode);
        let same = log.iter().chain(&self.entries).filter(is_same);
        // An empty beginning is that of each file.
        let copies = self.rotated().filter(|_| place.file.head_bytes > 0);
        same.chain(copies).find_map(|path| {
            let file = regular_file::open(path).ok()?;
            let is_long_enough = file.metadata().is_ok_and(|found| found.len() >= place.offset);
            (is_long_enough && begins_as(&file, &place.file)).then(|| (path.clone(), file))
        })
    }

    /// The rotated files of the log, readable or not.
    fn rotated(&self) -> impl Iterator<Item = &PathBuf> {
        self.entries.iter().filter(|path| rank(self.log, path).is_some())
    }

    /// The rotated file that came after the one with this mark, and before the log itself. Also those between that are
    /// compressed, each with the time when it was last written.
    pub(super) fn next_after(&self, mark: &FileMark) -> (Option<PathBuf>, Vec<(PathBuf, i64)>) {
        let own = self.rotated().find(|path| fs::metadata(path).is_ok_and(|found| found.ino() == mark.inode));
        let own_rank = own.and_then(|path| rank(self.log, path));
        let live = fs::metadata(self.log).map_or(0, |found| found.ino());
        let mut newer: Vec<_> = self
            .rotated()
            .filter_map(|path| {
                let metadata = fs::metadata(path).ok().filter(|found| found.is_file() && found.len() > 0)?;
                let age = (modified(&metadata), rank(self.log, path)?);
                let is_newer = match own_rank {
                    Some(own) => age > (mark.modified, own),
                    None => age.0 > mark.modified,
                };
                let is_other = metadata.ino() != mark.inode && metadata.ino() != live;
                (is_newer && is_other).then(|| (age, path.clone()))
            })
            .collect();
        newer.sort();
        let lost = newer.iter().take_while(|(_, path)| is_compressed(path));
        let lost: Vec<_> = lost.map(|((modified, _), path)| (path.clone(), *modified)).collect();
        let readable = newer.into_iter().nth(lost.len()).map(|(_, path)| path);
        (readable, lost)
    }
}

const COMPRESSED: [&str; 5] = [".gz", ".xz", ".zst", ".bz2", ".lz4"];

fn is_compressed(path: &Path) -> bool {
    let name = path.to_string_lossy();
    COMPRESSED.iter().any(|ending| name.ends_with(ending))
}

/// How new a rotated file is by its name: `log.1` is newer than `log.2`, and `log-20261122` than `log-20261121`. `None`:
/// the name is none of a rotated file.
fn rank(log: &Path, path: &Path) -> Option<i64> {
    let (log, name) = (log.file_name()?.to_str()?, path.file_name()?.to_str()?);
    let suffix = name.strip_prefix(log)?;
    let suffix = COMPRESSED.iter().find_map(|ending| suffix.strip_suffix(ending)).unwrap_or(suffix);
    let digits: String = suffix.chars().filter(char::is_ascii_digit).collect();
    let others_separate = suffix.chars().all(|c| c.is_ascii_digit() || ".-_T".contains(c));
    let number: i64 = digits.parse().ok().filter(|_| others_separate)?;
    Some(if digits.len() < 6 { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_known_by_their_names() {
        let rank = |name: &str| rank(Path::new("/v/x.log"), &Path::new("/v").join(name));
        assert!(rank("x.log.1") > rank("x.log.2") && rank("x.log.2") > rank("x.log.10.gz"));
        assert!(rank("x.log-20261122") > rank("x.log-20261121"));
        assert!(rank("x.log.2026-11-22T10").is_some());
        for other in ["x.log", "x.log.bak", "y.log.1", "x.log-error.1", "x.log.1.tmp", "x.log."] {
            assert_eq!(rank(other), None, "{other}");
        }
    }

    /// Writes a file that was last written so many seconds after the epoch.
    fn write(path: &Path, text: &str, seconds: u64) {
        fs::write(path, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_file_is_found_by_inode_and_beginning_and_its_successor_by_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let log = path("x.log");
        write(&log, "one\n", 100);
        let place = FilePlace { file: mark(&File::open(&log).unwrap()).unwrap(), offset: 4 };
        let found = |place: &FilePlace| Folder::of(&log).find(place).map(|(path, _)| path);
        assert_eq!(found(&place), Some(log.clone()));
        // Renamed, twice; between, another one was written.
        fs::rename(&log, path("x.log.2")).unwrap();
        write(&path("x.log.1"), "two\n", 200);
        write(&log, "three\n", 300);
        assert_eq!(found(&place), Some(path("x.log.2")));
        assert_eq!(Folder::of(&log).next_after(&place.file), (Some(path("x.log.1")), vec![]));
        let second = mark(&File::open(path("x.log.1")).unwrap()).unwrap();
        assert_eq!(Folder::of(&log).next_after(&second), (None, vec![]));
        // Compressed meanwhile.
        fs::rename(path("x.log.1"), path("x.log.1.gz")).unwrap();
        assert_eq!(
            Folder::of(&log).next_after(&place.file),
            (None, vec![(path("x.log.1.gz"), 200_000_000_000)])
        );
        // A copy, while the inode has gone on with something else.
        write(&path("x.log.2"), "else\n", 400);
        assert_eq!(found(&place), None);
        write(&path("x.log.3"), "one\nmore\n", 100);
        assert_eq!(found(&place), Some(path("x.log.3")));
        assert_eq!(found(&FilePlace { offset: 100, ..place }), None);
    }
}
