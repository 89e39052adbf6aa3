//! What sessions get: acknowledgements once the journal has come that far, and rejections. `session` decides what
//! is due, `outbox` holds it; this sends it as far as the producer reads.

use std::time::Instant;

use nix::sys::epoll::EpollFlags;

use super::connection::{Connection, Protocol};
use super::producers::Producers;
use super::session::{Action, Input};
use super::store::Store;
use crate::limits;

impl Producers {
    /// Gives acknowledgements to the sessions that wait for the journal, as far as it has come.
    /// `lines_gather`: it will be called again soon.
    pub(super) fn settle(&mut self, store: &mut Store, lines_gather: bool) {
        if self.awaiting.is_empty() {
            return;
        }
        if lines_gather || store.is_busy() {
            // The journal writes meanwhile; a wake-up for each batch would cost more than the lines.
            store.confirm();
            return;
        }
        // Asked before looking: whatever becomes durable after this wakes the loop.
        store.await_durable();
        for slot in std::mem::take(&mut self.awaiting) {
            if let Some(session) = self.connections.get_mut(slot).and_then(Connection::session) {
                session.is_listed = false;
                self.send_replies(store, slot);
            }
        }
    }

    /// Has a session's replies sent by [`Self::settle`].
    pub(super) fn await_durable(&mut self, slot: usize) {
        if let Some(session) = self.connections.get_mut(slot).and_then(Connection::session)
            && !std::mem::replace(&mut session.is_listed, true)
        {
            self.awaiting.push(slot);
        }
    }

    /// Gives a session the acknowledgements that it can have, sends what it takes of its replies, and polls
    /// what it needs.
    pub(super) fn send_replies(&mut self, store: &mut Store, slot: usize) {
        let durable = store.durable();
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Protocol::Session(session) = &mut connection.protocol else { return };
        let mut actions = session.take(Input::Durable(durable));
        // Rejections wait until the hello has its answer.
        if session.is_greeted() && !session.outbox.is_empty() {
            match session.outbox.send(&connection.stream, Instant::now()) {
                Ok(()) if session.outbox.is_empty() => {
                    actions.extend(session.take(Input::Sent));
                    actions.extend(session.take(Input::Durable(durable)));
                }
                Ok(()) => {}
                Err(_) => actions.extend(session.take(Input::SendFailed)),
            }
        }
        // Together replies must not fill memory: who has most of them waiting at that moment loses rejections
        // at once.
        let others = self.replies_bytes - session.counted_bytes;
        if others + session.outbox.bytes() > limits::REPLIES_BYTES_ALL_MAX {
            session.outbox.shed();
        }
        session.counted_bytes = session.outbox.bytes();
        self.replies_bytes = others + session.counted_bytes;
        let (id, awaits) = (session.id, session.awaits());
        if awaits {
            self.await_durable(slot);
        }
        let Some(session) = self.connections.get_mut(slot).and_then(Connection::session) else { return };

        let mut wanted = EpollFlags::empty();
        wanted.set(EpollFlags::EPOLLOUT, session.is_greeted() && !session.outbox.is_empty());
        wanted.set(EpollFlags::EPOLLIN, session.reads() && !session.outbox.is_full());
        let pauses = session.reads();
        match self.connections.poll(&self.epoll, slot, wanted) {
            Ok(is_paused) if is_paused && pauses => self.paused.push(slot),
            Ok(_) => {}
            Err(error) => {
                log::error!("a producer cannot be polled: {error}");
                self.end(store, slot);
                return;
            }
        }
        for action in actions {
            match action {
                Action::Forget => self.forget(store, id),
                Action::Disconnect => self.disconnect(store, id),
                _ => self.end(store, slot),
            }
        }
    }

    /// Reads on from those that have not read their replies for too long; they lose some of them.
    pub(super) fn unpause(&mut self, store: &mut Store, now: Instant) {
        for slot in std::mem::take(&mut self.paused) {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            let is_paused = !connection.polls_input();
            if let Some(session) = connection.session()
                && is_paused
                && session.reads()
            {
                if session.outbox.expire(now) {
                    self.send_replies(store, slot);
                } else {
                    self.paused.push(slot);
                }
            }
        }
    }
}
