//! Most effects add a fixed number to a series, or make it at 0. Those that an event ends with go from its steps to a
//! list of their own, which `engine` applies in one flat loop: there is nothing to resolve for them but their labels.
//! They are applied last, as they were written; tests/bench/README.md says what the list is worth.

use super::model::{Addition, AmountSource, Change, EventPlan, Step, Verb};

/// Moves the additions at the end of a plan's steps.
pub(super) fn take_additions(plan: &mut EventPlan) {
    while let Some(addition) = plan.steps.last().and_then(addition_of) {
        plan.steps.pop();
        plan.additions.push(addition);
    }
    plan.additions.reverse();
}

fn addition_of(step: &Step) -> Option<Addition> {
    let Step::Change(change) = step else { return None };
    let amount = fixed_amount(change)?;
    Some(Addition { metric: change.metric, set: change.set, amount })
}

/// What a change adds, whatever the line says. (An age, which cannot be made at 0, always has an owner.)
fn fixed_amount(change: &Change) -> Option<f64> {
    if change.owner.is_some() || change.condition.is_some() {
        return None;
    }
    let amount = || match change.amount.as_ref()?.alternatives.as_slice() {
        [AmountSource::Number(number), ..] => Some(*number),
        _ => None,
    };
    match change.verb {
        Verb::Inc => Some(1.0),
        Verb::Zero => Some(0.0),
        Verb::Add => amount(),
        Verb::Sub => amount().map(|amount| -amount),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::read_catalog;

    /// The steps and the amounts of the additions of an event with these effects.
    fn split(effects: &str) -> (usize, Vec<f64>) {
        let text = format!(
            "[system]\nname = t\ntitle = t\n[entity e]\nkey = k\n[metric t_a_total]\ntype = counter\nhelp = A\n\
             [metric t_b]\ntype = gauge\nhelp = B\n[event t.e]\n{effects}"
        );
        let plan = &read_catalog("t.ini", &text).unwrap().events[0];
        (plan.steps.len(), plan.additions.iter().map(|addition| addition.amount).collect())
    }

    #[test]
    fn only_the_additions_behind_all_other_effects_are_taken() {
        let cases: [(&str, usize, &[f64]); 6] = [
            ("inc = t_a_total\n", 0, &[1.0]),
            ("open = e\nzero = t_b\nadd = t_a_total from 5\nsub = t_b from 2\n", 1, &[0.0, 5.0, -2.0]),
            ("inc = t_a_total\nset = t_b from x\nadd = t_b from 1\n", 2, &[1.0]),
            ("inc = t_a_total\nreset = t\n", 2, &[]),
            ("reset = t\ninc = t_a_total\n", 1, &[1.0]),
            ("inc = t_a_total if x=1\nadd = t_b from x\n", 2, &[]),
        ];
        for (effects, steps, amounts) in cases {
            assert_eq!(split(effects), (steps, amounts.to_vec()), "{effects}");
        }
    }
}
