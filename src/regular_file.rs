//! Opens regular files only, and reads them up to a size.
//!
//! A configuration, a catalog and a file of the state may turn out to be anything. Opening a FIFO would wait
//! for a writer, reading a terminal would wait for a line, and a device may never end. What a file holds is
//! the caller's concern.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};

/// Opens a regular file for reading. Anything else is an error that says what it is, and is not waited for.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Opening a device may already change it, so it is looked at before.
    let expected = |kind: FileType| {
        if kind.is_file() { Ok(()) } else { Err(io::Error::other(format!("is {}", name(kind)))) }
    };
    expected(fs::metadata(path)?.file_type())?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)?;
    // It may have been replaced meanwhile.
    expected(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads a regular file of at most `bytes_max` bytes. `/dev/null` reads as an empty file.
pub(crate) fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    if is_null(path) {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::Error::other(format!("is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// Whether this is the null device, which stands for "no file" on command lines and in links.
fn is_null(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| {
        let (major, minor) = (major(found.rdev()), minor(found.rdev()));
        found.file_type().is_char_device() && (major, minor) == (1, 3)
    })
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("fifo"), at("link")).unwrap();
        fs::write(at("file"), "text").unwrap();
        for (path, expected) in [
            (at("fifo"), "is a FIFO"),
            (at("link"), "is a FIFO"),
            (at("socket"), "is a socket"),
            (directory.path().to_owned(), "is a directory"),
            ("/dev/zero".into(), "is a device"),
            (at("none"), "No such file"),
            (at("file/x"), "Not a directory"),
        ] {
            let error = read(&path, 4).unwrap_err().to_string();
            assert!(error.contains(expected), "{}: {error}", path.display());
        }
        assert_eq!(read(&at("file"), 4).unwrap(), b"text");
        assert!(read(&at("file"), 3).unwrap_err().to_string().contains("longer than 3 bytes"));
        assert_eq!(read(Path::new("/dev/null"), 4).unwrap(), b"");
    }
}
