//! The state of the exporter: the engine, and how far each producer has come (`sessions`).
//!
//! Only records change it (`record`), and the same records make the same state, whether they come from the
//! feed or from the journal. The state holds no files and never reads the clock. `persist` saves all of it.

pub(crate) mod boot;
mod persist;
pub(crate) mod record;
pub(crate) mod sessions;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use crate::catalog::{self, CatalogText, Catalogs};
use crate::engine::{Engine, EngineSettings, LineSource, Origin, UNOWNED};
use crate::protocol::control_line::ControlLine;
use crate::protocol::rejection::{Reason, Rejection};
use crate::state::boot::Boot;

pub(crate) use persist::ImageWriter;
use record::{Position, Record};
use sessions::{Presence, SessionId, Sessions};

/// The whole state. The default has no catalogs.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) sessions: Sessions,
    /// The catalogs in use, as text.
    texts: Arc<[CatalogText]>,
    /// The boot of the machine in which the exporter was last started.
    boot: Option<Boot>,
    /// The catalogs of this run. They replace stored ones that this version cannot read.
    fallback: Catalogs,
}

/// What applying a record reports.
pub(crate) enum Diagnostic<'a> {
    /// A line was rejected.
    Rejected {
        /// The line's number, if it belongs to a session.
        number: Option<u64>,
        rejection: &'a Rejection,
        /// The line, or its beginning.
        line: &'a [u8],
    },
    /// A message for the log.
    Message(String),
}

/// What a record has begun.
pub(crate) struct Begun {
    /// Its lines contain the bye of their session.
    pub(crate) is_bye: bool,
    /// The bytes of its lines that are applied. The others come after what was begun.
    pub(crate) bytes: usize,
}

/// A record does not fit the state, so the journal is damaged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReplayError(pub(crate) String);

impl State {
    /// An empty state. `fallback` holds the catalogs of this run.
    pub(crate) fn new(fallback: Catalogs) -> Self {
        State { fallback, ..State::default() }
    }

    /// Whether the state uses these catalogs and settings.
    pub(crate) fn is_configured(&self, texts: &[CatalogText], settings: &EngineSettings) -> bool {
        *self.texts == *texts && self.engine.settings() == settings
    }

    /// The catalogs and settings in use.
    pub(crate) fn configuration(&self) -> Result<(Catalogs, EngineSettings), String> {
        let catalogs = catalog::read_texts(&self.texts)?;
        Ok((catalogs, self.engine.settings().clone()))
    }

    /// Replaces catalogs and settings. Returns messages for the log.
    pub(crate) fn configure(
        &mut self,
        catalogs: &Catalogs,
        settings: EngineSettings,
        at: f64,
    ) -> Vec<String> {
        let mut said = Vec::new();
        self.engine.finish(&mut |text| said.push(text));
        self.texts = Arc::clone(&catalogs.texts);
        said.extend(self.engine.configure(&catalogs.all, settings, at));
        said
    }

    /// Applies one record, with all that it begins. Returns `true` if its lines contain the bye of their session.
    pub(crate) fn apply(
        &mut self,
        record: &Record<'_>,
        report: &mut dyn FnMut(Diagnostic<'_>),
    ) -> Result<bool, ReplayError> {
        let mut begun = self.begin(record, report)?;
        self.engine.finish(&mut |text| report(Diagnostic::Message(text)));
        let (at, position, mut rest, origin) = match *record {
            Record::Lines { at, position, block } => (at, position, block, Origin::Producer),
            Record::Scanned { at, block } => (at, None, block, Origin::Exporter),
            _ => return Ok(begun.is_bye),
        };
        let session =
            position.and_then(|Position { producer, instance, .. }| self.sessions.find(producer, instance));
        while begun.bytes < rest.len() {
            rest = &rest[begun.bytes..];
            begun = self.apply_lines(at, session, rest, origin, report);
            self.engine.finish(&mut |text| report(Diagnostic::Message(text)));
        }
        Ok(begun.is_bye)
    }

    /// Whether a record has begun what takes longer: entities are being closed or abandoned.
    pub(crate) fn is_busy(&self) -> bool {
        self.engine.is_busy()
    }

    /// Does a piece of what a record has begun. Returns whether there is more.
    pub(crate) fn go_on(&mut self, report: &mut dyn FnMut(Diagnostic<'_>)) -> bool {
        self.engine.go_on(&mut |text| report(Diagnostic::Message(text)))
    }

    /// Applies one record but for what takes longer: [`Self::go_on`] does that. What a former record has begun is
    /// finished before.
    pub(crate) fn begin(
        &mut self,
        record: &Record<'_>,
        report: &mut dyn FnMut(Diagnostic<'_>),
    ) -> Result<Begun, ReplayError> {
        self.engine.finish(&mut |text| report(Diagnostic::Message(text)));
        match *record {
            Record::Configured { at, ref settings, ref catalogs } => {
                let catalogs = persist::readable_catalogs(catalogs, &self.fallback, &mut |text| {
                    report(Diagnostic::Message(text));
                });
                for text in self.configure(&catalogs, settings.clone().into_owned(), at) {
                    report(Diagnostic::Message(text));
                }
            }
            Record::Hello { at, producer, instance, owner, uid } => {
                self.hello(at, producer, instance, owner, uid);
            }
            Record::Lines { at, position, block } => {
                let session = position.map(|position| self.session_at(&position)).transpose()?;
                return Ok(self.apply_lines(at, session, block, Origin::Producer, report));
            }
            Record::Scanned { at, block } => {
                return Ok(self.apply_lines(at, None, block, Origin::Exporter, report));
            }
            Record::Rejected { position, reason } => {
                if let Some(reason) = reason {
                    self.engine.count_rejection(reason);
                }
                if let Some(position) = position {
                    let id = self.session_at(&position)?;
                    if let Some(session) = self.sessions.get_mut(id) {
                        session.position += 1;
                    }
                }
            }
            Record::Disconnected { producer, instance } => {
                if let Some(id) = self.sessions.find(producer, instance)
                    && let Some(session) = self.sessions.get_mut(id)
                    // An expired session stays expired until it comes back.
                    && session.presence == Presence::Connected
                {
                    session.presence = Presence::Disconnected;
                }
            }
            Record::Abandoned { at, producer, instance } => {
                if let Some(id) = self.sessions.find(producer, instance) {
                    self.abandon(&[id], at);
                }
            }
            Record::Forgotten { producer, instance } => {
                if let Some(id) = self.sessions.find(producer, instance) {
                    self.sessions.remove(id);
                }
            }
            Record::Named { ip, name } => self.engine.begin_naming(ip, name),
            Record::Started { at, ref boot } => {
                let former = self.boot.replace(boot.clone().into_owned());
                if former.is_some_and(|former| !former.is_same(boot)) {
                    report(Diagnostic::Message(
                        "the machine has been started anew: what was opened without a session is abandoned"
                            .to_owned(),
                    ));
                    self.engine.reboot(at);
                }
            }
        }
        Ok(Begun { is_bye: false, bytes: 0 })
    }

    /// Finds the session of a position. The position must be that of its next line.
    fn session_at(&self, position: &Position<'_>) -> Result<SessionId, ReplayError> {
        let Position { producer, instance, line } = *position;
        let id = self.sessions.find(producer, instance);
        let known = id.and_then(|id| Some((id, self.sessions.get(id)?.position)));
        match known {
            Some((id, position)) if position + 1 == line => Ok(id),
            other => Err(ReplayError(format!(
                "line {line} of {producer} {instance}: expected line {} of a known session",
                other.map_or(0, |(_, position)| position + 1)
            ))),
        }
    }

    fn hello(&mut self, at: f64, producer: &str, instance: &str, owner: bool, uid: Option<u32>) {
        if let Some(id) = self.sessions.find(producer, instance) {
            // The session comes back. Other runs of its producer that have begun since are not affected.
            if let Some(session) = self.sessions.get_mut(id) {
                session.owner = owner;
                session.uid = uid;
                session.presence = Presence::Connected;
            }
            return;
        }
        if owner {
            let ended = self.sessions.disconnected_runs(producer);
            self.abandon(&ended, at);
        }
        self.sessions.add(producer, instance, owner, uid);
    }

    /// Expires sessions and abandons what they have open. It takes all of them at once, because an entity of
    /// one may be a child of another's, and children come first.
    fn abandon(&mut self, ids: &[SessionId], at: f64) {
        let mut owners = Vec::new();
        for &id in ids {
            if let Some(session) = self.sessions.get_mut(id) {
                session.presence = Presence::Expired;
                if std::mem::replace(&mut session.may_own, false) {
                    owners.push(id);
                }
            }
        }
        if !owners.is_empty() {
            self.engine.begin_abandoning(owners, at);
        }
    }

    /// Applies whole lines, up to the first that begins what takes longer. Checks UTF-8 for all of them at once,
    /// and line by line only if that fails.
    fn apply_lines(
        &mut self,
        at: f64,
        session: Option<SessionId>,
        block: &[u8],
        origin: Origin,
        report: &mut dyn FnMut(Diagnostic<'_>),
    ) -> Begun {
        let number = session.and_then(|id| self.sessions.get_mut(id)).map(|session| {
            session.may_own |= session.owner;
            session.position
        });
        let sessions = &self.sessions;
        let owner = session.and_then(|id| Some((id, sessions.get(id).filter(|session| session.owner)?)));
        let abandoned_by_restart = || match owner {
            Some((_, session)) => sessions.disconnected_runs(&session.name.producer),
            None => vec![UNOWNED],
        };
        let source = LineSource {
            entity_owner: owner.map_or(UNOWNED, |(id, _)| id),
            abandoned_by_restart: &abandoned_by_restart,
            origin,
        };
        let mut lines = LineApplier { engine: &mut self.engine, at, source, number, said_bye: false, report };
        let mut bytes = 0;
        if let Ok(text) = std::str::from_utf8(block) {
            while bytes < text.len() && !lines.engine.is_busy() {
                bytes += lines.apply_first(&text[bytes..]);
            }
        } else {
            for line in block.split_inclusive(|&byte| byte == b'\n') {
                match std::str::from_utf8(line) {
                    Ok(line) => {
                        lines.apply_first(line);
                    }
                    Err(_) => lines.reject(&Rejection::new(Reason::Malformed, "expected UTF-8"), line),
                }
                bytes += line.len();
                if lines.engine.is_busy() {
                    break;
                }
            }
        }
        let (number, said_bye) = (lines.number, lines.said_bye);
        if let Some(id) = session
            && let Some(position) = number
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.position = position;
            if said_bye {
                self.abandon(&[id], at);
            }
        }
        Begun { is_bye: said_bye, bytes }
    }
}

/// Applies the lines of a block one by one.
struct LineApplier<'a> {
    engine: &'a mut Engine,
    at: f64,
    source: LineSource<'a>,
    /// The number of the latest line, if the lines belong to a session.
    number: Option<u64>,
    said_bye: bool,
    report: &'a mut dyn FnMut(Diagnostic<'_>),
}

impl LineApplier<'_> {
    /// Applies the first line of a text. Returns its bytes, with what ends it.
    fn apply_first(&mut self, text: &str) -> usize {
        if !self.said_bye
            && let Some((length, applied)) = self.engine.apply_known(text, self.at, self.source)
        {
            match applied {
                Ok(()) => self.count_line(),
                Err(rejection) => self.reject(&rejection, &text.as_bytes()[..length]),
            }
            let ending = text.as_bytes()[length..].iter().take(2).position(|&byte| byte == b'\n');
            return ending.map_or(text.len(), |ending| length + ending + 1);
        }
        let end = memchr::memchr(b'\n', text.as_bytes());
        self.apply(&text[..end.unwrap_or(text.len())]);
        end.map_or(text.len(), |end| end + 1)
    }

    fn apply(&mut self, line: &str) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line_max = self.engine.settings().line_max;
        if is_blank(line.as_bytes()) {
            return;
        }
        let result = if self.said_bye {
            Err(Rejection::new(Reason::Malformed, "expected no line after the bye"))
        } else if line.len() > line_max {
            Err(too_long(line_max))
        } else {
            self.engine.apply_for(line, self.at, self.source)
        };
        let Err(rejection) = result else {
            self.count_line();
            return;
        };
        if rejection.reason == Reason::MissingField && rejection.event.is_none() {
            match ControlLine::of(line, self.engine.scanned()) {
                Some(Ok(ControlLine::Bye)) if self.number.is_some() => {
                    self.said_bye = true;
                    return;
                }
                Some(Ok(ControlLine::Hello(_)) | Err(_)) => {
                    let what = "hello: expected as the first line of its connection";
                    return self.reject(&Rejection::new(Reason::Malformed, what), line.as_bytes());
                }
                Some(Ok(ControlLine::Bye)) | None => {}
            }
        }
        self.reject(&rejection, line.as_bytes());
    }

    fn count_line(&mut self) {
        if let Some(number) = &mut self.number {
            *number += 1;
        }
    }

    fn reject(&mut self, rejection: &Rejection, line: &[u8]) {
        self.count_line();
        self.engine.count_rejection(rejection.reason);
        (self.report)(Diagnostic::Rejected { number: self.number, rejection, line });
    }
}

/// The rejection of a line of more than `line_max` bytes.
pub(crate) fn too_long(line_max: usize) -> Rejection {
    let what = format!("expected at most {line_max} bytes ([events] max_line)");
    Rejection::new(Reason::TooLong, what)
}

/// Whether a line consists of white space only.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}
