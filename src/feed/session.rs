//! Conversations: producers that began with a hello, and are told how far their lines have come.
//!
//! Who has come how far is `state`'s, who is there is `attendance`'s, what waits to be read is `replies`'. Here these
//! meet: a session begins, is acknowledged as soon as the journal holds its lines, and ends, in good order or not.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::expiry::Due;
use super::framing::{Bye, Connection, Conversation, Talk};
use super::outbox::Replies;
use super::{Feed, Turn};
use crate::clock;
use crate::journal::Journal;
use crate::limits;
use crate::protocol::control_line::{ControlLine, Hello};
use crate::protocol::rejection::Rejection;
use crate::state;
use crate::state::record::{Position, Record};
use crate::state::sessions::{Session, SessionId, SessionName};

impl Feed {
    /// Finds out from the first line what a connection will be. Returns the lines that are left of the block; an error
    /// means that the connection has to end.
    pub(super) fn begin<'a>(
        &mut self,
        index: usize,
        connection: &mut Connection,
        block: &'a [u8],
        at: f64,
    ) -> Result<&'a [u8], ()> {
        connection.talk = Talk::Plain;
        let mut rest = block;
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            rest = &rest[line.len()..];
            if !state::is_blank(line) {
                let greeting = (line.len() <= self.max_line + 2)
                    .then(|| std::str::from_utf8(line).ok())
                    .flatten()
                    .filter(|line| line.contains("hello") || line.contains('\\'))
                    .and_then(|line| ControlLine::read(line.trim_end_matches(['\r', '\n'])));
                return match greeting {
                    Some(Ok(ControlLine::Hello(hello))) => {
                        self.begin_session(index, connection, &hello, at);
                        Ok(rest)
                    }
                    Some(Err(rejection)) => {
                        self.reject(connection, &rejection, line);
                        tell(connection, &rejection);
                        Err(())
                    }
                    Some(Ok(ControlLine::Bye)) | None => Ok(block),
                };
            }
        }
        Ok(block)
    }

    fn begin_session(&mut self, index: usize, connection: &mut Connection, hello: &Hello, at: f64) {
        let Hello { producer, instance, owner } = hello;
        // What was written before counts before: by this run on another connection, or by runs that have ended.
        let known = self.state.sessions.find(producer, instance);
        match known.and_then(|id| self.attendance.connection(id)) {
            Some(other) => self.hear_out(other),
            None if *owner => self.ended_runs(producer).into_iter().for_each(|run| self.hear_out(run)),
            None => {}
        }
        if known.is_none() {
            self.make_room(at);
        }
        self.record_own(
            &Record::Hello { at, producer, instance, owner: *owner, uid: None },
            &format!("producer {producer}: "),
        );
        let Some(id) = self.state.sessions.find(producer, instance) else { return };
        let Some(session) = self.state.sessions.get(id) else { return };
        let conversation = Conversation::new(id, Arc::clone(&session.name), session.position);
        connection.talk = Talk::Session(Box::new(conversation));
        let taken_over = self.attendance.connection(id);
        self.attendance.arrive(id, index);
        if let Some(other) = taken_over.filter(|other| *other != index)
            && let Some(connection) = self.connections[other].take()
        {
            log::info!(
                "producer {producer}: instance {instance} has connected again, its former connection is closed"
            );
            self.end(other, connection);
        }
    }

    /// Reads what a connection has written so far, and its end if that has come.
    fn hear_out(&mut self, index: usize) {
        let mut batches = limits::TAKE_OVER_BATCHES_MAX;
        while batches > 0 && self.serve(index, EpollFlags::EPOLLIN) {
            batches -= 1;
        }
    }

    /// The connections of a producer's runs whose other end is closed, though that may not have been read yet.
    fn ended_runs(&self, producer: &str) -> Vec<usize> {
        let runs = self.state.sessions.iter().filter(|(_, run)| run.owner && run.name.producer == producer);
        let connected = runs.filter_map(|(id, _)| self.attendance.connection(id));
        let found: Vec<(usize, &Connection)> =
            connected.filter_map(|index| Some((index, self.connections[index].as_ref()?))).collect();
        let mut polled: Vec<PollFd<'_>> =
            found.iter().map(|(_, run)| PollFd::new(run.stream.as_fd(), PollFlags::empty())).collect();
        if let Err(error) = poll(&mut polled, PollTimeout::ZERO) {
            log::error!("the runs of producer {producer} cannot be polled: {error}");
            return Vec::new();
        }
        let ended = found.iter().zip(&polled).filter(|(_, polled)| polled.any().unwrap_or(true));
        ended.map(|((index, _), _)| *index).collect()
    }

    /// Forgets a session if there are too many: one of those away that would lose least, and of these the one away for
    /// longest.
    fn make_room(&mut self, at: f64) {
        if self.state.sessions.len() < limits::SESSIONS_MAX {
            return;
        }
        let sessions = &self.state.sessions;
        let loss = |id| sessions.get(id).map(|session| (session.may_own(), session.position > 0));
        if let Some(id) = self.attendance.most_dispensable(loss) {
            self.abandon(id, at);
            self.forget(id);
        }
    }

    /// Does what is due for those who stay away.
    pub(super) fn give_up(&mut self, now: Instant) {
        for due in self.attendance.due(now) {
            match due {
                Due::Abandon(id) => self.abandon(id, clock::unix_seconds()),
                Due::Forget(id) => self.forget(id),
            }
        }
    }

    fn abandon(&mut self, id: SessionId, at: f64) {
        let is_due = |session: &&Session| !session.has_expired() && (session.owner || session.may_own());
        let Some(session) = self.state.sessions.get(id).filter(is_due) else { return };
        let name = Arc::clone(&session.name);
        let SessionName { producer, instance } = &*name;
        self.record_own(&Record::Abandoned { at, producer, instance }, &format!("producer {producer}: "));
        log::info!("producer {producer}: instance {instance} has ended, what it may have open is abandoned");
    }

    /// A session's connection has ended before its session has.
    pub(super) fn leave(&mut self, id: SessionId) {
        self.attendance.leave(id, self.grace, Instant::now());
        let Some(session) = self.state.sessions.get(id) else { return };
        let name = Arc::clone(&session.name);
        let SessionName { producer, instance } = &*name;
        self.record_own(&Record::Disconnected { producer, instance }, "");
    }

    pub(super) fn forget(&mut self, id: SessionId) {
        self.attendance.forget(id);
        let Some(session) = self.state.sessions.get(id) else { return };
        let name = Arc::clone(&session.name);
        let SessionName { producer, instance } = &*name;
        self.record_own(&Record::Forgotten { producer, instance }, "");
    }

    /// Where the next line of a session stands.
    pub(super) fn place<'a>(&self, id: SessionId, name: &'a SessionName) -> Position<'a> {
        let position = self.state.sessions.get(id).map_or(0, |session| session.position);
        Position { producer: &name.producer, instance: &name.instance, line: position + 1 }
    }

    /// Whether the sessions that wait should get their acknowledgements before others have their turn.
    pub(super) fn should_settle(&self) -> bool {
        let costs = self.journal.as_ref().is_some_and(Journal::confirming_takes_long);
        !costs || self.unconfirmed_since.elapsed() >= limits::ACK_GATHER_MAX
    }

    /// Acknowledges what the journal holds, to all who wait for it.
    pub(super) fn settle(&mut self) {
        if self.unconfirmed.is_empty() || self.journal.as_mut().is_some_and(|journal| !journal.confirm()) {
            // Who comes and goes while nothing is confirmed must not make it longer and longer.
            if self.unconfirmed.len() > 2 * self.connections.len() {
                self.unconfirmed.sort_unstable();
                self.unconfirmed.dedup();
            }
            return;
        }
        for index in std::mem::take(&mut self.unconfirmed) {
            let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
                continue;
            };
            let mut turn = Turn::Wait;
            if let Some(session) = connection.session()
                && std::mem::take(&mut session.awaits)
            {
                // One that does not read has to wait: an acknowledgement covers all before it.
                if session.acked.is_none() || !session.replies.are_waiting() {
                    let known = self.state.sessions.get(session.id);
                    session.acknowledge(known.map_or(0, |known| known.position));
                }
                turn = self.converse(index, &mut connection, turn);
            }
            self.put_back(index, connection, turn);
        }
    }

    /// Sends what a session takes of its replies, and sees what it waits for.
    pub(super) fn converse(&mut self, index: usize, connection: &mut Connection, turn: Turn) -> Turn {
        let Connection { stream, talk: Talk::Session(session), .. } = connection else { return turn };
        let before = session.replies_counted;
        // Rejections wait until the hello has its answer.
        if session.acked.is_some() && session.replies.send(stream, Instant::now()).is_err() {
            session.replies.discard();
            if session.bye != Bye::No {
                return Turn::End;
            }
        }
        let waiting = session.replies.are_waiting();
        if !waiting {
            session.delivered = session.acked;
        }
        // Together they must not fill memory: who has most of it waiting at that moment loses rejections at once.
        if self.replies_bytes - before + session.replies.bytes() > limits::REPLIES_BYTES_ALL_MAX {
            session.replies.shed();
        }
        session.replies_counted = session.replies.bytes();
        self.replies_bytes = self.replies_bytes - before + session.replies_counted;
        if session.bye == Bye::Answered && !waiting {
            // It can know now that all is done: nobody will ask for its position.
            let id = session.id;
            self.forget(id);
            return Turn::End;
        }
        let position = self.state.sessions.get(session.id).map_or(0, |known| known.position);
        if session.is_owed(position) && !(session.acked.is_some() && waiting) && !session.awaits {
            session.awaits = true;
            if self.unconfirmed.is_empty() {
                self.unconfirmed_since = Instant::now();
            }
            self.unconfirmed.push(index);
        }
        let mut wanted = EpollFlags::empty();
        wanted.set(EpollFlags::EPOLLOUT, waiting && session.acked.is_some());
        wanted.set(EpollFlags::EPOLLIN, session.bye == Bye::No && !session.replies.are_too_many());
        if wanted != session.polled {
            if let Err(error) = self.epoll.modify(&*stream, &mut EpollEvent::new(wanted, index as u64)) {
                log::error!("a producer cannot be polled: {error}");
                return Turn::End;
            }
            session.polled = wanted;
            if session.bye == Bye::No && !wanted.contains(EpollFlags::EPOLLIN) {
                self.paused.push(index);
            }
        }
        if wanted.contains(EpollFlags::EPOLLIN) { turn } else { Turn::Wait }
    }

    /// Goes on with those that have not read their replies for too long; they lose some of them.
    pub(super) fn unpause(&mut self, now: Instant) {
        for index in std::mem::take(&mut self.paused) {
            let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
                continue;
            };
            let mut turn = Turn::Wait;
            if let Some(session) = connection.session()
                && !session.polled.contains(EpollFlags::EPOLLIN)
            {
                if session.replies.mute(now) {
                    turn = self.converse(index, &mut connection, turn);
                } else {
                    self.paused.push(index);
                }
            }
            self.put_back(index, connection, turn);
        }
    }
}

/// Tells a producer why its hello was not taken, as far as it listens.
fn tell(connection: &Connection, rejection: &Rejection) {
    let mut replies = Replies::default();
    replies.reject(0, rejection);
    let _ = replies.send(&connection.stream, Instant::now());
}
