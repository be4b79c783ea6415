//! Whether a deed is still wanted. The directory may say no without a call; a yes is read again by
//! id right before the write. The actions are claimed: no other worker carries them out meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use konnect::{ApplicationId, ApplicationOwner, DeveloperId, PortalId, RegistrationId};
use serde_json::Value;
use tracing::warn;
use uuid::Uuid;

use crate::act::claim::Claimed;
use crate::act::decide::{self, Decider, EarlierDeed, GoalState, RecheckCase, Wanted};
use crate::act::deeds::{DeedContext, Outcome, status, team};
use crate::act::end::ActionEnd;
use crate::act::read_back::ReadBack;
use crate::act::trouble::Trouble;
use crate::act::{ActionState, Queue, Target};
use crate::directory::Directory;
use crate::event::{EventId, Signal, SignalKind, render};
use crate::journal::JournalError;
use crate::rules::{Deed, RuleSet, TeamRef};

/// How long the answer of a deed replaces another read.
const FRESH_SECONDS: f64 = 2.0;

/// Cases by the ids of their actions; an action without one is carried out as it was decided.
pub(super) type Cases = HashMap<Uuid, RecheckCase>;

/// What the queue has about an action besides its claim.
struct Past {
    /// What is done for the same signal, earlier in the chain of its rule or by another rule.
    earlier: Vec<EarlierDeed>,
    /// Whether a person approved it: that is a decision of its own.
    let_through: bool,
    /// Writes to the same target within a day, by any rules.
    written_today: i64,
}

/// The cases of actions now, in a few queries for all of them.
pub(super) async fn cases(
    (queue, directory): (&Queue, &Directory),
    rules: &Arc<RuleSet>,
    claimed: &[Claimed],
) -> Result<Cases, JournalError> {
    let mut by_portal: BTreeMap<Uuid, Vec<(&Claimed, Signal)>> = BTreeMap::new();
    for one in claimed {
        let is_live = decide::is_live(rules, &one.row.rule, one.row.portal_id);
        // A deed of many writes goes on to its end once it has begun.
        let has_begun = one.row.write_sent && one.deed == Deed::RevokeDeveloper;
        // What may have been written is completed, but not written once more for a rule that is
        // gone. A deed that parks leaves the judgement to a person.
        let parks = matches!(one.deed, Deed::Park { .. });
        let is_judged = (is_live || one.row.write_sent) && !has_begun && !parks;
        if let Some(signal) = one.signal().filter(|_| is_judged) {
            let asked = by_portal.entry(one.row.portal_id).or_default();
            asked.push((one, signal));
        }
    }
    let mut cases = Cases::new();
    for asked in by_portal.into_values() {
        let ids: Vec<Uuid> = asked.iter().map(|(one, _)| one.row.id).collect();
        let mut pasts = queue.pasts(&ids).await?;
        let signals = asked.iter().map(|(_, signal)| signal);
        let view = Arc::new(decide::load_related(directory, signals).await?);
        for (one, signal) in asked {
            let Some(past) = pasts.remove(&one.row.id).filter(|past| !past.let_through) else {
                continue;
            };
            let evidence = match queue.evidence(&signal).await? {
                Evidence::None => None,
                Evidence::Event(event) => Some(event),
                Evidence::Lost => continue,
            };
            let case = RecheckCase {
                signal,
                evidence,
                view: Arc::clone(&view),
                own: one.is_own(),
                written_today: past.written_today,
                earlier: past.earlier,
                rules: Arc::clone(rules),
            };
            cases.insert(one.row.id, case);
        }
    }
    Ok(cases)
}

impl RecheckCase {
    /// Why the directory alone says no; none where it says yes, or may be behind.
    pub(super) fn unwanted(
        &self,
        claimed: &Claimed,
        by: Decider,
        now: DateTime<Utc>,
    ) -> Option<ActionEnd> {
        if claimed.row.write_sent || !self.comes_again() {
            return None;
        }
        let (why, facts) = self.objection(claimed.wanted(), by, &ReadBack::default(), now)?;
        Some(ActionEnd::unwanted(why, Some(facts)))
    }

    /// Why an action is left to a person whose target was written to again and again: two rules may
    /// undo each other's deeds. A deed that takes access away has no such limit.
    pub(super) fn over_subject_limit(&self, claimed: &Claimed, limit: u32) -> Option<ActionEnd> {
        let is_over = limit > 0 && self.written_today >= i64::from(limit);
        let what = claimed.target.kind();
        (is_over && !claimed.row.write_sent && !claimed.deed.takes_away()).then(|| {
            let why = format!("over the limit of {limit} deeds per day for one {what}");
            ActionEnd::new(ActionState::Parked, why)
        })
    }
}

enum Evidence {
    None,
    Event(serde_json::Map<String, Value>),
    Lost,
}

impl Claimed {
    /// Why a veto ends it.
    pub(super) fn vetoed(&self) -> Option<ActionEnd> {
        let why = || ActionEnd::unwanted("somebody said no to it".to_owned(), None);
        self.row.is_vetoed.then(why)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            deed: &self.deed,
            rule: &self.row.rule,
            target: self.target,
        }
    }

    /// The signal that led here, about its subject of now; none where the stored facts do not show
    /// it.
    fn signal(&self) -> Option<Signal> {
        let kind: SignalKind = self.row.signal.parse().ok()?;
        // The address or name that a sender reported is not stored here.
        if matches!(kind, SignalKind::Custom(_)) {
            return None;
        }
        let of = |what: &str| -> Option<Uuid> {
            self.row.facts.get(what)?.get("id")?.as_str()?.parse().ok()
        };
        let fact = |name: &str| self.row.facts.get("signal")?.get(name)?.as_str();
        let at: DateTime<Utc> = fact("at")?.parse().ok()?;
        let cause = self.row.causes.first().copied().unwrap_or_default();
        Some(Signal {
            portal_id: self.row.portal_id,
            // An application may have another owner now.
            developer_id: of("developer")
                .filter(|_| self.deed.takes_away() || of("application").is_none()),
            application_id: of("application").or_else(|| self.target.parent()),
            registration_id: of("registration"),
            key: self.row.signal_key.clone(),
            cause: EventId::from_uuid(cause),
            occurred_at: at,
            from_status: fact("from_status").map(str::to_owned),
            membership: None,
            kind,
        })
    }

    /// Whether usher or Konnect itself caused the signal, as was found when it was decided.
    fn is_own(&self) -> bool {
        let own = self
            .row
            .facts
            .get("signal")
            .and_then(|signal| signal.get("own"));
        own.and_then(Value::as_bool).unwrap_or_default()
    }

    /// The owner of the application when it was decided, where the API named one.
    fn owner(&self) -> Option<Uuid> {
        let owner = self.row.facts.get("application")?.get("owner_id")?;
        let owner: Uuid = owner.as_str()?.parse().ok()?;
        (!owner.is_nil()).then_some(owner)
    }
}

/// Reads by id what the rules use, and asks them again; none where they still want the deed.
pub(super) async fn judge(
    context: &DeedContext<'_>,
    case: &RecheckCase,
) -> Result<Option<Outcome>, Trouble> {
    let claimed = context.claimed;
    let portal = PortalId(claimed.row.portal_id);
    let found = case.found();
    let mut person = found.developer.map(|known| known.developer.id);
    if let Target::Registration { .. } = claimed.target {
        status::registration(context).await?;
    }
    // A developer who gives an application away, or deletes it, loses their access all the same.
    let application = case.signal.application_id.map(ApplicationId);
    if let Some(id) = application.filter(|_| !claimed.deed.takes_away()) {
        let applications = context.client.portal(portal).applications();
        let read = applications.get(id).await;
        let read = read.map_err(Trouble::on_read("application"))?;
        let owner = read.owner.as_ref().map(|owner| owner.id);
        if let (Some(then), Some(now)) = (claimed.owner(), owner)
            && then != now
        {
            let why = "the application changed hands since it was decided".to_owned();
            return Ok(Some(Outcome::Unwanted(why, None)));
        }
        let developer = read.owner.as_ref().and_then(ApplicationOwner::developer);
        person = person.or(developer);
        context.read_back(|read_back| read_back.applications.push(read));
    }
    if let Some(id) = person {
        read_person(context, case, id).await?;
    }
    let read_back = context
        .read_back
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if claimed.row.write_sent && holds(claimed, person, &read_back) {
        // An earlier attempt has done it: the deed itself finds that.
        return Ok(None);
    }
    // Unless the rule itself asks about the status.
    let read = person.and_then(|person| read_back.developer(person));
    let status = read
        .map(|read| read.status.as_str())
        .or_else(|| case.just_made());
    let is_asked = case.rules.asks_about_status(&claimed.row.rule);
    if let Some(why) = status
        .and_then(|now| decide::turned_away(&claimed.deed, now))
        .filter(|_| !is_asked)
    {
        return Ok(Some(Outcome::Unwanted(why, None)));
    }
    let objection = case.objection(
        claimed.wanted(),
        Decider::AnyRule,
        &read_back,
        context.queue.clock.now(),
    );
    Ok(objection.map(|(why, facts)| Outcome::Unwanted(why, Some(facts))))
}

/// Whether what was read shows that the goal of a deed is reached.
fn holds(claimed: &Claimed, person: Option<DeveloperId>, read_back: &ReadBack) -> bool {
    let is_in = |team: &TeamRef| {
        let teams = person.and_then(|person| read_back.teams_of(person))?;
        Some(teams.iter().any(|known| team.is(known.id.0, &known.name)))
    };
    let status = match claimed.target {
        Target::Developer { id } => read_back
            .developer(DeveloperId(id))
            .map(|read| read.status.as_str()),
        Target::Registration { id, .. } => read_back
            .registration(RegistrationId(id))
            .map(|read| read.status.as_str()),
        _ => None,
    };
    match &claimed.deed {
        Deed::AddToTeam { team, .. } => is_in(team) == Some(true),
        Deed::RemoveFromTeam { team } => is_in(team) == Some(false),
        deed => status.is_some_and(|now| decide::of_status(deed, now) == GoalState::Goal),
    }
}

/// Reads somebody's status, and their teams where a rule asks about them or the deed is about one.
async fn read_person(
    context: &DeedContext<'_>,
    case: &RecheckCase,
    id: DeveloperId,
) -> Result<(), Trouble> {
    let about_a_team = matches!(
        context.claimed.deed,
        Deed::AddToTeam { .. } | Deed::RemoveFromTeam { .. }
    );
    if about_a_team || case.asks_about_teams() {
        team::teams(context, id).await?;
    }
    if case.just_made().is_none() {
        status::developer(context, id).await?;
    }
    Ok(())
}

impl Queue {
    /// The event that is the only evidence of a signal.
    async fn evidence(&self, signal: &Signal) -> Result<Evidence, JournalError> {
        if signal.key != signal.cause.to_string() {
            return Ok(Evidence::None);
        }
        let stored = self.journal.event(signal.cause).await?;
        Ok(match stored.map(|stored| stored.parse()) {
            Some(Ok(event)) => Evidence::Event(render(&event)),
            // Retention deleted it, which is no reason to do less than was decided.
            Some(Err(_)) | None => Evidence::Lost,
        })
    }

    /// What was done before actions in their chains, and whether a person approved them.
    async fn pasts(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Past>, JournalError> {
        let rows = sqlx::query_file!("src/act/pasts.sql", ids, FRESH_SECONDS,)
            .fetch_all(self.pool())
            .await?;
        let mut pasts: HashMap<Uuid, Past> = HashMap::new();
        for row in rows {
            let past = pasts.entry(row.action).or_insert_with(|| Past {
                earlier: Vec::new(),
                let_through: row.let_through,
                written_today: row.written_today,
            });
            let Some(spec) = row.spec else { continue };
            match serde_json::from_value(spec) {
                Ok(deed) => past.earlier.push(EarlierDeed {
                    deed,
                    report: row.report,
                    is_fresh: row.is_fresh,
                }),
                Err(error) => warn!(%error, "the deed of an action cannot be read"),
            }
        }
        Ok(pasts)
    }
}
