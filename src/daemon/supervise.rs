//! The one place that spawns, names, supervises and joins the roles.
//!
//! The roles know nothing of each other; they are given the ends of channels. The thread that runs this waits for signals,
//! for a role that ends, and for the watchdog's time. A role that ends unasked takes the process down.

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
use crate::http::listen;
use crate::http::routes::Routes;
use crate::http::server::Server;
use crate::http::worker;
use crate::journal::disk::RealDisk;
use crate::journal::{Journal, Snapshotter, Writer};
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::state::State;
use crate::{rdns, scan};

/// A role has ended.
struct Ended {
    name: &'static str,
    result: Result<(), String>,
}

/// Tells of the end of a role, even of one that panics.
struct Guard {
    name: &'static str,
    ended: Sender<Ended>,
    result: Option<Result<(), String>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err("panicked".to_owned()));
        let _ = self.ended.send(Ended { name: self.name, result });
    }
}

/// The running process.
struct Roles {
    overrides: Overrides,
    settings: Arc<Settings>,
    control: ControlSender,
    http: Arc<ServerHandle>,
    scans: Sender<Vec<ScanSettings>>,
    telemetry: Arc<Metrics>,
    hearts: Vec<Liveness>,
    ended: (Sender<Ended>, Receiver<Ended>),
    feed: Option<JoinHandle<()>>,
    /// They end with the feed, once the state is written.
    journal_threads: Vec<JoinHandle<()>>,
    http_threads: Vec<JoinHandle<()>>,
    /// What the start has told systemd; a reload says it again.
    status: String,
}

/// Serves until a signal says otherwise. `ready` is called once with the path of the feed's socket.
pub(crate) fn serve(overrides: Overrides, ready: impl FnOnce(PathBuf)) -> Result<(), String> {
    // Nothing that this process makes is open to others until it is meant to be. No other thread runs yet.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let loaded = load(&overrides)?;
    logging::start(loaded.settings.log_level);
    loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| format!("signals: {error}"))?;
    let (roles, feed_path) = Roles::start(overrides, loaded)?;
    let (signal_sender, signal_receiver) = unbounded();
    spawn(&roles.ended.0, "signals", move || {
        for signal in &mut signals {
            if signal_sender.send(signal).is_err() {
                break;
            }
        }
        Ok(())
    })?;
    ready(feed_path);
    roles.supervise(&signal_receiver)
}

fn spawn(
    ended: &Sender<Ended>,
    name: &'static str,
    role: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<JoinHandle<()>, String> {
    let ended = ended.clone();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let mut guard = Guard { name, ended, result: None };
            guard.result = Some(role());
        })
        .map_err(|error| format!("the thread {name} cannot be started: {error}"))
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be told: {error}");
    }
}

impl Roles {
    fn start(overrides: Overrides, loaded: Config) -> Result<(Self, PathBuf), String> {
        let settings = Arc::new(loaded.settings);
        let fault = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
        let telemetry = Arc::new(Metrics::new().map_err(|error| fault("own metrics", &error))?);
        telemetry.note_reload(true, clock::unix_seconds());
        let shares = rlimit::share(settings.max_connections);
        let passed = activation::take()?;
        passed.overrides(&settings).iter().for_each(|warning| log::warn!("{warning}"));
        // First of all: another exporter that has the state has the sockets, too.
        let (journal, writers, state) = open_state(&settings, &loaded.catalogs)?;
        let where_state_is = state_shown(&settings, journal.as_ref());
        let feed_socket = feed_socket(&settings, passed.events)?;
        let feed_path = feed_socket_path(&feed_socket);
        let listeners = if passed.http.is_empty() { bind(&settings)? } else { passed.http };
        let addresses = shown_addresses(&listeners);
        let status = format!("events on {}, metrics on {}", feed_socket.shown, addresses.join(" and "));

        let (control, control_receiver) =
            mailbox::channel().map_err(|error| fault("control channel", &error))?;
        let (wanted_names, wanted) = bounded(limits::NAMES_QUEUE_MAX);
        let (scans, scan_settings) = unbounded();
        let ended = unbounded();
        let hearts: Vec<Liveness> =
            ["feed", "http", "http-worker-1", "http-worker-2"].map(Liveness::new).into();
        let [feed_heart, http_heart, worker_hearts @ ..] = hearts.as_slice() else {
            return Err("a heart is missing".to_owned());
        };

        let reload =
            Reload { settings: Arc::clone(&settings), catalogs: loaded.catalogs, peers: loaded.peers };
        let feed = Feed::new(
            FeedParts {
                socket: feed_socket,
                control: control_receiver,
                metrics: Arc::clone(&telemetry),
                wanted_names,
                liveness: feed_heart.clone(),
                connections_max: shares.feed,
            },
            state,
            journal,
            &reload,
        )
        .map_err(|error| fault("the feed cannot be polled", &error))?;

        let http =
            Arc::new(ServerHandle::new(Access::from(&*settings)).map_err(|error| fault("http", &error))?);
        let (answer_sender, answers) = unbounded();
        let server = Server::new(
            listeners,
            Arc::clone(&http),
            Arc::clone(&telemetry),
            http_heart.clone(),
            answers,
            shares.http,
        )
        .map_err(|error| fault("HTTP cannot be polled", &error))?;

        let mut journal_threads = Vec::new();
        if let Some((writer, snapshotter)) = writers {
            let control = control.clone();
            journal_threads.push(spawn(&ended.0, "journal", move || {
                writer.run(|| control.nudge());
                Ok(())
            })?);
            journal_threads.push(spawn(&ended.0, "snapshotter", move || {
                snapshotter.run();
                Ok(())
            })?);
        }
        let ready = Arc::new(AtomicBool::new(false));
        let feed = spawn(&ended.0, "feed", move || feed.run())?;
        let mut http_threads = vec![spawn(&ended.0, "http", move || server.run())?];
        for heart in worker_hearts {
            let routes = Routes {
                control: control.clone(),
                metrics: Arc::clone(&telemetry),
                roles: hearts.clone(),
                is_ready: Arc::clone(&ready),
                server: Arc::clone(&http),
            };
            let (answers, http, heart) = (answer_sender.clone(), Arc::clone(&http), heart.clone());
            http_threads.push(spawn(&ended.0, heart.name(), move || {
                worker::run(&routes, &answers, &http, &heart);
                Ok(())
            })?);
        }
        let names_control = control.clone();
        spawn(&ended.0, "rdns", move || {
            rdns::run(&wanted, |ip, name| names_control.send(Control::Named(ip, name)))
        })?;
        let scan_control = control.clone();
        spawn(&ended.0, "scan", move || {
            scan::run(&scan_settings, |report| scan_control.send(Control::Scanned(report)))
        })?;
        let _ = scans.send(settings.scans.clone());

        ready.store(true, Ordering::Relaxed);
        log::info!("lifecycle-exporter {}: {status}", env!("CARGO_PKG_VERSION"));
        let metrics = addresses.first().map_or(String::new(), |address| format!("http://{address}/metrics"));
        log::info!("look at {metrics}; {where_state_is}");
        let roles = Roles {
            overrides,
            settings,
            control,
            http,
            scans,
            telemetry,
            hearts,
            ended,
            feed: Some(feed),
            journal_threads,
            http_threads,
            status,
        };
        notify(&[NotifyState::Ready, NotifyState::Status(&roles.status)]);
        Ok((roles, feed_path))
    }

    /// Waits for what happens to the process.
    fn supervise(mut self, signals: &Receiver<i32>) -> Result<(), String> {
        let watchdog = sd_notify::watchdog_enabled();
        let ticks =
            watchdog.map_or_else(never, |interval| tick((interval / 3).max(Duration::from_millis(10))));
        let ended = self.ended.1.clone();
        loop {
            select! {
                recv(signals) -> signal => match signal {
                    Ok(SIGHUP) => self.reload(),
                    _ => return self.stop(),
                },
                recv(ended) -> role => {
                    let what = role.map_or_else(
                        |error| error.to_string(),
                        |Ended { name, result }| format!("the thread {name} has ended: {}", result.err().unwrap_or_else(|| "unasked".to_owned())),
                    );
                    log::error!("{what}; stopping");
                    let _ = self.stop();
                    return Err(what);
                },
                recv(ticks) -> _ => {
                    if self.hearts.iter().all(Liveness::is_alive) {
                        notify(&[NotifyState::Watchdog]);
                    }
                },
            }
        }
    }

    /// All or nothing: any fault keeps the former settings.
    fn reload(&mut self) {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now());
        notify(&states);
        match load(&self.overrides) {
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
                self.take(loaded);
                self.telemetry.note_reload(true, clock::unix_seconds());
                log::info!("the configuration was read again");
            }
            Err(faults) => {
                self.telemetry.note_reload(false, clock::unix_seconds());
                for fault in faults.iter() {
                    log::error!("the configuration was not taken, the former one stays in force: {fault}");
                }
            }
        }
        notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    fn take(&mut self, loaded: Config) {
        let (old, new) = (Arc::clone(&self.settings), Arc::new(loaded.settings));
        let waits: [(&str, bool); 5] = [
            ("[http] listen", old.listen != new.listen),
            ("[events] socket", old.socket != new.socket),
            ("[events] mode", old.mode != new.mode),
            ("[events] group", old.group != new.group),
            ("[state] directory", old.state_directory != new.state_directory),
        ];
        for (setting, _) in waits.iter().filter(|(_, changed)| *changed) {
            log::warn!("{setting} has changed, which takes a restart");
        }
        log::set_max_level(new.log_level);
        self.http.replace_access(Access::from(&*new));
        let _ = self.scans.send(new.scans.clone());
        self.settings = Arc::clone(&new);
        let reload = Reload { settings: new, catalogs: loaded.catalogs, peers: loaded.peers };
        self.control.send(Control::Reload(Box::new(reload)));
    }

    /// Waits for the journal's threads a bounded time: a disk that does not answer must not keep the process.
    fn join_journal(&mut self) {
        let until = Instant::now() + limits::JOURNAL_JOIN_MAX;
        while self.journal_threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= until {
                log::error!("the disk of the state does not answer: stopping without it");
                return;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// No new connections, what has arrived is applied, responses under way are sent.
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
        result
    }
}

/// What writes the journal.
type JournalThreads = (Writer, Snapshotter);

/// The state of a former process, and the journal that keeps it; an empty one where there is no directory for it.
fn open_state(
    settings: &Settings,
    catalogs: &Catalogs,
) -> Result<(Option<Journal>, Option<JournalThreads>, State), String> {
    let Some(directory) = &settings.state_directory else {
        return Ok((None, None, State::new(catalogs.clone())));
    };
    let (journal, writer, snapshotter, state) =
        Journal::open(directory, settings.sync, Arc::new(RealDisk), catalogs)?;
    Ok((Some(journal), Some((writer, snapshotter)), state))
}

/// Where state is, for the log.
fn state_shown(settings: &Settings, journal: Option<&Journal>) -> String {
    match (&settings.state_directory, journal) {
        (Some(directory), Some(journal)) if journal.errors() == 0 => {
            format!("state is in {} (sync = {})", directory.display(), settings.sync.name())
        }
        (Some(directory), _) => format!("state is in memory, {} cannot be written", directory.display()),
        (None, _) => "state is in memory only ([state] directory)".to_owned(),
    }
}

fn bind(settings: &Settings) -> Result<Vec<TcpListener>, String> {
    listen::bind_all(&settings.listen).map_err(|failed| failed.into_iter().collect::<Faults>().to_string())
}

fn feed_socket(
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

fn feed_socket_path(socket: &FeedSocket) -> PathBuf {
    let address = socket.listener.local_addr().ok();
    address.and_then(|address| address.as_pathname().map(PathBuf::from)).unwrap_or_default()
}

fn shown_addresses(listeners: &[TcpListener]) -> Vec<String> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .map(|address| address.to_string())
        .collect()
}
