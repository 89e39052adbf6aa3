//! Spawns and names the threads: one for each role, one for each reload, and one that watches the start.
//!
//! A role's end is reported, whether it returns or panics. `supervise` decides what follows from it.

use std::net::IpAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use signal_hook::iterator::Signals;

use super::configuration::{Config, Overrides, load};
use super::logging;
use crate::config::ScanSettings;
use crate::faults::Faults;
use crate::feed::mailbox::{Control, ControlSender};
use crate::http::routes::Routes;
use crate::http::server::Server;
use crate::http::worker::{self, Answer};
use crate::journal::{Snapshotter, Writer};
use crate::liveness::Liveness;
use crate::{limits, rdns, scan};

/// The roles that write the journal.
pub(super) type JournalRoles = (Writer, Snapshotter);

/// A role that has exited.
pub(super) struct RoleExit {
    pub(super) name: &'static str,
    pub(super) result: Result<(), String>,
}

/// Reports the exit of a role when it is dropped, so also when the role panics.
struct ExitGuard {
    name: &'static str,
    exits: Sender<RoleExit>,
    result: Option<Result<(), String>>,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err("panicked".to_owned()));
        let _ = self.exits.send(RoleExit { name: self.name, result });
    }
}

/// Spawns the roles' threads and learns when one exits.
pub(super) struct Threads {
    exit_sender: Sender<RoleExit>,
    pub(super) exits: Receiver<RoleExit>,
}

impl Threads {
    pub(super) fn new() -> Self {
        let (exit_sender, exits) = unbounded();
        Threads { exit_sender, exits }
    }

    pub(super) fn spawn(
        &self,
        name: &'static str,
        role: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<JoinHandle<()>, String> {
        let exits = self.exit_sender.clone();
        let run = move || {
            let mut guard = ExitGuard { name, exits, result: None };
            guard.result = Some(role());
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map_err(|error| format!("thread {name}: cannot be started: {error}"))
    }

    /// A thread that is no role: it ends once it has its result, or is given up.
    pub(super) fn spawn_loader(overrides: Overrides) -> Receiver<Result<Config, Faults>> {
        let (sender, loaded) = bounded(1);
        let load = move || {
            // Nobody waits for it any more where it was given up.
            let _ = sender.send(load(&overrides));
        };
        // Without a thread the channel is closed, which is a result, too.
        let _ = thread::Builder::new().name("reload".to_owned()).spawn(load);
        loaded
    }

    /// A thread that is no role: calls `tell` with the time so far if a start takes long, from time to time, until
    /// what is returned is dropped.
    pub(super) fn spawn_start_watch(tell: impl Fn(Duration) + Send + 'static) -> Sender<()> {
        let (sender, is_over) = bounded::<()>(0);
        let watch = move || {
            let started = Instant::now();
            let mut wait = limits::START_NOTICE_FIRST;
            while is_over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                tell(started.elapsed());
                wait = limits::START_NOTICE_EVERY;
            }
        };
        // Without a thread nothing is said, and the start goes on.
        let _ = thread::Builder::new().name("start".to_owned()).spawn(watch);
        sender
    }

    pub(super) fn spawn_journal(
        &self,
        (writer, snapshotter): JournalRoles,
        control: ControlSender,
    ) -> Result<Vec<JoinHandle<()>>, String> {
        let write = move || {
            writer.run(|| control.nudge());
            Ok(())
        };
        let save = move || {
            snapshotter.run();
            Ok(())
        };
        Ok(vec![self.spawn("journal", write)?, self.spawn("snapshotter", save)?])
    }

    /// Spawns the server, and a worker for each of `workers`.
    pub(super) fn spawn_http(
        &self,
        server: Server,
        workers: &[Liveness],
        answers: &Sender<Answer>,
        routes: impl Fn() -> Routes,
    ) -> Result<Vec<JoinHandle<()>>, String> {
        let mut threads = vec![self.spawn("http", move || server.run())?];
        for liveness in workers {
            let (routes, answers, liveness) = (routes(), answers.clone(), liveness.clone());
            threads.push(self.spawn(liveness.name(), move || {
                worker::run(&routes, &answers, &routes.server, &liveness);
                Ok(())
            })?);
        }
        Ok(threads)
    }

    pub(super) fn spawn_rdns(&self, wanted: Receiver<IpAddr>, control: ControlSender) -> Result<(), String> {
        let role = move || {
            rdns::run(&wanted, |ip, name| control.send(Control::Named(ip, name)));
            Ok(())
        };
        self.spawn("rdns", role).map(drop)
    }

    pub(super) fn spawn_scanner(
        &self,
        settings: Receiver<Vec<ScanSettings>>,
        control: ControlSender,
    ) -> Result<(), String> {
        let role = move || {
            scan::run(&settings, |report| control.send(Control::Scanned(report)));
            Ok(())
        };
        self.spawn("scan", role).map(drop)
    }

    pub(super) fn spawn_log(&self) -> Result<(), String> {
        let role = logging::role();
        let role = move || {
            role();
            Ok(())
        };
        self.spawn("log", role).map(drop)
    }

    /// Signals as messages.
    pub(super) fn spawn_signals(&self, mut signals: Signals) -> Result<Receiver<i32>, String> {
        let (sender, receiver) = unbounded();
        let role = move || {
            for signal in &mut signals {
                if sender.send(signal).is_err() {
                    break;
                }
            }
            Ok(())
        };
        self.spawn("signals", role).map(|_| receiver)
    }
}

/// Waits for threads to end, but not longer than `until`. Returns whether they have.
pub(super) fn are_finished(threads: &[JoinHandle<()>], until: Instant) -> bool {
    while threads.iter().any(|thread| !thread.is_finished()) {
        if Instant::now() >= until {
            return false;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    true
}
