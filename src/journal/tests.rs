//! Every step that the journal takes on the disk is made to fail, in each way in which a disk fails. Whatever
//! was confirmed before is there after a crash, what comes back is a state that there was, and once writing
//! works again all is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::disk::{DiskFile, RealDisk};
use super::snapshotter::Job;
use super::*;
use crate::state::tests::{Life, Step, observable, steps};

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// There is no room: nothing is written or made.
    Full,
    /// There is room for half of what is to be written.
    Short,
    /// Every step ends with an input/output error.
    Broken,
    /// All is taken, but cannot be forced to the disk.
    NotForced,
}

/// A disk that fails in some of its steps, and that forgets at a power loss what it was not forced to keep.
#[derive(Default)]
struct FaultyDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    steps: usize,
    fails: Option<(std::ops::Range<usize>, Fault)>,
    /// Bytes that each file keeps, by its name at present.
    kept: BTreeMap<PathBuf, u64>,
    /// Names that the directory does not keep yet: the new one and the former.
    renamed: Vec<(PathBuf, Option<PathBuf>)>,
}

struct FaultyFile {
    shared: Arc<Mutex<Shared>>,
    file: File,
    inode: u64,
    directory: PathBuf,
}

fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

fn errno(errno: nix::errno::Errno) -> io::Error {
    errno.into()
}

impl Shared {
    /// One step more. The error is what it ends with; `Ok(true)`: half of it can be done.
    fn step(&mut self, writes: bool, forces: bool) -> io::Result<bool> {
        let step = self.steps;
        self.steps += 1;
        match self.fails.as_ref().filter(|(fails, _)| fails.contains(&step)).map(|(_, fault)| *fault) {
            None => Ok(false),
            Some(Fault::Short) if writes => Ok(true),
            Some(Fault::NotForced) if !forces => Ok(false),
            Some(Fault::Full | Fault::Short) if forces => Ok(false),
            Some(Fault::Full | Fault::Short) => Err(errno(nix::errno::Errno::ENOSPC)),
            Some(Fault::Broken | Fault::NotForced) => Err(errno(nix::errno::Errno::EIO)),
        }
    }
}

impl FaultyDisk {
    fn step(&self) -> io::Result<bool> {
        self.shared.lock().unwrap().step(false, false)
    }

    fn fail(&self, fails: std::ops::Range<usize>, fault: Fault) {
        self.shared.lock().unwrap().fails = Some((fails, fault));
    }

    fn heal(&self) {
        self.shared.lock().unwrap().fails = None;
    }

    fn steps(&self) -> usize {
        self.shared.lock().unwrap().steps
    }

    /// Takes back all that was not forced.
    fn lose_power(&self) {
        let shared = self.shared.lock().unwrap();
        for (path, kept) in &shared.kept {
            if let Ok(file) = File::options().write(true).open(path) {
                file.set_len(*kept).unwrap();
            }
        }
        for (new, former) in shared.renamed.iter().rev() {
            match former {
                Some(former) => drop(std::fs::rename(new, former)),
                None => drop(std::fs::remove_file(new)),
            }
        }
    }
}

impl Disk for FaultyDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.make_directory(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.step()?;
        drop(RealDisk.create(path)?);
        let file = File::options().append(true).open(path)?;
        let mut shared = self.shared.lock().unwrap();
        shared.kept.insert(path.to_owned(), 0);
        shared.renamed.push((path.to_owned(), None));
        let inode = inode(&file.metadata()?);
        let directory = path.parent().unwrap().to_owned();
        Ok(Box::new(FaultyFile { shared: Arc::clone(&self.shared), file, inode, directory }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.rename(from, to)?;
        let mut shared = self.shared.lock().unwrap();
        if let Some(kept) = shared.kept.remove(from) {
            shared.kept.insert(to.to_owned(), kept);
        }
        shared.renamed.push((to.to_owned(), Some(from.to_owned())));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.shared.lock().unwrap().renamed.retain(|(new, _)| new != path);
        RealDisk.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.shared.lock().unwrap().step(false, true)?;
        self.shared.lock().unwrap().renamed.clear();
        RealDisk.sync_directory(path)
    }
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let half = self.shared.lock().unwrap().step(true, false)?;
        if half && bytes.len() < 2 {
            return Err(errno(nix::errno::Errno::ENOSPC));
        }
        DiskFile::write(&self.file, if half { &bytes[..bytes.len() / 2] } else { bytes })
    }

    fn sync(&self) -> io::Result<()> {
        let mut shared = self.shared.lock().unwrap();
        shared.step(false, true)?;
        let length = self.file.metadata()?.len();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if inode(&entry.metadata()?) == self.inode {
                shared.kept.insert(entry.path(), length);
            }
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.shared.lock().unwrap().step(false, false)?;
        DiskFile::truncate(&self.file, bytes)
    }
}

/// The steps of all these tests, the same in each run.
fn script() -> Vec<(f64, Step)> {
    let mut runner = TestRunner::deterministic();
    loop {
        let script = steps(20).new_tree(&mut runner).unwrap().current();
        if script.len() == 19 {
            return script;
        }
    }
}

/// After how many steps a snapshot is taken.
const SNAPSHOT_EVERY: usize = 5;

/// A state, its journal with both threads' work done in turn, and all that the state has been.
struct Run {
    life: Life,
    journal: Journal,
    writer: Writer,
    snapshotter: Snapshotter,
    history: Vec<String>,
    /// The latest of these that is durable.
    confirmed: Option<usize>,
    /// Records by which each of them was reached.
    reached: Vec<Lsn>,
}

impl Run {
    fn begin(directory: &Path, sync: FsyncPolicy, disk: Arc<dyn Disk>) -> Self {
        let (journal, writer, snapshotter, state) =
            Journal::open(directory, sync, disk, &Catalogs::default()).unwrap();
        let life = Life::of(state);
        let (history, reached) = (Vec::new(), Vec::new());
        let mut run = Run { life, journal, writer, snapshotter, history, confirmed: None, reached };
        run.note();
        run
    }

    /// Notes what the state is now.
    fn note(&mut self) {
        self.history.push(observable(&mut self.life.state));
        self.reached.push(self.journal.appended());
    }

    /// Applies a step whose records are not handed over yet.
    fn append(&mut self, seconds: f64, step: &Step) {
        let journal = &mut self.journal;
        self.life.step(seconds, step, &mut |record| journal.append(record));
        self.note();
    }

    /// Lets the threads do what they have to.
    fn work(&mut self) {
        self.journal.await_durable();
        self.writer.work();
        if self.journal.progress.figures.is_durable.load(Ordering::Acquire) {
            let durable = self.journal.durable();
            let confirmed = self.reached.iter().rposition(|lsn| *lsn <= durable);
            self.confirmed = self.confirmed.max(confirmed);
        }
    }

    fn step(&mut self, seconds: f64, step: &Step) {
        self.append(seconds, step);
        self.work();
    }

    /// Writes what the snapshotter has been asked for; with `sync`, forces journals to the disk, too.
    fn save(&mut self, sync: bool) {
        while let Ok(job) = self.snapshotter.jobs.try_recv() {
            let done = match job {
                Job::Save(save) => Some(self.snapshotter.save(&save)),
                Job::Sync(unsynced) if sync => self.snapshotter.sync(&unsynced, &mut None),
                Job::Sync(_) => None,
            };
            if let Some(done) = done {
                self.snapshotter.done.send(done).unwrap();
            }
        }
        self.work();
    }

    fn snapshot(&mut self) {
        self.journal.snapshot(self.life.state.write(), 1e9);
        self.work();
        self.save(false);
    }

    fn play(&mut self, script: &[(f64, Step)]) {
        self.step(0.0, &Step::Configure(0));
        for (index, (seconds, step)) in script.iter().enumerate() {
            self.step(*seconds, step);
            if index % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1 {
                self.snapshot();
            }
        }
    }

    fn is_durable(&mut self) -> bool {
        self.work();
        self.journal.is_durable(Instant::now())
    }

    /// Lets retries come due until all is written.
    fn come_back(&mut self) {
        for _ in 0..10 {
            self.writer.retry_now();
            self.work();
            if self.journal.wants_image() {
                self.snapshot();
            }
            if self.is_durable() {
                return;
            }
        }
        panic!("state is still not durable");
    }

    /// Ends as by `kill -9`.
    fn crash(self) -> (Vec<String>, Option<usize>) {
        (self.history, self.confirmed)
    }
}

fn recovered(directory: &Path) -> String {
    let mut run = Run::begin(directory, FsyncPolicy::Never, Arc::new(RealDisk));
    let text = observable(&mut run.life.state);
    run.crash();
    text
}

/// What comes back is a state that there was, and not one from before what was confirmed.
fn assert_kept(directory: &Path, history: &[String], confirmed: Option<usize>, about: &str) {
    let recovered = recovered(directory);
    let from = confirmed.unwrap_or(0);
    assert!(history[from..].contains(&recovered), "{about}: confirmed {confirmed:?}, recovered {:?}", {
        history.iter().rposition(|text| *text == recovered)
    });
}

#[test]
fn any_fault_at_any_step_loses_nothing_that_was_confirmed() {
    let script = script();
    for sync in [FsyncPolicy::Always, FsyncPolicy::Never] {
        let whole = FaultyDisk::default();
        let shared = Arc::clone(&whole.shared);
        let directory = tempfile::tempdir().unwrap();
        let mut run = Run::begin(directory.path(), sync, Arc::new(whole));
        run.play(&script);
        run.crash();
        let disk_steps = FaultyDisk { shared }.steps();
        let mut kinds = BTreeSet::new();
        for fault in [Fault::Full, Fault::Short, Fault::Broken, Fault::NotForced] {
            for at in 0..disk_steps {
                for length in [1, 4, usize::MAX - at] {
                    let about = format!("{sync:?}, {fault:?} from step {at} on, {length} steps long");
                    let directory = tempfile::tempdir().unwrap();
                    let disk = Arc::new(FaultyDisk::default());
                    disk.fail(at..at + length, fault);
                    let mut run = Run::begin(directory.path(), sync, Arc::clone(&disk) as Arc<dyn Disk>);
                    run.play(&script);
                    kinds.insert(run.journal.errors() > 0);
                    if length == usize::MAX - at {
                        let (history, confirmed) = run.crash();
                        assert_kept(directory.path(), &history, confirmed, &about);
                    } else {
                        disk.heal();
                        run.come_back();
                        let (history, _) = run.crash();
                        assert_eq!(&recovered(directory.path()), history.last().unwrap(), "{about}");
                    }
                }
            }
        }
        assert_eq!(kinds, BTreeSet::from([false, true]), "some faults are errors, some are not");
    }
}

#[test]
fn with_always_a_power_loss_takes_nothing_that_was_confirmed() {
    let script = script();
    for steps in 0..=script.len() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::default());
        let mut run = Run::begin(directory.path(), FsyncPolicy::Always, Arc::clone(&disk) as Arc<dyn Disk>);
        run.play(&script[..steps]);
        let (history, confirmed) = run.crash();
        assert_eq!(confirmed, Some(history.len() - 1));
        disk.lose_power();
        assert_kept(directory.path(), &history, confirmed, &format!("after {steps} steps"));
    }
}

#[test]
fn a_new_journal_confirms_what_stands_at_the_end_of_the_former() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let mut run = Run::begin(directory.path(), FsyncPolicy::Always, Arc::clone(&disk) as Arc<dyn Disk>);
    run.append(0.0, &Step::Configure(0));
    run.append(0.0, &Step::Hello { session: 0, owner: true });
    // The snapshot that goes with the new journal is never written.
    run.journal.snapshot(run.life.state.write(), 1e9);
    run.work();
    assert_eq!(run.journal.durable(), run.journal.appended());
    let (history, _) = run.crash();
    disk.lose_power();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

#[test]
fn a_snapshot_begins_only_behind_what_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let mut run = Run::begin(directory.path(), FsyncPolicy::Always, Arc::clone(&disk) as Arc<dyn Disk>);
    run.step(0.0, &Step::Configure(0));
    disk.fail(0..usize::MAX, Fault::NotForced);
    run.append(0.0, &Step::Hello { session: 0, owner: true });
    run.snapshot();
    assert!(
        run.journal.durable() < run.journal.appended(),
        "what could not be forced to the disk was confirmed"
    );
    disk.heal();
    run.come_back();
    assert_eq!(run.journal.durable(), run.journal.appended());
    run.crash();
}

#[test]
fn a_journal_that_cannot_be_forced_to_the_disk_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let mut run = Run::begin(directory.path(), FsyncPolicy::Interval, Arc::clone(&disk) as Arc<dyn Disk>);
    disk.fail(0..usize::MAX, Fault::NotForced);
    run.step(0.0, &Step::Configure(0));
    assert_eq!(run.confirmed, Some(1), "it is not waited for");
    run.save(true);
    assert!(!run.is_durable(), "the failure was not noticed");
    assert_eq!(run.journal.errors(), 1);
    disk.heal();
    run.come_back();
    let (history, _) = run.crash();
    disk.lose_power();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

#[test]
fn what_finds_the_queue_full_is_made_good_by_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Run::begin(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk));
    run.step(0.0, &Step::Configure(0));
    let line = format!("{{\"event\":\"t.none\",\"a\":\"{}\"}}\n", "x".repeat(60_000));
    // The writer does not come to it: its disk does not answer.
    while !run.journal.has_gap {
        let record = Record::Lines { at: 1e9, position: None, block: line.as_bytes() };
        run.journal.append(&record);
        run.life.state.apply(&record, &mut |_| {}).unwrap();
        run.journal.hand_over();
    }
    run.append(0.0, &Step::Hello { session: 0, owner: true });
    let now = Instant::now();
    assert!(run.journal.progress.queued_bytes.load(Ordering::Acquire) <= limits::JOURNAL_QUEUE_BYTES_MAX);
    assert!(!run.journal.is_written(now) && run.journal.is_written(now + limits::DISK_ANSWER_MAX));
    assert!(run.journal.durable() < run.journal.appended());
    run.come_back();
    assert_eq!(run.journal.durable(), run.journal.appended());
    run.note();
    let (history, _) = run.crash();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

#[test]
fn state_that_can_be_read_only_later_is_offered_and_gone_on_from() {
    let (directory, history) = crashed();
    let elsewhere = directory.path().with_extension("elsewhere");
    std::fs::rename(directory.path(), &elsewhere).unwrap();
    // A file stands in its place: the directory cannot be made.
    std::fs::write(directory.path(), "").unwrap();
    let mut run = Run::begin(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk));
    run.step(0.0, &Step::Configure(0));
    assert!(!run.is_durable() && run.journal.durable() < run.journal.appended());
    std::fs::remove_file(directory.path()).unwrap();
    std::fs::rename(&elsewhere, directory.path()).unwrap();
    run.writer.retry_now();
    run.work();
    let state = run.journal.recovered().expect("what was acknowledged is there");
    run.life = Life::of(state);
    assert_eq!(&observable(&mut run.life.state), history.last().unwrap());
    run.step(0.0, &Step::Hello { session: 3, owner: true });
    run.life = Life::of(State::read_v1(&run.life.state.write(), Catalogs::default(), &mut |_| {}).unwrap());
    run.journal.adopted();
    run.step(0.0, &Step::Hello { session: 2, owner: true });
    assert!(run.is_durable());
}

#[test]
fn a_newer_state_stops_the_start_and_is_not_touched() {
    let (directory, _) = crashed();
    let path = directory.path().join("journal.4");
    let mut bytes = b"lifecycle-exporter journal 2\n".to_vec();
    bytes.extend_from_slice(b"what a later version writes");
    std::fs::write(&path, &bytes).unwrap();
    let before = names(directory.path());
    let opened =
        Journal::open(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk), &Catalogs::default());
    let error = opened.err().unwrap();
    for part in ["journal.4", "version 2", "at most 1", env!("CARGO_PKG_VERSION")] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!((names(directory.path()), std::fs::read(&path).unwrap()), (before, bytes));
    assert!(matches!(probe(directory.path()), Err(Unusable::Fault(fault)) if fault == error));
}

/// A directory after the script, as a crash leaves it, and what the state was.
fn crashed() -> (tempfile::TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Run::begin(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk));
    run.play(&script());
    let (history, _) = run.crash();
    (directory, history)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn two_snapshots_are_kept_with_their_journals() {
    let (directory, history) = crashed();
    let expected = ["journal.3", "journal.4", "lock", "snapshot.3", "snapshot.4"];
    assert_eq!(names(directory.path()), expected);
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_one_before_serves() {
    let (directory, history) = crashed();
    let path = directory.path().join("snapshot.4");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
    assert!(directory.path().join("snapshot.4.damaged").exists());
}

#[test]
fn a_torn_journal_is_cut_off_and_gone_on_from() {
    let (directory, history) = crashed();
    let path = directory.path().join("journal.4");
    let whole = std::fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        for name in names(directory.path()) {
            // What the start before this one has begun.
            if name.as_str() > "journal.4" && name.starts_with("journal") {
                std::fs::remove_file(directory.path().join(name)).unwrap();
            }
        }
        assert!(history.contains(&recovered(directory.path())), "cut at {cut}");
    }
}

#[test]
fn a_journal_damaged_within_is_set_aside_once_a_snapshot_holds_what_was_good() {
    let (directory, history) = crashed();
    let path = directory.path().join("journal.4");
    let mut bytes = std::fs::read(&path).unwrap();
    // Within its first entry, so that good ones stand behind it.
    let entry = memchr::memmem::find_iter(&bytes, frame::MARK).nth(1).unwrap();
    bytes[entry + frame::HEAD_BYTES] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut run = Run::begin(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk));
    let text = observable(&mut run.life.state);
    assert!(history.contains(&text) && !run.is_durable());
    run.come_back();
    assert!(directory.path().join("journal.4.damaged").exists());
    run.crash();
    assert_eq!(recovered(directory.path()), text);
}

#[test]
fn garbage_in_the_directory_is_no_reason_not_to_start() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["journal.7", "snapshot.7", "snapshot.9.new", "journal.x", "snapshot.18446744073709551615"] {
        std::fs::write(directory.path().join(name), "garbage").unwrap();
    }
    std::fs::create_dir(directory.path().join("journal.8")).unwrap();
    let mut run = Run::begin(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk));
    run.come_back();
    run.play(&script());
    let (history, _) = run.crash();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

#[test]
fn a_second_exporter_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let run = Run::begin(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk));
    let error = Journal::open(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk), &Catalogs::default())
        .err()
        .unwrap();
    assert!(error.contains("another exporter uses this directory"), "{error}");
    run.crash();
    assert!(
        Journal::open(directory.path(), FsyncPolicy::Never, Arc::new(RealDisk), &Catalogs::default()).is_ok()
    );
}
