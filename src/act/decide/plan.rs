//! From decisions of rules to chains for the queue. Pure: it maps words and drops names.

use uuid::Uuid;

use crate::act::decide::facts::GatheredFacts;
use crate::act::{LiveRule, NewChain, NewStep};
use crate::event::Signal;
use crate::rules::{self, Decision, Mode, Rule, RuleSet};

/// The chains that follow from the decisions on one signal, in decision order. A deed that several
/// rules want belongs to the earliest.
pub fn chains(
    rules: &RuleSet,
    signal: &Signal,
    causes: &[Uuid],
    gathered: &GatheredFacts,
) -> Vec<NewChain> {
    let mut chains = Vec::new();
    for outcome in rules::decide(rules, &gathered.facts) {
        let Decision::Matched { deeds } = outcome.result else {
            continue;
        };
        let Some(rule) = rules.rules().iter().find(|rule| rule.name == outcome.rule) else {
            continue;
        };
        let steps: Vec<NewStep> = deeds
            .into_iter()
            .filter_map(|planned| {
                // A deed without a target is no match: `decide` makes sure of that.
                let target = gathered.target(planned.deed.target())?;
                Some(NewStep {
                    deed: planned.deed,
                    target,
                    owned_by: planned.owned_by,
                })
            })
            .collect();
        if !steps.is_empty() {
            chains.push(chain(rule, signal, causes, gathered, steps));
        }
    }
    chains
}

fn chain(
    rule: &Rule,
    signal: &Signal,
    causes: &[Uuid],
    gathered: &GatheredFacts,
    steps: Vec<NewStep>,
) -> NewChain {
    NewChain {
        portal_id: signal.portal_id,
        rule: rule.name.clone(),
        mode: rule.mode,
        limit_per_hour: rule.limit_per_hour,
        on_limit: rule.on_limit,
        signal: signal.kind.to_string(),
        signal_key: signal.key.clone(),
        causes: causes.to_vec(),
        facts: gathered.summary(),
        steps,
    }
}

/// The live rules.
pub fn live(rules: &RuleSet) -> impl Iterator<Item = &Rule> {
    rules.rules().iter().filter(|rule| rule.mode == Mode::Live)
}

/// The live rules, each with every portal where it is live.
pub fn live_at(rules: &RuleSet) -> Vec<LiveRule> {
    let mut all = Vec::new();
    for rule in live(rules) {
        let at = |portal_id| LiveRule {
            name: rule.name.clone(),
            portal_id,
        };
        match &rule.portals {
            None => all.push(at(None)),
            Some(portals) => all.extend(portals.iter().map(|id| at(Some(*id)))),
        }
    }
    all
}

/// Whether a rule of this name is live at a portal.
pub fn is_live(rules: &RuleSet, name: &str, portal: Uuid) -> bool {
    let is_here = |rule: &LiveRule| rule.portal_id.is_none_or(|id| id == portal);
    live_at(rules)
        .iter()
        .any(|rule| rule.name == name && is_here(rule))
}
