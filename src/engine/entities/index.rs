//! Finds the open entities of one kind by key. The hash of a key lies beside the entity's id, so that the table
//! grows and shrinks without a look at the keys, which lie all over the memory.

use hashbrown::HashTable;

use super::EntityId;

#[derive(Debug, Default)]
pub(super) struct Index {
    table: HashTable<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u32,
    id: EntityId,
}

/// The table takes its places from the low bits and its tags from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Index {
    /// All ids, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = EntityId> {
        self.table.iter().map(|entry| entry.id)
    }

    /// The entity whose key has this hash and `is_wanted`.
    pub(super) fn find(&self, hash: u64, is_wanted: impl Fn(EntityId) -> bool) -> Option<EntityId> {
        let hash = hash as u32;
        let found = self.table.find(spread(hash), |entry| entry.hash == hash && is_wanted(entry.id));
        found.map(|entry| entry.id)
    }

    /// Adds an entity whose key is not there yet.
    pub(super) fn insert(&mut self, hash: u64, id: EntityId) {
        let entry = Entry { hash: hash as u32, id };
        self.table.insert_unique(spread(entry.hash), entry, |entry| spread(entry.hash));
    }

    /// Removes an entity.
    pub(super) fn remove(&mut self, hash: u64, id: EntityId) {
        if let Ok(found) = self.table.find_entry(spread(hash as u32), |entry| entry.id == id) {
            found.remove();
        }
    }
}
