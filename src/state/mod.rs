//! The state: what events have made (`lifecycles`) and how far each producer has come (`sessions`).
//!
//! It changes by records alone (`record`), and the same records make the same state: those that come from the feed, and
//! those that the journal has kept. It holds no files and asks for no time. `image` saves it whole.

pub(crate) mod boot;
mod persist;
pub(crate) mod record;
pub(crate) mod sessions;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use crate::catalog::{self, CatalogText, Catalogs};
use crate::engine::{Engine, EngineSettings, LineSource, UNOWNED};
use crate::protocol::control_line::ControlLine;
use crate::protocol::rejection::{Reason, Rejection};
use crate::state::boot::Boot;

use record::{Position, Record};
use sessions::{Presence, SessionId, Sessions};

/// All state. By default there is none, not even a catalog.
#[derive(Default)]
pub(crate) struct State {
    /// What is open and what was counted.
    pub(crate) engine: Engine,
    /// How far each producer has come.
    pub(crate) sessions: Sessions,
    texts: Arc<[CatalogText]>,
    /// The boot of the machine in which the exporter was started last.
    boot: Option<Boot>,
    /// The catalogs of this run: they stand in for stored ones that cannot be read any more.
    fallback: Catalogs,
}

/// What is worth telling of a record that is applied.
pub(crate) enum Diagnostic<'a> {
    /// A line was rejected.
    Rejected {
        /// Its number, in a session.
        number: Option<u64>,
        /// Why.
        rejection: &'a Rejection,
        /// The line, or its beginning.
        line: &'a [u8],
    },
    /// Something for the log.
    Message(String),
}

/// A record that does not fit the state: the journal holds something else than was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReplayError(pub(crate) String);

impl State {
    /// No state yet. `fallback` holds the catalogs of this run.
    pub(crate) fn new(fallback: Catalogs) -> Self {
        State { fallback, ..State::default() }
    }

    /// Whether these catalogs and settings are in force.
    pub(crate) fn is_configured(&self, texts: &[CatalogText], settings: &EngineSettings) -> bool {
        *self.texts == *texts && self.engine.settings() == settings
    }

    /// The catalogs and settings in force.
    pub(crate) fn configuration(&self) -> Result<(Catalogs, EngineSettings), String> {
        let catalogs = catalog::read_texts(&self.texts)?;
        Ok((catalogs, self.engine.settings().clone()))
    }

    /// Goes on with other catalogs and settings. Returns what the log should say.
    pub(crate) fn configure(
        &mut self,
        catalogs: &Catalogs,
        settings: EngineSettings,
        at: f64,
    ) -> Vec<String> {
        self.texts = Arc::clone(&catalogs.texts);
        self.engine.configure(&catalogs.all, settings, at)
    }

    /// Applies one record. Says whether its lines held the end of their session.
    pub(crate) fn apply(
        &mut self,
        record: &Record<'_>,
        report: &mut dyn FnMut(Diagnostic<'_>),
    ) -> Result<bool, ReplayError> {
        match *record {
            Record::Configured { at, ref settings, ref catalogs } => {
                let catalogs = persist::readable_catalogs(catalogs, &self.fallback, &mut |text| {
                    report(Diagnostic::Message(text))
                });
                for text in self.configure(&catalogs, settings.clone().into_owned(), at) {
                    report(Diagnostic::Message(text));
                }
            }
            Record::Hello { at, producer, instance, owner, uid } => {
                self.hello(at, producer, instance, owner, uid, report);
            }
            Record::Lines { at, position, block } => {
                let session = position.map(|position| self.session_at(&position)).transpose()?;
                return Ok(self.apply_lines(at, session, block, report));
            }
            Record::Rejected { position, reason } => {
                reason.into_iter().for_each(|reason| self.engine.count_rejection(reason));
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
                    // What has been abandoned is not waited for again.
                    && session.presence == Presence::Connected
                {
                    session.presence = Presence::Disconnected;
                }
            }
            Record::Abandoned { at, producer, instance } => {
                if let Some(id) = self.sessions.find(producer, instance) {
                    self.abandon(&[id], at, report);
                }
            }
            Record::Forgotten { producer, instance } => {
                if let Some(id) = self.sessions.find(producer, instance) {
                    self.sessions.remove(id);
                }
            }
            Record::Named { ip, name } => self.engine.learn_name(ip, name),
            Record::Started { at, ref boot } => {
                let former = self.boot.replace(boot.clone().into_owned());
                if former.is_some_and(|former| !former.is_same(boot)) {
                    report(Diagnostic::Message(
                        "the machine has been started anew: what was opened without a session is abandoned"
                            .to_owned(),
                    ));
                    self.engine.reboot(at, &mut |text| report(Diagnostic::Message(text)));
                }
            }
        }
        Ok(false)
    }

    /// The session of a position, which has come exactly that far.
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

    fn hello(
        &mut self,
        at: f64,
        producer: &str,
        instance: &str,
        owner: bool,
        uid: Option<u32>,
        report: &mut dyn FnMut(Diagnostic<'_>),
    ) {
        if let Some(id) = self.sessions.find(producer, instance) {
            // It comes back: whoever else has begun since then is left alone.
            if let Some(session) = self.sessions.get_mut(id) {
                session.owner = owner;
                session.uid = uid;
                session.presence = Presence::Connected;
            }
            return;
        }
        if owner {
            let ended = self.sessions.disconnected_runs(producer);
            self.abandon(&ended, at, report);
        }
        self.sessions.add(producer, instance, owner, uid);
    }

    /// Gives up what sessions have open, all of them at once.
    fn abandon(&mut self, ids: &[SessionId], at: f64, report: &mut dyn FnMut(Diagnostic<'_>)) {
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
            self.engine.abandon(&owners, at, &mut |text| report(Diagnostic::Message(text)));
        }
    }

    /// Applies whole lines. UTF-8 is checked for all of them at once, and line by line only where that fails.
    fn apply_lines(
        &mut self,
        at: f64,
        session: Option<SessionId>,
        block: &[u8],
        report: &mut dyn FnMut(Diagnostic<'_>),
    ) -> bool {
        let number = session.and_then(|id| self.sessions.get_mut(id)).map(|session| {
            session.may_own |= session.owner;
            session.position
        });
        let sessions = &self.sessions;
        let owner = session.and_then(|id| Some((id, sessions.get(id).filter(|session| session.owner)?)));
        let abandoned = || match owner {
            Some((_, session)) => sessions.disconnected_runs(&session.name.producer),
            None => vec![UNOWNED],
        };
        let owner = owner.map_or(UNOWNED, |(id, _)| id);
        let source = LineSource { entity_owner: owner, abandoned_by_restart: &abandoned, is_internal: false };
        let mut lines = LineApplier { engine: &mut self.engine, at, source, number, said_bye: false, report };
        if let Ok(text) = std::str::from_utf8(block) {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', block) {
                lines.apply(&text[start..end]);
                start = end + 1;
            }
        } else {
            for line in block.split_inclusive(|&byte| byte == b'\n') {
                match std::str::from_utf8(line) {
                    Ok(line) => lines.apply(line.trim_end_matches('\n')),
                    Err(_) => lines.reject(&Rejection::new(Reason::Malformed, "expected UTF-8"), line),
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
                self.abandon(&[id], at, report);
            }
        }
        said_bye
    }
}

/// Lines on their way into the engine.
struct LineApplier<'a> {
    engine: &'a mut Engine,
    at: f64,
    source: LineSource<'a>,
    /// The number of the latest line, in a session.
    number: Option<u64>,
    said_bye: bool,
    report: &'a mut dyn FnMut(Diagnostic<'_>),
}

impl LineApplier<'_> {
    fn apply(&mut self, line: &str) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line_max = self.engine.settings().line_max;
        if is_blank(line.as_bytes()) {
            return;
        }
        let result = if self.said_bye {
            Err(Rejection::new(Reason::Malformed, "expected nothing behind the bye"))
        } else if line.len() > line_max {
            Err(too_long(line_max))
        } else {
            let report = &mut *self.report;
            self.engine.apply_for(line, self.at, self.source, &mut |text| report(Diagnostic::Message(text)))
        };
        let Err(rejection) = result else {
            self.count_line();
            return;
        };
        if rejection.reason == Reason::MissingField && rejection.event.is_none() {
            match ControlLine::read(line) {
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

/// Whether there is nothing but white space.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}
