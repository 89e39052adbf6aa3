//! Journals of systemd without a booted system: `systemd-journal-remote` makes their files, and a `journalctl` first in
//! PATH looks at them alone.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::has_program;

const MAKER: &str = "/lib/systemd/systemd-journal-remote";
/// Where the header of a journal file has the id of its numbering and the number of its last entry.
const NUMBERING_OFFSET: u64 = 72;
const LAST_NUMBER_OFFSET: u64 = 160;

/// One entry.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub unit: &'a str,
    pub message: &'a [u8],
    /// Which run of the machine wrote it.
    pub boot: u8,
    /// When, in seconds after the journal's beginning.
    pub second: u32,
}

/// The files of a journal.
pub struct Journal {
    directory: PathBuf,
    /// Unix seconds.
    pub beginning: u64,
}

impl Journal {
    /// One without entries, and the `journalctl` for it; `None` where this machine cannot have it.
    pub fn new(directory: &Path) -> Option<Self> {
        if !has_program(MAKER) || !has_program("journalctl") {
            return None;
        }
        let journal = Journal {
            directory: directory.join("journal"),
            beginning: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 10_000,
        };
        fs::create_dir(&journal.directory).unwrap();
        fs::create_dir(directory.join("bin")).unwrap();
        let real = super::run(Command::new("sh").args(["-c", "command -v journalctl"]));
        journal.set_journalctl(&format!(
            "case \"$*\" in *--follow*) echo $$ >{}/journalctl.pid;; esac\nexec {} --directory={} \"$@\"",
            directory.display(),
            real.trim(),
            journal.directory.display()
        ));
        Some(journal)
    }

    /// Puts another script in the place of `journalctl`. Returns the former one.
    pub fn set_journalctl(&self, script: &str) -> String {
        let path = self.bin().join("journalctl");
        let former = fs::read_to_string(&path).unwrap_or_default();
        // Replaced, not written: it may be running.
        let new = path.with_extension("new");
        fs::write(&new, format!("#!/bin/sh\n{}\n", script.trim_start_matches("#!/bin/sh\n"))).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, path).unwrap();
        former
    }

    /// The folder with its `journalctl`.
    pub fn bin(&self) -> PathBuf {
        self.directory.with_file_name("bin")
    }

    /// Kills the `journalctl` that was started last to follow it. Returns whether there was one.
    pub fn kill_journalctl(&self) -> bool {
        let pid = fs::read_to_string(self.directory.with_file_name("journalctl.pid")).unwrap_or_default();
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).stderr(Stdio::null()).status();
        !pid.is_empty() && killed.unwrap().success()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.join(format!("{file}.journal"))
    }

    /// Appends entries to a file of it, which is made if it is not there.
    pub fn append(&self, file: &str, entries: &[Entry]) {
        let mut export = Vec::new();
        for Entry { unit, message, boot, second } in entries {
            let micros = u64::from(*second) * 1_000_000;
            let time = self.beginning * 1_000_000 + micros + 250_000;
            export.extend_from_slice(
                format!(
                    "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={micros}\n_BOOT_ID={:032x}\n\
                     _SYSTEMD_UNIT={unit}\nMESSAGE\n",
                    boot + 1
                )
                .as_bytes(),
            );
            export.extend_from_slice(&(message.len() as u64).to_le_bytes());
            export.extend_from_slice(message);
            export.extend_from_slice(b"\n\n");
        }
        let mut maker = Command::new(MAKER)
            .arg("--output")
            .arg(self.path(file))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        maker.stdin.take().unwrap().write_all(&export).unwrap();
        assert!(maker.wait().unwrap().success());
    }

    /// Makes a file whose entries are numbered behind those of another one, as journald does at a rotation.
    pub fn rotate(&self, former: &str, file: &str) {
        self.append(file, &[]);
        let former = fs::File::open(self.path(former)).unwrap();
        let mut new = fs::File::options().write(true).open(self.path(file)).unwrap();
        for (offset, length) in [(NUMBERING_OFFSET, 16), (LAST_NUMBER_OFFSET, 8)] {
            let mut bytes = vec![0; length];
            former.read_exact_at(&mut bytes, offset).unwrap();
            new.seek(SeekFrom::Start(offset)).unwrap();
            new.write_all(&bytes).unwrap();
        }
    }

    /// Deletes a file, as journald does when its journal takes too much room.
    pub fn vacuum(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }
}
