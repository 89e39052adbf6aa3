//! The short way of events that count one thing and do nothing else, which most lines of a busy server are. It does what
//! `resolve` and `commit` would do for them.

use std::hash::BuildHasher;

use super::resolve::too_long;
use super::{Event, Scratch, System};
use crate::catalog::model::{Change, EventPlan, FieldUse, LabelSource, Step, Verb};
use crate::event::rejection::Rejection;
use crate::lifecycles::transform;
use crate::series;

use hashbrown::DefaultHashBuilder;

/// The one change of a plan that goes the short way: plus one, always, with labels that come from the catalog or from fields
/// that every such event has.
pub(in crate::lifecycles) fn only_count(plan: &EventPlan) -> Option<&Change> {
    let [Step::Change(change)] = plan.steps.as_slice() else { return None };
    let simple = change.verb == Verb::Inc
        && change.owner.is_none()
        && change.condition.is_none()
        && plan.sets[change.set].labels.iter().all(|label| {
            label.transform.is_none()
                && match label.sources.first() {
                    Some(LabelSource::Text(_)) => true,
                    Some(LabelSource::Field(field)) => plan.fields[*field].used == FieldUse::Required,
                    _ => false,
                }
        });
    simple.then_some(change)
}

impl Scratch {
    /// Counts the event, or says why not.
    pub(in crate::lifecycles) fn count(
        &mut self,
        event: Event<'_>,
        change: &Change,
        system: &mut System,
        hasher: &DefaultHashBuilder,
    ) -> Result<(), Rejection> {
        self.bind(event)?;
        let mut texts = std::mem::take(&mut self.texts);
        texts.clear();
        let filled = self.fill(event, change, &mut texts);
        self.texts = texts;
        filled?;
        if !system.shown {
            system.show(hasher);
        }
        let family = &mut system.families[change.metric];
        let place = family.place(&self.texts, hasher.hash_one(self.texts.as_slice()));
        family.add(place.slot(), 1.0);
        Ok(())
    }

    fn fill(&self, event: Event<'_>, change: &Change, texts: &mut Vec<u8>) -> Result<(), Rejection> {
        for label in &event.plan.sets[change.set].labels {
            texts.extend_from_slice(label.opening.as_bytes());
            let text = match label.sources.first() {
                Some(LabelSource::Text(text)) => text.as_bytes(),
                Some(LabelSource::Field(field)) => self.field_text(event, *field)?.unwrap_or_default(),
                _ => b"",
            };
            if transform::is_too_long(text) {
                return Err(too_long(label.opening.trim_matches([',', '=', '"'])));
            }
            series::text::push_escaped(texts, text);
            texts.push(b'"');
        }
        Ok(())
    }
}
