//! Decides once more, right before a deed: the rules of now must want it, on the directory of now
//! and on fresh reads by id. Calls nothing: the caller passes in what was read.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use konnect::{DeveloperId, DeveloperStatus, RegistrationId, RegistrationStatus};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::act::Target;
use crate::act::decide::goal::{put_into, status_of, take_out};
use crate::act::decide::{GatheredFacts, SubjectFacts, assemble, chains};
use crate::act::read_back::ReadBack;
use crate::directory::PortalView;
use crate::event::{Signal, SignalKind};
use crate::rules::{self, Decision, Deed, Facts, Mode, RuleSet, TeamFacts};

/// One action before its deed: the signal it answers, and what is related to it now.
#[derive(Debug)]
pub(in crate::act) struct RecheckCase {
    pub(in crate::act) signal: Signal,
    /// The event, where it is itself the evidence.
    pub(in crate::act) evidence: Option<Map<String, Value>>,
    /// Whether usher or Konnect itself caused it.
    pub(in crate::act) own: bool,
    /// Writes to the same target within a day.
    pub(in crate::act) written_today: i64,
    /// The directory's view at the claim.
    pub(in crate::act) view: Arc<PortalView>,
    /// Deeds done before it in the same chain.
    pub(in crate::act) earlier: Vec<EarlierDeed>,
    pub(in crate::act) rules: Arc<RuleSet>,
}

/// A deed that was done before another one of the same `then`.
#[derive(Debug, Clone)]
pub(in crate::act) struct EarlierDeed {
    pub(in crate::act) deed: Deed,
    /// What it did, where it kept an account.
    pub(in crate::act) report: Option<Value>,
    /// Whether it ended so recently that its answer replaces another read.
    pub(in crate::act) is_fresh: bool,
}

/// Which rules may want a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::act) enum Decider {
    /// Any live rule.
    AnyRule,
    /// Only its own rule: another rule that wants it may have a limit of its own.
    ItsRule,
}

/// The deed that is checked.
#[derive(Debug, Clone, Copy)]
pub(in crate::act) struct Wanted<'a> {
    pub(in crate::act) rule: &'a str,
    pub(in crate::act) deed: &'a Deed,
    pub(in crate::act) target: Target,
}

impl RecheckCase {
    /// Whether a negative decision from the directory alone counts. It does for a pending subject,
    /// which is decided again when facts change; any other signal is answered once.
    pub(in crate::act) fn comes_again(&self) -> bool {
        let found = self.found();
        match self.signal.kind {
            SignalKind::DeveloperSignedUp => found
                .developer
                .is_some_and(|known| known.developer.status == DeveloperStatus::Pending),
            SignalKind::RegistrationRequested => found
                .registration
                .is_some_and(|known| known.status == RegistrationStatus::Pending),
            _ => false,
        }
    }

    /// The status that usher's own earlier deed has just set, which replaces another read.
    pub(in crate::act) fn just_made(&self) -> Option<&'static str> {
        let mut fresh = self.earlier.iter().filter(|earlier| earlier.is_fresh);
        fresh.find_map(|earlier| match earlier.deed {
            Deed::ApproveDeveloper | Deed::RejectDeveloper => Some(earlier.deed.statuses()?.1),
            _ => None,
        })
    }

    /// Whether a live rule on the signal asks about teams.
    pub(in crate::act) fn asks_about_teams(&self) -> bool {
        let kind = self.signal.kind.as_str();
        let mut hearing = self.rules.listening_to(&kind);
        hearing.any(|rule| rule.mode == Mode::Live && rule.spells("team"))
    }

    /// The subject's facts from the directory alone.
    pub(in crate::act) fn found(&self) -> SubjectFacts {
        SubjectFacts::within(&self.view, &self.signal)
    }

    /// Why the rules do not want a deed, with the facts that they used; none where they want it.
    /// The facts come from the directory and what was `read_back` since.
    pub(in crate::act) fn objection(
        &self,
        wanted: Wanted<'_>,
        by: Decider,
        read_back: &ReadBack,
        now: DateTime<Utc>,
    ) -> Option<(String, Value)> {
        let evidence = self.evidence.clone();
        let mut gathered = assemble(self.found(), &self.signal, evidence, self.own, now);
        refresh(&mut gathered, read_back);
        gathered.facts.is_again = true;
        // On the unchanged facts: whatever was done meanwhile, the rules ask for it now.
        if self.wants(wanted, by, &gathered) {
            return None;
        }
        for earlier in &self.earlier {
            put_back(&mut gathered.facts, earlier);
        }
        before(&mut gathered.facts, wanted.deed);
        // A person loses access also when they were forgotten, or when one of their objects is
        // gone.
        if wanted.deed.takes_away() && !gathered.is_complete(&self.signal) {
            return None;
        }
        let wants = self.wants(wanted, by, &gathered);
        (!wants).then(|| (self.reason(wanted.rule, &gathered), gathered.summary()))
    }

    /// Whether live rules want a deed by these facts.
    fn wants(&self, wanted: Wanted<'_>, by: Decider, gathered: &GatheredFacts) -> bool {
        let chains = chains(&self.rules, &self.signal, &[], gathered);
        let mut live = chains.iter().filter(|chain| chain.mode == Mode::Live);
        live.any(|chain| {
            let mut steps = chain.steps.iter();
            steps.any(|step| {
                step.deed.key() == wanted.deed.key()
                    && step.target.id() == wanted.target.id()
                    && (by == Decider::AnyRule || chain.doer(step) == wanted.rule)
            })
        })
    }

    /// Why a rule wants nothing, or something else.
    fn reason(&self, rule: &str, gathered: &GatheredFacts) -> String {
        if gathered.facts.is_forgotten {
            return "they were forgotten".to_owned();
        }
        let outcomes = rules::decide(&self.rules, &gathered.facts);
        let outcome = outcomes.into_iter().find(|outcome| outcome.rule == rule);
        match outcome.map(|outcome| outcome.result) {
            Some(Decision::NotMatched { reason }) => format!("no longer wanted: {reason}"),
            Some(Decision::Overruled { by, .. }) => format!("no longer wanted: rule {by} objects"),
            Some(Decision::Matched { .. }) | None => "the rule no longer asks for it".to_owned(),
        }
    }
}

/// Replaces what the directory had by what was just read.
fn refresh(gathered: &mut GatheredFacts, read_back: &ReadBack) {
    let facts = &mut gathered.facts;
    if let Some(developer) = &mut facts.developer {
        let id = DeveloperId(developer.id);
        if let Some(read) = read_back.developer(id) {
            developer.status = read.status.to_string();
            // A forgotten person stays forgotten.
            if !facts.is_forgotten {
                developer.email.clone_from(&read.email);
                developer.full_name.clone_from(&read.full_name);
            }
        }
        if let Some(teams) = read_back.teams_of(id) {
            developer.teams = teams
                .iter()
                .map(|team| TeamFacts {
                    id: team.id.0,
                    name: team.name.clone(),
                })
                .collect();
        }
    }
    if let Some(registration) = &mut facts.registration
        && let Some(read) = read_back.registration(RegistrationId(registration.id))
    {
        registration.status = read.status.to_string();
    }
    if let Some(application) = &mut facts.application {
        let mut read = read_back.applications.iter().rev();
        if let Some(read) = read.find(|read| read.id.0 == application.id) {
            application.name.clone_from(&read.name);
        }
    }
}

/// Reverts in the facts what an earlier deed of the same `then` changed, so that a rule does not
/// falsify its own condition. Changes by others since then stay.
fn put_back(facts: &mut Facts, earlier: &EarlierDeed) {
    if let Some((from, led_to)) = earlier.deed.statuses() {
        if let Some(status) = status_of(facts, &earlier.deed).filter(|now| *now == led_to) {
            from.clone_into(status);
        }
        return;
    }
    let Some(developer) = &mut facts.developer else {
        return;
    };
    let team = || {
        let id = earlier.report.as_ref()?.get("team_id")?.as_str()?;
        id.parse::<Uuid>().ok()
    };
    match &earlier.deed {
        Deed::AddToTeam { team: named, .. } => take_out(developer, named, team()),
        Deed::RemoveFromTeam { team: named } => put_into(developer, named, team()),
        _ => {}
    }
}

/// Reverts in the facts the deed itself, which checks by its own reads what others changed
/// meanwhile.
fn before(facts: &mut Facts, deed: &Deed) {
    match deed {
        Deed::AddToTeam { team, .. } => {
            if let Some(developer) = &mut facts.developer {
                take_out(developer, team, None);
            }
        }
        Deed::RemoveFromTeam { team: named } => {
            if let Some(developer) = &mut facts.developer {
                put_into(developer, named, None);
            }
        }
        _ => {
            if let Some((from, _)) = deed.statuses()
                && let Some(status) = status_of(facts, deed)
            {
                from.clone_into(status);
            }
        }
    }
}
