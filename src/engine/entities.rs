//! The open entities of one system: found by key, linked to their parents, closed with all within them.
//!
//! Parents know their children and children their place among them, so that opening and closing cost the same
//! however many siblings there are. Which series count or belong to an entity is noted here and acted on by `apply`.

use std::collections::HashSet;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;
use std::hash::BuildHasher;

use super::migrate::Mapping;
use crate::catalog::model::{EntityDef, EntityIndex};
use crate::format::{self, v1};
use crate::limits;
use crate::protocol::shorthand::EventSpec;

/// Separates the parts of an entity's text. No UTF-8 text holds this byte.
pub(super) const PART_END: u8 = 0xff;

/// An open entity: an index, valid until it closes.
pub(super) type EntityId = u32;

/// The number of the session that owns an entity, or [`UNOWNED`]. A session owns what its producer opens, if the
/// hello asks for it. The owner of a series is something else: an entity, with which the series vanishes.
pub(crate) type EntityOwner = u32;

/// No session owns the entity. A restart of its server or of the machine abandons it.
pub(crate) const UNOWNED: EntityOwner = EntityOwner::MAX;

/// A series of the entity's system: the metric and the slot in its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SeriesRef {
    pub(super) metric: u16,
    pub(super) slot: u32,
}

/// A running total kept elsewhere, and what it was when last heard of. Its source is the metric and the entity, whatever the
/// labels are that the entity or the event fills.
#[derive(Debug, Clone)]
pub(super) struct Total {
    pub(super) metric: u16,
    /// The labels that the catalog fixes: one entity may have several totals of a metric.
    fixed: Box<str>,
    pub(super) last: f64,
}

#[derive(Debug, Default)]
pub(super) struct Entity {
    /// The parts of key and carried labels, each with [`PART_END`] behind it.
    text: Box<[u8]>,
    key_bytes: u32,
    parents: SmallVec<[Link; 2]>,
    /// The gauges that count it.
    pub(super) counted_by: SmallVec<[SeriesRef; 2]>,
    /// What most entities have nothing of.
    extra: Option<Box<Extra>>,
}

/// What belongs to an entity beside itself.
#[derive(Debug, Default)]
pub(super) struct Extra {
    children: Vec<EntityId>,
    /// The series that go with it.
    pub(super) owned: Vec<SeriesRef>,
    pub(super) totals: Vec<Total>,
}

/// What is known of the key of an entity that is to be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// How long it is.
    pub(super) bytes: usize,
    pub(super) hash: u64,
}

/// A parent, and the place among its children.
#[derive(Debug, Clone, Copy)]
struct Link {
    parent: EntityId,
    position: u32,
}

/// All open entities of one system.
#[derive(Debug)]
pub(super) struct Entities {
    hasher: DefaultHashBuilder,
    /// How deep each kind is within others.
    depths: Vec<usize>,
    /// By kind.
    index: Vec<HashTable<EntityId>>,
    /// How many there are of all kinds.
    open: usize,
    entities: Vec<Entity>,
    /// Beside `entities`, so that looking for the oldest touches little memory.
    kinds: Vec<u16>,
    opened: Vec<f64>,
    owners: Vec<EntityOwner>,
    free: Vec<EntityId>,
    /// Closed by the event that is being applied: not to be taken again before its end.
    closed: Vec<EntityId>,
    /// Who owns which series, so that owning twice is found quickly.
    owned_series: HashSet<(EntityId, SeriesRef), DefaultHashBuilder>,
}

/// What `kinds` holds for a free place.
const FREE: u16 = u16::MAX;

impl Entities {
    /// None yet, of kinds that are so deep within others.
    pub(super) fn new(depths: Vec<usize>, hasher: DefaultHashBuilder) -> Self {
        Entities {
            index: depths.iter().map(|_| HashTable::new()).collect(),
            depths,
            open: 0,
            entities: Vec::new(),
            kinds: Vec::new(),
            opened: Vec::new(),
            owners: Vec::new(),
            free: Vec::new(),
            closed: Vec::new(),
            owned_series: HashSet::with_hasher(hasher.clone()),
            hasher,
        }
    }

    pub(super) fn count(&self, kind: EntityIndex) -> usize {
        self.index[kind].len()
    }

    pub(super) fn count_all(&self) -> usize {
        self.open
    }

    /// The one of each kind that was opened first, where one is open.
    pub(super) fn oldest(&self) -> Vec<Option<EntityId>> {
        let mut oldest = vec![(f64::INFINITY, None); self.index.len()];
        for (id, (&kind, &opened)) in self.kinds.iter().zip(&self.opened).enumerate() {
            if kind != FREE && opened < oldest[kind as usize].0 {
                oldest[kind as usize] = (opened, Some(id as EntityId));
            }
        }
        oldest.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn find(&self, kind: EntityIndex, key: &[u8]) -> Option<EntityId> {
        self.find_hashed(kind, key, self.hash(key))
    }

    /// What [`Self::find_hashed`] and [`Self::open`] need of a key.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn find_hashed(&self, kind: EntityIndex, key: &[u8], hash: u64) -> Option<EntityId> {
        self.index[kind].find(hash, |&id| self.entities[id as usize].key() == key).copied()
    }

    pub(super) fn get(&self, id: EntityId) -> &Entity {
        &self.entities[id as usize]
    }

    pub(super) fn get_mut(&mut self, id: EntityId) -> &mut Entity {
        &mut self.entities[id as usize]
    }

    pub(super) fn is_open(&self, id: EntityId) -> bool {
        self.kinds.get(id as usize).is_some_and(|&kind| kind != FREE)
    }

    pub(super) fn kind(&self, id: EntityId) -> EntityIndex {
        self.kinds[id as usize] as EntityIndex
    }

    pub(super) fn opened(&self, id: EntityId) -> f64 {
        self.opened[id as usize]
    }

    pub(super) fn owner(&self, id: EntityId) -> EntityOwner {
        self.owners[id as usize]
    }

    pub(super) fn parent(&self, id: EntityId, index: usize) -> EntityId {
        self.entities[id as usize].parents[index].parent
    }

    pub(super) fn parents(&self, id: EntityId) -> impl Iterator<Item = EntityId> {
        self.entities[id as usize].parents.iter().map(|link| link.parent)
    }

    /// Opens an entity whose key is not open and whose parents are.
    pub(super) fn open(
        &mut self,
        kind: EntityIndex,
        text: &[u8],
        key: Key,
        parents: &[EntityId],
        opened: f64,
        owner: EntityOwner,
    ) -> EntityId {
        let id = self.free.pop().unwrap_or(self.entities.len() as EntityId);
        let entity = Entity { text: text.into(), key_bytes: key.bytes as u32, ..Entity::default() };
        if id as usize == self.entities.len() {
            self.entities.push(entity);
            self.kinds.push(kind as u16);
            self.opened.push(opened);
            self.owners.push(owner);
        } else {
            self.entities[id as usize] = entity;
            self.kinds[id as usize] = kind as u16;
            self.opened[id as usize] = opened;
            self.owners[id as usize] = owner;
        }
        self.insert(kind, id, key.hash);
        if !parents.is_empty() {
            self.link(id, parents);
        }
        id
    }

    /// Makes an entity findable by its key.
    fn insert(&mut self, kind: EntityIndex, id: EntityId, hash: u64) {
        let (hasher, entities) = (&self.hasher, &self.entities);
        let rehash = |id: &EntityId| hasher.hash_one(entities[*id as usize].key());
        self.index[kind].insert_unique(hash, id, rehash);
        self.open += 1;
    }

    /// Puts an entity within its parents.
    pub(super) fn link(&mut self, id: EntityId, parents: &[EntityId]) {
        let mut links = SmallVec::with_capacity(parents.len());
        for &parent in parents {
            let siblings = &mut self.entities[parent as usize].extra_mut().children;
            links.push(Link { parent, position: siblings.len() as u32 });
            siblings.push(id);
        }
        self.entities[id as usize].parents = links;
    }

    /// All open entities, in rising order.
    pub(super) fn all(&self) -> impl Iterator<Item = EntityId> {
        (0..self.entities.len() as EntityId).filter(|&id| self.is_open(id))
    }

    /// Appends all open entities. `series` says how series are referred to.
    pub(super) fn write(&self, out: &mut Vec<u8>, series: impl Fn(&[SeriesRef]) -> Vec<v1::SeriesRef>) {
        let mut numbers = vec![0; self.entities.len()];
        for (number, id) in self.all().enumerate() {
            numbers[id as usize] = number as u32;
        }
        for id in self.all() {
            let entity = self.get(id);
            let owner = self.owners[id as usize];
            let totals = entity.extra().totals.iter();
            let written = v1::Entity {
                kind: u32::from(self.kinds[id as usize]),
                session: (owner != UNOWNED).then_some(owner),
                opened_at: self.opened[id as usize],
                values: &entity.text,
                parents: self.parents(id).map(|parent| numbers[parent as usize]).collect(),
                counted_by: series(&entity.counted_by),
                owns: series(&entity.extra().owned),
                totals: totals
                    .map(|known| v1::OwnedTotal {
                        metric: u32::from(known.metric),
                        fixed: &known.fixed,
                        last: known.last,
                    })
                    .collect(),
            };
            format::put(out, &written);
        }
    }

    /// Opens an entity that was written, still without its parents; `None` if its key is open already. The key is the first
    /// `key_parts` of the values.
    pub(super) fn restore(
        &mut self,
        kind: EntityIndex,
        key_parts: usize,
        values: &[u8],
        opened: f64,
        owner: EntityOwner,
    ) -> Option<EntityId> {
        let end = memchr::memchr_iter(PART_END, values).nth(key_parts.checked_sub(1)?)?;
        let hash = self.hash(&values[..=end]);
        let key = Key { bytes: end + 1, hash };
        let is_new = self.find_hashed(kind, &values[..=end], hash).is_none();
        (is_new && self.entities.len() < limits::ENTITY_IDS_MAX)
            .then(|| self.open(kind, values, key, &[], opened, owner))
    }

    /// An entity and all within it, children before their parents.
    pub(super) fn with_descendants(&self, id: EntityId) -> Vec<EntityId> {
        let mut found = vec![id];
        let mut next = 0;
        let mut seen = HashSet::from([id]);
        while next < found.len() {
            let children = &self.entities[found[next] as usize].extra().children;
            found.extend(children.iter().filter(|child| seen.insert(**child)));
            next += 1;
        }
        // A child of two parents may have been found before its other parent's own parent; its depth decides.
        found.sort_by_key(|&id| std::cmp::Reverse(self.depths[self.kind(id)]));
        found
    }

    /// Whether nothing is within it, which is the common case at a close.
    pub(super) fn has_children(&self, id: EntityId) -> bool {
        !self.entities[id as usize].extra().children.is_empty()
    }

    /// Ends one entity that has no children, and hands over what it leaves behind.
    pub(super) fn close(&mut self, id: EntityId) -> Entity {
        let entity = std::mem::take(&mut self.entities[id as usize]);
        let kind = self.kinds[id as usize] as usize;
        let hash = self.hasher.hash_one(entity.key());
        if let Ok(found) = self.index[kind].find_entry(hash, |&other| other == id) {
            found.remove();
            self.open -= 1;
        }
        for link in &entity.parents {
            self.unlink(*link);
        }
        for series in &entity.extra().owned {
            self.owned_series.remove(&(id, *series));
        }
        self.kinds[id as usize] = FREE;
        self.opened[id as usize] = f64::INFINITY;
        self.owners[id as usize] = UNOWNED;
        self.closed.push(id);
        entity
    }

    /// The event is applied: the places of what it closed can be taken again.
    pub(super) fn release(&mut self) {
        self.free.append(&mut self.closed);
    }

    fn unlink(&mut self, link: Link) {
        let siblings = &mut self.entities[link.parent as usize].extra_mut().children;
        siblings.swap_remove(link.position as usize);
        // The last child took the free place and has to know it.
        if let Some(&moved) = siblings.get(link.position as usize) {
            for other in &mut self.entities[moved as usize].parents {
                if other.parent == link.parent {
                    other.position = link.position;
                }
            }
        }
    }

    /// Notes that a series belongs to an entity. Says whether that is new.
    pub(super) fn own(&mut self, id: EntityId, series: SeriesRef) -> bool {
        let new = self.owned_series.insert((id, series));
        if new {
            self.entities[id as usize].extra_mut().owned.push(series);
        }
        new
    }

    /// Notes that a series belongs to an entity no longer. Says whether it did.
    pub(super) fn disown(&mut self, id: EntityId, series: SeriesRef) -> bool {
        let owned = self.owned_series.remove(&(id, series));
        if owned {
            self.entities[id as usize].extra_mut().owned.retain(|other| *other != series);
        }
        owned
    }

    /// Notes what a running total is now that belongs to an entity. Returns what it was.
    pub(super) fn total(&mut self, id: EntityId, metric: u16, fixed: &str, total: f64) -> Option<f64> {
        let totals = &mut self.entities[id as usize].extra_mut().totals;
        if let Some(known) = totals.iter_mut().find(|known| known.metric == metric && *known.fixed == *fixed)
        {
            return Some(std::mem::replace(&mut known.last, total));
        }
        totals.push(Total { metric, fixed: fixed.into(), last: total });
        None
    }

    /// Forgets which series count entities or belong to them.
    pub(super) fn forget_series(&mut self) {
        self.owned_series.clear();
        for entity in &mut self.entities {
            entity.counted_by.clear();
            if let Some(extra) = &mut entity.extra {
                extra.owned.clear();
            }
        }
    }

    /// Gives to nobody what these have opened.
    pub(super) fn clear_owners(&mut self, owners: &[EntityOwner]) {
        self.owners.iter_mut().filter(|owner| owners.contains(owner)).for_each(|owner| *owner = UNOWNED);
    }

    /// Gives an entity other values for its carried labels.
    pub(super) fn set_text(&mut self, id: EntityId, text: &[u8]) {
        self.entities[id as usize].text = text.into();
    }

    /// The open entities of which this holds, children before their parents. The order does not depend on ids, so that a
    /// state that was saved and restored goes the same way.
    pub(super) fn children_first(&self, wanted: impl Fn(EntityId) -> bool) -> Vec<(EntityIndex, Box<[u8]>)> {
        let ids =
            self.kinds.iter().enumerate().filter(|(id, kind)| **kind != FREE && wanted(*id as EntityId));
        let mut found: Vec<(usize, EntityIndex, Box<[u8]>)> = ids
            .map(|(id, _)| {
                let key = self.entities[id].key().into();
                let kind = self.kinds[id] as EntityIndex;
                (self.depths[kind], kind, key)
            })
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, &a.2).cmp(&(b.1, &b.2))));
        found.into_iter().map(|(_, kind, key)| (kind, key)).collect()
    }

    /// Closes all at once.
    pub(super) fn clear(&mut self) {
        *self = Entities::new(std::mem::take(&mut self.depths), self.hasher.clone());
    }

    /// The open entities of one kind.
    pub(super) fn ids(&self, kind: EntityIndex) -> Vec<EntityId> {
        self.index[kind].iter().copied().collect()
    }

    /// The same entities under other indices of kinds and metrics. All entities of kinds that have no new index
    /// must be closed; series and totals that have none are forgotten. `new_text` gives the text of an entity of a kind.
    pub(super) fn migrate(
        mut self,
        depths: Vec<usize>,
        mapping: &Mapping,
        new_text: impl Fn(EntityIndex, &Entity) -> Option<Box<[u8]>>,
    ) -> Self {
        for (id, &kind) in self.kinds.iter().enumerate().filter(|(_, kind)| **kind != FREE) {
            if let Some(text) = new_text(kind as EntityIndex, &self.entities[id]) {
                self.entities[id].text = text;
            }
        }
        let mut index: Vec<HashTable<EntityId>> = depths.iter().map(|_| HashTable::new()).collect();
        self.depths = depths;
        for (old, table) in self.index.drain(..).enumerate() {
            if let Some(new) = mapping.kinds[old] {
                index[new] = table;
            }
        }
        self.open = index.iter().map(HashTable::len).sum();
        self.index = index;
        for kind in self.kinds.iter_mut().filter(|kind| **kind != FREE) {
            *kind = mapping.kinds[*kind as usize].map_or(FREE, |new| new as u16);
        }
        for entity in &mut self.entities {
            entity.counted_by = entity.counted_by.iter().filter_map(|&old| mapping.series(old)).collect();
            let Some(extra) = &mut entity.extra else { continue };
            extra.owned = extra.owned.iter().filter_map(|&old| mapping.series(old)).collect();
            extra.totals.retain_mut(|known| {
                let new = mapping.totals[known.metric as usize];
                new.inspect(|&new| known.metric = new).is_some()
            });
        }
        let owned_series: Vec<_> =
            self.owned_series.drain().filter_map(|(id, old)| Some((id, mapping.series(old)?))).collect();
        self.owned_series.extend(owned_series);
        self
    }

    /// Makes everything that refers to one series refer to another. Says how many owned_series moved.
    pub(super) fn redirect(&mut self, from: SeriesRef, to: SeriesRef) -> usize {
        let mut moved = 0;
        for id in 0..self.entities.len() as EntityId {
            let entity = &mut self.entities[id as usize];
            entity.counted_by.iter_mut().filter(|series| **series == from).for_each(|series| *series = to);
            let Some(extra) = &mut entity.extra else { continue };
            if let Some(position) = extra.owned.iter().position(|series| *series == from) {
                extra.owned.swap_remove(position);
                self.owned_series.remove(&(id, from));
                moved += usize::from(self.own(id, to));
            }
        }
        moved
    }
}

/// Of an entity that has nothing more.
static NO_EXTRA: Extra = Extra { children: Vec::new(), owned: Vec::new(), totals: Vec::new() };

impl Entity {
    pub(super) fn extra(&self) -> &Extra {
        self.extra.as_deref().unwrap_or(&NO_EXTRA)
    }

    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.text[..self.key_bytes as usize]
    }

    /// An event about it, with all it carries; labels that it lacks are left out.
    pub(super) fn to_line(&self, event: &str, def: &EntityDef) -> String {
        let parts: Vec<String> =
            self.parts().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        let names = def.key.iter().chain(&def.labels).map(String::as_str);
        let fields = names.zip(parts.iter().map(String::as_str)).enumerate();
        let fields = fields.filter(|(index, (_, text))| *index < def.key.len() || !text.is_empty());
        EventSpec { event, fields: fields.map(|(_, field)| field).collect() }.to_line()
    }

    /// One part of key and labels, keys first.
    pub(super) fn part(&self, part: usize) -> &[u8] {
        self.text.split(|&byte| byte == PART_END).nth(part).unwrap_or_default()
    }

    /// All parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.text.strip_suffix(&[PART_END]).unwrap_or(&self.text);
        text.split(|&byte| byte == PART_END)
    }
}
