//! Fills the labels of an event's series: finds the source of each value, transforms it, and cuts it to its
//! maximum length.

use std::hash::BuildHasher;

use super::{Bound, Context, Event, Filled, Handle, Range, Scratch, Set, System};
use crate::catalog::model::{EntityPath, FieldIndex, LabelFill, Otherwise, Transform};
use crate::engine::entities::PART_END;
use crate::engine::transform;
use crate::protocol::line::Value;
use crate::series;
use crate::special_bytes::first_special_or;

/// The value of a label before its transform.
struct LabelText<'a> {
    text: &'a [u8],
    /// The field that it is the text of.
    field: Option<FieldIndex>,
    /// Nothing in it needs an escape.
    is_plain: bool,
}

/// A place between the parts of an entity's text. Most labels of a series come from the same entity, in its own order.
#[derive(Default)]
struct Cursor<'a> {
    supplier: Option<usize>,
    /// The part that comes next.
    next: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn is_before(&self, supplier: usize, part: usize) -> bool {
        self.supplier == Some(supplier) && self.next <= part
    }

    /// A part from here on; empty if there are fewer.
    fn part(&mut self, part: usize) -> LabelText<'a> {
        loop {
            let special = first_special_or(PART_END, self.rest);
            let is_plain = self.rest.get(special).is_none_or(|&byte| byte == PART_END);
            let end = if is_plain { special } else { part_end(self.rest) };
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            self.next += 1;
            if self.next > part {
                return LabelText { text, field: None, is_plain };
            }
        }
    }
}

#[cold]
fn part_end(text: &[u8]) -> usize {
    memchr::memchr(PART_END, text).unwrap_or(text.len())
}

impl Scratch {
    /// Appends the labels of a series to the texts, escaped as in the exposition, if that is not done yet.
    #[inline]
    pub(super) fn fill_once(
        &mut self,
        event: Event<'_>,
        set: usize,
        system: &System,
        context: &mut Context<'_>,
    ) {
        if matches!(self.sets[set], Set::Unfilled) {
            let start = self.filled.texts.len();
            self.sets[set] = if self.bound.push_labels(event, set, system, context, &mut self.filled) {
                let range = start..self.filled.texts.len();
                let hash = context.hasher.hash_one(&self.filled.texts[range.clone()]);
                Set::Ready(range, hash)
            } else {
                Set::Incomplete
            };
        }
    }

    /// Appends the labels of a series before any transform to the texts. They identify a running total, so that
    /// it does not depend on `[privacy]`.
    pub(super) fn raw_tuple(&mut self, event: Event<'_>, set: usize, system: &System) -> Range {
        let texts = &mut self.filled.texts;
        let start = texts.len();
        let mut at = Cursor::default();
        for label in &event.plan.sets[set].labels {
            if let Some(found) = self.bound.label_text(event, label, &mut at, system) {
                transform::push_cut(texts, found.text);
            }
            texts.push(PART_END);
        }
        start..texts.len()
    }

    /// Counts a label that will be cut.
    #[inline]
    pub(super) fn count_cut(&mut self, field: FieldIndex, text: &[u8]) {
        if transform::is_too_long(text) {
            self.filled.cuts.note(Some(field));
        }
    }
}

impl Bound {
    /// The text of a field; `None` if it is missing or null.
    #[inline]
    pub(super) fn field_text<'a>(&self, event: Event<'a>, field: FieldIndex) -> Option<&'a [u8]> {
        let span = self.values[field].and_then(Value::text)?;
        Some(event.fields.bytes(event.line, span))
    }

    /// The entity at the end of a path of parents.
    pub(super) fn follow_path(&self, path: &EntityPath, system: &System) -> Option<Handle> {
        let start = self.handles[path.start]?;
        Some(path.parents.iter().fold(start, |handle, &parent| match handle {
            Handle::Existing(id) => Handle::Existing(system.entities.parent(id, parent)),
            Handle::New(opening) => self.parents[self.openings[opening].parents.start + parent],
        }))
    }

    /// Appends the labels of a series. Returns `false` if one has no value.
    fn push_labels(
        &self,
        event: Event<'_>,
        set: usize,
        system: &System,
        context: &mut Context<'_>,
        filled: &mut Filled,
    ) -> bool {
        let mut at = Cursor::default();
        for label in &event.plan.sets[set].labels {
            filled.texts.extend_from_slice(label.opening.as_bytes());
            let Some(found) = self.label_text(event, label, &mut at, system) else { return false };
            let transform = label.transform.as_ref().filter(|transform| transform.changes(context.privacy));
            if found.is_plain && transform.is_none() && !transform::is_too_long(found.text) {
                filled.texts.extend_from_slice(found.text);
            } else {
                filled.push_changed(&found, transform, context);
            }
            filled.texts.push(b'"');
        }
        true
    }

    /// The value of a label, if it has one.
    #[inline]
    fn label_text<'a>(
        &'a self,
        event: Event<'a>,
        label: &'a LabelFill,
        at: &mut Cursor<'a>,
        system: &'a System,
    ) -> Option<LabelText<'a>> {
        if let Some(field) = label.field
            && let Some(span) = self.values[field].and_then(Value::text)
        {
            let text = event.fields.bytes(event.line, span);
            // What JSON does not escape needs no escape in the exposition either.
            return Some(LabelText { text, field: Some(field), is_plain: !span.is_unescaped() });
        }
        match &label.otherwise {
            Otherwise::Skip => None,
            Otherwise::Text(text) => {
                Some(LabelText { text: text.as_bytes(), field: None, is_plain: text.is_empty() })
            }
            Otherwise::Entity { supplier, part } => self.entity_text(event, *supplier, *part, at, system),
        }
    }

    /// A part of an entity that supplies labels. Out of line, which leaves room to inline the others.
    #[inline(never)]
    fn entity_text<'a>(
        &'a self,
        event: Event<'a>,
        supplier: usize,
        part: usize,
        at: &mut Cursor<'a>,
        system: &'a System,
    ) -> Option<LabelText<'a>> {
        if !at.is_before(supplier, part) {
            let rest = match self.follow_path(&event.plan.suppliers[supplier], system)? {
                Handle::Existing(id) => system.entities.get(id).text(),
                Handle::New(opening) => &self.keys[self.openings[opening].text.clone()],
            };
            *at = Cursor { supplier: Some(supplier), next: 0, rest };
        }
        Some(at.part(part))
    }
}

impl Filled {
    /// Appends a label that does not stay as it is. Out of line, which leaves room to inline the others.
    #[inline(never)]
    fn push_changed(
        &mut self,
        found: &LabelText<'_>,
        transform: Option<&Transform>,
        context: &mut Context<'_>,
    ) {
        let Filled { texts, value, cuts } = self;
        let mut text = found.text;
        if let Some(transform) = transform {
            value.clear();
            let before = std::str::from_utf8(text).unwrap_or_default();
            transform::apply(transform, before, context.privacy, context.rdns, value);
            text = value;
        }
        let mut short = Vec::new();
        if transform::is_too_long(text) {
            transform::push_cut(&mut short, text);
            cuts.note(found.field);
            text = &short;
        }
        series::text::push_escaped(texts, text);
    }
}
