//! A dry run: what rules would have done about everybody who waits, from a snapshot alone. Decides
//! by the same facts and the same function as the service; stores nothing, and calls no API.

use chrono::{DateTime, Utc};

use crate::act::Target;
use crate::act::decide::{ExpectedOutcome, SubjectFacts, assemble, expected_outcomes};
use crate::directory::{PortalView, Snapshot};
use crate::event::Signal;
use crate::react::redecide::{requested, signed_up};
use crate::rules::{self, Decision, Deed, Facts, Mode, Planned, RuleSet};

/// One deed that a rule wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedDeed {
    /// The deed.
    pub deed: Deed,
    /// The rule that would do it, where an earlier one wants the same.
    pub owned_by: Option<String>,
    /// What would become of it.
    pub expected_outcome: ExpectedOutcome,
}

/// What one rule decides about somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDecision {
    /// The name of the rule.
    pub rule: String,
    /// Whether it acts.
    pub mode: Mode,
    /// The deeds it wants, or why it wants none.
    pub wanted: Result<Vec<WantedDeed>, String>,
}

/// Somebody who waits, and what rules decide about them.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRunResult {
    /// The developer or registration.
    pub target: Target,
    /// The facts by which the rules decided. Contain names and addresses.
    pub facts: Facts,
    /// Every rule on this signal, in decision order.
    pub decisions: Vec<RuleDecision>,
}

impl DryRunResult {
    /// The deeds that rules of this mode would do at once.
    pub fn deeds(&self, mode: Mode) -> impl Iterator<Item = (&RuleDecision, &WantedDeed)> {
        self.decisions
            .iter()
            .filter(move |decision| decision.mode == mode)
            .flat_map(|decision| {
                let wanted = decision.wanted.iter().flatten();
                wanted.map(move |wanted_deed| (decision, wanted_deed))
            })
            .filter(|(_, wanted_deed)| {
                wanted_deed.expected_outcome == ExpectedOutcome::Done
                    && wanted_deed.owned_by.is_none()
            })
    }

    /// Whether any rule, live or in shadow, wants something.
    pub fn is_wanted(&self) -> bool {
        self.decisions.iter().any(|decision| {
            decision
                .wanted
                .as_ref()
                .is_ok_and(|wanted| !wanted.is_empty())
        })
    }
}

/// Decides about everybody whom a complete `snapshot` shows waiting: developers first, then
/// registrations, the oldest first.
pub fn dry_run(rules: &RuleSet, snapshot: &Snapshot, now: DateTime<Utc>) -> Vec<DryRunResult> {
    let view = PortalView::of(snapshot, now);
    let decide = |signal: &Signal, target| {
        let facts = assemble(
            SubjectFacts::within(&view, signal),
            signal,
            None,
            false,
            now,
        )
        .facts;
        let decisions = rules::decide(rules, &facts)
            .into_iter()
            .map(|outcome| RuleDecision {
                mode: outcome.mode,
                wanted: match outcome.result {
                    Decision::Matched { deeds } => {
                        let asks_status = rules.asks_about_status(&outcome.rule);
                        Ok(wanted(deeds, &facts, asks_status, &view))
                    }
                    Decision::NotMatched { reason } | Decision::Overruled { reason, .. } => {
                        Err(reason)
                    }
                },
                rule: outcome.rule,
            })
            .collect();
        DryRunResult {
            target,
            facts,
            decisions,
        }
    };
    let developers = view.pending_developers().into_iter().map(|developer| {
        let target = Target::Developer { id: developer.id.0 };
        decide(&signed_up(developer), target)
    });
    let registrations = view.pending_registrations().into_iter().map(|waiting| {
        let target = Target::Registration {
            id: waiting.id.0,
            application_id: waiting.application_id.0,
        };
        let owner = view.owner_of(waiting.application_id);
        decide(&requested(waiting, owner), target)
    });
    developers.chain(registrations).collect()
}

fn wanted(
    deeds: Vec<Planned>,
    facts: &Facts,
    asks_status: bool,
    view: &PortalView,
) -> Vec<WantedDeed> {
    let planned = deeds.iter().map(|planned| &planned.deed);
    let expected_outcomes =
        expected_outcomes(planned, facts, asks_status, |name| view.teams_named(name));
    let wanted_deed = |(planned, expected_outcome): (Planned, ExpectedOutcome)| WantedDeed {
        deed: planned.deed,
        owned_by: planned.owned_by,
        expected_outcome,
    };
    deeds
        .into_iter()
        .zip(expected_outcomes)
        .map(wanted_deed)
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use konnect::{ApplicationId, Developer, DeveloperId, DeveloperStatus, PortalId, Team, TeamId};
    use serde_json::json;
    use uuid::Uuid;

    use super::{DryRunResult, ExpectedOutcome, dry_run};
    use crate::directory::{Scope, Snapshot};
    use crate::rules::{Mode, RuleSet, load};

    const PORTAL: PortalId = PortalId(Uuid::from_u128(1));

    fn rules(text: &str) -> RuleSet {
        load(text, "rules.yaml").unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn person(id: u128, email: &str, status: DeveloperStatus) -> Developer {
        Developer {
            id: DeveloperId(Uuid::from_u128(id)),
            email: email.to_owned(),
            full_name: "Somebody".to_owned(),
            status,
            application_count: None,
            created_at: None,
            updated_at: None,
        }
    }

    /// Ann of Arsenal and Eve, who has no company, wait; Bob is in, and asks for an API.
    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
        snapshot.developers = vec![
            person(2, "ann@arsenal.com", DeveloperStatus::Pending),
            person(3, "eve@arsenal.com.evil.com", DeveloperStatus::Pending),
            person(4, "bob@arsenal.com", DeveloperStatus::Approved),
        ];
        snapshot.teams = vec![Team {
            id: TeamId(Uuid::from_u128(5)),
            name: "Partners".to_owned(),
            description: None,
            can_own_applications: None,
            created_at: None,
            updated_at: None,
        }];
        snapshot.memberships = vec![(TeamId(Uuid::from_u128(5)), DeveloperId(Uuid::from_u128(4)))];
        let application = json!({
            "id": Uuid::from_u128(6), "name": "App",
            "owner": { "type": "developer", "id": Uuid::from_u128(4) },
        });
        snapshot.applications = vec![serde_json::from_value(application).unwrap()];
        let registration = json!({
            "id": Uuid::from_u128(7), "status": "pending",
            "api": { "id": Uuid::from_u128(8), "name": "Fixtures" },
            "application": { "id": ApplicationId(Uuid::from_u128(6)) },
        });
        snapshot.registrations = vec![serde_json::from_value(registration).unwrap()];
        snapshot
    }

    const RULES: &str = r#"
version: 1
lists: {partners: [arsenal.com]}
rules:
  - name: partners
    on: developer.signed_up
    when: domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: fixtures
    on: registration.requested
    when: registration.api.name == "Fixtures" && in_team(developer, "Partners")
    then: [approve_registration]
"#;

    fn expected_outcomes(result: &DryRunResult) -> Vec<&ExpectedOutcome> {
        let wanted = result.decisions.iter().flat_map(|v| v.wanted.iter());
        wanted
            .flatten()
            .map(|wanted_deed| &wanted_deed.expected_outcome)
            .collect()
    }

    #[test]
    fn decides_about_whoever_waits_with_team_and_owner() {
        let told = dry_run(&rules(RULES), &snapshot(), now());
        assert_eq!(told.len(), 3, "Bob is in already, his request is not");
        assert_eq!(
            expected_outcomes(&told[0]),
            [&ExpectedOutcome::Done, &ExpectedOutcome::Done]
        );
        assert_eq!(told[0].deeds(Mode::Live).count(), 2);
        assert!(!told[1].is_wanted());
        let why = told[1].decisions[0].wanted.as_ref().unwrap_err();
        assert_eq!(why, "the condition is false");
        assert_eq!(told[2].target.kind(), "registration");
        assert_eq!(
            expected_outcomes(&told[2]),
            [&ExpectedOutcome::Done],
            "he is a partner"
        );
    }

    #[test]
    fn a_shadow_rule_wants_the_same_and_does_nothing() {
        let shadow = RULES.replace("    on:", "    mode: shadow\n    on:");
        let told = dry_run(&rules(&shadow), &snapshot(), now());
        assert_eq!(told[0].deeds(Mode::Live).count(), 0);
        assert_eq!(told[0].deeds(Mode::Shadow).count(), 2);
        assert!(told[0].is_wanted());
    }

    #[test]
    fn tells_what_would_be_left_to_a_human_and_what_would_wait() {
        let unknown = "then: [{add_to_team: Nobody}, approve_developer, {park: look}]";
        let text = RULES.replace(
            "then: [approve_developer, {add_to_team: Partners}]",
            unknown,
        );
        let told = dry_run(&rules(&text), &snapshot(), now());
        let no_team = ExpectedOutcome::Parked("the portal has no team of this name".to_owned());
        assert_eq!(
            expected_outcomes(&told[0]),
            [&no_team, &ExpectedOutcome::Waits, &ExpectedOutcome::Waits]
        );

        let parks = "then: [{park: look}, {remove_from_team: Partners}, approve_developer]";
        let text = RULES.replace("then: [approve_developer, {add_to_team: Partners}]", parks);
        let told = dry_run(&rules(&text), &snapshot(), now());
        let look = ExpectedOutcome::Parked("look".to_owned());
        assert_eq!(
            expected_outcomes(&told[0]),
            [&look, &ExpectedOutcome::Holds, &ExpectedOutcome::Done]
        );
    }
}
