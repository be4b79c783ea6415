//! What the rules decide about one person now, and why: every rule on a signal of theirs, part by
//! part, and what else prevents each deed. Reads only, and calls no API.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use konnect::{DeveloperId, PortalId, TeamId};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::act::decide::{ExpectedOutcome, chains, expected_outcomes, gather_facts};
use crate::act::{Action, ActionFilter, ActionState, NewChain, NewStep, Queue};
use crate::directory::{Application, DeveloperRecord, Directory, Portal};
use crate::event::{EventId, Signal, SignalKind};
use crate::journal::{Journal, JournalError};
use crate::react::last_custom_event::last_custom_event;
use crate::react::redecide::{requested, signed_up};
use crate::rules::{
    self, Decision, Deed, Explanation, Facts, Mode, OnLimit, Planned, RuleSet, TeamRef,
};

/// Past actions are listed up to this many for each of developer, application and registration.
const MAX_PAST: i64 = 100;

/// Why most of what rules decide has no effect.
const FORGOTTEN: &str = "they were forgotten: nothing but access is taken away from them, by rules that ask for no name \
                         and no address";

/// One person of one portal.
#[derive(Debug)]
pub struct Explained {
    /// Where.
    pub portal: Portal,
    /// Who, with their teams, applications and registrations.
    pub developer: DeveloperRecord,
    /// The signals that rules may be on, as they are now.
    pub signals: Vec<ExplainedSignal>,
    /// The rules on other signals, or on custom events of which none about them is stored, each
    /// with its signal.
    pub elsewhere: Vec<(String, String)>,
    /// What was decided about them so far, newest first.
    pub past: Vec<Action>,
}

/// One signal of a person.
#[derive(Debug)]
pub struct ExplainedSignal {
    /// The signal.
    pub signal: Signal,
    /// What it is about, in words.
    pub about: String,
    /// Why it is not decided about again by itself; none for a pending person.
    pub settled: Option<String>,
    /// Facts of which the rules see a part only.
    pub cut: Vec<&'static str>,
    /// Every rule on it, in decision order.
    pub rules: Vec<ExplainedRule>,
}

/// One rule on one signal.
#[derive(Debug)]
pub struct ExplainedRule {
    /// What the rule decides.
    pub explanation: Explanation,
    /// Its deeds, where it matches.
    pub deeds: Vec<DeedOutlook>,
}

impl ExplainedRule {
    /// The decision in one word and, where the rule does nothing, the first reason.
    pub fn decided(&self) -> (&'static str, Option<&str>) {
        match &self.explanation.decision {
            Some(Decision::Matched { .. }) => ("matched", None),
            Some(Decision::NotMatched { reason }) => ("not_matched", Some(reason)),
            Some(Decision::Overruled { reason, .. }) => ("overruled", Some(reason)),
            None => (
                "not_asked",
                self.explanation.obstacles.first().map(String::as_str),
            ),
        }
    }
}

/// One deed of a rule that matches.
#[derive(Debug, Clone)]
pub struct DeedOutlook {
    /// The deed, as the rule names it.
    pub deed: String,
    /// What prevents it, or makes it needless.
    pub but: Vec<String>,
}

/// Explains what `rules` decide about a developer of `portal`; nothing if the directory does not
/// have them.
pub async fn explain(
    (journal, directory, queue): (&Journal, &Directory, &Queue),
    rules: &RuleSet,
    (portal, developer): (PortalId, DeveloperId),
    now: DateTime<Utc>,
) -> Result<Option<Explained>, JournalError> {
    let known = directory.developer(portal, developer).await?;
    let (Some(developer), Some(portal)) = (known, directory.portal(portal).await?) else {
        return Ok(None);
    };
    let teams = directory.teams(portal.id).await?;
    let explainer = Explainer {
        journal,
        directory,
        queue,
        rules,
        teams: teams.into_iter().map(|team| team.name).collect(),
        now,
    };
    let signals = explainer.signals(&developer).await?;
    let past = explainer.past(&developer, &signals).await?;
    let is_heard = |on: &str| signals.iter().any(|heard| heard.signal.kind.as_str() == on);
    let elsewhere = rules.rules().iter().filter(|rule| !is_heard(&rule.on));
    let elsewhere = elsewhere.map(|rule| (rule.name.clone(), rule.on.clone()));
    Ok(Some(Explained {
        portal,
        elsewhere: elsewhere.collect(),
        developer,
        signals,
        past,
    }))
}

struct Explainer<'a> {
    journal: &'a Journal,
    directory: &'a Directory,
    queue: &'a Queue,
    rules: &'a RuleSet,
    /// Names of the portal's teams; a name that several share is there as often.
    teams: Vec<String>,
    now: DateTime<Utc>,
}

impl Explainer<'_> {
    async fn signals(&self, known: &DeveloperRecord) -> Result<Vec<ExplainedSignal>, JournalError> {
        let developer = &known.developer;
        let status = developer.status.as_str();
        let about = format!("developer {}", developer.id);
        let mut signals = vec![
            self.signal(
                (signed_up(developer), None),
                about,
                settled("developer", status),
            )
            .await?,
        ];
        for application in &known.applications {
            let about = format!("application {:?} {}", application.name, application.id);
            let settled = "an application is decided about once, when it is first seen";
            let signal = created(application, developer.id);
            let settled = Some(settled.to_owned());
            signals.push(self.signal((signal, None), about, settled).await?);
        }
        let registrations = self
            .directory
            .registrations_of(developer.portal_id, developer.id);
        let registrations = registrations.await?;
        for registration in &registrations {
            let about = format!(
                "registration {} for {:?}",
                registration.id, registration.api.name
            );
            let settled = settled("registration", registration.status.as_str());
            let signal = requested(registration, Some(developer.id));
            signals.push(self.signal((signal, None), about, settled).await?);
        }
        let rules = self.rules.rules().iter();
        let told = rules
            .map(|rule| rule.on.as_str())
            .filter(|on| on.starts_with("custom."));
        for on in told.collect::<BTreeSet<_>>() {
            let rooms = (self.journal, self.directory);
            let Some(last) = last_custom_event(rooms, known, &registrations, on).await? else {
                continue;
            };
            let at = last.signal.occurred_at.format("%FT%TZ");
            let about = format!("the last custom event, {} of {at}", last.signal.cause);
            let settled = "a custom event is decided about once, when it comes";
            let heard = (last.signal, Some(last.event));
            signals.push(self.signal(heard, about, Some(settled.to_owned())).await?);
        }
        Ok(signals)
    }

    async fn signal(
        &self,
        (signal, event): (Signal, Option<Map<String, Value>>),
        about: String,
        settled: Option<String>,
    ) -> Result<ExplainedSignal, JournalError> {
        let rooms = (self.directory, self.queue);
        let mut gathered = gather_facts(rooms, &signal, event, false, (self.now, None)).await?;
        gathered.suppose_invitee();
        let chains = chains(self.rules, &signal, &[], &gathered);
        let mut explained = Vec::new();
        for explanation in rules::explain(self.rules, &gathered.facts) {
            let chain = chains.iter().find(|chain| chain.rule == explanation.rule);
            let mut deeds = Vec::new();
            if let (Some(chain), Some(Decision::Matched { deeds: planned })) =
                (chain, &explanation.decision)
            {
                let facts = &gathered.facts;
                let expected_outcomes = self.expected_outcomes(&explanation.rule, planned, facts);
                let mut ended_by: Option<String> = None;
                for ((step, planned), expected_outcome) in
                    chain.steps.iter().zip(planned).zip(expected_outcomes)
                {
                    let deed = planned.deed.to_string();
                    let but = match &ended_by {
                        Some(before) => {
                            vec![format!("it is not reached: {before} stands before it")]
                        }
                        None => {
                            self.but((chain, step), &expected_outcome, explanation.mode)
                                .await?
                        }
                    };
                    let ends = matches!(expected_outcome, ExpectedOutcome::Refused(_));
                    if ended_by.is_none() && (ends || self.ends_the_run(chain, step).await?) {
                        ended_by = Some(deed.clone());
                    }
                    deeds.push(DeedOutlook { deed, but });
                }
            }
            explained.push(ExplainedRule { explanation, deeds });
        }
        Ok(ExplainedSignal {
            about,
            settled: settled.or_else(|| gathered.facts.is_forgotten.then(|| FORGOTTEN.to_owned())),
            cut: gathered.facts.cut(),
            rules: explained,
            signal,
        })
    }

    /// What prevents a deed that was decided.
    async fn but(
        &self,
        (chain, step): (&NewChain, &NewStep),
        expected_outcome: &ExpectedOutcome,
        mode: Mode,
    ) -> Result<Vec<String>, JournalError> {
        let mut but = Vec::new();
        if mode == Mode::Shadow {
            but.push("the rule is in shadow: it is written down and not done".to_owned());
        }
        if let Some(owner) = &step.owned_by {
            but.push(format!("rule {owner} does it"));
        }
        if let Some(veto) = self.queue.veto_on(chain, step).await? {
            let (by, id) = (veto.by, veto.id);
            let since = veto.at.format("%FT%TZ");
            but.push(format!(
                "{by} said no at {since}; `usher actions vetoes lift {id}` takes it back"
            ));
        } else if let Some(action) = self.queue.standing(chain, step).await? {
            let reason = action.reason.map(|reason| format!(": {reason}"));
            let id = action.id;
            let again = match action.state {
                ActionState::Refused | ActionState::Cancelled => {
                    format!("; `usher actions retry {id}` decides it again")
                }
                _ => String::new(),
            };
            but.push(format!(
                "{} since {}{} (action {id}{again})",
                action.state,
                action.updated_at.format("%FT%TZ"),
                reason.unwrap_or_default(),
            ));
        }
        but.extend(self.state(chain, step, expected_outcome).await?);
        if chain.limit_per_hour > 0 && !matches!(step.deed, Deed::Park { .. }) {
            let started = self.queue.started_within_the_hour(&chain.rule).await?;
            if started >= i64::from(chain.limit_per_hour) {
                let what = match chain.on_limit {
                    OnLimit::Delay => "it waits",
                    OnLimit::Park => "it is left to a person",
                };
                let limit = chain.limit_per_hour;
                but.push(format!("limit_per_hour of {limit} is reached: {what}"));
            }
        }
        Ok(but)
    }

    /// Whether the rest of a `then` is left out after a deed: a person vetoed or rejected it, or it
    /// was refused.
    async fn ends_the_run(&self, chain: &NewChain, step: &NewStep) -> Result<bool, JournalError> {
        if chain.mode != Mode::Live {
            return Ok(false);
        }
        if self.queue.veto_on(chain, step).await?.is_some() {
            return Ok(true);
        }
        let standing = self.queue.standing(chain, step).await?;
        let ended = [ActionState::Refused, ActionState::Cancelled];
        Ok(standing.is_some_and(|action| ended.contains(&action.state)))
    }

    /// What would become of the deeds of a rule, one after the other.
    fn expected_outcomes(
        &self,
        rule: &str,
        planned: &[Planned],
        facts: &Facts,
    ) -> Vec<ExpectedOutcome> {
        let deeds = planned.iter().map(|planned| &planned.deed);
        let asks_status = self.rules.asks_about_status(rule);
        expected_outcomes(deeds, facts, asks_status, |name| {
            self.teams.iter().filter(|team| *team == name).count()
        })
    }

    /// What the worker would find when it reads the target again.
    async fn state(
        &self,
        chain: &NewChain,
        step: &NewStep,
        expected_outcome: &ExpectedOutcome,
    ) -> Result<Option<String>, JournalError> {
        Ok(match (expected_outcome, &step.deed) {
            (ExpectedOutcome::Refused(why), _) => Some(why.clone()),
            (ExpectedOutcome::Waits, _) => {
                Some("it waits for the one before, which is left to a person".to_owned())
            }
            // The deed itself says that it asks a person.
            (ExpectedOutcome::Parked(_), Deed::Park { .. }) | (ExpectedOutcome::NotReached, _) => {
                None
            }
            (ExpectedOutcome::Parked(why), _) => Some(format!("it is left to a person: {why}")),
            (ExpectedOutcome::Holds, Deed::AddToTeam { .. }) => {
                Some("is a member already".to_owned())
            }
            (ExpectedOutcome::Holds, Deed::RemoveFromTeam { .. }) => {
                Some("is no member".to_owned())
            }
            (ExpectedOutcome::Holds, Deed::InviteDeveloper { .. }) => {
                Some("is there already".to_owned())
            }
            (ExpectedOutcome::Holds, deed) => deed.statuses().map(|(_, led_to)| {
                let object = if deed.is_of_registration() {
                    "registration"
                } else {
                    "developer"
                };
                format!("the {object} is {led_to} already")
            }),
            (ExpectedOutcome::Done, Deed::AddToTeam { team, .. }) => {
                let was_ended = self.was_ended(chain.portal_id, step, team).await?;
                was_ended
                    .then(|| "somebody else ended the membership: it is not made again".to_owned())
            }
            (ExpectedOutcome::Done, _) => None,
        })
    }

    async fn was_ended(
        &self,
        portal_id: Uuid,
        step: &NewStep,
        team: &TeamRef,
    ) -> Result<bool, JournalError> {
        let team = match team {
            TeamRef::Id(id) => *id,
            TeamRef::Name(name) => {
                let found = self
                    .directory
                    .team_by_name(PortalId(portal_id), name)
                    .await?;
                match found {
                    Some(team) => team.id.0,
                    None => return Ok(false),
                }
            }
        };
        let (developer, any) = (step.target.id(), (&step.deed, Uuid::nil()));
        let whose = (PortalId(portal_id), DeveloperId(developer));
        let ended = self
            .queue
            .ended_by_somebody(self.directory, whose, TeamId(team));
        let made = self.queue.made_member(portal_id, developer, team, any);
        Ok(made.await? || ended.await?)
    }

    async fn past(
        &self,
        developer: &DeveloperRecord,
        signals: &[ExplainedSignal],
    ) -> Result<Vec<Action>, JournalError> {
        let portal_id = Some(developer.developer.portal_id.0);
        let of_signals = signals.iter().map(|heard| &heard.signal);
        let ids = of_signals.filter_map(|signal| signal.registration_id.or(signal.application_id));
        let mut past = Vec::new();
        let developer = std::iter::once(developer.developer.id.0);
        for target in developer.chain(ids).collect::<BTreeSet<_>>() {
            let filter = ActionFilter {
                portal_id,
                target_id: Some(target),
                ..ActionFilter::default()
            };
            past.extend(self.queue.list(&filter, None, MAX_PAST).await?);
        }
        past.sort_by_key(|action| std::cmp::Reverse((action.created_at, action.id)));
        Ok(past)
    }
}

/// Why nobody decides about it again; none for a pending one.
fn settled(what: &str, status: &str) -> Option<String> {
    (status != "pending")
        .then(|| format!("only what is pending is decided about again, and the {what} is {status}"))
}

fn created(application: &Application, developer: DeveloperId) -> Signal {
    Signal {
        kind: SignalKind::ApplicationCreated,
        portal_id: application.portal_id.0,
        developer_id: Some(developer.0),
        application_id: Some(application.id.0),
        registration_id: None,
        key: Signal::key_of_object(application.id.0),
        cause: EventId::from_uuid(Uuid::nil()),
        occurred_at: application
            .created_at
            .unwrap_or(application.row_version.first_at),
        from_status: None,
        membership: None,
    }
}
