//! The short way of events that count one thing and do nothing else, which most lines of a busy server are. It does what
//! `resolve` and `commit` would do for them, without keeping it between the two.

use super::{Context, Event, Scratch, Set, System};
use crate::catalog::model::{Change, EventPlan, Step, Verb};
use crate::protocol::rejection::Rejection;

/// The one change of a plan that goes the short way: plus one, always.
pub(in crate::engine) fn only_count(plan: &EventPlan) -> Option<&Change> {
    let [Step::Change(change)] = plan.steps.as_slice() else { return None };
    let simple = change.verb == Verb::Inc && change.owner.is_none() && change.condition.is_none();
    simple.then_some(change)
}

impl Scratch {
    /// Counts the event, or says why not.
    pub(in crate::engine) fn count(
        &mut self,
        event: Event<'_>,
        change: &Change,
        system: &mut System,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        self.bind(event)?;
        self.texts.clear();
        (self.cut_fields, self.cut_lent) = (0, 0);
        let set = self.fill_set(event, change.set, system, context)?;
        if !system.shown {
            system.show(context.hasher);
        }
        if let Set::Ready(range, hash) = set {
            let family = &mut system.families[change.metric];
            let place = family.place(&self.texts[range], hash);
            family.add(place.slot(), 1.0);
        }
        Ok(())
    }
}
