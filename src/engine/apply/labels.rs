//! Fills the labels of an event's series: finds the source of each value, transforms it, and cuts it to its
//! maximum length.

use std::hash::BuildHasher;

use super::rejections;
use super::{Bound, Context, Event, Filled, Handle, Range, Scratch, Set, System};
use crate::catalog::model::{EntityPath, FieldIndex, LabelFill, LabelSource};
use crate::engine::entities::PART_END;
use crate::engine::transform;
use crate::protocol::line::Value;
use crate::protocol::rejection::Rejection;
use crate::series;

/// The text of a label, with its field if it is that of a field.
type LabelText<'a> = (Option<FieldIndex>, &'a [u8]);

/// A place between the parts of an entity's text. Most labels of a series come from the same entity, in its own order.
#[derive(Default)]
struct Cursor<'a> {
    path: Option<&'a EntityPath>,
    /// The part that comes next.
    next: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn is_before(&self, path: &EntityPath, part: usize) -> bool {
        self.next <= part && self.path == Some(path)
    }

    /// A part from here on; empty if there are fewer.
    fn part(&mut self, part: usize) -> &'a [u8] {
        loop {
            let end = memchr::memchr(PART_END, self.rest).unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            self.next += 1;
            if self.next > part {
                return text;
            }
        }
    }
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
    ) -> Result<(), Rejection> {
        if matches!(self.sets[set], Set::Unfilled) {
            let start = self.filled.texts.len();
            self.sets[set] = if self.bound.push_labels(event, set, system, context, &mut self.filled)? {
                let range = start..self.filled.texts.len();
                let hash = context.hasher.hash_one(&self.filled.texts[range.clone()]);
                Set::Ready(range, hash)
            } else {
                Set::Incomplete
            };
        }
        Ok(())
    }

    /// Appends the labels of a series before any transform to the texts. They identify a running total, so that
    /// it does not depend on `[privacy]`.
    pub(super) fn raw_tuple(
        &mut self,
        event: Event<'_>,
        set: usize,
        system: &System,
    ) -> Result<Range, Rejection> {
        let texts = &mut self.filled.texts;
        let start = texts.len();
        let mut at = Cursor::default();
        for label in &event.plan.sets[set].labels {
            if let Some((_, text)) = self.bound.label_text(event, &label.sources, &mut at, system)? {
                transform::push_cut(texts, text);
            }
            texts.push(PART_END);
        }
        Ok(start..texts.len())
    }

    /// The labels that [`Self::raw_tuple`] has stored for a step.
    pub(super) fn raw_tuple_of(&self, step: usize) -> Option<&[u8]> {
        let (_, range) = self.raw_tuples.iter().find(|(other, _)| *other == step)?;
        Some(&self.filled.texts[range.clone()])
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
    pub(super) fn field_text<'a>(
        &self,
        event: Event<'a>,
        field: FieldIndex,
    ) -> Result<Option<&'a [u8]>, Rejection> {
        match self.values[field] {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text) | Value::Number(text) | Value::Boolean(text)) => {
                Ok(Some(event.fields.bytes(event.line, text)))
            }
            Some(Value::Unsupported) => Err(rejections::no_text(event.plan, field)),
        }
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
    ) -> Result<bool, Rejection> {
        let Filled { texts, value, cuts } = filled;
        let mut at = Cursor::default();
        for label in &event.plan.sets[set].labels {
            texts.extend_from_slice(label.opening.as_bytes());
            if let Some(text) = self.plain_text(event.line, label) {
                texts.extend_from_slice(text);
                texts.push(b'"');
                continue;
            }
            let Some((field, text)) = self.label_text(event, &label.sources, &mut at, system)? else {
                return Ok(false);
            };
            let text = match &label.transform {
                None => text,
                Some(transform) => {
                    value.clear();
                    let text = std::str::from_utf8(text).unwrap_or_default();
                    transform::apply(transform, text, context.privacy, context.rdns, value);
                    value.as_slice()
                }
            };
            if transform::is_too_long(text) {
                let mut short = Vec::new();
                transform::push_cut(&mut short, text);
                series::text::push_escaped(texts, &short);
                cuts.note(field);
            } else {
                series::text::push_escaped(texts, text);
            }
            texts.push(b'"');
        }
        Ok(true)
    }

    /// The text of a label that is a field's as it stands in the line: what JSON does not escape needs no escape in the
    /// exposition either.
    #[inline]
    fn plain_text<'a>(&self, line: &'a str, label: &LabelFill) -> Option<&'a [u8]> {
        let (Some(LabelSource::Field(field)), None) = (label.sources.first(), &label.transform) else {
            return None;
        };
        let text = &line.as_bytes()[self.values[*field].and_then(Value::text)?.in_line()?];
        (!transform::is_too_long(text)).then_some(text)
    }

    /// The text of the first source that has one.
    #[inline]
    fn label_text<'a>(
        &'a self,
        event: Event<'a>,
        sources: &'a [LabelSource],
        at: &mut Cursor<'a>,
        system: &'a System,
    ) -> Result<Option<LabelText<'a>>, Rejection> {
        for source in sources {
            let text = match source {
                LabelSource::Text(text) => text.as_bytes(),
                LabelSource::Empty => b"",
                LabelSource::Field(field) => match self.field_text(event, *field)? {
                    Some(text) => return Ok(Some((Some(*field), text))),
                    None => continue,
                },
                LabelSource::Entity(path, part) => {
                    if !at.is_before(path, *part) {
                        let text = match self.follow_path(path, system) {
                            Some(Handle::Existing(id)) => system.entities.get(id).text(),
                            Some(Handle::New(opening)) => &self.keys[self.openings[opening].text.clone()],
                            None => continue,
                        };
                        *at = Cursor { path: Some(path), next: 0, rest: text };
                    }
                    at.part(*part)
                }
            };
            return Ok(Some((None, text)));
        }
        Ok(None)
    }
}
