//! Every step that the journal takes on the disk is made to fail, in each way in which a disk fails. Whatever was confirmed
//! before is there after a crash, what comes back is a state that there was, and once writing works again all is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::disk::RealDisk;
use super::*;
use crate::state::tests::{Life, Step, shown, steps};

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

/// A state, its journal, and all that the state has been.
struct Run {
    life: Life,
    journal: Journal,
    saver: JoinHandle<()>,
    heart: Liveness,
    history: Vec<String>,
    /// The latest confirmed of these.
    confirmed: Option<usize>,
}

impl Run {
    fn begin(directory: &Path, sync: Sync, disk: Arc<dyn Disk>) -> Self {
        let (journal, saver, state) = Journal::open(directory, sync, disk, &Catalogs::default()).unwrap();
        let saver = thread::spawn(move || saver.run(|| {}));
        let mut run = Run {
            life: Life::of(state),
            journal,
            saver,
            heart: Liveness::new("test"),
            history: Vec::new(),
            confirmed: None,
        };
        run.history.push(shown(&mut run.life.state));
        run
    }

    fn step(&mut self, seconds: f64, step: &Step) {
        let (journal, heart) = (&mut self.journal, &self.heart);
        self.life.step(seconds, step, &mut |entry| journal.append(entry, heart));
        self.history.push(shown(&mut self.life.state));
        if self.journal.confirm() {
            self.confirmed = Some(self.history.len() - 1);
        }
    }

    fn snapshot(&mut self) {
        assert!(self.journal.prepare().is_none());
        self.journal.snapshot(1e9, || self.life.state.write());
        self.journal.wait_for_saver(&self.heart);
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

    /// Lets retries come due until all is written.
    fn come_back(&mut self) {
        for _ in 0..10 {
            self.journal.collect(Instant::now());
            if self.journal.wants_snapshot(Instant::now() + Duration::from_secs(60)) {
                self.snapshot();
            }
            if self.journal.is_durable() {
                return;
            }
        }
        panic!("state is still not durable");
    }

    /// Ends as by `kill -9`.
    fn crash(self) -> (Vec<String>, Option<usize>) {
        drop(self.journal);
        self.saver.join().unwrap();
        (self.history, self.confirmed)
    }
}

fn recovered(directory: &Path) -> String {
    let mut run = Run::begin(directory, Sync::Never, Arc::new(RealDisk));
    let text = shown(&mut run.life.state);
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
    for sync in [Sync::Always, Sync::Never] {
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
        let mut run = Run::begin(directory.path(), Sync::Always, Arc::clone(&disk) as Arc<dyn Disk>);
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
    // Its saver never runs: the snapshot that goes with the new journal is never written.
    let opened = Journal::open(
        directory.path(),
        Sync::Always,
        Arc::clone(&disk) as Arc<dyn Disk>,
        &Catalogs::default(),
    );
    let (mut journal, saver, state) = opened.unwrap();
    let (mut life, heart) = (Life::of(state), Liveness::new("test"));
    for step in [Step::Configure(0), Step::Hello { session: 0, owner: true }] {
        life.step(0.0, &step, &mut |entry| journal.append(entry, &heart));
    }
    journal.snapshot(1e9, || life.state.write());
    assert!(journal.confirm());
    drop((journal, saver));
    disk.lose_power();
    assert_eq!(recovered(directory.path()), shown(&mut life.state));
}

#[test]
fn a_snapshot_begins_only_behind_what_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let mut run = Run::begin(directory.path(), Sync::Always, Arc::clone(&disk) as Arc<dyn Disk>);
    run.step(0.0, &Step::Configure(0));
    let (journal, heart) = (&mut run.journal, &run.heart);
    let hello = Step::Hello { session: 0, owner: true };
    run.life.step(0.0, &hello, &mut |entry| journal.append(entry, heart));
    disk.fail(0..usize::MAX, Fault::NotForced);
    run.snapshot();
    assert!(!run.journal.confirm(), "what could not be forced to the disk was confirmed");
    disk.heal();
    run.come_back();
    assert!(run.journal.confirm());
    run.crash();
}

#[test]
fn a_journal_that_cannot_be_forced_to_the_disk_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let mut run = Run::begin(directory.path(), Sync::Interval, Arc::clone(&disk) as Arc<dyn Disk>);
    disk.fail(0..usize::MAX, Fault::NotForced);
    run.step(0.0, &Step::Configure(0));
    assert_eq!(run.confirmed, Some(1), "it is not waited for");
    let until = Instant::now() + Duration::from_secs(20);
    while run.journal.is_durable() {
        assert!(Instant::now() < until, "the failure was not noticed");
        if let Ok(report) = run.journal.reports.recv_timeout(Duration::from_secs(1)) {
            run.journal.take(report);
        }
    }
    assert_eq!(run.journal.errors(), 1);
    disk.heal();
    run.come_back();
    let (history, _) = run.crash();
    disk.lose_power();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

/// A directory after the script, as a crash leaves it, and what the state was.
fn crashed() -> (tempfile::TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Run::begin(directory.path(), Sync::Never, Arc::new(RealDisk));
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
    let mut run = Run::begin(directory.path(), Sync::Never, Arc::new(RealDisk));
    let text = shown(&mut run.life.state);
    assert!(history.contains(&text) && !run.journal.is_durable());
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
    let mut run = Run::begin(directory.path(), Sync::Never, Arc::new(RealDisk));
    run.come_back();
    run.play(&script());
    let (history, _) = run.crash();
    assert_eq!(&recovered(directory.path()), history.last().unwrap());
}

#[test]
fn a_second_exporter_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let run = Run::begin(directory.path(), Sync::Never, Arc::new(RealDisk));
    let error =
        Journal::open(directory.path(), Sync::Never, Arc::new(RealDisk), &Catalogs::default()).err().unwrap();
    assert!(error.contains("another exporter uses this directory"), "{error}");
    run.crash();
    assert!(Journal::open(directory.path(), Sync::Never, Arc::new(RealDisk), &Catalogs::default()).is_ok());
}
