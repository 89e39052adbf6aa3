//! The state with its journal: every change is appended to the journal and applied, in one order. Lines are applied
//! first, since only then it is known how many of them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rejection_log::RejectionLog;
use crate::catalog::Catalogs;
use crate::clock;
use crate::engine::EngineSettings;
use crate::journal::{Journal, Lsn};
use crate::limits;
use crate::protocol::rejection::Rejection;
use crate::protocol::shorthand::EventSpec;
use crate::scan::{ScanReport, ScanStatus};
use crate::state::boot::Boot;
use crate::state::record::{Position, Record};
use crate::state::sessions::{Session, SessionId, SessionName};
use crate::state::{Begun, Diagnostic, ImageWriter, State};

/// The bytes of as many lines of a block as these are.
fn bytes_of_lines(block: &[u8], lines: &[u8]) -> usize {
    let count = memchr::memchr_iter(b'\n', lines).count();
    match count.checked_sub(1) {
        None => 0,
        Some(last) => memchr::memchr_iter(b'\n', block).nth(last).map_or(block.len(), |end| end + 1),
    }
}

/// All that outlives a connection.
pub(super) struct Store {
    pub(super) state: State,
    /// Where state outlives the process; `None` where it need not.
    pub(super) journal: Option<Journal>,
    pub(super) rejections: RejectionLog,
    /// The image that is being written.
    image: Option<ImageWriter>,
    /// The size of the latest image, and some more.
    image_bytes: usize,
}

/// What came of lines of a session.
pub(super) struct Applied {
    /// The last of them was a bye.
    pub(super) is_bye: bool,
    /// How far the session has come.
    pub(super) position: u64,
    /// The record that has brought it there.
    pub(super) lsn: Lsn,
    /// The bytes of its lines that are applied. The others have to wait until the store is not busy.
    pub(super) bytes: usize,
}

impl Store {
    pub(super) fn new(state: State, journal: Option<Journal>) -> Self {
        Store { state, journal, rejections: RejectionLog::default(), image: None, image_bytes: 0 }
    }

    fn append(&mut self, record: &Record<'_>) {
        debug_assert!(self.image.is_none(), "the state changes while its image is written");
        if let Some(journal) = &mut self.journal {
            journal.append(record);
        }
    }

    /// The latest record; 0 where there is no journal.
    pub(super) fn lsn(&self) -> Lsn {
        self.journal.as_ref().map_or(0, Journal::appended)
    }

    /// The latest record that is durable. Without a journal every record is as durable as it gets.
    pub(super) fn durable(&self) -> Lsn {
        self.journal.as_ref().map_or(Lsn::MAX, Journal::durable)
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durable() >= self.lsn()
    }

    /// Whether the journal holds every record, or cannot be waited for.
    pub(super) fn is_written(&mut self, now: Instant) -> bool {
        self.journal.as_mut().is_none_or(|journal| journal.is_written(now))
    }

    /// Whether producers have to wait for a slow disk.
    pub(super) fn is_congested(&mut self, now: Instant) -> bool {
        self.journal.as_mut().is_some_and(|journal| journal.is_congested(now))
    }

    /// Asks the journal for a wake-up when it has written every record.
    pub(super) fn await_written(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.await_written();
        }
    }

    /// Has every record made durable, without a wake-up.
    pub(super) fn confirm(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.confirm();
        }
    }

    /// Asks the journal for a wake-up when every record is durable.
    pub(super) fn await_durable(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.await_durable();
        }
    }

    /// Hands records to the journal's thread that nobody waits for.
    pub(super) fn hand_over_if_due(&mut self, now: Instant) {
        if let Some(journal) = &mut self.journal {
            journal.hand_over_if_due(now);
        }
    }

    /// When [`Self::hand_over_if_due`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.journal.as_ref().and_then(Journal::deadline)
    }

    /// Applies a record that does not come from a producer's lines. `about` begins a line in the log.
    pub(super) fn record(&mut self, record: &Record<'_>, about: &str) {
        self.append(record);
        let begun = self.state.begin(record, &mut |diagnostic| match diagnostic {
            Diagnostic::Rejected { rejection, .. } => log::warn!("{about}{rejection}"),
            Diagnostic::Message(text) => log::warn!("{about}{text}"),
        });
        debug_assert!(begun.is_ok(), "{:?}", begun.err());
        self.go_on_for_a_turn();
    }

    /// How far a session has come.
    pub(super) fn position(&self, id: SessionId) -> u64 {
        self.state.sessions.get(id).map_or(0, |session| session.position)
    }

    /// Where the next line of a session stands.
    fn next<'a>(&self, id: SessionId, name: &'a SessionName) -> Position<'a> {
        let SessionName { producer, instance } = name;
        Position { producer, instance, line: self.position(id) + 1 }
    }

    /// Applies whole lines that belong to no session. Returns the bytes of those that are applied; the others
    /// have to wait until the store is not busy.
    pub(super) fn apply(&mut self, block: &[u8], at: f64) -> usize {
        self.apply_lines(None, block, at, &mut |_, _| {}).bytes
    }

    /// Applies whole lines of a session. `rejected` gets the numbers of those that are rejected.
    pub(super) fn apply_for(
        &mut self,
        id: SessionId,
        name: &SessionName,
        block: &[u8],
        at: f64,
        rejected: &mut dyn FnMut(u64, &Rejection),
    ) -> Applied {
        let Begun { is_bye, bytes } = self.apply_lines(Some(self.next(id, name)), block, at, rejected);
        Applied { is_bye, position: self.position(id), lsn: self.lsn(), bytes }
    }

    fn apply_lines(
        &mut self,
        position: Option<Position<'_>>,
        block: &[u8],
        at: f64,
        rejected: &mut dyn FnMut(u64, &Rejection),
    ) -> Begun {
        let engine = &self.state.engine;
        let masked = engine.settings().privacy.deidentify.then(|| engine.deidentified(block));
        let lines = masked.as_deref().unwrap_or(block);
        let (rejections, mut now) = (&mut self.rejections, None);
        let begun =
            self.state.begin(
                &Record::Lines { at, position, block: lines },
                &mut |diagnostic| match diagnostic {
                    Diagnostic::Rejected { number, rejection, line } => {
                        rejections.note(rejection, line, *now.get_or_insert_with(Instant::now));
                        if let Some(number) = number {
                            rejected(number, rejection);
                        }
                    }
                    Diagnostic::Message(text) => log::warn!("{text}"),
                },
            );
        let begun = begun.unwrap_or_else(|error| {
            log::error!("lines do not fit the state: {}", error.0);
            Begun { is_bye: false, bytes: lines.len() }
        });
        let applied = &lines[..begun.bytes];
        let bytes = if masked.is_some() { bytes_of_lines(block, applied) } else { applied.len() };
        self.append(&Record::Lines { at, position, block: applied });
        self.go_on_for_a_turn();
        Begun { bytes, ..begun }
    }

    /// Counts a line that was rejected before it was whole, in its session if it has one.
    pub(super) fn reject(
        &mut self,
        session: Option<(SessionId, &SessionName)>,
        rejection: &Rejection,
        line: &[u8],
    ) -> Applied {
        let position = session.map(|(id, name)| self.next(id, name));
        self.record(&Record::Rejected { position, reason: Some(rejection.reason) }, "");
        self.rejections.note(rejection, line, Instant::now());
        let position = session.map_or(0, |(id, _)| self.position(id));
        Applied { is_bye: false, position, lsn: self.lsn(), bytes: line.len() }
    }

    /// A session has begun or come back. Returns its number and names.
    pub(super) fn hello(
        &mut self,
        producer: &str,
        instance: &str,
        owner: bool,
        uid: Option<u32>,
        at: f64,
    ) -> Option<(SessionId, Arc<SessionName>)> {
        let record = Record::Hello { at, producer, instance, owner, uid };
        self.record(&record, &format!("producer {producer}: "));
        let id = self.state.sessions.find(producer, instance)?;
        Some((id, Arc::clone(&self.state.sessions.get(id)?.name)))
    }

    /// The connection of a session has ended before its session has.
    pub(super) fn disconnect(&mut self, id: SessionId) {
        let Some(name) = self.name(id, |_| true) else { return };
        let SessionName { producer, instance } = &*name;
        self.record(&Record::Disconnected { producer, instance }, "");
    }

    /// Abandons what a session has open, unless that has been done.
    pub(super) fn abandon(&mut self, id: SessionId, at: f64) {
        let is_due = |session: &Session| !session.has_expired() && (session.owner || session.may_own());
        let Some(name) = self.name(id, is_due) else { return };
        let SessionName { producer, instance } = &*name;
        self.record(&Record::Abandoned { at, producer, instance }, &format!("producer {producer}: "));
        log::info!("producer {producer}: instance {instance} has ended; what it had open is abandoned");
    }

    /// The position of a session is kept no longer.
    pub(super) fn forget(&mut self, id: SessionId) {
        let Some(name) = self.name(id, |_| true) else { return };
        let SessionName { producer, instance } = &*name;
        self.record(&Record::Forgotten { producer, instance }, "");
    }

    fn name(&self, id: SessionId, is_wanted: impl Fn(&Session) -> bool) -> Option<Arc<SessionName>> {
        let session = self.state.sessions.get(id).filter(|session| is_wanted(session))?;
        Some(Arc::clone(&session.name))
    }

    /// Notes in which boot of the machine this process was started: what a former boot left open without a
    /// session ended with it.
    pub(super) fn note_boot(&mut self) {
        let (at, boot) = (clock::unix_seconds(), Boot::current());
        self.record(&Record::Started { at, boot: Cow::Owned(boot) }, "");
    }

    /// Goes on with these catalogs and settings, unless they are in force already.
    pub(super) fn configure(&mut self, catalogs: &Catalogs, settings: EngineSettings) {
        if self.state.is_configured(&catalogs.texts, &settings) {
            return;
        }
        let at = clock::unix_seconds();
        let texts = Cow::Borrowed(&*catalogs.texts);
        self.append(&Record::Configured { at, settings: Cow::Borrowed(&settings), catalogs: texts });
        for said in self.state.configure(catalogs, settings, at) {
            log::warn!("{said}");
        }
    }

    /// Applies the events that a directory scan causes.
    pub(super) fn scanned(&mut self, report: &ScanReport) {
        let system = report.system.as_deref();
        let Some(events) = system.and_then(|system| self.state.engine.scan_events(system)) else { return };
        let templates = match report.status {
            ScanStatus::Succeeded => &events.succeeded,
            ScanStatus::Partial => &events.partial,
            ScanStatus::Failed => &events.failed,
        };
        for template in templates.clone() {
            let words = template
                .replace("{bytes}", &report.bytes.to_string())
                .replace("{files}", &report.files.to_string())
                .replace("{duration}", &report.duration_seconds.to_string());
            let Ok(event) = EventSpec::parse(&words) else { continue };
            let block = format!("{}\n", event.to_line());
            let record = Record::Scanned { at: report.ended, block: block.as_bytes() };
            self.record(&record, &format!("[scan {}]: {words}: ", report.name));
        }
    }

    /// Begins an image of the state if the journal asks for one.
    pub(super) fn begin_image_if_wanted(&mut self) {
        if !self.is_busy() && self.journal.as_ref().is_some_and(Journal::wants_image) {
            self.image = Some(ImageWriter::new(self.image_bytes));
        }
    }

    /// Whether something takes longer: an image is being written, or entities are being closed or abandoned.
    /// The state must not change in any other way meanwhile.
    pub(super) fn is_busy(&self) -> bool {
        self.image.is_some() || self.state.is_busy()
    }

    /// Does what was begun, or a turn's worth of it: mostly it is little.
    fn go_on_for_a_turn(&mut self) {
        if self.state.is_busy() {
            self.go_on(Some(Instant::now() + limits::TURN_MAX));
        }
    }

    /// Goes on with what takes longer. `until`: at most until then.
    pub(super) fn go_on(&mut self, until: Option<Instant>) {
        while self.is_busy() {
            if self.state.is_busy() {
                self.state.go_on(&mut |diagnostic| {
                    if let Diagnostic::Message(text) = diagnostic {
                        log::warn!("{text}");
                    }
                });
            } else {
                self.continue_image();
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return;
            }
        }
    }

    /// Writes a piece of the image, and hands it to the journal once it is whole.
    fn continue_image(&mut self) {
        let Some(image) = &mut self.image else { return };
        if !image.write_piece(&self.state)
            && let Some(image) = self.image.take()
            && let Some(journal) = &mut self.journal
        {
            let bytes = image.into_bytes();
            self.image_bytes = bytes.len() + bytes.len() / 16;
            journal.snapshot(bytes, clock::unix_seconds());
        }
    }

    /// Goes on from the state of a former run where that could be read only now: what was acknowledged is in
    /// it. Says whether it has.
    pub(super) fn adopt_recovered(&mut self) -> bool {
        let Some(state) = self.journal.as_ref().and_then(Journal::recovered) else { return false };
        log::warn!(
            "the state of a former run can be read now: going on from it, without what came in since the start"
        );
        let former = std::mem::replace(&mut self.state, state);
        if let Some(journal) = &mut self.journal {
            journal.adopted();
        }
        self.note_boot();
        match former.configuration() {
            Ok((catalogs, settings)) => self.configure(&catalogs, settings),
            Err(error) => log::error!("{error}"),
        }
        true
    }

    /// At a clean stop: saves the state, no longer than `until`. `alive` is called while it waits.
    pub(super) fn finish(&mut self, alive: impl Fn(), until: Instant) {
        self.go_on(Some(until));
        if self.is_busy() {
            self.confirm();
            while !self.is_written(Instant::now()) && Instant::now() < until {
                alive();
                std::thread::park_timeout(Duration::from_millis(1));
            }
            return log::error!("the state could not be saved in time: what came in is in the journal");
        }
        let state = &self.state;
        if let Some(journal) = &mut self.journal {
            journal.finish(clock::unix_seconds(), || state.write(), alive, until);
        }
    }
}
