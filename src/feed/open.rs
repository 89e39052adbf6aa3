//! What is open, one by one, as the JSON that `/api/v1/open` shows.

use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::mailbox::OpenQuery;
use super::status::shows_text;
use crate::engine::OpenEntity as Found;
use crate::state::State;

/// An open entity.
#[derive(serde::Serialize)]
struct OpenEntity<'a> {
    system: &'a str,
    /// The name of its kind.
    entity: &'a str,
    /// What tells it apart. Empty, as the labels are, where `[privacy]` hides parts of events.
    key: Fields<'a>,
    /// Those that are not empty.
    labels: Fields<'a>,
    /// Unix seconds, a number.
    opened: Option<Box<RawValue>>,
    /// The name of the producer whose session owns it.
    producer: Option<&'a str>,
}

/// Names and values in the order of the catalog.
struct Fields<'a>(&'a [(&'a str, &'a [u8])]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))))
    }
}

/// What is open, the oldest first, or which name is unknown.
pub(super) fn gather(state: &State, query: &OpenQuery) -> Result<Vec<u8>, String> {
    let found = state.engine.open_entities(&query.systems, &query.entities, query.max)?;
    let is_shown = shows_text(&state.engine);
    let shown: Vec<OpenEntity<'_>> = found.iter().map(|entity| shown(state, entity, is_shown)).collect();
    serde_json::to_vec(&shown).map_err(|error| error.to_string())
}

fn shown<'a>(state: &'a State, found: &'a Found<'a>, is_shown: bool) -> OpenEntity<'a> {
    OpenEntity {
        system: found.system,
        entity: found.entity,
        key: Fields(if is_shown { &found.key } else { &[] }),
        labels: Fields(if is_shown { &found.labels } else { &[] }),
        opened: RawValue::from_string(found.opened.to_string()).ok(),
        producer: state.sessions.get(found.owner).map(|session| session.name.producer.as_str()),
    }
}
