//! Why a rule applies or does not: everything that a decision depends on, and not only the first
//! obstacle. Pure, as `decide` is, and made of the same parts.

use std::collections::HashMap;

use crate::decide::{bound, decide, hears, obstacles};
use crate::trace::{Trace, trace};
use crate::{Decision, Facts, Mode, RuleSet};

/// What one rule decides about a signal, with all reasons for and against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The name of the rule.
    pub rule: String,
    /// Whether it acts.
    pub mode: Mode,
    /// The decision; none for a rule that is off or for other portals.
    pub decision: Option<Decision>,
    /// What prevents it, apart from the condition.
    pub obstacles: Vec<String>,
    /// The condition, part by part.
    pub condition: Option<Trace>,
}

/// Explains every rule for the kind of signal, in decision order.
pub fn explain(rules: &RuleSet, facts: &Facts) -> Vec<Explanation> {
    let context = bound(rules, facts);
    let mut decisions: HashMap<String, Decision> = decide(rules, facts)
        .into_iter()
        .map(|outcome| (outcome.rule, outcome.result))
        .collect();
    rules
        .rules()
        .iter()
        .filter(|rule| rule.on == facts.signal.kind)
        .map(|rule| {
            let mut against = Vec::new();
            if rule.mode == Mode::Off {
                against.push("its mode is off".to_owned());
            }
            if !hears(rule, facts) {
                against.push("its portals do not include this one".to_owned());
            }
            against.extend(obstacles(rule, facts));
            let decision = decisions.remove(&rule.name);
            if let Some(Decision::Overruled { reason, .. }) = &decision {
                against.push(reason.clone());
            }
            Explanation {
                rule: rule.name.clone(),
                mode: rule.mode,
                decision,
                obstacles: against,
                condition: rule.when.as_ref().map(|when| trace(when, &context)),
            }
        })
        .collect()
}
