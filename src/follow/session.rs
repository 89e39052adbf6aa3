//! The reliable session that carries a log's events: it numbers them, keeps which number stands for which place before it
//! sends them, and goes on after whatever break, so that each counts once. Without an exporter it waits.

use std::path::PathBuf;
use std::time::Instant;

use crossbeam_channel::{Receiver, never, select};

use super::batch::{Batch, Input};
use super::position::PositionFile;
use super::waiting::{Waiters, apply};
use crate::daemon::logging;
use crate::faults::cut;
use crate::format::position::{Change, Place, Position};
use crate::limits;
use crate::link::{Link, Phase, Reply, Retry, refused, unreachable};

/// What came first.
enum Wake {
    Reply(Reply),
    Input(Input),
    /// There is no further input.
    InputEnded,
    Signal,
    /// The connection has ended, or nothing has happened for some time.
    Nothing,
}

pub(super) struct Session {
    socket: PathBuf,
    /// `None`: how far it is, is not kept.
    file: Option<PositionFile>,
    /// As it was kept last.
    position: Position,
    /// Where reading goes on after the events made so far, and what waits there.
    here: Place,
    waiting: Waiters,
    /// Events that have numbers.
    made: u64,
    /// Events that the exporter is known to have.
    acked: u64,
    sending: Option<Sending>,
    link: Option<Link>,
    retry: Retry,
    /// Whether it was said that there is no exporter.
    said: bool,
    /// Connections that were closed without an answer.
    refusals: u32,
    signals: Receiver<i32>,
}

/// A batch whose events are not all acknowledged.
struct Sending {
    batch: Batch,
    /// The number of the event before its first.
    before: u64,
    /// Whether it has been written to the connection.
    is_written: bool,
}

impl Sending {
    fn last(&self) -> u64 {
        self.before + self.batch.len() as u64
    }

    /// How many of its events the exporter has.
    fn done(&self, acked: u64) -> usize {
        (acked.saturating_sub(self.before) as usize).min(self.batch.len())
    }
}

impl Session {
    pub(super) fn new(
        socket: PathBuf,
        file: Option<PositionFile>,
        position: Position,
        signals: Receiver<i32>,
    ) -> Self {
        Session {
            socket,
            file,
            here: position.place.clone(),
            waiting: waiters(&position, 0),
            made: position.number,
            acked: position.number,
            position,
            sending: None,
            link: None,
            retry: Retry::new(),
            said: false,
            refusals: 0,
            signals,
        }
    }

    /// Finds out which events the exporter has. Returns where reading goes on, and what waits there; `None` if a signal
    /// came before.
    pub(super) fn begin(&mut self) -> Option<(Place, Waiters)> {
        self.keep()?;
        let number = loop {
            self.redial();
            match self.wait(&never()) {
                Wake::Reply(Reply { ack: Some(number), .. }) => break number,
                Wake::Reply(reply) => self.say_rejected(&reply),
                Wake::Signal => return None,
                Wake::Input(_) | Wake::InputEnded | Wake::Nothing => {}
            }
        };
        self.open();
        let Position { number: before, places, place, .. } = &self.position;
        let known = before + places.len() as u64;
        self.here = match number.checked_sub(*before) {
            None | Some(0) => place.clone(),
            // Of those that may have been sent, so many have arrived.
            Some(count) => places.get(count as usize - 1).or(places.last()).unwrap_or(place).clone(),
        };
        self.waiting =
            waiters(&self.position, number.saturating_sub(*before).min(places.len() as u64) as usize);
        if number < *before {
            say_lost(*before, number);
        } else if number > known {
            log::warn!(
                "the exporter has {} events more than the position file says; as many are read again and not sent",
                number - known
            );
        }
        (self.made, self.acked) = (number.min(known), number);
        self.settle()?;
        Some((self.here.clone(), self.waiting.clone()))
    }

    /// Sends what comes, up to the end of the input or a signal.
    pub(super) fn run(&mut self, inputs: &Receiver<Input>) -> Result<(), String> {
        loop {
            self.send();
            let none = never();
            // The next batch is taken when the exporter has the former one.
            match self.wait(if self.sending.is_none() { inputs } else { &none }) {
                Wake::Reply(reply) => {
                    if self.take(&reply).is_none() {
                        break;
                    }
                }
                Wake::Input(Input::Batch(batch)) => {
                    if self.take_batch(batch).is_none() {
                        break;
                    }
                }
                Wake::Input(Input::Failed(what)) => return Err(what),
                Wake::InputEnded => {
                    self.say_bye();
                    break;
                }
                Wake::Signal => {
                    self.stop();
                    break;
                }
                Wake::Nothing => {}
            }
            self.redial();
            logging::summarize(false);
        }
        logging::summarize(true);
        Ok(())
    }

    fn wait(&mut self, inputs: &Receiver<Input>) -> Wake {
        let no_replies = never();
        let replies = self.link.as_ref().map_or(&no_replies, |link| &link.replies).clone();
        let wait = if self.link.is_some() { limits::ROLE_IDLE_MAX } else { limits::SEND_TICK };
        select! {
            recv(replies) -> reply => reply.map_or_else(
                |_| {
                    self.lost();
                    Wake::Nothing
                },
                Wake::Reply,
            ),
            recv(inputs) -> input => input.map_or(Wake::InputEnded, Wake::Input),
            recv(self.signals) -> _ => Wake::Signal,
            default(wait) => Wake::Nothing,
        }
    }

    /// The connection has ended. An exporter that is just ending closes one without an answer, one that refuses this
    /// user closes all.
    fn lost(&mut self) {
        if self.link.take().is_some_and(|link| link.phase == Phase::Handshake) {
            self.refusals += 1;
            if self.refusals == limits::SEND_REFUSALS_MAX {
                log::warn!("{}", refused(&self.socket));
            }
        }
    }

    fn redial(&mut self) {
        if self.link.is_some() || !self.retry.is_due() {
            return;
        }
        match Link::dial(&self.socket, &self.position.producer, &self.position.instance) {
            Ok(link) => self.link = Some(link),
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    log::warn!(
                        "{}; reading goes on once the exporter is there",
                        unreachable(&self.socket, &error)
                    );
                }
            }
        }
    }

    /// The exporter has told what it has: lines may be sent.
    fn open(&mut self) {
        if let Some(link) = &mut self.link {
            link.phase = Phase::Open;
        }
        self.retry.reset();
        (self.said, self.refusals) = (false, 0);
        log::info!("{}: connected as {}", self.socket.display(), self.position.producer);
    }

    /// Gives the events of a batch their numbers, and keeps these before anything is sent. `None`: a signal came.
    fn take_batch(&mut self, mut batch: Batch) -> Option<()> {
        let read_to = batch.read_to.take();
        if batch.len() == 0 {
            self.here = read_to.unwrap_or_else(|| self.here.clone());
            batch.changes.iter().for_each(|(_, change)| apply(change, &mut self.waiting));
            return self.settle();
        }
        self.number(batch)?;
        if let Some(read_to) = read_to {
            self.here = read_to;
        }
        Some(())
    }

    /// Numbers the events of a batch behind those that are made.
    fn number(&mut self, batch: Batch) -> Option<()> {
        self.keep_with(batch.places.clone(), batch.changes.clone())?;
        self.waiting = waiters(&self.position, usize::MAX);
        let sending = Sending { batch, before: self.made, is_written: false };
        self.made = sending.last();
        self.sending = Some(sending);
        self.finish_batch();
        Some(())
    }

    /// Keeps that all events made so far are acknowledged, and where reading goes on after them.
    fn settle(&mut self) -> Option<()> {
        self.keep_with(Vec::new(), Vec::new())
    }

    /// Keeps where reading goes on after the events made so far, and after those that are about to be sent.
    fn keep_with(&mut self, places: Vec<Place>, changes: Vec<(u32, Change)>) -> Option<()> {
        self.position.number = self.made;
        self.position.place = self.here.clone();
        self.position.places = places;
        self.position.waiting = self.waiting.values().cloned().collect();
        self.position.changes = changes;
        self.keep()
    }

    /// Writes the position. As long as that cannot be done, nothing else is. `None`: a signal came.
    fn keep(&mut self) -> Option<()> {
        let Some(file) = &self.file else { return Some(()) };
        while let Err(error) = file.write(&self.position) {
            log::error!("{}: {error}; nothing is sent until it can be written", file.path().display());
            if self.signals.recv_timeout(limits::FOLLOW_RETRY).is_ok() {
                return None;
            }
        }
        Some(())
    }

    /// Writes the events that the exporter does not have.
    fn send(&mut self) {
        let (Some(link), Some(sending)) = (&mut self.link, &mut self.sending) else { return };
        if link.is_open() && !sending.is_written {
            let done = sending.done(self.acked);
            sending.is_written = link.write(sending.batch.lines(done..sending.batch.len()));
        }
    }

    /// `None`: a signal came.
    fn take(&mut self, reply: &Reply) -> Option<()> {
        if reply.rejected.is_some() {
            self.say_rejected(reply);
        }
        let (Some(number), Some(link)) = (reply.ack, &self.link) else { return Some(()) };
        if link.phase == Phase::Handshake {
            self.open();
            self.resume(number)?;
        } else if (self.acked..=self.made.max(self.acked)).contains(&number) {
            self.acked = number;
        } else {
            log::error!("expected an acknowledgement of {} to {}, found {number}", self.acked, self.made);
            self.link = None;
        }
        self.finish_batch();
        Some(())
    }

    /// On a new connection the exporter has told what it has.
    fn resume(&mut self, number: u64) -> Option<()> {
        let sending = self.sending.take();
        let former = std::mem::replace(&mut self.acked, number);
        if number >= former {
            self.sending = sending.map(|sending| Sending { is_written: false, ..sending });
            return Some(());
        }
        // It has lost what it had. What it is not known to have had is numbered anew.
        say_lost(former, number);
        self.made = number;
        let Some(Sending { mut batch, before, .. }) = sending else { return self.settle() };
        let here = self.here.clone();
        let done = (former.saturating_sub(before) as usize).min(batch.len());
        self.here = batch.drop_first(done).unwrap_or_else(|| self.position.place.clone());
        self.waiting = waiters(&self.position, done);
        self.number(batch)?;
        self.here = here;
        Some(())
    }

    fn finish_batch(&mut self) {
        if self.sending.as_ref().is_some_and(|sending| sending.last() <= self.acked) {
            self.sending = None;
        }
    }

    /// Waits a little for what is under way, so that the next start has nothing to find out.
    fn stop(&mut self) {
        let until = Instant::now() + limits::FOLLOW_STOP_MAX;
        while self.sending.is_some() && self.link.is_some() && Instant::now() < until {
            match self.wait(&never()) {
                Wake::Reply(reply) => {
                    let _ = self.take(&reply);
                }
                Wake::Signal => return,
                _ => {}
            }
        }
        if self.sending.is_none() {
            self.settle();
        }
    }

    /// All is sent: the session is over.
    fn say_bye(&mut self) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open()) else { return };
        if link.say_bye() {
            let until = Instant::now() + limits::SEND_BYE_TIMEOUT;
            while link.replies.recv_deadline(until).is_ok() {}
        }
    }

    fn say_rejected(&self, reply: &Reply) {
        let number = reply.rejected.unwrap_or_default();
        let sending = self.sending.as_ref();
        let line = sending.and_then(|sending| {
            let event = number.checked_sub(sending.before + 1)? as usize;
            (event < sending.batch.len()).then(|| sending.batch.lines(event..event + 1))
        });
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        let line = cut(line.trim_end(), limits::LOGGED_LINE_CHARS_MAX);
        log::warn!("rejected: {}: {}: {line}", reply.reason, reply.detail);
    }
}

/// What waits behind so many of the events that may have been sent.
fn waiters(position: &Position, events: usize) -> Waiters {
    let mut waiters: Waiters =
        position.waiting.iter().map(|waiter| (waiter.key.clone(), waiter.clone())).collect();
    let changes = position.changes.iter().filter(|(event, _)| *event as usize <= events);
    changes.for_each(|(_, change)| apply(change, &mut waiters));
    waiters
}

fn say_lost(had: u64, has: u64) {
    log::warn!(
        "the exporter has {has} of the {had} events that it had acknowledged: its state was lost, or nobody was connected for more than a day; going on with those that it had not"
    );
}
