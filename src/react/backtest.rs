//! Rules tried on the past: the signals of the journal, read as [`Reactor`](crate::react::Reactor)
//! reads them, and decided by the same function. Writes nothing, and has one page of events in
//! memory.
//!
//! The directory is today's, since no other is stored. Only the status is that of the time: the
//! signal itself contains it, or for a custom event the next change of it does.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::act::Queue;
use crate::act::decide::{ExpectedOutcome, Past, expected_outcomes, gather_facts};
use crate::directory::Directory;
use crate::event::{EventId, Kind, Signal, SignalKind};
use crate::journal::{EventFilter, Journal, JournalError, NoWindow, Position, StoredEvent};
use crate::react::custom;
use crate::react::interpretation::{as_fact, data, interpret};
use crate::rules::{Decision, Facts, Mode, Outcome, Planned, RuleSet, decide};

/// Events in memory at once.
const PAGE: i64 = 500;
/// Changes of one person's status that are searched for the first after a custom event.
const CHANGES: i64 = 1_000;

/// A window of the journal, and the rules to try on it.
#[derive(Debug)]
pub struct Backtest<'a> {
    journal: &'a Journal,
    rooms: (&'a Directory, &'a Queue),
    own_principal: Option<Uuid>,
    window: BacktestWindow,
}

/// A window that has a past.
#[derive(Debug, Clone, Copy)]
pub struct BacktestWindow {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// Why there is nothing to try.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BacktestError {
    /// There is no time between the ends of the window.
    #[error(transparent)]
    NoWindow(#[from] NoWindow),
    /// The window begins in the future.
    #[error("the window starts at {}, in the future", from.to_rfc3339_opts(SecondsFormat::Millis, true))]
    Ahead {
        /// Its start.
        from: DateTime<Utc>,
    },
}

/// What one signal of the past leads to.
#[derive(Debug)]
pub struct SignalBacktest {
    /// The signal.
    pub signal: Signal,
    /// For each rule set, the rules on this signal, in decision order.
    pub by: Vec<Vec<RuleBacktest>>,
}

/// What one rule does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleBacktest {
    /// The name of the rule.
    pub rule: String,
    /// Whether it acts.
    pub mode: Mode,
    /// What it would do.
    pub outcome: BacktestOutcome,
}

/// What a rule would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BacktestOutcome {
    /// These deeds.
    Act(Vec<String>),
    /// These deeds, all of which are done already today.
    Unchanged(Vec<String>),
    /// Nothing, for this reason.
    Skip(String),
}

/// How two rule sets differ about one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacktestDifference {
    /// Deeds that only the second wants.
    pub more: Vec<String>,
    /// Deeds that only the first wants.
    pub less: Vec<String>,
}

impl SignalBacktest {
    /// How the first two rule sets differ about the signal; none where they want the same, or where
    /// there is one set only.
    pub fn difference(&self) -> Option<BacktestDifference> {
        let [first, second, ..] = self.by.as_slice() else {
            return None;
        };
        let (first, second) = (wanted(first), wanted(second));
        let without = |all: &[String], known: &[String]| -> Vec<String> {
            let unknown = all.iter().filter(|deed| !known.contains(deed));
            unknown.cloned().collect()
        };
        let (more, less) = (without(&second, &first), without(&first, &second));
        (!more.is_empty() || !less.is_empty()).then_some(BacktestDifference { more, less })
    }
}

/// Every deed that rules want, and whether it would be done or only recorded.
fn wanted(rules: &[RuleBacktest]) -> Vec<String> {
    let mut wanted = Vec::new();
    for rule in rules {
        let (BacktestOutcome::Act(deeds) | BacktestOutcome::Unchanged(deeds)) = &rule.outcome
        else {
            continue;
        };
        for deed in deeds {
            let deed = match rule.mode {
                Mode::Live => deed.clone(),
                Mode::Shadow | Mode::Off => format!("{deed} (shadow)"),
            };
            if !wanted.contains(&deed) {
                wanted.push(deed);
            }
        }
    }
    wanted
}

impl BacktestWindow {
    /// The window from one time to another.
    ///
    /// # Errors
    /// If no time of the window is in the past.
    pub fn new(
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self, BacktestError> {
        NoWindow::check_time_between(from, to)?;
        if from >= now {
            return Err(BacktestError::Ahead { from });
        }
        Ok(Self { from, to })
    }

    /// Its first time.
    pub fn from(&self) -> DateTime<Utc> {
        self.from
    }

    /// The time after its last.
    pub fn to(&self) -> DateTime<Utc> {
        self.to
    }
}

impl<'a> Backtest<'a> {
    /// A backtest on the window.
    pub fn new(
        journal: &'a Journal,
        rooms: (&'a Directory, &'a Queue),
        own_principal: Option<Uuid>,
        window: BacktestWindow,
    ) -> Self {
        Self {
            journal,
            rooms,
            own_principal,
            window,
        }
    }

    /// Decides about every signal of the window by each rule set, oldest first, and reports each
    /// result; returns how many events it read.
    pub async fn run(
        &self,
        sets: &[&RuleSet],
        mut tell: impl FnMut(SignalBacktest),
    ) -> Result<u64, JournalError> {
        let kinds = kinds(sets);
        let BacktestWindow { from, to } = self.window;
        let mut count = 0;
        let mut after = Position {
            event_ts: from,
            id: EventId::from_uuid(Uuid::nil()),
        };
        loop {
            let page = self.journal.events_after(&kinds, after, to, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(count);
            };
            after = Position {
                event_ts: last.event_ts,
                id: last.id,
            };
            for stored in &page {
                count += 1;
                if let Some(tried) = self.decide(sets, stored).await? {
                    tell(tried);
                }
            }
        }
    }

    async fn decide(
        &self,
        sets: &[&RuleSet],
        stored: &StoredEvent,
    ) -> Result<Option<SignalBacktest>, JournalError> {
        let Ok(event) = stored.parse() else {
            return Ok(None);
        };
        // The service decides when it receives the event, and rules measure its age from there.
        let then = stored.received_at;
        let meaning = interpret(&event, stored.verdict, self.own_principal, then);
        let Some(mut signal) = meaning.signal else {
            return Ok(None);
        };
        let kind = signal.kind.as_str();
        if !sets
            .iter()
            .any(|rules| rules.listening_to(&kind).next().is_some())
        {
            return Ok(None);
        }
        let evidence = if matches!(signal.kind, SignalKind::Custom(_)) {
            let named = custom::find(self.rooms.0, &event, &mut signal, meaning.kept).await?;
            Some(named.event)
        } else {
            as_fact(&event, &signal)
        };
        let data = data(&event);
        let status = data.get("to_status").and_then(Value::as_str);
        let past = Past {
            decided_at: then,
            status,
        };
        let gathered = gather_facts(
            self.rooms,
            &signal,
            evidence,
            meaning.own,
            (then, Some(past)),
        )
        .await?;
        let today = gathered.facts;
        let mut facts = today.clone();
        if let SignalKind::Custom(_) = signal.kind {
            // What its data calls a status is only the sender's word.
            let status = self.status_then(&signal, &today, then).await?;
            set_status(&mut facts, &signal, status.as_deref());
        } else {
            set_status(&mut facts, &signal, status);
        }
        let try_on = |rules: &&RuleSet| {
            let outcomes = decide(rules, &facts).into_iter();
            outcomes.map(|outcome| backtest(outcome, &today)).collect()
        };
        Ok(Some(SignalBacktest {
            by: sets.iter().map(try_on).collect(),
            signal,
        }))
    }
}

impl Backtest<'_> {
    /// The status that the developer or registration of a signal had at a time, by the first later
    /// change of it. None if there was no change: then it is today's.
    async fn status_then(
        &self,
        signal: &Signal,
        today: &Facts,
        then: DateTime<Utc>,
    ) -> Result<Option<String>, JournalError> {
        let Some(developer) = &today.developer else {
            return Ok(None);
        };
        let name = if signal.registration_id.is_some() {
            "registration.status_changed"
        } else {
            "developer.status_changed"
        };
        let filter = EventFilter {
            portal_id: Some(signal.portal_id.to_string()),
            principal_id: Some(developer.id.to_string()),
            name: Some(name.to_owned()),
            kind: Some(Kind::Observation.as_str().to_owned()),
            from: Some(then - TimeDelta::seconds(1)),
            ..EventFilter::default()
        };
        let changes = self.journal.search(&filter, None, CHANGES).await?;
        let changes = changes
            .iter()
            .rev()
            .filter_map(|stored| stored.parse().ok());
        for change in changes.filter(|change| change.occurred_at > then) {
            let data = data(&change);
            let text = |member: &str| data.get(member).and_then(Value::as_str);
            let is_other = signal
                .registration_id
                .is_some_and(|id| text("registration_id") != Some(id.to_string().as_str()));
            if !is_other {
                return Ok(text("from_status").map(str::to_owned));
            }
        }
        Ok(None)
    }
}

/// The kinds of event that may be a signal for these rules: of two million logins none is read
/// where no rule is on logins.
fn kinds(sets: &[&RuleSet]) -> Vec<Kind> {
    let is_seen = |on: &str| {
        on.parse().is_ok_and(|kind| {
            !matches!(
                kind,
                SignalKind::DeveloperAuthenticated
                    | SignalKind::DeveloperLoginFailed
                    | SignalKind::AccessDenied
                    | SignalKind::Operation(_)
                    | SignalKind::Custom(_)
            )
        })
    };
    if sets
        .iter()
        .flat_map(|rules| rules.rules())
        .all(|rule| is_seen(&rule.on))
    {
        return vec![Kind::Observation];
    }
    vec![
        Kind::Observation,
        Kind::Authentication,
        Kind::Authorization,
        Kind::Access,
        Kind::Custom,
        Kind::Operation,
    ]
}

/// Puts the status of the time in place of today's.
fn set_status(facts: &mut Facts, signal: &Signal, status: Option<&str>) {
    let Some(status) = status else { return };
    match signal.kind {
        SignalKind::DeveloperSignedUp | SignalKind::DeveloperStatusChanged => {
            if let Some(developer) = &mut facts.developer {
                status.clone_into(&mut developer.status);
            }
        }
        SignalKind::RegistrationRequested | SignalKind::RegistrationStatusChanged => {
            if let Some(registration) = &mut facts.registration {
                status.clone_into(&mut registration.status);
            }
        }
        SignalKind::Custom(_) => match (&mut facts.registration, &mut facts.developer) {
            (Some(registration), _) => status.clone_into(&mut registration.status),
            (None, Some(developer)) => status.clone_into(&mut developer.status),
            (None, None) => {}
        },
        SignalKind::DeveloperAuthenticated
        | SignalKind::DeveloperLoginFailed
        | SignalKind::ApplicationCreated
        | SignalKind::MembershipChanged
        | SignalKind::AccessDenied
        | SignalKind::Operation(_) => {}
    }
}

fn backtest(decided: Outcome, today: &Facts) -> RuleBacktest {
    let outcome = match decided.result {
        Decision::NotMatched { reason } => BacktestOutcome::Skip(reason),
        Decision::Overruled { by, reason } => {
            BacktestOutcome::Skip(format!("overruled by {by}: {reason}"))
        }
        Decision::Matched { deeds } => {
            let wanted = deeds
                .iter()
                .map(|planned| planned.deed.to_string())
                .collect();
            // Of each deed alone: a deed before it may have changed then what it would change now.
            let holds = |planned: &Planned| {
                let is_named = |_: &str| 1;
                expected_outcomes([&planned.deed], today, true, is_named)
                    == [ExpectedOutcome::Holds]
            };
            if deeds.iter().all(holds) {
                BacktestOutcome::Unchanged(wanted)
            } else {
                BacktestOutcome::Act(wanted)
            }
        }
    };
    RuleBacktest {
        rule: decided.rule,
        mode: decided.mode,
        outcome,
    }
}
