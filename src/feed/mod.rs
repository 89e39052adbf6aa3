//! The feed: the one thread that reads all producers and owns the state that their lines make.
//!
//! This file is its event loop. Each round polls, gives ready connections their turns (`producers`: read one
//! batch of lines by `framing`, apply it by `store`; `hello` begins sessions), answers requests and does what
//! is due. Turns and rounds are bounded by time, so that no producer delays a scrape or another one for long,
//! whatever its lines cost; who had no turn in a round is first in the next. Lines then gather for a while, the
//! longer the fewer arrive (`coalescing`). Sessions get their acknowledgements when the journal says that they
//! are durable (`session` decides, `outbox` holds them until they are read, `replies` sends them). Requests of
//! other threads come through the `mailbox`, a wake-up of the journal through the same descriptor. `expiry`
//! says when sessions that are gone are given up.
//!
//! What takes longer, since it concerns very many entities, is done in pieces, and scrapes are answered between
//! them. Beyond that, the loop waits for nothing but its poll set: not for a producer that does not read, not
//! for a disk, not for a name server. While a scrape waits for the journal, producers are not read, for at most
//! [`limits::DISK_ANSWER_MAX`].

mod admission;
mod coalescing;
mod connection;
mod expiry;
mod framing;
mod hello;
pub(crate) mod listener;
pub(crate) mod mailbox;
mod open;
mod outbox;
pub(crate) mod peers;
mod producers;
mod rates;
mod rejection_log;
mod replies;
mod session;
pub(crate) mod status;
mod store;
mod users;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::clock;
use crate::engine::EngineSettings;
use crate::journal::Journal;
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::{self, Metrics};
use crate::scan::{ScanState, Scans};
use crate::state::State;
use crate::state::record::Record;

use admission::LISTENER;
use coalescing::Coalescing;
use listener::FeedSocket;
use mailbox::{Control, ControlReceiver, Reload, Scrape};
use producers::{Limits, Producers};
use rates::LineRates;
use store::Store;

/// What the feed is given.
pub(crate) struct FeedParts {
    /// Where producers connect.
    pub(crate) socket: FeedSocket,
    pub(crate) control: ControlReceiver,
    pub(crate) metrics: Arc<Metrics>,
    /// Where addresses go whose names are wanted.
    pub(crate) wanted_names: Sender<IpAddr>,
    pub(crate) liveness: Liveness,
    /// Producers at once that descriptors allow for.
    pub(crate) connections_max: usize,
}

/// The feed's thread.
pub(crate) struct Feed {
    control: ControlReceiver,
    wanted_names: Sender<IpAddr>,
    liveness: Liveness,
    connections_allowed: usize,
    /// A poll set with the mailbox only, for the time in which producers are not read: lines gather, a scrape
    /// waits for the journal, or the disk is behind.
    mailbox_poll: Epoll,
    producers: Producers,
    store: Store,
    /// `[events] expect`.
    expect: Vec<String>,
    /// Requests that wait while something takes longer.
    put_off: VecDeque<Control>,
    /// Scrapes that wait for the journal.
    scrapes: Vec<Scrape>,
    scans: Scans,
    rates: LineRates,
    coalescing: Coalescing,
    /// Lines gather until then: the next round polls the mailbox only.
    gather_until: Option<Instant>,
    started: Instant,
    /// The size of the latest exposition, and some more.
    exposition_bytes: usize,
}

const WAKE: u64 = u64::MAX - 1;

/// What a round ended with.
#[derive(PartialEq, Eq)]
enum Round {
    Continue,
    /// The feed's thread has to have ended by then.
    Stop(Instant),
}

impl Feed {
    /// Makes the poll sets. `reload` holds the settings to begin with; `state` is what the journal has kept.
    pub(crate) fn new(
        parts: FeedParts,
        state: State,
        journal: Option<Journal>,
        reload: &Reload,
    ) -> io::Result<Self> {
        let FeedParts { socket, control, metrics, wanted_names, liveness, connections_max } = parts;
        let producers = Producers::new(socket, metrics)?;
        let mailbox_poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for set in [&producers.epoll, &mailbox_poll] {
            set.add(control.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        }
        let now = Instant::now();
        let mut feed = Feed {
            control,
            wanted_names,
            liveness,
            connections_allowed: connections_max,
            mailbox_poll,
            producers,
            store: Store::new(state, journal),
            expect: Vec::new(),
            put_off: VecDeque::new(),
            scrapes: Vec::new(),
            scans: Scans::new(),
            rates: LineRates::new(0, now),
            coalescing: Coalescing::new(now),
            gather_until: None,
            started: now,
            exposition_bytes: 0,
        };
        feed.store.note_boot();
        feed.reload(reload);
        feed.rates = LineRates::new(status::lines(&feed.store.state.engine), now);
        feed.producers.begin_graces(&feed.store);
        Ok(feed)
    }

    /// Runs until it is told to stop, then applies what has arrived.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let (result, until) = loop {
            self.liveness.heartbeat();
            match self.round() {
                Ok(Round::Continue) => {}
                Ok(Round::Stop(until)) => break (Ok(()), until),
                Err(error) => {
                    let until = Instant::now() + limits::STOP_MAX.saturating_sub(limits::STOP_AFTER_FEED);
                    break (Err(format!("polling the producers failed: {error}")), until);
                }
            }
        };
        self.drain(until);
        result
    }

    /// One poll, and a turn for everyone who is ready.
    fn round(&mut self) -> io::Result<Round> {
        if self.is_busy() {
            return self.busy_round();
        }
        if let Some(timeout) = self.holds_producers_back(Instant::now()) {
            return self.round_of_mailbox(timeout);
        }
        let (_, is_woken) = self.poll(self.timeout())?;
        self.producers.serve(&mut self.store, Instant::now() + limits::ROUND_MAX);
        self.ask_for_names();
        let now = Instant::now();
        let delay = self.coalescing.delay(self.producers.take_read_bytes(), now);
        let delay = delay.filter(|_| !self.producers.connections.are_ready());
        // A poll cannot wait for less than a millisecond.
        let (nap, delay) = (delay.filter(is_nap), delay.filter(|delay| !is_nap(delay)));
        self.gather_until = delay.map(|delay| now + delay);
        let round = if is_woken || !self.put_off.is_empty() { self.answer()? } else { Round::Continue };
        // After the mailbox, because `answer` has consumed the journal's wake-up: whatever is durable by now is
        // acknowledged in this round.
        self.upkeep(now);
        if let Some(nap) = nap {
            std::thread::sleep(nap);
        }
        Ok(round)
    }

    /// Whether something takes longer that must be done before anything else changes the state.
    fn is_busy(&self) -> bool {
        self.store.is_busy() || self.producers.has_due()
    }

    /// A round in which a piece of what takes longer is done. Scrapes are answered, nothing else happens.
    fn busy_round(&mut self) -> io::Result<Round> {
        let until = Instant::now() + limits::ROUND_MAX;
        self.store.go_on(Some(until));
        self.producers.expire(&mut self.store, until);
        self.store.hand_over_if_due(Instant::now());
        // Before producers are read again, or each round might begin what takes longer.
        if !self.is_busy() {
            self.store.begin_image_if_wanted();
        }
        // Sessions get their acknowledgements even if every round begins what takes longer.
        self.settle();
        self.answer()
    }

    /// For how long producers are not read: while scrapes wait for the journal, while a slow disk is behind, and
    /// while lines gather.
    fn holds_producers_back(&mut self, now: Instant) -> Option<Duration> {
        if !self.scrapes.is_empty() {
            return Some(limits::SCRAPE_POLL);
        }
        if self.store.is_congested(now) {
            self.store.await_written();
            return Some(limits::SCRAPE_POLL);
        }
        self.gather_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A round in which only the mailbox is polled.
    fn round_of_mailbox(&mut self, timeout: Duration) -> io::Result<Round> {
        let is_woken = wait(&self.mailbox_poll, &mut [EpollEvent::empty()], timeout)? > 0;
        if !is_woken && self.scrapes.is_empty() {
            self.gather_until = None;
            self.settle();
            return Ok(Round::Continue);
        }
        let round = self.answer();
        self.settle();
        round
    }

    fn timeout(&self) -> Duration {
        if self.producers.connections.are_ready() || !self.put_off.is_empty() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let deadlines = [self.producers.deadline(), self.store.deadline()];
        let left = deadlines.into_iter().flatten().min().map(|next| next.saturating_duration_since(now));
        left.map_or(limits::ROLE_IDLE_MAX, |left| left.min(limits::ROLE_IDLE_MAX))
    }

    /// Polls all descriptors: takes new connections and notes which have something to do. Returns whether
    /// there was anything, and whether there is something in the mailbox.
    fn poll(&mut self, timeout: Duration) -> io::Result<(bool, bool)> {
        let mut events = [EpollEvent::empty(); limits::POLL_EVENTS_MAX];
        let count = wait(&self.producers.epoll, &mut events, timeout)?;
        let mut is_woken = false;
        for event in &events[..count] {
            match event.data() {
                LISTENER => self.producers.accept(&mut self.store, Instant::now() + limits::TURN_MAX),
                WAKE => is_woken = true,
                slot => self.producers.connections.queue(slot as usize, event.events()),
            }
        }
        Ok((count > usize::from(is_woken), is_woken))
    }

    /// What has to be done from time to time.
    fn upkeep(&mut self, now: Instant) {
        self.producers.keep_deadlines(&mut self.store, now);
        self.store.rejections.summarize(now);
        if self.rates.is_due(now) {
            self.rates.note(status::lines(&self.store.state.engine), now);
        }
        if self.store.adopt_recovered() {
            self.producers.end_sessions(&mut self.store);
        }
        self.store.begin_image_if_wanted();
        self.settle();
        self.store.hand_over_if_due(now);
    }

    fn settle(&mut self) {
        self.producers.settle(&mut self.store, self.gather_until.is_some());
    }

    /// Answers the requests of other threads.
    fn answer(&mut self) -> io::Result<Round> {
        // Emptied before the queue is, so that no request is missed.
        let _ = self.control.wake.read();
        while let Some(control) = self.next_control() {
            match control {
                Control::Scrape(scrape) => {
                    self.catch_up()?;
                    self.scrapes.push(scrape);
                }
                Control::Status(reply) => {
                    let status = status::gather(self);
                    // A worker that has given up waiting is no concern here.
                    let _ = reply.send(status);
                }
                Control::Open(query) => {
                    self.catch_up()?;
                    let _ = query.reply.send(open::gather(&self.store.state, &query));
                }
                Control::Scanned(report) => {
                    if let Some(state) = self.scans.get_mut(&report.name) {
                        ScanState::note(state, &report);
                        self.store.scanned(&report);
                    }
                }
                Control::Named(ip, Some(name)) => self.store.record(&Record::Named { ip, name: &name }, ""),
                Control::Named(_, None) => {}
                Control::Reload(reload, taken) => {
                    self.reload(&reload);
                    // A supervisor that has given up waiting is no concern here.
                    let _ = taken.send(());
                }
                Control::Stop(until) => {
                    self.answer_scrapes();
                    return Ok(Round::Stop(until));
                }
            }
        }
        if !self.scrapes.is_empty() {
            self.store.await_written();
            if self.store.is_written(Instant::now()) {
                self.answer_scrapes();
            }
        }
        Ok(Round::Continue)
    }

    /// The next request. While something takes longer, what would change the state is put off.
    fn next_control(&mut self) -> Option<Control> {
        if !self.is_busy()
            && let Some(control) = self.put_off.pop_front()
        {
            return Some(control);
        }
        loop {
            let control = self.control.queue.try_recv().ok()?;
            if !self.is_busy()
                || matches!(
                    control,
                    Control::Scrape(_) | Control::Status(_) | Control::Open(_) | Control::Stop(_)
                )
            {
                return Some(control);
            }
            self.put_off.push_back(control);
        }
    }

    /// A scrape shows what was written before it was asked for, unless producers are far ahead.
    fn catch_up(&mut self) -> io::Result<()> {
        let until = Instant::now() + limits::SCRAPE_CATCH_UP_MAX;
        // A connection that was taken in this poll is reported by the next.
        while !self.is_busy()
            && Instant::now() < until
            && (self.poll(Duration::ZERO)?.0 || self.producers.connections.are_ready())
        {
            self.producers.serve(&mut self.store, until);
        }
        self.settle();
        Ok(())
    }

    fn answer_scrapes(&mut self) {
        for scrape in std::mem::take(&mut self.scrapes) {
            self.expose(&scrape);
        }
    }

    fn expose(&mut self, scrape: &Scrape) {
        let now = clock::unix_seconds();
        let figures = status::figures(self);
        let own = metrics::encode_engine(&self.store.state.engine, &figures, &self.scans, now);
        let families = metrics::merge(own, scrape.families.clone());
        // As much as last time, so that the text need not move while it grows.
        let mut text = Vec::with_capacity(self.exposition_bytes);
        let result = self.store.state.engine.render(&scrape.systems, &families, now, &mut text);
        self.exposition_bytes = text.len() + text.len() / 16;
        // A worker that has given up waiting is no concern here.
        let _ = scrape.reply.send(result.map(|()| text));
    }

    fn reload(&mut self, reload: &Reload) {
        let settings = &reload.settings;
        let connections_max = settings.max_connections.min(self.connections_allowed);
        if connections_max < settings.max_connections {
            log::warn!(
                "[events] max_connections: {} are configured, but the limit of descriptors leaves room for {connections_max}; raise LimitNOFILE",
                settings.max_connections,
            );
        }
        self.producers.limits = Limits {
            connections_max,
            line_max: settings.max_line,
            grace: settings.grace,
            peers: reload.peers.clone(),
        };
        self.expect.clone_from(&settings.expect);
        if let Some(journal) = &mut self.store.journal {
            journal.set_sync(settings.sync);
        }
        let former = std::mem::take(&mut self.scans);
        let scans = settings
            .scans
            .iter()
            .map(|scan| (scan.name.clone(), former.get(&scan.name).cloned().unwrap_or_default()));
        self.scans = scans.collect();
        self.store.configure(&reload.catalogs, EngineSettings::from(&**settings));
    }

    fn ask_for_names(&mut self) {
        for ip in self.store.state.engine.take_wanted_names() {
            if self.wanted_names.try_send(ip).is_err() {
                self.store.state.engine.forget_name(ip);
            }
        }
    }

    /// At a stop: what producers have written so far is applied, and the state is saved, until then.
    fn drain(&mut self, end: Instant) {
        self.store.confirm();
        let until = end.checked_sub(limits::STOP_SAVE).unwrap_or(end);
        self.store.go_on(Some(until));
        self.producers.accept(&mut self.store, until);
        let mut busy: Vec<usize> = self.producers.connections.slots().collect();
        while !busy.is_empty() && Instant::now() < until {
            self.liveness.heartbeat();
            while self.store.is_congested(Instant::now()) && Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            self.store.go_on(Some(until));
            let turn_until = until.min(Instant::now() + limits::ROUND_MAX);
            // Even one piece of each of a thousand producers may take too long.
            busy.retain(|&slot| {
                Instant::now() >= until
                    || self.producers.turn(&mut self.store, slot, EpollFlags::EPOLLIN, turn_until)
            });
        }
        self.store.go_on(Some(until));
        self.store.await_durable();
        let until_durable = until.min(Instant::now() + limits::STOP_ACK_MAX);
        while self.producers.are_awaiting() && !self.store.is_durable() && Instant::now() < until_durable {
            let _ = wait(&self.mailbox_poll, &mut [EpollEvent::empty()], limits::SCRAPE_POLL);
            let _ = self.control.wake.read();
        }
        self.gather_until = None;
        self.settle();
        let cut = self.producers.end_all(&mut self.store);
        if cut > 0 || Instant::now() >= until {
            log::warn!("stopped with {cut} unfinished lines; producers may have sent more than was read");
        }
        let liveness = &self.liveness;
        self.store.finish(|| liveness.heartbeat(), end);
    }
}

/// Whether a delay is shorter than a poll can wait.
fn is_nap(delay: &Duration) -> bool {
    *delay < Duration::from_millis(1)
}

/// Polls. An interrupted call counts as one that found nothing.
fn wait(epoll: &Epoll, events: &mut [EpollEvent], timeout: Duration) -> io::Result<usize> {
    // In whole milliseconds, rounded up: whoever wakes just before a deadline has woken for nothing.
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    let timeout = EpollTimeout::try_from(milliseconds as u64).unwrap_or(EpollTimeout::MAX);
    match epoll.wait(events, timeout) {
        Ok(count) => Ok(count),
        Err(nix::errno::Errno::EINTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_does_not_end_before_its_time() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (began, timeout) = (Instant::now(), Duration::from_micros(1_900));
        wait(&epoll, &mut [EpollEvent::empty()], timeout).unwrap();
        assert!(began.elapsed() >= timeout);
    }
}
