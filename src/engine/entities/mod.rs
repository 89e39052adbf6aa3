//! The open entities of one system, found by key and linked to their parents.
//!
//! A parent lists its children, and a child knows its position in that list: opening and closing cost the
//! same however many siblings there are. This module also records which series count an entity or belong to
//! it; `apply` changes their values. `entity` is one entity, `index` finds it by key, `series` holds its series,
//! and `persist` saves and migrates all of them.

mod entity;
mod index;
mod persist;
mod series;

use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use crate::budget::{Budget, Claim};
use crate::catalog::model::EntityIndex;
use crate::limits;

pub(super) use entity::{Entity, SeriesRef};
use entity::{Link, Total};
use index::Index;

/// Follows each part of an entity's text. The byte never occurs in UTF-8.
pub(super) const PART_END: u8 = 0xff;

/// The index of an open entity. A later entity may reuse it once this one has closed.
pub(super) type EntityId = u32;

/// The number of the session that owns an entity, or [`UNOWNED`]. A session owns what its producer opens, if
/// the hello asks for it. The owner of a series is something else: an entity, with which the series vanishes.
pub(crate) type EntityOwner = u32;

/// No session owns the entity. A restart of its server or of the machine abandons it.
pub(crate) const UNOWNED: EntityOwner = EntityOwner::MAX;

/// The length and the hash of the key of an entity that is about to open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) bytes: usize,
    pub(super) hash: u64,
}

/// An entity in a list that is sorted: children before their parents, then by kind and key, so that a restored
/// state, which gives ids anew, sorts alike. Comparing sums of keys is faster than comparing keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered {
    depth: Reverse<u16>,
    kind: u16,
    key_sum: u32,
    pub(super) id: EntityId,
}

impl Ordered {
    pub(super) fn kind(self) -> EntityIndex {
        self.kind as EntityIndex
    }
}

/// All open entities of one system.
#[derive(Debug)]
pub(super) struct Entities {
    hasher: DefaultHashBuilder,
    claim: Claim,
    /// For each kind, how many levels of parents it has.
    depths: Vec<usize>,
    /// For each kind, the entities by key.
    index: Vec<Index>,
    /// For each kind, how many are open.
    counts: Vec<usize>,
    entities: Vec<Entity>,
    /// Kinds, times and owners are separate from `entities`, so that the search for the oldest reads little
    /// memory.
    kinds: Vec<u16>,
    opened: Vec<f64>,
    owners: Vec<EntityOwner>,
    free: Vec<EntityId>,
    /// Closed, by the event that is being applied or by earlier ones. Their ids become free when an event ends and
    /// nobody keeps them.
    closed: Vec<EntityId>,
    /// While it is not 0, ids of closed entities stay unused, since somebody remembers them.
    keepers: u32,
    /// The same as [`entity::Extra::owned`], to look up one pair quickly.
    owned_series: HashSet<(EntityId, SeriesRef), DefaultHashBuilder>,
}

/// The bytes of an entity with this text.
pub(super) fn bytes_of(text: &[u8]) -> usize {
    limits::ENTITY_BYTES + text.len()
}

/// In the entry in `kinds` of an entity that has closed and is still to be removed.
const LEAVING: u16 = 1 << 15;
/// The entry of an id that is not in use.
const FREE: u16 = u16::MAX;

impl Entities {
    pub(super) fn new(depths: Vec<usize>, hasher: DefaultHashBuilder, budget: &Arc<Budget>) -> Self {
        Entities {
            claim: Claim::new(budget),
            index: depths.iter().map(|_| Index::default()).collect(),
            counts: vec![0; depths.len()],
            depths,
            entities: Vec::new(),
            kinds: Vec::new(),
            opened: Vec::new(),
            owners: Vec::new(),
            free: Vec::new(),
            closed: Vec::new(),
            keepers: 0,
            owned_series: HashSet::with_hasher(hasher.clone()),
            hasher,
        }
    }

    /// Whether entities of so many bytes fit.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.claim.budget().has_room(bytes)
    }

    pub(super) fn count(&self, kind: EntityIndex) -> usize {
        self.counts[kind]
    }

    pub(super) fn count_all(&self) -> usize {
        self.counts.iter().sum()
    }

    /// For each kind, the open entity that was opened first.
    pub(super) fn oldest(&self) -> Vec<Option<EntityId>> {
        let mut oldest = vec![(f64::INFINITY, None); self.index.len()];
        for (id, (&kind, &opened)) in self.kinds.iter().zip(&self.opened).enumerate() {
            if kind < LEAVING && opened < oldest[kind as usize].0 {
                oldest[kind as usize] = (opened, Some(id as EntityId));
            }
        }
        oldest.into_iter().map(|(_, id)| id).collect()
    }

    /// Hashes a key for [`Self::find_hashed`] and [`Self::open`].
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn find_hashed(&self, kind: EntityIndex, key: &[u8], hash: u64) -> Option<EntityId> {
        self.index[kind].find(hash, |id| self.entities[id as usize].key() == key)
    }

    pub(super) fn get(&self, id: EntityId) -> &Entity {
        &self.entities[id as usize]
    }

    pub(super) fn get_mut(&mut self, id: EntityId) -> &mut Entity {
        &mut self.entities[id as usize]
    }

    pub(super) fn is_open(&self, id: EntityId) -> bool {
        self.kinds.get(id as usize).is_some_and(|&kind| kind < LEAVING)
    }

    pub(super) fn kind(&self, id: EntityId) -> EntityIndex {
        (self.kinds[id as usize] & !LEAVING) as EntityIndex
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

    /// Opens an entity. Its key must not be open, its parents must be.
    pub(super) fn open(
        &mut self,
        kind: EntityIndex,
        text: &[u8],
        key: Key,
        parents: &[EntityId],
        opened: f64,
        owner: EntityOwner,
    ) -> EntityId {
        self.claim.take(bytes_of(text));
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
        self.index[kind].insert(key.hash, id);
        self.counts[kind] += 1;
        if !parents.is_empty() {
            self.link(id, parents);
        }
        id
    }

    /// Sets the parents of an entity.
    pub(super) fn link(&mut self, id: EntityId, parents: &[EntityId]) {
        let mut links = SmallVec::with_capacity(parents.len());
        for &parent in parents {
            let siblings = &mut self.entities[parent as usize].extra_mut().children;
            links.push(Link { parent, position: siblings.len() as u32 });
            siblings.push(id);
        }
        self.entities[id as usize].parents = links;
    }

    /// Behind the last id that an open entity may have.
    pub(super) fn ids_end(&self) -> usize {
        self.entities.len()
    }

    /// All open entities in the order of their ids.
    pub(super) fn all(&self) -> impl Iterator<Item = EntityId> {
        (0..self.entities.len() as EntityId).filter(|&id| self.is_open(id))
    }

    /// All open entities, children before their parents, in an order that does not depend on ids.
    pub(super) fn sorted(&self) -> Vec<Ordered> {
        let mut found: Vec<Ordered> = self.all().map(|id| self.ordered(id)).collect();
        found.sort_unstable_by(|a, b| self.compare(a, b));
        found
    }

    /// An entity with what decides its place among others.
    pub(super) fn ordered(&self, id: EntityId) -> Ordered {
        let depth = Reverse(self.depths[self.kind(id)] as u16);
        Ordered { depth, kind: self.kinds[id as usize], key_sum: crc32fast::hash(self.get(id).key()), id }
    }

    /// Sorts some of the entities for [`Self::next_of`].
    pub(super) fn run_of(&self, mut found: Vec<Ordered>) -> Vec<Ordered> {
        found.sort_unstable_by(|a, b| self.compare(b, a));
        found
    }

    /// Takes the next entity from runs that are sorted each: to sort all of them at once would take too long.
    pub(super) fn next_of(&self, runs: &mut Vec<Vec<Ordered>>) -> Option<Ordered> {
        let heads = runs.iter().enumerate().filter_map(|(index, run)| Some((index, run.last()?)));
        let (index, _) = heads.min_by(|(_, a), (_, b)| self.compare(a, b))?;
        let next = runs[index].pop();
        if runs[index].is_empty() {
            runs.swap_remove(index);
        }
        next
    }

    fn compare(&self, a: &Ordered, b: &Ordered) -> Ordering {
        let order = (a.depth, a.kind, a.key_sum).cmp(&(b.depth, b.kind, b.key_sum));
        order.then_with(|| self.get(a.id).key().cmp(self.get(b.id).key()))
    }

    /// An entity and all its descendants, children before their parents.
    pub(super) fn with_descendants(&self, id: EntityId) -> Vec<EntityId> {
        let mut found = vec![id];
        let mut next = 0;
        let mut seen = HashSet::new();
        while next < found.len() {
            let children = &self.entities[found[next] as usize].extra().children;
            // Only a child of several parents can be found twice.
            let is_new =
                |child: &&EntityId| self.entities[**child as usize].parents.len() < 2 || seen.insert(**child);
            found.extend(children.iter().filter(is_new));
            next += 1;
        }
        // The last child first: it leaves its parent's list without moving another.
        found.reverse();
        // A child of two parents may have been found before its other parent: the depth of its kind decides.
        found.sort_by_key(|&id| Reverse(self.depths[self.kind(id)]));
        found
    }

    pub(super) fn has_children(&self, id: EntityId) -> bool {
        !self.entities[id as usize].extra().children.is_empty()
    }

    /// Closes one entity that has no children. The caller updates the series of the returned entity.
    pub(super) fn close(&mut self, id: EntityId) -> Entity {
        let entity = std::mem::take(&mut self.entities[id as usize]);
        self.claim.give_back(bytes_of(&entity.text));
        let kind = self.kind(id);
        self.index[kind].remove(self.hasher.hash_one(entity.key()), id);
        self.counts[kind] -= usize::from(self.is_open(id));
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

    /// Closes an entity, but leaves it to [`Self::close`] to remove it. Returns the series that counted it and those
    /// that it owned.
    pub(super) fn leave(&mut self, id: EntityId) -> (SmallVec<[SeriesRef; 2]>, Vec<SeriesRef>) {
        let kind = self.kind(id);
        self.counts[kind] -= 1;
        self.kinds[id as usize] |= LEAVING;
        let entity = &mut self.entities[id as usize];
        let owned = entity.extra.as_mut().map_or(Vec::new(), |extra| std::mem::take(&mut extra.owned));
        let counted_by = std::mem::take(&mut entity.counted_by);
        for series in &owned {
            self.owned_series.remove(&(id, *series));
        }
        (counted_by, owned)
    }

    /// Frees the ids of the entities that the event has closed.
    pub(super) fn release(&mut self) {
        if self.keepers == 0 {
            self.free.append(&mut self.closed);
        }
    }

    /// The ids of entities that close stay unused until [`Self::use_ids`].
    pub(super) fn keep_ids(&mut self) {
        self.keepers += 1;
    }

    /// The ids of entities that have closed may be used again.
    pub(super) fn use_ids(&mut self) {
        self.keepers = self.keepers.saturating_sub(1);
        self.release();
    }

    fn unlink(&mut self, link: Link) {
        let siblings = &mut self.entities[link.parent as usize].extra_mut().children;
        siblings.swap_remove(link.position as usize);
        // The last child has moved to the free position.
        if let Some(&moved) = siblings.get(link.position as usize) {
            for other in &mut self.entities[moved as usize].parents {
                if other.parent == link.parent {
                    other.position = link.position;
                }
            }
        }
    }

    /// Makes the entities of these owners, which are sorted, unowned.
    pub(super) fn clear_owners(&mut self, owners: &[EntityOwner]) {
        self.owners
            .iter_mut()
            .filter(|owner| owners.binary_search(owner).is_ok())
            .for_each(|owner| *owner = UNOWNED);
    }

    /// Replaces the text of an entity. Its key stays the same.
    pub(super) fn set_text(&mut self, id: EntityId, text: &[u8]) {
        let former = std::mem::replace(&mut self.entities[id as usize].text, text.into());
        self.claim.take(bytes_of(text));
        self.claim.give_back(bytes_of(&former));
    }

    /// Closes all entities without touching their series.
    pub(super) fn clear(&mut self) {
        let budget = Arc::clone(self.claim.budget());
        *self = Entities::new(std::mem::take(&mut self.depths), self.hasher.clone(), &budget);
    }

    pub(super) fn ids(&self, kind: EntityIndex) -> Vec<EntityId> {
        self.index[kind].ids().collect()
    }
}
