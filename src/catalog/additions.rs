//! Takes out of the steps of an event what only adds a fixed number to a series: most effects do. Nothing but a label
//! can get in the way of an addition, and it does not matter when it happens. So `engine` applies all of an event in
//! one flat loop, without a look at each on the way; tests/bench/README.md says what that is worth.

use std::collections::HashSet;

use super::model::{
    Addition, AmountSource, Change, EventPlan, MetricDef, MetricIndex, MetricKind, Step, Verb,
};

/// Moves the additions of a plan from its steps.
pub(super) fn take_additions(plan: &mut EventPlan, metrics: &[MetricDef]) {
    // After a reset, the order does matter.
    if plan.restarts {
        return;
    }
    let addition =
        |step: &Step| match step {
            Step::Change(change) => fixed_amount(change, &metrics[change.metric].kind)
                .map(|amount| Addition { metric: change.metric, set: change.set, amount }),
            _ => None,
        };
    let others: HashSet<MetricIndex> = plan
        .steps
        .iter()
        .filter(|step| addition(step).is_none())
        .filter_map(|step| if let Step::Change(change) = step { Some(change.metric) } else { None })
        .collect();
    let taken = |step: &Step| addition(step).filter(|addition| !others.contains(&addition.metric));
    plan.additions = plan.steps.iter().filter_map(taken).collect();
    plan.steps.retain(|step| taken(step).is_none());
}

/// What a change always adds. A series that is made at 0 gets 0.
fn fixed_amount(change: &Change, kind: &MetricKind) -> Option<f64> {
    if change.owner.is_some() || change.condition.is_some() {
        return None;
    }
    let amount = || match change.amount.as_ref().map(|amount| amount.alternatives.as_slice()) {
        Some([AmountSource::Number(number), ..]) => Some(*number),
        _ => None,
    };
    match change.verb {
        Verb::Inc => Some(1.0),
        Verb::Zero if *kind != MetricKind::Age => Some(0.0),
        Verb::Add => amount(),
        Verb::Sub => amount().map(|amount| -amount),
        _ => None,
    }
}
