//! A short path for events that only add one to a counter, as most lines of a busy server do. It has the
//! effect of `resolve` and `commit`, but stores nothing in between. Without it, an applied event of the
//! benchmark's mix takes 13 % more instructions; see tests/bench/README.md.

use super::{Context, Cuts, Event, Scratch, Set, System};
use crate::catalog::model::{Change, EventPlan, Step, Verb};
use crate::protocol::rejection::Rejection;

/// Returns the change of a plan that qualifies: its only step is an unconditional increment without an owner.
pub(in crate::engine) fn only_count(plan: &EventPlan) -> Option<&Change> {
    let [Step::Change(change)] = plan.steps.as_slice() else { return None };
    let simple = change.verb == Verb::Inc && change.owner.is_none() && change.condition.is_none();
    simple.then_some(change)
}

impl Scratch {
    /// Applies the event, whose fields are bound, or rejects it.
    pub(in crate::engine) fn count(
        &mut self,
        event: Event<'_>,
        change: &Change,
        system: &mut System,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        self.filled.texts.clear();
        self.filled.cuts = Cuts::default();
        let set = self.fill_set(event, change.set, system, context)?;
        if !system.exposed {
            system.expose(context.hasher);
        }
        if let Set::Ready(range, hash) = set {
            let family = &mut system.families[change.metric];
            let slot = family.get_or_insert(&self.filled.texts[range], hash);
            family.add(slot, 1.0);
        }
        Ok(())
    }
}
