//! Resolves the entities that an event opens, closes, updates or refers to, as if its earlier steps were committed.

use smallvec::SmallVec;

use super::rejections;
use super::{Bound, Context, Event, Handle, Opening, Range, Resolved, Scratch, System};
use crate::catalog::model::{EntityIndex, FieldIndex, Find, Open, Then};
use crate::engine::entities::{EntityOwner, Key, PART_END, bytes_of};
use crate::engine::transform;
use crate::protocol::rejection::Rejection;

impl Scratch {
    /// Appends the parts of an entity's text to `keys`. The first `needed` parts are its key: if one is
    /// missing, returns `None`. Returns the range of the text and the length of the key.
    fn push_parts(
        &mut self,
        event: Event<'_>,
        fields: &[FieldIndex],
        needed: usize,
    ) -> Result<Option<(Range, usize)>, Rejection> {
        let start = self.bound.keys.len();
        let mut key_end = start;
        for (index, &field) in fields.iter().enumerate() {
            match self.bound.field_text(event, field) {
                // A key is never cut.
                Some(text) if index < needed && (text.is_empty() || transform::is_too_long(text)) => {
                    return Err(rejections::bad_key(event.plan, field, text));
                }
                Some(text) if index < needed => self.bound.keys.extend_from_slice(text),
                Some(text) => {
                    self.count_cut(field, text);
                    transform::push_cut(&mut self.bound.keys, text);
                }
                None if index < needed => return Ok(None),
                None => {}
            }
            self.bound.keys.push(PART_END);
            if index + 1 == needed {
                key_end = self.bound.keys.len();
            }
        }
        Ok(Some((start..self.bound.keys.len(), key_end - start)))
    }

    /// Whether the event opens an entity.
    pub(in crate::engine) fn opens(&self) -> bool {
        !self.bound.openings.is_empty()
    }

    /// Finds the open entity whose key these fields are; `None` if one of them is missing.
    fn find_by_fields(
        &mut self,
        event: Event<'_>,
        kind: EntityIndex,
        fields: &[FieldIndex],
        system: &System,
        context: &Context<'_>,
    ) -> Result<Option<Handle>, Rejection> {
        let Some((key, _)) = self.push_parts(event, fields, fields.len())? else { return Ok(None) };
        let hash = system.entities.hash(&self.bound.keys[key.clone()]);
        match self.bound.find(kind, key.clone(), hash, system, context.abandoned_owners) {
            Some(found) => Ok(Some(found)),
            None => Err(rejections::not_open(kind, &self.bound.keys[key], system)),
        }
    }

    pub(super) fn resolve_open(
        &mut self,
        event: Event<'_>,
        open: &Open,
        system: &System,
        context: &Context<'_>,
    ) -> Result<Resolved, Rejection> {
        let Open { entity, handle, parts, parents, ensure } = open;
        let key_count = system.catalog.entities[*entity].key.len();
        let Some((text, key_bytes)) = self.push_parts(event, parts, key_count)? else {
            return Ok(Resolved::Skip);
        };
        let key = text.start..text.start + key_bytes;
        let hash = system.entities.hash(&self.bound.keys[key.clone()]);
        if let Some(found) = self.bound.find(*entity, key.clone(), hash, system, context.abandoned_owners) {
            if ensure.is_some() {
                self.bound.handles[*handle] = Some(found);
                return Ok(Resolved::Execute);
            }
            return Err(rejections::already_open(*entity, &self.bound.keys[key], system));
        }
        let first_parent = self.bound.parents.len();
        for (kind, fields) in parents {
            match self.find_by_fields(event, *kind, fields, system, context)? {
                Some(parent) => self.bound.parents.push(parent),
                None => return Ok(Resolved::Skip),
            }
        }
        self.bound.check_room(*entity, &self.bound.keys[text.clone()], system, context.entities_max)?;
        self.bound.handles[*handle] = Some(Handle::New(self.bound.openings.len()));
        self.bound.openings.push(Opening {
            kind: *entity,
            text,
            key: Key { bytes: key_bytes, hash },
            parents: first_parent..self.bound.parents.len(),
        });
        Ok(Resolved::Open)
    }

    pub(super) fn resolve_find(
        &mut self,
        event: Event<'_>,
        find: &Find,
        system: &System,
        context: &Context<'_>,
    ) -> Result<Resolved, Rejection> {
        let Find { entity, handle, key, then } = find;
        let Some(found) = self.find_by_fields(event, *entity, key, system, context)? else {
            return Ok(Resolved::Skip);
        };
        self.bound.handles[*handle] = Some(found);
        match then {
            Then::Close => self.bound.closed.push(found),
            Then::Reference => {}
            Then::Update(parts) => {
                for &(_, field) in parts {
                    if let Some(text) = self.bound.field_text(event, field) {
                        self.count_cut(field, text);
                    }
                }
            }
        }
        Ok(Resolved::Execute)
    }
}

impl Bound {
    /// Rejects an event for which there is no room: it opens another entity of this kind with this text.
    fn check_room(
        &self,
        kind: EntityIndex,
        text: &[u8],
        system: &System,
        entities_max: usize,
    ) -> Result<(), Rejection> {
        // Entities that the event closes make room. Their children make room, too, but are not counted here:
        // the limit is only stricter for that.
        let is_reported = |kind: EntityIndex| !system.catalog.entities[kind].closes_when_empty;
        let open_before = if self.reset { 0 } else { system.reported() };
        let open = open_before + self.openings.iter().filter(|opening| is_reported(opening.kind)).count();
        if is_reported(kind) && open >= entities_max + self.closed.len() {
            return Err(rejections::too_many_open(open, system));
        }
        let opened = self.openings.iter().map(|opening| bytes_of(&self.keys[opening.text.clone()]));
        let bytes = opened.sum::<usize>() + bytes_of(text);
        // An event that closes makes room, too, whatever it opens.
        if self.closed.is_empty() && !self.reset && !system.entities.has_room(bytes) {
            return Err(rejections::no_memory(bytes));
        }
        Ok(())
    }

    /// Finds an open entity by its key, as if the earlier steps were committed.
    fn find(
        &self,
        kind: EntityIndex,
        key: Range,
        hash: u64,
        system: &System,
        owners: &[EntityOwner],
    ) -> Option<Handle> {
        let key = &self.keys[key];
        let existing = system.entities.find_hashed(kind, key, hash).map(Handle::Existing);
        if self.openings.is_empty() && self.closes_nothing() {
            return existing;
        }
        let opened = self.openings.iter().rposition(|opening| {
            opening.kind == kind && self.keys[opening.text.start..][..opening.key.bytes] == *key
        });
        let is_open = |handle: &Handle| !self.is_closed(*handle, system, owners);
        opened.map(Handle::New).filter(is_open).or_else(|| existing.filter(is_open))
    }

    /// Whether no earlier step of the event closes anything.
    fn closes_nothing(&self) -> bool {
        self.closed.is_empty() && !self.reset && !self.abandons
    }

    /// Whether an earlier step of the event closes the entity.
    fn is_closed(&self, handle: Handle, system: &System, owners: &[EntityOwner]) -> bool {
        if self.closes_nothing() {
            return false;
        }
        // An entity closes with any of its ancestors. Each is visited once, however many paths lead to it.
        let mut to_visit = vec![handle];
        let mut next = 0;
        while let Some(&handle) = to_visit.get(next) {
            next += 1;
            let is_existing_closed =
                |id| self.reset || (self.abandons && system.is_abandoned_with(id, owners));
            let parents: SmallVec<[Handle; 2]> = match handle {
                _ if self.closed.contains(&handle) => return true,
                Handle::Existing(id) if is_existing_closed(id) => return true,
                Handle::Existing(id) => system.entities.parents(id).map(Handle::Existing).collect(),
                Handle::New(opening) => self.parents[self.openings[opening].parents.clone()].into(),
            };
            for parent in parents {
                if !to_visit.contains(&parent) {
                    to_visit.push(parent);
                }
            }
        }
        false
    }
}
