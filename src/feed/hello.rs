//! How sessions begin: what a connection's first line says of it, and what is read before a run takes the place of
//! another. The lines behind it are `producers`' to apply.

use std::time::Instant;

use nix::sys::epoll::EpollFlags;

use super::connection::{self, Connection, Protocol};
use super::outbox::Outbox;
use super::producers::Producers;
use super::session::Session;
use super::store::Store;
use super::users;
use crate::limits;
use crate::protocol::control_line::{ControlLine, Hello};
use crate::protocol::rejection::Rejection;
use crate::state;

impl Producers {
    /// Finds out from its first line how a connection talks. Returns the lines that are left of the block.
    pub(super) fn decide_protocol<'a>(
        &mut self,
        store: &mut Store,
        slot: usize,
        block: &'a [u8],
        at: f64,
    ) -> Result<&'a [u8], Refused> {
        let Some(connection) = self.connections.get_mut(slot) else { return Err(Refused) };
        let Protocol::Undecided = connection.protocol else { return Ok(block) };
        let mut rest = block;
        let mut lines = block.split_inclusive(|&byte| byte == b'\n');
        let first = lines.find(|line| {
            rest = &rest[line.len()..];
            !state::is_blank(line)
        });
        let Some(line) = first else { return Ok(block) };
        connection.protocol = Protocol::Plain;
        let uid = connection.uid;
        let Some(hello) = read_hello(line, self.limits.line_max) else { return Ok(block) };
        let hello = hello.and_then(|hello| {
            let refusal = users::refuse_name(&store.state.sessions, &self.expiry, &hello.producer, uid);
            refusal.map_or(Ok(hello), Err)
        });
        match hello {
            Ok(hello) => {
                self.begin_session(store, slot, &hello, at);
                Ok(rest)
            }
            Err(rejection) => {
                self.refuse(store, slot, &rejection, line);
                Err(Refused)
            }
        }
    }

    /// Answers a hello that cannot be taken, as far as the producer listens.
    fn refuse(&mut self, store: &mut Store, slot: usize, rejection: &Rejection, line: &[u8]) {
        store.reject(None, rejection, line);
        if let Some(connection) = self.connections.get(slot) {
            let mut outbox = Outbox::default();
            outbox.reject(0, rejection);
            let _ = outbox.send(&connection.stream, Instant::now());
        }
    }

    fn begin_session(&mut self, store: &mut Store, slot: usize, hello: &Hello, at: f64) {
        let Hello { producer, instance, owner } = hello;
        // What was written before counts before: by this run on another connection, or by runs that have
        // ended.
        let known = store.state.sessions.find(producer, instance);
        match known.and_then(|id| self.expiry.connection(id)) {
            Some(other) => self.read_out(store, other),
            None if *owner => {
                for run in self.ended_runs(store, producer) {
                    self.read_out(store, run);
                }
            }
            None => {}
        }
        if known.is_none() {
            self.make_room(store, at);
        }
        let uid = self.connections.get(slot).map(|connection| connection.uid);
        let Some((id, name)) = store.hello(producer, instance, *owner, uid, at) else { return };
        let session = Session::new(id, name, store.position(id), store.lsn());
        let taken_over = self.expiry.connection(id).filter(|other| *other != slot);
        self.expiry.connect(id, slot);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.protocol = Protocol::Session(Box::new(session));
        }
        if let Some(other) = taken_over {
            log::info!(
                "producer {producer}: instance {instance} has connected again, its former connection is closed"
            );
            self.end(store, other);
        }
    }

    /// Reads what a connection has written so far, and its end if that has come.
    pub(super) fn read_out(&mut self, store: &mut Store, slot: usize) {
        let mut batches = limits::TAKE_OVER_BATCHES_MAX;
        let mut until = Instant::now() + limits::READ_OUT_MAX;
        while batches > 0 && self.turn(store, slot, EpollFlags::EPOLLIN, until) && Instant::now() < until {
            if store.is_busy() {
                // Neither the time nor the turn is this connection's.
                let began = Instant::now();
                store.go_on(None);
                until += began.elapsed();
            } else {
                batches -= 1;
            }
        }
    }

    /// The connections of a producer's runs whose other end is closed, though that may not have been read
    /// yet.
    fn ended_runs(&self, store: &Store, producer: &str) -> Vec<usize> {
        let runs = store.state.sessions.runs(producer).filter(|(_, run)| run.owner);
        let connected = runs.filter_map(|(id, _)| self.expiry.connection(id));
        let found: Vec<(usize, &Connection)> =
            connected.filter_map(|slot| Some((slot, self.connections.get(slot)?))).collect();
        connection::hung_up(&found)
    }

    /// Forgets a session if there are too many.
    fn make_room(&mut self, store: &mut Store, at: f64) {
        let sessions = &store.state.sessions;
        if sessions.len() >= limits::SESSIONS_MAX
            && let Some(id) = users::position_to_forget(sessions, &self.expiry)
        {
            store.abandon(id, at);
            self.forget(store, id);
        }
    }
}

/// A connection's first line was a hello that cannot be taken.
pub(super) struct Refused;

/// The hello on a connection's first line; `None`: it is something else.
fn read_hello(line: &[u8], line_max: usize) -> Option<Result<Hello, Rejection>> {
    let line = (line.len() <= line_max + 2).then(|| std::str::from_utf8(line).ok()).flatten()?;
    if !line.contains("hello") && !line.contains('\\') {
        return None;
    }
    match ControlLine::read(line.trim_end_matches(['\r', '\n']))? {
        Ok(ControlLine::Hello(hello)) => Some(Ok(hello)),
        Ok(ControlLine::Bye) => None,
        Err(rejection) => Some(Err(rejection)),
    }
}
