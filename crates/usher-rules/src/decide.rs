//! From rules and facts to decisions with reasons. Must not act, fetch or remember.

use std::cmp::Reverse;
use std::collections::HashMap;

use cel::Context;

use crate::{Deed, Facts, Mode, Rule, RuleSet, TargetKind, schema, trace, values};

/// What one rule decides about a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The name of the rule.
    pub rule: String,
    /// Whether it acts; never `Off`.
    pub mode: Mode,
    /// The decision.
    pub result: Decision,
}

/// What one rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The condition is true and no stronger rule objects.
    Matched {
        /// The deeds of its `then`, in order.
        deeds: Vec<Planned>,
    },
    /// The rule does not apply.
    NotMatched {
        /// Why not, for a human.
        reason: String,
    },
    /// The condition is true, but a stronger rule wants the opposite; none of its deeds is done.
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

/// Decides every rule on the signal and its portal, in decision order: by priority, then as in the
/// file.
///
/// Of two live rules that want opposites, the one with the higher priority wins; among equals,
/// refusing beats granting. The loser does nothing at all, since the deeds of a rule belong
/// together. A shadow rule gets the decision that it would have had alone.
pub fn decide(rules: &RuleSet, facts: &Facts) -> Vec<Outcome> {
    let context = bound(rules, facts);
    let candidates: Vec<(&Rule, Result<(), String>)> = rules
        .listening_to(&facts.signal.kind)
        .filter(|rule| hears(rule, facts))
        .map(|rule| (rule, applies(rule, facts, &context)))
        .collect();
    let overruled = settle(&candidates, facts);
    // The rule that does a deed, and the index of its outcome.
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
                for (position, deed) in allowed(rule, facts).enumerate() {
                    let mut owned_by = None;
                    // A notice says which rule decided: each has its own.
                    let is_shared = !matches!(deed, Deed::Notify { .. });
                    if rule.mode == Mode::Live && is_shared {
                        let owner = *owners.entry(deed).or_insert((index, position));
                        if owner.0 != index {
                            owned_by = Some(candidates[owner.0].0.name.clone());
                            note_wanted(&mut outcomes, owner, &rule.name);
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

fn note_wanted(outcomes: &mut [Outcome], (index, position): (usize, usize), wanting_rule: &str) {
    if let Some(Outcome {
        result: Decision::Matched { deeds },
        ..
    }) = outcomes.get_mut(index)
        && let Some(planned) = deeds.get_mut(position)
    {
        planned.also.push(wanting_rule.to_owned());
    }
}

/// What conditions are evaluated in.
pub(crate) fn bound<'r>(rules: &'r RuleSet, facts: &Facts) -> Context<'r, 'static> {
    let mut context = rules.context.new_inner_scope();
    values::bind(&mut context, facts);
    context
}

/// Whether a rule is for the portal of a signal.
pub(crate) fn hears(rule: &Rule, facts: &Facts) -> bool {
    rule.portals
        .as_ref()
        .is_none_or(|ids| ids.contains(&facts.portal.id))
}

/// Whether a rule applies to the facts; an error is the reason why not.
fn applies(rule: &Rule, facts: &Facts, context: &Context<'_, 'static>) -> Result<(), String> {
    if let Some(obstacle) = before_the_condition(rule, facts).next() {
        return Err(obstacle);
    }
    if let Some(when) = &rule.when {
        trace::holds(when, context)?;
    }
    after_the_condition(rule, facts).map_or(Ok(()), Err)
}

/// All that prevents a rule from applying, apart from its condition.
pub(crate) fn obstacles(rule: &Rule, facts: &Facts) -> impl Iterator<Item = String> {
    before_the_condition(rule, facts).chain(after_the_condition(rule, facts))
}

fn before_the_condition(rule: &Rule, facts: &Facts) -> impl Iterator<Item = String> {
    let own = facts.signal.own && !rule.include_own;
    let old =
        !facts.is_again && schema::is_event_alone(&facts.signal.kind) && is_older(facts, rule);
    let own = own.then_some("usher or Konnect caused it, and the rule has no include_own");
    let old = old.then_some("the event is older than the rule's max_age");
    let spared = spared(rule, facts);
    own.into_iter().chain(old).chain(spared).map(str::to_owned)
}

/// Why a rule does not apply to a forgotten person. Their name and address are gone: to a condition
/// they would look like a stranger's.
fn spared(rule: &Rule, facts: &Facts) -> Option<&'static str> {
    if !facts.is_forgotten {
        return None;
    }
    if !rule.then.iter().any(Deed::takes_away) {
        return Some("they were forgotten: nothing but access is taken away from them");
    }
    rule.asks_who()
        .then_some("they were forgotten, and the condition asks for a name or an address")
}

/// The deeds of a rule that may be done to its person: to a forgotten one none that gives or
/// refuses.
fn allowed<'r>(rule: &'r Rule, facts: &Facts) -> impl Iterator<Item = &'r Deed> {
    let any = !facts.is_forgotten;
    let deeds = rule.then.iter();
    deeds.filter(move |deed| any || deed.takes_away() || deed.only_notifies())
}

fn after_the_condition(rule: &Rule, facts: &Facts) -> Option<String> {
    let deed = allowed(rule, facts).find(|deed| !has_target(deed, facts))?;
    Some(format!("there is nobody to {}", deed.name()))
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
        TargetKind::Anything => true,
        TargetKind::Invitee => facts.invitee().is_some(),
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
fn settle(candidates: &[(&Rule, Result<(), String>)], facts: &Facts) -> HashMap<usize, Defeat> {
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
            Reverse(allowed(rule, facts).any(Deed::refuses)),
        )
    });
    // The first rule that wants a deed counts for all that want it.
    let mut standing: HashMap<Deed, &Rule> = HashMap::new();
    let mut overruled = HashMap::new();
    for (index, rule) in contenders {
        let opposition = allowed(rule, facts).find_map(|deed| {
            let mut opposites = deed.opposites().into_iter();
            let winner = opposites.find_map(|opposite| standing.get(&opposite).copied())?;
            Some((deed, winner))
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
            for deed in allowed(rule, facts) {
                standing.entry(deed.stance()).or_insert(rule);
            }
        }
    }
    overruled
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use chrono::{DateTime, TimeDelta, Utc};
    use serde_json::json;
    use uuid::{Uuid, uuid};

    use crate::{
        ApiFacts, ApplicationFacts, Decision, Deed, DeveloperFacts, Facts, PortalFacts,
        RegistrationFacts, RuleSet, SignalFacts, TeamFacts, decide, load,
    };

    const PORTAL: Uuid = uuid!("7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10");
    const ID: Uuid = uuid!("0b0c6f4a-92f3-4c55-8d0f-5d1a4f3f7c01");

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).expect("a time in range")
    }

    /// Ann of Arsenal, who has just signed up.
    fn newcomer() -> Facts {
        Facts {
            signal: SignalFacts {
                kind: "developer.signed_up".to_owned(),
                from_status: None,
                at: now(),
                own: false,
            },
            portal: PortalFacts {
                id: PORTAL,
                name: "Football".to_owned(),
            },
            developer: Some(DeveloperFacts {
                id: ID,
                email: "Ann@Arsenal.com".to_owned(),
                full_name: "Ann".to_owned(),
                status: "pending".to_owned(),
                created_at: now() - TimeDelta::hours(3),
                teams: vec![TeamFacts {
                    id: ID,
                    name: "Partners".to_owned(),
                }],
                applications: Vec::new(),
            }),
            application: None,
            registration: None,
            event: None,
            now: now(),
            is_again: false,
            is_forgotten: false,
        }
    }

    /// An application's request for the API "Fixtures".
    fn request(developer: bool) -> Facts {
        let mut facts = newcomer();
        facts.signal.kind = "registration.requested".to_owned();
        facts.developer = facts.developer.filter(|_| developer);
        facts.application = Some(ApplicationFacts {
            id: ID,
            name: "App".to_owned(),
            owner_type: if developer { "developer" } else { "team" }.to_owned(),
            owner_id: ID,
            owner: None,
        });
        facts.registration = Some(RegistrationFacts {
            id: ID,
            status: "pending".to_owned(),
            created_at: now(),
            api: ApiFacts {
                id: ID,
                name: "Fixtures".to_owned(),
                version: None,
            },
        });
        facts
    }

    fn rules(text: &str) -> RuleSet {
        load(text, "rules.yaml").unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    /// A file of rules for `signal`, each `name | more lines, separated by ;`.
    fn file(signal: &str, lines: &[&str]) -> RuleSet {
        let mut text = "version: 1\nlists: {partners: [arsenal.com]}\nrules:\n".to_owned();
        for line in lines {
            let (name, rest) = line.split_once(" | ").expect("a name and lines");
            let rest = rest.replace("; ", "\n    ");
            writeln!(text, "  - name: {name}\n    on: {signal}\n    {rest}").expect("text grows");
        }
        rules(&text)
    }

    /// The outcomes, one a line.
    fn told(rules: &RuleSet, facts: &Facts) -> String {
        let mut told = String::new();
        for outcome in decide(rules, facts) {
            let result = match outcome.result {
                Decision::Matched { deeds } => {
                    let mut deeds = deeds.iter().map(|planned| {
                        let mut text = planned.deed.to_string();
                        if let Some(owner) = &planned.owned_by {
                            text += " (by ";
                            text += owner;
                            text += ")";
                        }
                        if !planned.also.is_empty() {
                            text += " (also ";
                            text += &planned.also.join(", ");
                            text += ")";
                        }
                        text
                    });
                    deeds.by_ref().collect::<Vec<_>>().join(", ")
                }
                Decision::NotMatched { reason } => format!("no: {reason}"),
                Decision::Overruled { by, reason } => format!("overruled by {by}: {reason}"),
            };
            writeln!(told, "{} {}: {result}", outcome.mode.name(), outcome.rule)
                .expect("text grows");
        }
        told.trim_end().to_owned()
    }

    #[test]
    fn the_rules_of_the_design_do_what_they_say() {
        let rules = rules(
            r#"
version: 1
lists:
  partners: [manchestercity.com, liverpoolfc.com, arsenal.com]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
  - name: tell-us
    on: developer.signed_up
    when: is_freemail(developer.email)
    then: [{park: freemail}]
"#,
        );
        let approved = "live partner-clubs: approve_developer, add_to_team Partners\n\
                        live tell-us: no: the condition is false";
        assert_eq!(told(&rules, &newcomer()), approved);
        let mut freemail = newcomer();
        if let Some(developer) = &mut freemail.developer {
            developer.email = "ann@gmail.com".to_owned();
        }
        let parked = "live partner-clubs: no: domain(developer.email) in lists.partners is false\n\
                      live tell-us: park freemail";
        assert_eq!(told(&rules, &freemail), parked);
        assert_eq!(
            told(&rules, &request(true)),
            "live fixtures-api: approve_registration"
        );
        assert_eq!(
            told(&rules, &request(false)),
            "live fixtures-api: no: the condition cannot be decided: developer is null"
        );
    }

    #[test]
    fn what_two_rules_want_is_done_by_the_first_and_told_by_each() {
        let both = "then: [approve_developer, {notify: {url: 'https://example.com/x'}}]";
        let one = format!("one | {both}");
        let two = format!("two | {both}");
        let rules = file("developer.signed_up", &[&one, &two]);
        let owned: Vec<Vec<Option<String>>> = decide(&rules, &newcomer())
            .into_iter()
            .map(|outcome| match outcome.result {
                Decision::Matched { deeds } => deeds.into_iter().map(|one| one.owned_by).collect(),
                other => panic!("{other:?}"),
            })
            .collect();
        let first = Some("one".to_owned());
        assert_eq!(owned, [[None, None], [first, None]]);
    }

    #[test]
    fn who_was_forgotten_loses_access_by_rules_that_ask_for_no_name_and_gets_nothing() {
        let rules = file(
            "registration.requested",
            &[
                "keep | priority: 5; then: [approve_developer]",
                "leavers | when: developer.status == 'pending'; then: [revoke_developer, {add_to_team: Alumni}, {park: left}]",
                "strangers | when: domain(developer.email) != 'arsenal.com'; then: [{remove_from_team: Partners}]",
                "nameless | when: application.owner.name == ''; then: [{remove_from_team: Guests}]",
                "refuse | then: [reject_developer]",
            ],
        );
        let mut facts = request(true);
        facts.is_forgotten = true;
        if let Some(developer) = &mut facts.developer {
            developer.email.clear();
            developer.full_name.clear();
        }
        let nothing = "no: they were forgotten: nothing but access is taken away from them";
        let asks = "no: they were forgotten, and the condition asks for a name or an address";
        let expected = format!(
            "live keep: {nothing}\nlive leavers: revoke_developer, park left\nlive strangers: {asks}\n\
             live nameless: {asks}\nlive refuse: {nothing}"
        );
        assert_eq!(told(&rules, &facts), expected);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn says_why_a_rule_does_not_apply() {
        let old = TimeDelta::minutes(61);
        let custom = |data: serde_json::Value| {
            let mut facts = newcomer();
            facts.signal.kind = "custom.hired".to_owned();
            facts.event = data.as_object().cloned();
            facts
        };
        let mut own = newcomer();
        own.signal.own = true;
        let mut old_state = newcomer();
        old_state.signal.at -= old;
        let mut old_event = custom(json!({"data": {"n": 1}}));
        old_event.signal.at -= old;
        let mut stranger = custom(json!({"data": {"n": 1}}));
        stranger.developer = None;
        let approve = "then: [approve_developer]";
        for (facts, rule, expected) in [
            (
                newcomer(),
                "when: 'false'",
                "live r: no: the condition is false",
            ),
            (
                newcomer(),
                "when: developer.full_name == 'Bob'",
                "live r: no: the condition is false",
            ),
            (
                newcomer(),
                "when: true && (developer.full_name == 'Bob' || false) && true",
                "live r: no: (developer.full_name == 'Bob' || false) is false",
            ),
            (
                newcomer(),
                "when: (developer.full_name == 'Ann' && false) && true",
                "live r: no: false is false",
            ),
            (
                newcomer(),
                "when: developer.teams[3].name == 'x'",
                "live r: no: the condition cannot be decided: an index beyond the end of a list",
            ),
            (
                newcomer(),
                "when: 1 / 0 == 1",
                "live r: no: the condition cannot be decided: a division by zero",
            ),
            (
                newcomer(),
                "when: signal.from_status.startsWith('a')",
                "live r: no: the condition cannot be decided: signal.from_status is null",
            ),
            (
                newcomer(),
                "when: timestamp(developer.full_name) < now",
                "live r: no: the condition cannot be decided: timestamp() cannot answer",
            ),
            (
                own.clone(),
                approve,
                "live r: no: usher or Konnect caused it, and the rule has no include_own",
            ),
            (own, "include_own: true", "live r: approve_developer"),
            (old_state, approve, "live r: approve_developer"),
            (
                old_event.clone(),
                approve,
                "live r: no: the event is older than the rule's max_age",
            ),
            (old_event, "max_age: 2h", "live r: approve_developer"),
            (
                stranger,
                approve,
                "live r: no: there is nobody to approve_developer",
            ),
            (
                custom(json!({"data": {"n": 1}})),
                "when: event.data.n == 2",
                "live r: no: the condition is false",
            ),
            (
                custom(json!({"data": {}})),
                "when: event.data.n == 2",
                r#"live r: no: the condition cannot be decided: there is no member "n""#,
            ),
            (
                custom(json!({"data": {"n": "x"}})),
                "when: event.data.n > 2",
                "live r: no: the condition cannot be decided: _>_ cannot be applied to string and int",
            ),
            (
                custom(json!({"data": {"n": "x"}})),
                "when: event.data.n",
                "live r: no: the condition is string, not true or false",
            ),
            (
                custom(json!({"data": {"n": null}})),
                "when: event.data.n.m == 1",
                "live r: no: the condition cannot be decided: event.data.n is null",
            ),
            (
                custom(json!({"data": {"n": 18_446_744_073_709_551_615_u64}})),
                "when: event.data.n > 2",
                "live r: approve_developer",
            ),
        ] {
            let then = if rule == approve {
                "mode: live"
            } else {
                approve
            };
            let rules = file(&facts.signal.kind, &[&format!("r | {rule}; {then}")]);
            assert_eq!(told(&rules, &facts), expected, "{rule}");
        }
    }

    #[test]
    fn functions_answer_for_the_facts_that_they_are_given() {
        for (when, expected) in [
            ("in_team(developer, 'Partners')", true),
            ("in_team(developer, 'partners')", false),
            ("in_team(developer, 'Partner')", false),
            ("domain(developer.email) == 'arsenal.com'", true),
            ("domain(developer.full_name) == ''", true),
            ("is_freemail(developer.email)", false),
            (
                "is_freemail('ann@gmail.com') && is_freemail('GMAIL.com')",
                true,
            ),
            (
                "is_freemail('ann@mail.gmail.com') || is_freemail('')",
                false,
            ),
        ] {
            let line = format!("r | when: {when}; then: [approve_developer]");
            let rules = file("developer.signed_up", &[&line]);
            let matched = told(&rules, &newcomer()) == "live r: approve_developer";
            assert_eq!(matched, expected, "{when}");
        }
    }

    #[test]
    fn only_rules_that_listen_are_decided() {
        let rules = file(
            "developer.signed_up",
            &[
                "off | then: [approve_developer]; mode: off",
                "elsewhere | then: [approve_developer]; portals: [0b0c6f4a-92f3-4c55-8d0f-5d1a4f3f7c01]",
                "here | then: [approve_developer]; portals: [7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10]",
            ],
        );
        assert_eq!(told(&rules, &newcomer()), "live here: approve_developer");
        assert_eq!(told(&rules, &request(true)), "");
        assert_eq!(decide(&RuleSet::empty(), &newcomer()), []);
        let listening: Vec<_> = rules
            .listening_to("developer.signed_up")
            .map(|r| &r.name)
            .collect();
        assert_eq!(listening, ["elsewhere", "here"]);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn conflicts_are_settled_by_priority_and_then_by_caution() {
        for (lines, expected) in [
            (
                &[
                    "yes | then: [approve_developer]",
                    "no | then: [reject_developer]",
                ][..],
                r#"live yes: overruled by no: "no" objects to approve_developer
live no: reject_developer"#,
            ),
            (
                &[
                    "yes | then: [approve_developer]; priority: 1",
                    "no | then: [reject_developer]",
                ][..],
                r#"live yes: approve_developer
live no: overruled by yes: "yes" objects to reject_developer"#,
            ),
            (
                &[
                    "no | then: [reject_developer]",
                    "yes | then: [approve_developer]; priority: 1",
                ][..],
                r#"live yes: approve_developer
live no: overruled by yes: "yes" objects to reject_developer"#,
            ),
            (
                &[
                    "yes | then: [{add_to_team: A}, approve_developer]",
                    "no | then: [reject_developer]",
                ][..],
                r#"live yes: overruled by no: "no" objects to approve_developer
live no: reject_developer"#,
            ),
            (
                &[
                    "yes | then: [approve_developer]",
                    "no | then: [reject_developer]; mode: shadow",
                ][..],
                "live yes: approve_developer\nshadow no: reject_developer",
            ),
            (
                &[
                    "yes | then: [approve_developer]; mode: shadow",
                    "no | then: [reject_developer]",
                ][..],
                "shadow yes: approve_developer\nlive no: reject_developer",
            ),
            (
                &[
                    "yes | then: [approve_developer]",
                    "no | then: [reject_developer]; when: 'false'",
                ][..],
                "live yes: approve_developer\nlive no: no: the condition is false",
            ),
            (
                &[
                    "in | then: [{add_to_team: A}]",
                    "out | then: [{remove_from_team: A}]",
                ][..],
                r#"live in: overruled by out: "out" objects to add_to_team A
live out: remove_from_team A"#,
            ),
            (
                &[
                    "in | then: [{add_to_team: A}]",
                    "out | then: [{remove_from_team: B}]",
                ][..],
                "live in: add_to_team A\nlive out: remove_from_team B",
            ),
            // A rule that is overruled overrules nobody.
            (
                &[
                    "first | then: [approve_developer]; priority: 2",
                    "second | then: [reject_developer, {remove_from_team: A}]; priority: 1",
                    "third | then: [{add_to_team: A}]",
                ][..],
                r#"live first: approve_developer
live second: overruled by first: "first" objects to reject_developer
live third: add_to_team A"#,
            ),
            (
                &[
                    "yes | then: [approve_developer]",
                    "look | then: [{park: a}]",
                ][..],
                "live yes: approve_developer\nlive look: park a",
            ),
        ] {
            let rules = file("developer.signed_up", lines);
            assert_eq!(told(&rules, &newcomer()), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_deed_that_several_rules_want_is_done_once() {
        let rules = file(
            "developer.signed_up",
            &[
                "one | then: [approve_developer, {add_to_team: A}]",
                "two | then: [{add_to_team: A}, {add_to_team: B}]",
                "shadow | then: [approve_developer]; mode: shadow",
                "first | then: [approve_developer]; priority: 1",
            ],
        );
        let expected = "live first: approve_developer (also one)\n\
                        live one: approve_developer (by first), add_to_team A (also two)\n\
                        live two: add_to_team A (by one), add_to_team B\n\
                        shadow shadow: approve_developer";
        assert_eq!(told(&rules, &newcomer()), expected);
    }

    #[test]
    fn lists_in_facts_are_cut() {
        let mut facts = newcomer();
        let team = TeamFacts {
            id: ID,
            name: "T".to_owned(),
        };
        if let Some(developer) = &mut facts.developer {
            developer.teams = vec![team; 1_000];
        }
        let rules = file(
            "developer.signed_up",
            &["r | when: developer.teams.size() == 200; then: [approve_developer]"],
        );
        assert_eq!(told(&rules, &facts), "live r: approve_developer");
    }

    #[test]
    fn the_costliest_condition_that_is_allowed_ends_soon() {
        let mut facts = newcomer();
        let numbers: Vec<u32> = (0..1_000).collect();
        facts.event = json!({"x": numbers}).as_object().cloned();
        let rules = file(
            "developer.signed_up",
            &[
                "r | when: event.x.map(a, event.x.map(b, a + b)).size() == 200; then: [approve_developer]",
            ],
        );
        let start = Instant::now();
        assert_eq!(told(&rules, &facts), "live r: approve_developer");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "took {:?}",
            start.elapsed()
        );
    }

    #[test]
    fn a_thousand_rules_on_one_signal_share_one_context() {
        let lines: Vec<String> = (0..1_000)
            .map(|n| {
                format!("r{n} | when: developer.status == 'pending' && domain(developer.email) in lists.partners && developer.full_name == 'n{n}'; then: [approve_developer]")
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let rules = file("developer.signed_up", &lines);
        let start = Instant::now();
        assert_eq!(decide(&rules, &newcomer()).len(), 1_000);
        // A context for each rule took twenty times as long as all of this in a release build.
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "took {:?}",
            start.elapsed()
        );
    }

    #[test]
    fn deeds_survive_the_way_through_json() {
        for (deed, json) in [
            (Deed::ApproveDeveloper, json!({"deed": "approve_developer"})),
            (Deed::RejectDeveloper, json!({"deed": "reject_developer"})),
            (
                Deed::ApproveRegistration,
                json!({"deed": "approve_registration"}),
            ),
            (
                Deed::RejectRegistration,
                json!({"deed": "reject_registration"}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&deed).expect("it is JSON"), json);
            assert_eq!(json["deed"], deed.name());
            assert_eq!(
                serde_json::from_value::<Deed>(json).expect("it is a deed"),
                deed
            );
        }
    }
}
