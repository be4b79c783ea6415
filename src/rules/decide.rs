//! From rules and facts to decisions with reasons. Must not act, ask or remember.

use std::cmp::Reverse;
use std::collections::HashMap;

use cel::Context;

use crate::rules::{Deed, Facts, Mode, Rule, RuleSet, TargetKind, schema, values};

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

/// Decides every rule that listens to the signal and its portal, in decision order: by priority,
/// then as in the file.
///
/// Of two live rules that want opposites, the one with the higher priority wins; among equals,
/// refusing beats granting. The loser does nothing at all, since the deeds of a rule belong
/// together. Shadow rules are told what they would have done on their own.
pub fn decide(rules: &RuleSet, facts: &Facts) -> Vec<Outcome> {
    let mut context = rules.context.new_inner_scope();
    values::bind(&mut context, facts);
    let candidates: Vec<(&Rule, Result<(), String>)> = rules
        .listening_to(&facts.signal.kind)
        .filter(|rule| {
            rule.portals
                .as_ref()
                .is_none_or(|ids| ids.contains(&facts.portal.id))
        })
        .map(|rule| (rule, applies(rule, facts, &context)))
        .collect();
    let overruled = settle(&candidates);
    // The rule that does a deed, and where its outcome stands.
    let mut owners: HashMap<&Deed, (usize, usize)> = HashMap::new();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(candidates.len());
    for (index, (rule, applies)) in candidates.iter().enumerate() {
        let result = match (applies, overruled.get(&index)) {
            (Err(reason), _) => Decision::NotMatched {
                reason: reason.clone(),
            },
            (Ok(()), Some(Defeat { by, reason })) => Decision::Overruled {
                by: by.clone(),
                reason: reason.clone(),
            },
            (Ok(()), None) => {
                let mut deeds = Vec::with_capacity(rule.then.len());
                for (position, deed) in rule.then.iter().enumerate() {
                    let mut owned_by = None;
                    if rule.mode == Mode::Live {
                        let owner = *owners.entry(deed).or_insert((index, position));
                        if owner.0 != index {
                            owned_by = Some(candidates[owner.0].0.name.clone());
                            note_wish(&mut outcomes, owner, &rule.name);
                        }
                    }
                    deeds.push(Planned {
                        deed: deed.clone(),
                        owned_by,
                        also: Vec::new(),
                    });
                }
                Decision::Matched { deeds }
            }
        };
        outcomes.push(Outcome {
            rule: rule.name.clone(),
            mode: rule.mode,
            result,
        });
    }
    outcomes
}

fn note_wish(outcomes: &mut [Outcome], (index, position): (usize, usize), wisher: &str) {
    if let Some(Outcome {
        result: Decision::Matched { deeds },
        ..
    }) = outcomes.get_mut(index)
        && let Some(planned) = deeds.get_mut(position)
    {
        planned.also.push(wisher.to_owned());
    }
}

/// Whether a rule applies to the facts; an error is the reason why not.
fn applies(rule: &Rule, facts: &Facts, context: &Context<'_, 'static>) -> Result<(), String> {
    if facts.signal.own && !rule.include_own {
        return Err("usher or Konnect caused it, and the rule has no include_own".to_owned());
    }
    if schema::is_event_alone(&facts.signal.kind) && is_older(facts, rule) {
        return Err("the event is older than the rule's max_age".to_owned());
    }
    if let Some(when) = &rule.when {
        when.holds(context)?;
    }
    match rule.then.iter().find(|deed| !has_target(deed, facts)) {
        None => Ok(()),
        Some(deed) => Err(format!("there is nobody to {}", deed.name())),
    }
}

fn is_older(facts: &Facts, rule: &Rule) -> bool {
    (facts.now - facts.signal.at)
        .to_std()
        .is_ok_and(|age| age > rule.max_age)
}

fn has_target(deed: &Deed, facts: &Facts) -> bool {
    match deed.target() {
        TargetKind::Developer => facts.developer.is_some(),
        TargetKind::Registration => facts.registration.is_some(),
        TargetKind::Subject => {
            facts.developer.is_some() || facts.application.is_some() || facts.registration.is_some()
        }
    }
}

/// Why a rule that applies does nothing.
struct Defeat {
    by: String,
    reason: String,
}

/// Finds the live rules that a stronger one overrules, by their index. A rule that is itself
/// overruled overrules nobody.
fn settle(candidates: &[(&Rule, Result<(), String>)]) -> HashMap<usize, Defeat> {
    let mut contenders: Vec<(usize, &Rule)> = candidates
        .iter()
        .enumerate()
        .filter(|(_, (rule, applies))| rule.mode == Mode::Live && applies.is_ok())
        .map(|(index, (rule, _))| (index, *rule))
        .collect();
    // Stable, so that the order of the file decides what is left.
    contenders.sort_by_key(|(_, rule)| {
        (
            Reverse(rule.priority),
            Reverse(rule.then.iter().any(Deed::refuses)),
        )
    });
    // A deed has one opposite only, so that the first rule to want it stands for all.
    let mut standing: HashMap<Deed, &Rule> = HashMap::new();
    let mut overruled = HashMap::new();
    for (index, rule) in contenders {
        let opposition = rule.then.iter().find_map(|deed| {
            let winner = standing.get(&deed.opposite()?)?;
            Some((deed, *winner))
        });
        if let Some((deed, winner)) = opposition {
            let reason = format!("{:?} objects to {deed}", winner.name);
            overruled.insert(
                index,
                Defeat {
                    by: winner.name.clone(),
                    reason,
                },
            );
        } else {
            for deed in &rule.then {
                standing.entry(deed.stance()).or_insert(rule);
            }
        }
    }
    overruled
}
