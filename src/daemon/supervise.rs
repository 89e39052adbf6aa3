//! Spawns, names, supervises and joins the roles, each a thread. No other file does.
//!
//! The roles do not know each other: each is given its ends of channels. The supervising thread waits for
//! signals, for a role that exits, and for the watchdog's interval. If a role exits before it is asked to,
//! the process stops.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick, unbounded};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::configuration::{Config, Overrides, load};
use super::{activation, logging, rlimit};
use crate::catalog::Catalogs;
use crate::clock;
use crate::config::{ScanSettings, Settings};
use crate::faults::Faults;
use crate::feed::listener::FeedSocket;
use crate::feed::mailbox::{Control, ControlSender, Reload};
use crate::feed::{Feed, FeedParts, listener, mailbox, peers};
use crate::http::access::Access;
use crate::http::handle::ServerHandle;
use crate::http::host::machine_names;
use crate::http::listen;
use crate::http::routes::Routes;
use crate::http::server::Server;
use crate::http::worker::{self, Answer};
use crate::journal::disk::RealDisk;
use crate::journal::{Journal, Snapshotter, Writer};
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::state::State;
use crate::{rdns, scan};

/// Runs the daemon until a signal stops it. `ready` is called once, with the path of the feed's socket.
pub(crate) fn serve(overrides: Overrides, ready: impl FnOnce(PathBuf)) -> Result<(), String> {
    // Files and sockets are private until their mode is set. No other thread runs yet.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let loaded = load(&overrides)?;
    logging::configure(&loaded.settings);
    loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| format!("signals: {error}"))?;
    let (supervisor, socket_path) = Supervisor::start(overrides, loaded)?;
    let signals = supervisor.threads.spawn_signals(signals)?;
    ready(socket_path);
    supervisor.supervise(&signals)
}

/// The roles that write the journal.
type JournalRoles = (Writer, Snapshotter);

/// What only one process may hold at a time.
struct Exclusive {
    journal: Option<Journal>,
    journal_roles: Option<JournalRoles>,
    state: State,
    feed_socket: FeedSocket,
    http_listeners: Vec<TcpListener>,
}

impl Exclusive {
    fn open(settings: &Settings, catalogs: &Catalogs) -> Result<Self, String> {
        let passed = activation::take()?;
        passed.overrides(settings).iter().for_each(|warning| log::warn!("{warning}"));
        // The state is first: another exporter that holds it holds the sockets, too, and the lock gives the
        // clearer error.
        let (journal, journal_roles, state) = open_state(settings, catalogs)?;
        let feed_socket = open_feed_socket(settings, passed.events)?;
        let http_listeners = if passed.http.is_empty() { bind(settings)? } else { passed.http };
        Ok(Exclusive { journal, journal_roles, state, feed_socket, http_listeners })
    }

    fn socket_path(&self) -> PathBuf {
        let address = self.feed_socket.listener.local_addr().ok();
        address.and_then(|address| address.as_pathname().map(PathBuf::from)).unwrap_or_default()
    }

    fn http_addresses(&self) -> Vec<String> {
        let addresses = self.http_listeners.iter().filter_map(|listener| listener.local_addr().ok());
        addresses.map(|address| address.to_string()).collect()
    }
}

/// The state that the journal has recovered; an empty one without a state directory.
fn open_state(
    settings: &Settings,
    catalogs: &Catalogs,
) -> Result<(Option<Journal>, Option<JournalRoles>, State), String> {
    let Some(directory) = &settings.state_directory else {
        return Ok((None, None, State::new(catalogs.clone())));
    };
    let (journal, writer, snapshotter, state) =
        Journal::open(directory, settings.sync, Arc::new(RealDisk), catalogs)?;
    Ok((Some(journal), Some((writer, snapshotter)), state))
}

fn open_feed_socket(
    settings: &Settings,
    passed: Option<std::os::unix::net::UnixListener>,
) -> Result<FeedSocket, String> {
    if let Some(listener) = passed {
        return FeedSocket::passed(listener)
            .map_err(|error| format!("the socket events from systemd: {error}"));
    }
    let path = listener::choose_path(settings.socket.as_deref())?;
    let group = settings.group.as_deref().map(peers::socket_group).transpose()?;
    listener::bind(&path, settings.mode, group)
}

fn bind(settings: &Settings) -> Result<Vec<TcpListener>, String> {
    listen::bind_all(&settings.listen).map_err(|failed| failed.into_iter().collect::<Faults>().to_string())
}

/// A role that has exited.
struct RoleExit {
    name: &'static str,
    result: Result<(), String>,
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
struct Threads {
    exit_sender: Sender<RoleExit>,
    exits: Receiver<RoleExit>,
}

impl Threads {
    fn new() -> Self {
        let (exit_sender, exits) = unbounded();
        Threads { exit_sender, exits }
    }

    fn spawn(
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

    fn spawn_journal(
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
    fn spawn_http(
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

    fn spawn_rdns(&self, wanted: Receiver<std::net::IpAddr>, control: ControlSender) -> Result<(), String> {
        let role = move || {
            rdns::run(&wanted, |ip, name| control.send(Control::Named(ip, name)));
            Ok(())
        };
        self.spawn("rdns", role).map(drop)
    }

    fn spawn_scanner(
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

    /// Signals as messages.
    fn spawn_signals(&self, mut signals: Signals) -> Result<Receiver<i32>, String> {
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

/// The running process.
struct Supervisor {
    overrides: Overrides,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    control: ControlSender,
    scans: Sender<Vec<ScanSettings>>,
    http: Arc<ServerHandle>,
    liveness: Vec<Liveness>,
    threads: Threads,
    feed: Option<JoinHandle<()>>,
    /// They exit after the feed, once the state is written.
    journal_threads: Vec<JoinHandle<()>>,
    http_threads: Vec<JoinHandle<()>>,
    /// The status line that systemd shows. A reload sends it again.
    status: String,
}

impl Supervisor {
    fn start(overrides: Overrides, loaded: Config) -> Result<(Self, PathBuf), String> {
        let settings = Arc::new(loaded.settings);
        let metrics = Arc::new(Metrics::new().map_err(|error| format!("own metrics: {error}"))?);
        metrics.note_reload(true, clock::unix_seconds());
        let budget = rlimit::budget(settings.max_connections);
        let exclusive = Exclusive::open(&settings, &loaded.catalogs)?;
        let (socket_path, addresses) = (exclusive.socket_path(), exclusive.http_addresses());
        let status =
            format!("events on {}, metrics on {}", exclusive.feed_socket.shown, addresses.join(" and "));
        let started = startup_message(&settings, &addresses, exclusive.journal.as_ref());

        let (control, requests) = mailbox::channel().map_err(|error| format!("control channel: {error}"))?;
        let (wanted_names, addresses_to_look_up) = bounded(limits::NAMES_QUEUE_MAX);
        let (scans, scan_settings) = unbounded();
        let (answer_sender, answers) = unbounded();
        let liveness = ["feed", "http", "http-worker-1", "http-worker-2"].map(Liveness::new);
        let [feed_liveness, http_liveness, worker_liveness @ ..] = &liveness;

        let parts = FeedParts {
            socket: exclusive.feed_socket,
            control: requests,
            metrics: Arc::clone(&metrics),
            wanted_names,
            liveness: feed_liveness.clone(),
            connections_max: budget.feed,
        };
        let reload =
            Reload { settings: Arc::clone(&settings), catalogs: loaded.catalogs, peers: loaded.peers };
        let feed = Feed::new(parts, exclusive.state, exclusive.journal, &reload)
            .map_err(|error| format!("the feed cannot be polled: {error}"))?;

        let access = Access::new(&settings, &machine_names());
        let http = Arc::new(ServerHandle::new(access).map_err(|error| format!("http: {error}"))?);
        let (handle, own) = (Arc::clone(&http), Arc::clone(&metrics));
        let listeners = exclusive.http_listeners;
        let server = Server::new(listeners, handle, own, http_liveness.clone(), answers, budget.http)
            .map_err(|error| format!("HTTP cannot be polled: {error}"))?;
        let ready = Arc::new(AtomicBool::new(false));
        let routes = || Routes {
            control: control.clone(),
            metrics: Arc::clone(&metrics),
            roles: liveness.to_vec(),
            is_ready: Arc::clone(&ready),
            server: Arc::clone(&http),
        };

        let threads = Threads::new();
        let journal_roles = exclusive.journal_roles;
        let journal_threads = journal_roles.map(|roles| threads.spawn_journal(roles, control.clone()));
        let journal_threads = journal_threads.transpose()?.unwrap_or_default();
        let feed = threads.spawn("feed", move || feed.run())?;
        let http_threads = threads.spawn_http(server, worker_liveness, &answer_sender, routes)?;
        threads.spawn_rdns(addresses_to_look_up, control.clone())?;
        threads.spawn_scanner(scan_settings, control.clone())?;
        let _ = scans.send(settings.scans.clone());

        let liveness = liveness.into();
        let supervisor = Supervisor {
            overrides,
            settings,
            metrics,
            control,
            scans,
            http,
            liveness,
            threads,
            feed: Some(feed),
            journal_threads,
            http_threads,
            status,
        };
        supervisor.announce(&ready, &started);
        Ok((supervisor, socket_path))
    }

    /// Tells `/-/ready`, the log and systemd that the process serves.
    fn announce(&self, ready: &AtomicBool, started: &str) {
        ready.store(true, Ordering::Relaxed);
        log::info!("lifecycle-exporter {}: {}", env!("CARGO_PKG_VERSION"), self.status);
        log::info!("{started}");
        notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    /// Handles signals and exits of roles until the process stops.
    fn supervise(mut self, signals: &Receiver<i32>) -> Result<(), String> {
        let watchdog = sd_notify::watchdog_enabled();
        let ticks =
            watchdog.map_or_else(never, |interval| tick((interval / 3).max(Duration::from_millis(10))));
        let exits = self.threads.exits.clone();
        let log_ticks = tick(limits::LOG_SUMMARY_TICK);
        loop {
            select! {
                recv(signals) -> signal => match signal {
                    Ok(SIGHUP) => self.reload(),
                    _ => return self.stop(),
                },
                recv(exits) -> exit => {
                    let RoleExit { name, result } = exit.expect("the sender is in `self.threads`");
                    let why = result.err().unwrap_or_else(|| "it was not asked to".to_owned());
                    let what = format!("thread {name} has exited: {why}");
                    log::error!("{what}; stopping");
                    let _ = self.stop();
                    return Err(what);
                },
                recv(log_ticks) -> _ => logging::summarize(false),
                recv(ticks) -> _ => {
                    if self.liveness.iter().all(Liveness::is_alive) {
                        notify(&[NotifyState::Watchdog]);
                    }
                },
            }
        }
    }

    /// Reads the configuration again. If it has any fault, the previous configuration stays in force.
    fn reload(&mut self) {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now());
        notify(&states);
        match load(&self.overrides) {
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
                self.take_configuration(loaded);
                self.metrics.note_reload(true, clock::unix_seconds());
                log::info!("the configuration was read again");
            }
            Err(faults) => {
                self.metrics.note_reload(false, clock::unix_seconds());
                for fault in faults.iter() {
                    log::error!("the configuration was not taken, the previous one stays in force: {fault}");
                }
            }
        }
        notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    fn take_configuration(&mut self, loaded: Config) {
        let (old, new) = (Arc::clone(&self.settings), Arc::new(loaded.settings));
        let restart_settings: [(&str, bool); 5] = [
            ("[http] listen", old.listen != new.listen),
            ("[events] socket", old.socket != new.socket),
            ("[events] mode", old.mode != new.mode),
            ("[events] group", old.group != new.group),
            ("[state] directory", old.state_directory != new.state_directory),
        ];
        for (setting, _) in restart_settings.iter().filter(|(_, changed)| *changed) {
            log::warn!("{setting} has changed; restart lifecycle-exporter to apply it");
        }
        logging::configure(&new);
        self.http.replace_access(Access::new(&new, &machine_names()));
        let _ = self.scans.send(new.scans.clone());
        self.settings = Arc::clone(&new);
        let reload = Reload { settings: new, catalogs: loaded.catalogs, peers: loaded.peers };
        self.control.send(Control::Reload(Box::new(reload)));
    }

    /// Stops accepting connections, applies the events that have arrived, and finishes the responses in
    /// progress.
    fn stop(&mut self) -> Result<(), String> {
        log::info!("stopping");
        notify(&[NotifyState::Stopping]);
        self.control.send(Control::Stop);
        let mut result = Ok(());
        if let Some(feed) = self.feed.take() {
            result = feed.join().map_err(|_| "the feed panicked while stopping".to_owned());
        }
        self.http.stop();
        for thread in self.http_threads.drain(..) {
            let _ = thread.join();
        }
        self.join_journal();
        logging::summarize(true);
        result
    }

    /// Waits for the journal's threads, but not longer than a disk that does not answer deserves.
    fn join_journal(&self) {
        let until = Instant::now() + limits::JOURNAL_JOIN_MAX;
        while self.journal_threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= until {
                log::error!("the disk of the state does not answer: stopping without it");
                return;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// Where to look, and where the state is, for the log.
fn startup_message(settings: &Settings, addresses: &[String], journal: Option<&Journal>) -> String {
    let page = addresses.first().map_or(String::new(), |address| format!("http://{address}/metrics"));
    let state = match (&settings.state_directory, journal) {
        (Some(directory), Some(journal)) if journal.errors() == 0 => {
            format!("state is in {} (sync = {})", directory.display(), settings.sync.name())
        }
        (Some(directory), _) => format!("state is in memory, {} cannot be written", directory.display()),
        (None, _) => "state is in memory only ([state] directory)".to_owned(),
    };
    format!("look at {page}; {state}")
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be notified: {error}");
    }
}
