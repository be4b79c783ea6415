//! From rules and facts to decisions with reasons. Must not act, ask or remember.

use crate::rules::{Deed, Facts, Mode, RuleSet};

/// What one rule makes of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The name of the rule.
    pub rule: String,
    /// Whether it acts; never `Off`.
    pub mode: Mode,
    /// What came out.
    pub result: Decision,
}

/// What came out for one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The condition holds and no stronger rule objects.
    Matched {
        /// The deeds of its `then`, in order.
        deeds: Vec<Planned>,
    },
    /// The rule does not apply.
    NotMatched {
        /// Why not, for a human.
        reason: String,
    },
    /// The condition holds, but a stronger rule wants the opposite; none of its deeds is done.
    Overruled {
        /// The name of the stronger rule.
        by: String,
        /// What was overruled, for a human.
        reason: String,
    },
}

/// A deed of a rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The deed.
    pub deed: Deed,
    /// The rule that does it, where an earlier rule wants the same; `None` means this rule.
    pub owned_by: Option<String>,
    /// Later rules that want the same.
    pub also: Vec<String>,
}

/// Decides every rule that listens to the signal and its portal, in decision order.
pub fn decide(rules: &RuleSet, facts: &Facts) -> Vec<Outcome> {
    let _ = (rules, facts);
    Vec::new()
}
