//! One entity: its key and labels, its links to parents and children, and the series and totals that belong
//! to it.

use smallvec::SmallVec;

use super::{EntityId, PART_END};
use crate::catalog::model::EntityDef;
use crate::protocol::shorthand::EventSpec;

/// A series of the entity's system: the metric and the slot in its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::engine) struct SeriesRef {
    pub(in crate::engine) metric: u16,
    pub(in crate::engine) slot: u32,
}

/// The latest value of a running total that an entity reports. The metric and `fixed` identify the total: it
/// stays the same when the entity's labels change.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Total {
    pub(in crate::engine) metric: u16,
    /// The labels that the catalog fixes. They tell several totals of one metric apart.
    pub(super) fixed: Box<str>,
    pub(in crate::engine) last: f64,
}

#[derive(Debug, Default)]
pub(in crate::engine) struct Entity {
    /// The parts of the key and then the labels, each followed by [`PART_END`].
    pub(super) text: Box<[u8]>,
    pub(super) key_bytes: u32,
    pub(super) parents: SmallVec<[Link; 2]>,
    /// The live gauges that count the entity.
    pub(in crate::engine) counted_by: SmallVec<[SeriesRef; 2]>,
    /// On the heap, because most entities have none of it.
    pub(super) extra: Option<Box<Extra>>,
}

/// What only some entities have.
#[derive(Debug, Default)]
pub(in crate::engine) struct Extra {
    pub(super) children: Vec<EntityId>,
    /// The series that vanish with the entity.
    pub(in crate::engine) owned: Vec<SeriesRef>,
    pub(in crate::engine) totals: Vec<Total>,
}

/// A parent, and the entity's position among the children of that parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) parent: EntityId,
    pub(super) position: u32,
}

static NO_EXTRA: Extra = Extra { children: Vec::new(), owned: Vec::new(), totals: Vec::new() };

impl Entity {
    pub(in crate::engine) fn extra(&self) -> &Extra {
        self.extra.as_deref().unwrap_or(&NO_EXTRA)
    }

    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.text[..self.key_bytes as usize]
    }

    /// Formats a line of the feed that reports `event` with the entity's key and labels. Empty labels are
    /// left out.
    pub(in crate::engine) fn to_line(&self, event: &str, def: &EntityDef) -> String {
        let parts: Vec<String> =
            self.parts().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        let names = def.key.iter().chain(&def.labels).map(String::as_str);
        let fields = names.zip(parts.iter().map(String::as_str)).enumerate();
        let fields = fields.filter(|(index, (_, text))| *index < def.key.len() || !text.is_empty());
        EventSpec { event, fields: fields.map(|(_, field)| field).collect() }.to_line()
    }

    /// The parts of the key, then the labels, each followed by [`PART_END`].
    pub(in crate::engine) fn text(&self) -> &[u8] {
        &self.text
    }

    /// All parts of the key, then all labels.
    pub(in crate::engine) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.text.strip_suffix(&[PART_END]).unwrap_or(&self.text);
        text.split(|&byte| byte == PART_END)
    }
}
