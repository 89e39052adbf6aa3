//! What is open, one by one, as the JSON that `/api/v1/open` shows.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::mailbox::OpenQuery;
use super::status::shows_text;
use crate::engine::OpenEntity as Found;
use crate::state::State;

/// An open entity.
#[derive(serde::Serialize)]
struct OpenEntity {
    system: String,
    /// The name of its kind.
    entity: String,
    /// What tells it apart. Empty, as the labels are, where `[privacy]` hides parts of events.
    key: Fields,
    /// Those that are not empty.
    labels: Fields,
    /// Unix seconds, a number.
    opened: Option<Box<RawValue>>,
    /// The name of the producer whose session owns it.
    producer: Option<String>,
}

/// Names and values in the order of the catalog.
struct Fields(Vec<(String, String)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What is open, the oldest first, or which name is unknown.
pub(super) fn gather(state: &State, query: &OpenQuery) -> Result<Vec<u8>, String> {
    let found = state.engine.open_entities(&query.systems, &query.entities, query.max)?;
    let is_shown = shows_text(&state.engine);
    let shown: Vec<OpenEntity> = found.iter().map(|entity| shown(state, entity, is_shown)).collect();
    serde_json::to_vec(&shown).map_err(|error| error.to_string())
}

fn shown(state: &State, found: &Found<'_>, is_shown: bool) -> OpenEntity {
    let fields = |parts: &[(&str, &[u8])]| {
        let shown = parts.iter().filter(|_| is_shown);
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Fields(shown.map(|(name, value)| ((*name).to_owned(), text(value))).collect())
    };
    OpenEntity {
        system: found.system.to_owned(),
        entity: found.entity.to_owned(),
        key: fields(&found.key),
        labels: fields(&found.labels),
        opened: RawValue::from_string(found.opened.to_string()).ok(),
        producer: state.sessions.get(found.owner).map(|session| session.name.producer.clone()),
    }
}
