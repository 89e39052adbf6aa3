//! The sessions of producers: their names, and how far each has come. A session makes sure that every line of
//! its producer is applied exactly once.
//!
//! The connection of a session belongs to the feed. The state only records that a connection has ended.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use crate::engine::EntityOwner;
use crate::format::{self, Corrupt, Reader, ensure, v1};
use crate::limits;

/// The number of a session. Its entities have it as their owner.
pub(crate) type SessionId = EntityOwner;

/// The two names of a session.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionName {
    /// The name of the producer. It stays the same when the producer restarts.
    pub(crate) producer: String,
    /// The name of this run of the producer.
    pub(crate) instance: String,
}

/// The same, borrowed, because every batch of lines looks its session up. Both must have the same hash.
#[derive(Hash)]
struct Names<'a> {
    producer: &'a str,
    instance: &'a str,
}

impl Equivalent<Arc<SessionName>> for Names<'_> {
    fn equivalent(&self, name: &Arc<SessionName>) -> bool {
        self.producer == name.producer && self.instance == name.instance
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: Arc<SessionName>,
    /// Whether the session owns the entities that it opens.
    pub(crate) owner: bool,
    /// The user of the process that began it, if the kernel reports one.
    pub(crate) uid: Option<u32>,
    /// How many of its lines were applied or rejected.
    pub(crate) position: u64,
    /// Whether the session may own open entities.
    pub(super) may_own: bool,
    pub(super) presence: Presence,
}

/// Whether a session is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Connected now, or when the exporter ended.
    Connected,
    /// The connection has ended. The next run of the same producer, or the end of the grace period, abandons
    /// what is open.
    Disconnected,
    /// What the session had open was abandoned. It may come back and continue.
    Expired,
}

impl Session {
    /// Whether what the session had open was abandoned since its connection ended.
    pub(crate) fn has_expired(&self) -> bool {
        self.presence == Presence::Expired
    }

    /// Whether the session may own open entities.
    pub(crate) fn may_own(&self) -> bool {
        self.may_own
    }
}

/// All sessions whose positions are kept.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    list: Vec<Option<Session>>,
    by_name: HashMap<Arc<SessionName>, SessionId>,
    by_producer: HashMap<String, Vec<SessionId>>,
    free: Vec<SessionId>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        let numbered = self.list.iter().enumerate();
        numbered.filter_map(|(id, session)| Some((id as SessionId, session.as_ref()?)))
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.list.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.list.get_mut(id as usize)?.as_mut()
    }

    pub(crate) fn find(&self, producer: &str, instance: &str) -> Option<SessionId> {
        self.by_name.get(&Names { producer, instance }).copied()
    }

    /// The runs of a producer, the first known one first.
    pub(crate) fn runs(&self, producer: &str) -> impl Iterator<Item = (SessionId, &Session)> {
        let runs = self.by_producer.get(producer).into_iter().flatten();
        runs.filter_map(|&id| Some((id, self.get(id)?)))
    }

    /// The runs of a producer that are disconnected and have not expired.
    pub(super) fn disconnected_runs(&self, producer: &str) -> Vec<SessionId> {
        let runs = self.runs(producer).filter(|(_, run)| run.presence == Presence::Disconnected);
        runs.map(|(id, _)| id).collect()
    }

    pub(super) fn add(&mut self, producer: &str, instance: &str, owner: bool, uid: Option<u32>) -> SessionId {
        let id = self.free.pop().unwrap_or(self.list.len() as SessionId);
        self.insert(
            id,
            Session {
                name: Arc::new(SessionName { producer: producer.to_owned(), instance: instance.to_owned() }),
                owner,
                position: 0,
                uid,
                may_own: false,
                presence: Presence::Connected,
            },
        );
        id
    }

    fn insert(&mut self, id: SessionId, session: Session) {
        self.by_name.insert(Arc::clone(&session.name), id);
        self.by_producer.entry_ref(session.name.producer.as_str()).or_default().push(id);
        if id as usize >= self.list.len() {
            self.list.resize_with(id as usize + 1, || None);
        }
        self.list[id as usize] = Some(session);
    }

    pub(super) fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.list.get_mut(id as usize).and_then(Option::take) {
            self.by_name.remove(&session.name);
            let producer = session.name.producer.as_str();
            if let Some(runs) = self.by_producer.get_mut(producer) {
                runs.retain(|run| *run != id);
                if runs.is_empty() {
                    self.by_producer.remove(producer);
                }
            }
            self.free.push(id);
        }
    }

    /// Appends all sessions in the format on disk.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (id, session) in self.iter() {
            let written = v1::Session {
                id,
                producer: &session.name.producer,
                instance: &session.name.instance,
                owner: session.owner,
                uid: session.uid,
                position: session.position,
                may_own: session.may_own,
                presence: match session.presence {
                    Presence::Connected => v1::Presence::Connected,
                    Presence::Disconnected => v1::Presence::Disconnected,
                    Presence::Expired => v1::Presence::Expired,
                },
            };
            format::put(out, &written);
        }
    }

    /// Reads the sessions that version 1 has written.
    pub(super) fn read_v1(count: u32, image: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut sessions = Sessions::default();
        for _ in 0..count {
            let written: v1::Session<'_> = image.take()?;
            let next = sessions.list.len() as SessionId;
            let last = next + limits::SESSIONS_MAX as SessionId * 4;
            ensure((next..last).contains(&written.id), "sessions in rising order")?;
            sessions.free.extend(next..written.id);
            let (producer, instance) = (written.producer.to_owned(), written.instance.to_owned());
            let session = Session {
                name: Arc::new(SessionName { producer, instance }),
                owner: written.owner,
                uid: written.uid,
                position: written.position,
                may_own: written.may_own,
                presence: match written.presence {
                    v1::Presence::Connected => Presence::Connected,
                    v1::Presence::Disconnected => Presence::Disconnected,
                    v1::Presence::Expired => Presence::Expired,
                },
            };
            sessions.insert(written.id, session);
        }
        ensure(sessions.len() == count as usize, "each session once")?;
        Ok(sessions)
    }
}
