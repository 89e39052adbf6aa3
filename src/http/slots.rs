//! The table of connections, and which of them gives way when there are too many.

use std::net::{IpAddr, TcpStream};
use std::time::Instant;

use super::connection::State;

/// Identifies a connection. The generation tells it apart from earlier ones in the same slot, whose answers
/// may still be on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    /// The key of the connection's events in the poll. Its highest bit is 0.
    pub(super) fn key(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_key(key: u64) -> Self {
        Token { index: key as u32, generation: (key >> 32) as u32 }
    }
}

pub(super) struct Slot {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) state: State,
    generation: u32,
}

#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    latest_generation: u32,
}

impl Slots {
    pub(super) fn insert(&mut self, stream: TcpStream, peer: IpAddr, state: State) -> (Token, &Slot) {
        self.latest_generation = self.latest_generation.wrapping_add(1) & (u32::MAX >> 1);
        let generation = self.latest_generation;
        let index = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let slot = self.slots[index].insert(Slot { stream, peer, state, generation });
        (Token { index: index as u32, generation }, slot)
    }

    pub(super) fn get(&self, token: Token) -> Option<&Slot> {
        self.slots.get(token.index as usize)?.as_ref().filter(|slot| slot.generation == token.generation)
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Slot> {
        self.slots.get_mut(token.index as usize)?.as_mut().filter(|slot| slot.generation == token.generation)
    }

    /// Closes the connection, which ends its polling.
    pub(super) fn remove(&mut self, token: Token) {
        if self.get(token).is_some() {
            self.slots[token.index as usize] = None;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &State)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| {
            let slot = slot.as_ref()?;
            Some((Token { index, generation: slot.generation }, &slot.state))
        })
    }

    /// The number of connections that count against the limit.
    pub(super) fn serving(&self) -> usize {
        self.iter().filter(|(_, state)| !state.is_lingering()).count()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.iter().filter_map(|(_, state)| state.deadline()).min()
    }

    /// The connections whose deadline has passed.
    pub(super) fn overdue(&self, now: Instant) -> Vec<Token> {
        let overdue = self.iter().filter(|(_, state)| state.deadline().is_some_and(|at| at <= now));
        overdue.map(|(token, _)| token).collect()
    }

    /// The connection that has waited longest for the end of its head, and from when on another may take its
    /// place.
    pub(super) fn eviction_candidate(&self) -> Option<(Token, Instant)> {
        let candidates = self.iter().filter_map(|(token, state)| Some((token, state.evictable_from()?)));
        candidates.min_by_key(|(_, from)| *from)
    }

    /// The connection that has been taking its response longest, and from when on others may have the memory.
    pub(super) fn slowest_reader(&self) -> Option<(Token, Instant)> {
        let readers =
            self.iter().filter_map(|(token, state)| Some((token, state.response_expendable_from()?)));
        readers.min_by_key(|(_, from)| *from)
    }

    pub(super) fn lingering(&self) -> Vec<Token> {
        self.iter().filter(|(_, state)| state.is_lingering()).map(|(token, _)| token).collect()
    }

    /// The lingering connection that closes first, if there are more than `max`.
    pub(super) fn surplus_lingering(&self, max: usize) -> Option<Token> {
        let lingering = || self.iter().filter(|(_, state)| state.is_lingering());
        if lingering().count() <= max {
            return None;
        }
        lingering().min_by_key(|(_, state)| state.deadline()).map(|(token, _)| token)
    }
}
