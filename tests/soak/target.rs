//! The exporter that is tormented: its disk and its clock do what files say, and whoever looks at it from another thread learns
//! where it listens and which of its lives this is.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::laws::Laws;
use crate::support::{Exporter, binary, preload, wait_until};

/// How long a start may take, and a stop.
const START_MAX: Duration = Duration::from_secs(5);
const STOP_MAX: Duration = Duration::from_secs(5);

/// One life of the exporter, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    number: u32,
    pub address: SocketAddr,
    pub process: u32,
}

/// What the exporter's disk does.
#[derive(Clone, Copy, Debug)]
pub enum Disk {
    Works,
    Hangs,
    IsFull,
}

pub struct Target<'a> {
    pub exporter: Exporter,
    pub laws: &'a Laws,
    world: World,
    /// `None` while it is down.
    life: &'a Mutex<Option<Life>>,
    lives: u32,
    reloads: u32,
}

/// What the exporter takes for its disk and its clock.
struct World {
    directory: TempDir,
    disk: Option<PathBuf>,
    clock: Option<PathBuf>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let world = World { disk: preload::disk(directory.path()), clock: preload::faketime(), directory };
        world.set_clock(0);
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn set_clock(&self, offset_seconds: i64) {
        preload::set_clock(&self.file("clock"), offset_seconds);
    }

    fn config(&self) -> String {
        let state = self.file("state");
        format!("[state]\ndirectory = {}\n[events]\nmode = 0666\ngrace = 1h\n", state.display())
    }

    fn command(&self) -> Command {
        let mut command = binary();
        let libraries = self.clock.iter().chain(&self.disk).map(|library| library.display().to_string());
        command.env("LD_PRELOAD", libraries.collect::<Vec<_>>().join(":"));
        command.env("DISK_DIRECTORY", self.file("state"));
        command.env("DISK_HANGS_WHILE", self.file("hangs")).env("DISK_FULL_WHILE", self.file("full"));
        preload::take_clock(&mut command, &self.file("clock"));
        command
    }
}

impl<'a> Target<'a> {
    pub fn start(laws: &'a Laws, life: &'a Mutex<Option<Life>>) -> Self {
        let world = World::new();
        let exporter = Exporter::start_by(&world.config(), |_| {}, world.command());
        let mut target = Target { exporter, laws, world, life, lives: 0, reloads: 0 };
        target.is_up();
        target
    }

    fn is_up(&mut self) {
        self.lives += 1;
        let (address, process) = (self.exporter.address, self.exporter.child.id());
        *self.life.lock().unwrap() = Some(Life { number: self.lives, address, process });
    }

    fn is_down(&self) {
        *self.life.lock().unwrap() = None;
    }

    pub fn state_directory(&self) -> PathBuf {
        self.world.file("state")
    }

    pub fn has_disk(&self) -> bool {
        self.world.disk.is_some()
    }

    pub fn has_clock(&self) -> bool {
        self.world.clock.is_some()
    }

    pub fn kill(&mut self) {
        self.is_down();
        self.exporter.kill();
        preload::clean_up_after(self.exporter.child.id());
    }

    pub fn stop(&mut self) {
        self.is_down();
        let asked = Instant::now();
        self.exporter.signal("TERM");
        // Where this thread waits longer than it asked for, the machine is busy.
        let (mut code, mut looked, mut delay) = (None, asked, Duration::ZERO);
        let has_ended = || {
            delay = delay.max(looked.elapsed());
            looked = Instant::now();
            code = self.exporter.child.try_wait().unwrap();
            code.is_some()
        };
        wait_until(has_ended, || "the process does not end".to_owned());
        let (took, log) = (asked.elapsed(), || self.exporter.log());
        let is_success = code.is_some_and(|code| code.success());
        self.laws.demand(is_success, || format!("it ended with {code:?}:\n{}", log()));
        self.laws.demand(took < STOP_MAX + delay, || {
            format!("the end took {took:?}, and this machine is late by {delay:?}:\n{}", log())
        });
        preload::clean_up_after(self.exporter.child.id());
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&mut self) {
        self.exporter.spawn_again_by(self.world.command());
    }

    pub fn start_again(&mut self) {
        let asked = Instant::now();
        self.spawn();
        self.exporter.wait_for_start();
        let took = asked.elapsed();
        self.laws.demand(took < START_MAX, || format!("the start took {took:?}:\n{}", self.exporter.log()));
        self.is_up();
    }

    /// Reloads settings that change nothing that can be seen.
    pub fn reload(&mut self) {
        self.reloads += 1;
        let (entities, level) =
            if self.reloads.is_multiple_of(2) { (1_000_000, "info") } else { (900_000, "debug") };
        let config = self.world.config();
        self.exporter
            .configure(&format!("{config}[limits]\nentities = {entities}\n[logs]\nlevel = {level}\n"));
        self.exporter.signal("HUP");
    }

    pub fn set_disk(&self, disk: Disk) {
        for (name, is_on) in [("hangs", matches!(disk, Disk::Hangs)), ("full", matches!(disk, Disk::IsFull))]
        {
            let file = self.world.file(name);
            if is_on {
                fs::write(file, "").unwrap();
            } else {
                let _ = fs::remove_file(file);
            }
        }
    }

    /// Moves the clock this far from the true time.
    pub fn set_clock(&self, offset_seconds: i64) {
        self.world.set_clock(offset_seconds);
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        let _ = self.exporter.child.kill();
        let _ = self.exporter.child.wait();
        preload::clean_up_after(self.exporter.child.id());
    }
}
