//! Starts, supervises and joins the roles, each a thread (`threads`). No other file does.
//!
//! The roles do not know each other: each is given its ends of channels. The supervising thread waits for
//! signals, for a role that exits, and for the watchdog's interval. If a role exits before it is asked to,
//! the process stops.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick, unbounded};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::configuration::{Config, Overrides, load};
use super::reloading::{Action, Ends, Input, Reloading};
use super::threads::{JournalRoles, RoleExit, Threads, are_finished};
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
use crate::http::page::Surroundings;
use crate::http::routes::Routes;
use crate::http::server::Server;
use crate::journal::Journal;
use crate::journal::disk::RealDisk;
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::state::State;

/// Runs the daemon until a signal stops it. `ready` is called once, with the path of the feed's socket.
pub(crate) fn serve(overrides: Overrides, ready: impl FnOnce(PathBuf)) -> Result<(), String> {
    // Files and sockets are private until their mode is set. No other thread runs yet.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let loaded = load(&overrides)?;
    logging::configure(&loaded.settings);
    loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let fail = |error: std::io::Error| format!("signals: {error}");
    let signals = Signals::new([SIGHUP]).map_err(fail)?;
    let (supervisor, started) = Supervisor::start(overrides, loaded)?;
    // Until now they end the process at once, even if a disk or a directory service does not answer.
    for signal in [SIGTERM, SIGINT] {
        signals.handle().add_signal(signal).map_err(fail)?;
    }
    let signals = supervisor.threads.spawn_signals(signals)?;
    supervisor.announce(&started);
    ready(started.socket_path);
    supervisor.supervise(&signals)
}

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

    fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http_listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
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
    let shown = directory.display().to_string();
    let _watch = Threads::spawn_start_watch(move |so_far| {
        let seconds = so_far.as_secs();
        log::warn!(
            "the state in {shown} could not be read within {seconds} s: its disk is slow or does not answer; the start \
             waits for it, and SIGTERM ends it"
        );
        let status = format!("waiting for the disk of the state in {shown}");
        let more = limits::START_NOTICE_EVERY * 2;
        notify(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(more.as_micros() as u32)]);
    });
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

/// What is said of a start that has succeeded.
struct Started {
    socket_path: PathBuf,
    is_ready: Arc<AtomicBool>,
    message: String,
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
    reload: Reloading,
}

impl Supervisor {
    fn start(overrides: Overrides, loaded: Config) -> Result<(Self, Started), String> {
        let settings = Arc::new(loaded.settings);
        let metrics = Arc::new(Metrics::new().map_err(|error| format!("own metrics: {error}"))?);
        metrics.note_reload(true, clock::unix_seconds());
        let budget = rlimit::budget(settings.max_connections);
        let exclusive = Exclusive::open(&settings, &loaded.catalogs)?;
        let (socket_path, addresses) = (exclusive.socket_path(), exclusive.http_addresses());
        let listed = addresses.iter().map(SocketAddr::to_string).collect::<Vec<String>>().join(" and ");
        let status = format!("events on {}, metrics on {listed}", exclusive.feed_socket.shown);
        let surroundings =
            Surroundings { socket: exclusive.feed_socket.shown.clone(), is_demo: overrides.is_demo };
        let message = startup_message(&settings, &addresses, exclusive.journal.as_ref());

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
            surroundings: surroundings.clone(),
        };

        let threads = Threads::new();
        threads.spawn_log()?;
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
            reload: Reloading::default(),
        };
        Ok((supervisor, Started { socket_path, is_ready: ready, message }))
    }

    /// Tells `/-/ready`, the log and systemd that the process serves.
    fn announce(&self, started: &Started) {
        started.is_ready.store(true, Ordering::Relaxed);
        log::info!("lifecycle-exporter {}: {}", env!("CARGO_PKG_VERSION"), self.status);
        log::info!("{}", started.message);
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
            let Ends { loaded, taken, timeout } = self.reload.ends();
            select! {
                recv(signals) -> signal => match signal {
                    Ok(SIGHUP) => {
                        if self.reload.is_stale() {
                            log::error!(
                                "the configuration cannot be read yet: the disk that holds it does not answer"
                            );
                        }
                        self.step(Input::Asked);
                    }
                    _ => return self.stop(),
                },
                recv(loaded) -> loaded => self.loaded(loaded.unwrap_or_else(|_| {
                    Err(Faults::from("the thread that reads the configuration cannot run".to_owned()))
                })),
                recv(taken) -> _ => {
                    self.metrics.note_reload(true, clock::unix_seconds());
                    log::info!("the configuration was read again");
                    self.step(Input::Done);
                },
                recv(timeout) -> _ => {
                    self.note_failed_reload(&Faults::from(format!(
                        "it could not be read within {} s; is the disk that holds it well?",
                        limits::RELOAD_MAX.as_secs()
                    )));
                    self.step(Input::TimedOut);
                },
                recv(log_ticks) -> _ => logging::summarize(false),
                recv(exits) -> exit => {
                    let RoleExit { name, result } = exit.expect("the sender is in `self.threads`");
                    let why = result.err().unwrap_or_else(|| "it was not asked to".to_owned());
                    let what = format!("thread {name} has exited: {why}");
                    log::error!("{what}; stopping");
                    let _ = self.stop();
                    return Err(what);
                },
                recv(ticks) -> _ => {
                    if self.liveness.iter().all(Liveness::is_alive) {
                        notify(&[NotifyState::Watchdog]);
                    }
                },
            }
        }
    }

    /// Tells the reload's state what has happened, and does what follows.
    fn step(&mut self, input: Input) {
        for action in self.reload.step(input) {
            match action {
                Action::Load => {
                    let mut states = vec![NotifyState::Reloading];
                    states.extend(NotifyState::monotonic_usec_now());
                    notify(&states);
                    self.reload.wait_for_load(Threads::spawn_loader(self.overrides.clone()));
                }
                Action::TellReady => notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]),
            }
        }
    }

    /// The configuration was read. If it has any fault, the previous one stays in force.
    fn loaded(&mut self, loaded: Result<Config, Faults>) {
        if self.reload.is_stale() {
            return self.step(Input::Done);
        }
        let taken = loaded.and_then(|loaded| {
            loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
            self.take_configuration(loaded)
        });
        match taken {
            Ok(taken) => self.reload.wait_until_taken(taken),
            Err(faults) => {
                self.note_failed_reload(&faults);
                self.step(Input::Done);
            }
        }
    }

    fn note_failed_reload(&self, faults: &Faults) {
        self.metrics.note_reload(false, clock::unix_seconds());
        for fault in faults.iter() {
            log::error!("the configuration was not taken, the previous one stays in force: {fault}");
        }
    }

    /// Hands the configuration to the roles. What is returned receives a message once the feed has taken it.
    fn take_configuration(&mut self, loaded: Config) -> Result<Receiver<()>, Faults> {
        let (taken, is_taken) = bounded(1);
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
        let reload = Reload { settings: Arc::clone(&new), catalogs: loaded.catalogs, peers: loaded.peers };
        let control = Control::Reload(Box::new(reload), taken);
        if !self.control.send_within(control, limits::MAILBOX_ROOM_MAX) {
            return Err(Faults::from("the feed is too busy to take it".to_owned()));
        }
        logging::configure(&new);
        self.http.replace_access(Access::new(&new, &machine_names()));
        let _ = self.scans.send(new.scans.clone());
        self.settings = new;
        Ok(is_taken)
    }

    /// Stops accepting connections, applies the events that have arrived, and finishes the responses in
    /// progress, all of it in a bounded time. What was acknowledged is in the journal in any case.
    fn stop(&mut self) -> Result<(), String> {
        let until = Instant::now() + limits::STOP_MAX;
        log::info!("stopping");
        notify(&[NotifyState::Stopping]);
        let feed_until = until.checked_sub(limits::STOP_AFTER_FEED).unwrap_or(until);
        self.control.send_within(Control::Stop(feed_until), limits::MAILBOX_ROOM_MAX);
        let mut result = Ok(());
        if !are_finished(self.feed.as_slice(), until) {
            log::error!("the feed has not ended in time: stopping without it");
        } else if let Some(feed) = self.feed.take() {
            result = feed.join().map_err(|_| "the feed panicked while stopping".to_owned());
        }
        self.http.stop();
        if !are_finished(&self.http_threads, until) {
            log::warn!("responses in progress have not ended in time: stopping without them");
        }
        if !are_finished(&self.journal_threads, until) {
            log::error!("the disk of the state does not answer: stopping without it");
        }
        logging::summarize(true);
        logging::finish();
        result
    }
}

/// Where to look, and where the state is, for the log.
fn startup_message(settings: &Settings, addresses: &[SocketAddr], journal: Option<&Journal>) -> String {
    let page =
        addresses.first().map_or(String::new(), |address| format!("http://{}/", listen::reachable(*address)));
    let state = match (&settings.state_directory, journal) {
        (Some(directory), Some(journal)) if journal.errors() == 0 => {
            format!("state is in {} (sync = {})", directory.display(), settings.sync.name())
        }
        (Some(directory), _) => format!("state is in memory, {} cannot be written", directory.display()),
        (None, _) => "state is in memory only ([state] directory)".to_owned(),
    };
    format!("look at {page} in a browser; {state}")
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be notified: {error}");
    }
}
