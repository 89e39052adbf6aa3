//! The scanner measures directories at their intervals and reports the results. It is one thread and does one
//! scan at a time.
//!
//! It never follows symbolic links: each folder is opened relative to its parent with `O_NOFOLLOW`. The feed
//! and the catalogs decide what a report changes.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use crate::clock;
use crate::config::ScanSettings;
use crate::limits;

/// How a directory scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanStatus {
    /// All files were counted.
    Succeeded,
    /// The directory itself could not be read.
    Failed,
    /// The scan reached its time or file limit, or a folder could not be read.
    Partial,
}

impl ScanStatus {
    /// The value of the status gauges.
    pub(crate) fn code(self) -> f64 {
        match self {
            ScanStatus::Succeeded => 1.0,
            ScanStatus::Failed => 0.0,
            ScanStatus::Partial => -1.0,
        }
    }
}

/// What a directory scan found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanReport {
    /// The `scan` label.
    pub(crate) name: String,
    /// The system whose scan events it causes.
    pub(crate) system: Option<String>,
    pub(crate) status: ScanStatus,
    /// Sum of the file sizes.
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    /// Modification time of the oldest file, Unix seconds.
    pub(crate) oldest: Option<f64>,
    pub(crate) duration_seconds: f64,
    /// When it ended, Unix seconds.
    pub(crate) ended: f64,
}

/// The latest results of each configured scan, by name.
pub(crate) type Scans = BTreeMap<String, ScanState>;

/// The latest results of one scan.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct ScanState {
    /// Of the latest complete scan.
    pub(crate) bytes: f64,
    /// Of the latest complete scan.
    pub(crate) files: f64,
    /// Unix seconds; 0: no file.
    pub(crate) oldest: f64,
    /// 1 success, 0 failed or not yet ended, −1 partial.
    pub(crate) status: f64,
    /// Of the latest scan.
    pub(crate) duration_seconds: f64,
    /// Unix seconds; 0: never.
    pub(crate) last_success: f64,
}

impl ScanState {
    /// Takes in a report. An incomplete scan keeps the sizes of the latest complete one.
    pub(crate) fn note(&mut self, report: &ScanReport) {
        self.status = report.status.code();
        self.duration_seconds = report.duration_seconds;
        if report.status == ScanStatus::Succeeded {
            self.bytes = report.bytes as f64;
            self.files = report.files as f64;
            self.oldest = report.oldest.unwrap_or(0.0);
            self.last_success = report.ended;
        }
    }
}

/// Runs until the channel is closed. Each message replaces the list of scans: new and changed ones are due at
/// once, the others keep their time.
pub(crate) fn run(settings: &Receiver<Vec<ScanSettings>>, report: impl Fn(ScanReport)) {
    let mut plan: Vec<(Instant, ScanSettings)> = Vec::new();
    loop {
        let next = plan.iter().map(|(due, _)| *due).min();
        let wait =
            next.map_or(Duration::from_secs(3_600), |due| due.saturating_duration_since(Instant::now()));
        match settings.recv_timeout(wait) {
            Ok(scans) => {
                let known =
                    |scan: &ScanSettings| plan.iter().find(|(_, other)| other == scan).map(|(due, _)| *due);
                let now = Instant::now();
                plan = scans.into_iter().map(|scan| (known(&scan).unwrap_or(now), scan)).collect();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for (due, scan) in &mut plan {
            if *due <= Instant::now() {
                *due = Instant::now() + scan.interval;
                report(scan_once(scan));
            }
        }
    }
}

/// Scans one directory now.
pub(crate) fn scan_once(scan: &ScanSettings) -> ScanReport {
    let started = Instant::now();
    let mut sums =
        Sums { scan, until: started + scan.timeout, bytes: 0, files: 0, oldest: None, incomplete: None };
    let status = match open(&scan.directory) {
        Ok(directory) => {
            sums.folder(directory, 0);
            if sums.incomplete.is_none() { ScanStatus::Succeeded } else { ScanStatus::Partial }
        }
        Err(error) => {
            log::warn!("[scan {}] {} cannot be read: {error}", scan.name, scan.directory.display());
            ScanStatus::Failed
        }
    };
    if let Some(why) = &sums.incomplete {
        log::warn!("[scan {}] {} was scanned only in part: {why}", scan.name, scan.directory.display());
    }
    ScanReport {
        name: scan.name.clone(),
        system: scan.system.clone(),
        status,
        bytes: sums.bytes,
        files: sums.files,
        oldest: sums.oldest,
        duration_seconds: started.elapsed().as_secs_f64(),
        ended: clock::unix_seconds(),
    }
}

const FOLDER: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn open(path: &Path) -> nix::Result<Dir> {
    Dir::open(path, FOLDER, Mode::empty())
}

struct Sums<'a> {
    scan: &'a ScanSettings,
    until: Instant,
    bytes: u64,
    files: u64,
    oldest: Option<f64>,
    /// Why the scan is incomplete: the first reason.
    incomplete: Option<String>,
}

impl Sums<'_> {
    fn miss(&mut self, why: String) {
        self.incomplete.get_or_insert(why);
    }

    /// Adds up a folder and the folders in it. Returns whether to go on.
    ///
    /// Each entry is looked at before the next one is read, so that a folder of any size takes no memory.
    fn folder(&mut self, mut directory: Dir, depth: usize) -> bool {
        // The entries are read through one descriptor and looked up through the other.
        let here = match directory.as_fd().try_clone_to_owned() {
            Ok(here) => here,
            Err(error) => {
                self.miss(error.to_string());
                return true;
            }
        };
        for entry in directory.iter() {
            if Instant::now() >= self.until {
                self.miss(format!("not done within the timeout of {:?}", self.scan.timeout));
                return false;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.miss(error.to_string());
                    break;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = match fstatat(here.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(found) => found,
                // It was removed during the scan.
                Err(nix::errno::Errno::ENOENT) => continue,
                Err(error) => {
                    self.miss(format!("{}: {error}", name.to_string_lossy()));
                    continue;
                }
            };
            match SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT {
                SFlag::S_IFREG if !self.file(&name.to_string_lossy(), &found) => {
                    return false;
                }
                SFlag::S_IFDIR if depth >= limits::SCAN_DEPTH_MAX => {
                    self.miss(format!("folders more than {} levels deep", limits::SCAN_DEPTH_MAX));
                }
                SFlag::S_IFDIR => match Dir::openat(here.as_fd(), name, FOLDER, Mode::empty()) {
                    Ok(inner) => {
                        if !self.folder(inner, depth + 1) {
                            return false;
                        }
                    }
                    Err(nix::errno::Errno::ENOENT) => {}
                    Err(error) => self.miss(format!("{}: {error}", name.to_string_lossy())),
                },
                _ => {}
            }
        }
        true
    }

    fn file(&mut self, name: &str, found: &FileStat) -> bool {
        if self.scan.pattern.as_ref().is_some_and(|pattern| !pattern.matches(name)) {
            return true;
        }
        if self.files >= self.scan.max_files {
            self.miss(format!("more than {} files", self.scan.max_files));
            return false;
        }
        self.files += 1;
        self.bytes += found.st_size as u64;
        let modified = found.st_mtime as f64;
        self.oldest = Some(self.oldest.map_or(modified, |oldest| oldest.min(modified)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn settings(directory: &Path) -> ScanSettings {
        ScanSettings {
            name: "t".to_owned(),
            directory: directory.to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            max_files: 100,
            pattern: None,
            system: None,
        }
    }

    #[test]
    fn files_are_added_up_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("big"), [0; 1_000]).unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::write(directory.path().join("a/b/x.webm"), [0; 10]).unwrap();
        fs::write(directory.path().join("y.ogg"), [0; 5]).unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("big"), directory.path().join("file")).unwrap();
        let report = scan_once(&settings(directory.path()));
        assert_eq!((report.status, report.bytes, report.files), (ScanStatus::Succeeded, 15, 2));
        assert!(report.oldest.is_some());
        let pattern = Some(glob::Pattern::new("*.webm").unwrap());
        let report = scan_once(&ScanSettings { pattern, ..settings(directory.path()) });
        assert_eq!((report.bytes, report.files), (10, 1));
        let linked = scan_once(&settings(&directory.path().join("link")));
        assert_eq!(linked.status, ScanStatus::Failed);
    }

    #[test]
    fn an_incomplete_scan_is_partial() {
        let directory = tempfile::tempdir().unwrap();
        for index in 0..3 {
            fs::write(directory.path().join(index.to_string()), "x").unwrap();
        }
        let few = ScanSettings { max_files: 2, ..settings(directory.path()) };
        assert_eq!(scan_once(&few).status, ScanStatus::Partial);
        let soon = ScanSettings { timeout: Duration::ZERO, ..settings(directory.path()) };
        assert_eq!(scan_once(&soon).status, ScanStatus::Partial);
        assert_eq!(scan_once(&settings(&directory.path().join("none"))).status, ScanStatus::Failed);
    }
}
