//! What the feed does for its state to last: everything is appended to the journal before it is applied, and snapshots are taken
//! in time.

use std::borrow::Cow;
use std::time::Instant;

use super::expiry::Attendance;
use super::{Feed, Turn};
use crate::catalog::Catalogs;
use crate::clock;
use crate::engine::Rules;
use crate::journal::Journal;
use crate::state::boot::Boot;
use crate::state::record::Record;
use crate::state::{Note, State};

impl Feed {
    /// Appends an record that is about to be applied, where there is a journal.
    pub(super) fn append(&mut self, record: &Record<'_>) {
        if let Some(journal) = &mut self.journal {
            journal.append(record, &self.parts.heart);
        }
    }

    /// Records what does not come from a producer. `about` begins a line in the log.
    pub(super) fn record_own(&mut self, record: &Record<'_>, about: &str) {
        self.append(record);
        let applied = self.state.apply(record, &mut |note| match note {
            Note::Rejected { rejection, .. } => log::warn!("{about}{rejection}"),
            Note::Said(text) => log::warn!("{about}{text}"),
        });
        debug_assert!(applied.is_ok(), "{applied:?}");
    }

    /// Notes in which run of the machine this process was started: what a former one left open without a session has ended with it.
    pub(super) fn note_boot(&mut self) {
        let (at, boot) = (clock::unix_seconds(), Boot::current());
        self.record_own(&Record::Started { at, boot: Cow::Owned(boot) }, "");
    }

    /// Takes a snapshot if it is time for one.
    pub(super) fn keep_journal_short(&mut self, now: Instant) {
        let wants = |journal: &Option<Journal>| journal.as_ref().is_some_and(|it| it.wants_snapshot(now));
        if !wants(&self.journal) {
            return;
        }
        if let Some(state) = self.journal.as_mut().and_then(Journal::prepare) {
            self.begin_anew(state);
        }
        if wants(&self.journal)
            && let Some(journal) = &mut self.journal
        {
            journal.snapshot(clock::unix_seconds(), || self.state.write());
        }
    }

    /// Goes on with the state of a former run, which could not be read before: sessions were acknowledged there.
    fn begin_anew(&mut self, state: State) {
        log::warn!(
            "the state of a former run can be read now: going on from there, without what came in since the start"
        );
        let former = std::mem::replace(&mut self.state, state);
        self.attendance = Attendance::default();
        self.unconfirmed.clear();
        self.paused.clear();
        for index in 0..self.connections.len() {
            if let Some(mut connection) = self.connections[index].take() {
                let turn = if connection.session().is_some() { Turn::End } else { Turn::Wait };
                self.put_back(index, connection, turn);
            }
        }
        for (id, _) in self.state.sessions.iter() {
            self.attendance.leave(id, self.grace, Instant::now());
        }
        self.note_boot();
        match former.configuration() {
            Ok((catalogs, rules)) => self.configure(&catalogs, rules),
            Err(error) => log::error!("{error}"),
        }
    }

    /// Goes on with these catalogs and rules, unless they are in force already.
    pub(super) fn configure(&mut self, catalogs: &Catalogs, rules: Rules) {
        if self.state.is_configured(&catalogs.texts, &rules) {
            return;
        }
        let at = clock::unix_seconds();
        let texts = Cow::Borrowed(&*catalogs.texts);
        self.append(&Record::Configured { at, rules: Cow::Borrowed(&rules), catalogs: texts });
        for said in self.state.configure(catalogs, rules, at) {
            log::warn!("{said}");
        }
    }
}
