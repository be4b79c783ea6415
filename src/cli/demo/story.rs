//! What happens to each person, one line a step, with the time it took; and the sums at the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use konnect::{DeveloperId, PortalId};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::act::{Action, ActionFilter, ActionState, Queue, Target};
use crate::cli::demo::people::{Person, is_stranger};
use crate::cli::{CliError, Output, Reader};
use crate::clock::Clock;
use crate::directory::{Directory, Owner};
use crate::journal::{Journal, JournalError};
use crate::lifecycle::pause;
use crate::publish::Published;

/// The last line of the demo.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    events_stored: i64,
    kafka_published: u64,
    developers_signed_up: usize,
    developers_approved: usize,
    registrations_approved: usize,
    p50_ms: Option<u64>,
    p99_ms: Option<u64>,
}

/// Where the steps are read from.
pub(super) struct Parts {
    /// Only what happens at this portal is shown; a database that is kept contains others.
    pub(super) portal: Uuid,
    pub(super) journal: Journal,
    pub(super) directory: Directory,
    pub(super) queue: Queue,
    pub(super) published: Published,
    pub(super) clock: Clock,
    /// When the demo began.
    pub(super) began: DateTime<Utc>,
    /// The events that were stored before this run.
    pub(super) stored_before: i64,
}

/// What is shown of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    SignedUp,
    /// No rule says anything about them.
    Waits,
    /// A rule will decide, and is late.
    StillWaits,
    /// A rule left them to a person.
    WaitsForPerson,
    Approved,
    InTeam,
    LoggedIn,
    AskedForApi,
    RegistrationApproved,
}

/// Follows people through what they do and what is done for them.
pub(super) struct Story {
    parts: Parts,
    began: Instant,
    /// Who signed up, and when by usher's own clock.
    signed_up: Vec<(String, DateTime<Utc>)>,
    /// The actions that were shown already, in that state.
    told: HashSet<(Uuid, ActionState)>,
    /// For whom an action was decided, or was shown to wait.
    settled: HashSet<String>,
    approvals: Vec<Duration>,
    registrations: usize,
    /// Whether everything could be shown so far.
    shown: Result<Reader, CliError>,
}

impl Story {
    /// How often usher's actions are polled.
    pub(super) const CHECK_EVERY: Duration = Duration::from_millis(150);
    /// The time that somebody needs to find a mail, or the next button.
    const MOMENT: Duration = Duration::from_millis(600);
    /// A person without an answer by then is shown to wait.
    const WAITS_AFTER: TimeDelta = TimeDelta::seconds(5);
    /// How long the summary waits until the topic has what the journal has.
    const CATCH_UP: Duration = Duration::from_secs(1);

    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            began: Instant::now(),
            signed_up: Vec::new(),
            told: HashSet::new(),
            settled: HashSet::new(),
            approvals: Vec::new(),
            registrations: 0,
            shown: Ok(Reader::There),
        }
    }

    /// One person from signing up to asking for an API.
    pub(super) async fn follow(
        story: &Arc<Mutex<Self>>,
        mut person: Person,
        output: Output,
        stopping: &CancellationToken,
    ) -> anyhow::Result<()> {
        person.sign_up().await?;
        story.lock().await.signed_up(&person.email, output);
        if pause(Self::MOMENT, stopping).await {
            return Ok(());
        }
        person.confirm_address().await?;
        if !person.log_in(stopping).await? || pause(Self::MOMENT, stopping).await {
            return Ok(());
        }
        story
            .lock()
            .await
            .report(&person.email, Step::LoggedIn, None, None, output);
        person.ask_for_api().await?;
        story
            .lock()
            .await
            .report(&person.email, Step::AskedForApi, None, None, output);
        Ok(())
    }
}

impl Story {
    fn signed_up(&mut self, email: &str, output: Output) {
        let now = self.parts.clock.now();
        self.signed_up.push((email.to_owned(), now));
        self.report(email, Step::SignedUp, None, None, output);
    }

    /// Shows one step; `rule` is the one that caused it, `took` the time since the person signed
    /// up.
    fn report(
        &mut self,
        who: &str,
        step: Step,
        rule: Option<&str>,
        took: Option<Duration>,
        output: Output,
    ) {
        let at = self.began.elapsed();
        let since = took.map_or_else(String::new, |took| {
            format!("{:>6.1} s after signing up", took.as_secs_f64())
        });
        let what = match rule {
            Some(rule) => format!("→ {}  ({rule})", step.text()),
            None => step.text().to_owned(),
        };
        let text = format!("{:>6.1} s  {who:<28} {what:<40} {since}", at.as_secs_f64());
        let data = json!({
            "at_ms": millis(at),
            "who": who,
            "step": step.word(),
            "rule": rule,
            "took_ms": took.map(millis),
        });
        if self.shown.is_ok() {
            self.shown = output.data(text.trim_end(), &data);
        }
    }

    /// Polls usher's actions and shows those that ended, or were left to a person, since the last
    /// poll.
    pub(super) async fn poll(&mut self, output: Output) {
        if let Err(failure) = self.try_poll(output).await {
            warn!(error = failure.chain(), "could not read the actions");
        }
    }

    async fn try_poll(&mut self, output: Output) -> Result<(), JournalError> {
        let filter = ActionFilter {
            portal_id: Some(self.parts.portal),
            ..ActionFilter::default()
        };
        let mut actions = self.parts.queue.list(&filter, None, 1_000).await?;
        // What was done in the weeks before is not shown.
        let began = self.parts.began;
        actions.retain(|action| {
            action.updated_at >= began && !self.told.contains(&(action.id, action.state))
        });
        // Shown in the order in which they were done.
        actions.sort_by_key(|action| action.updated_at);
        for action in actions {
            let Some(who) = self.who(&action).await? else {
                continue;
            };
            self.tell_action(&who, &action, output);
            self.settled.insert(who);
        }
        self.tell_who_waits(output);
        Ok(())
    }

    fn tell_action(&mut self, who: &str, action: &Action, output: Output) {
        self.told.insert((action.id, action.state));
        let Some(step) = Step::of_action(action.state, &action.deed) else {
            return;
        };
        let since = self.signed_up.iter().rev().find(|(email, _)| email == who);
        let took = since.and_then(|(_, at)| (action.updated_at - *at).to_std().ok());
        match step {
            Step::Approved => self.approvals.extend(took),
            Step::RegistrationApproved => self.registrations += 1,
            // Somebody of the weeks before: nobody saw them come.
            Step::WaitsForPerson if since.is_none() => return,
            _ => {}
        }
        self.report(who, step, Some(&action.rule), took, output);
    }

    /// Shows once of everybody for whom nothing was decided in time that they wait.
    fn tell_who_waits(&mut self, output: Output) {
        let now = self.parts.clock.now();
        let waiting: Vec<String> = self
            .signed_up
            .iter()
            .filter(|(who, at)| now - *at > Self::WAITS_AFTER && !self.settled.contains(who))
            .map(|(who, _)| who.clone())
            .collect();
        for who in waiting {
            self.report(&who, Step::of_late(&who), None, None, output);
            self.settled.insert(who);
        }
    }

    /// The address of the person that an action was done for.
    async fn who(&self, action: &Action) -> Result<Option<String>, JournalError> {
        let portal = PortalId::from(action.portal_id);
        let developer = match action.target {
            Target::Developer { id } => Some(DeveloperId::from(id)),
            Target::Application { .. }
            | Target::Invitee { .. }
            | Target::Portal { .. }
            | Target::Usher => None,
            Target::Registration { application_id, .. } => {
                let application = self
                    .parts
                    .directory
                    .application(portal, application_id.into())
                    .await?;
                application
                    .and_then(|record| record.application.owner)
                    .and_then(Owner::developer)
            }
        };
        let Some(developer) = developer else {
            return Ok(None);
        };
        let subject = self.parts.directory.subject(portal, developer).await?;
        Ok(subject.email)
    }

    /// The sums, counted where they are: in the journal, by the broker's reports, among the
    /// actions.
    ///
    /// Waits a moment for the topic, which is behind the journal while anything happens.
    ///
    /// # Errors
    /// Also when a step could not be shown.
    pub(super) async fn summary(&mut self) -> Result<Summary, CliError> {
        std::mem::replace(&mut self.shown, Ok(Reader::There))?;
        let deadline = Instant::now() + Self::CATCH_UP;
        let (events_stored, kafka_published) = loop {
            let stored = self.parts.journal.stored_events().await;
            let stored = stored.context("could not count the events")? - self.parts.stored_before;
            let published = self.parts.published.count();
            // Events go on arriving between the two counts: only equal numbers mean something.
            let has_caught_up = i64::try_from(published).is_ok_and(|count| count == stored);
            if has_caught_up || Instant::now() >= deadline {
                break (stored, published);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let mut approvals = self.approvals.clone();
        approvals.sort_unstable();
        Ok(Summary {
            events_stored,
            kafka_published,
            developers_signed_up: self.signed_up.len(),
            developers_approved: approvals.len(),
            registrations_approved: self.registrations,
            p50_ms: percentile(&approvals, 50),
            p99_ms: percentile(&approvals, 99),
        })
    }
}

impl Step {
    /// The step that an action is for its person; none while it is under way, and for what the
    /// demo's rules never ask.
    fn of_action(state: ActionState, deed: &str) -> Option<Self> {
        match (state, deed) {
            (ActionState::Parked, _) => Some(Self::WaitsForPerson),
            (ActionState::Done, "approve_developer") => Some(Self::Approved),
            (ActionState::Done, "add_to_team") => Some(Self::InTeam),
            (ActionState::Done, "approve_registration") => Some(Self::RegistrationApproved),
            _ => None,
        }
    }

    /// The step of somebody for whom nothing was decided in time.
    fn of_late(email: &str) -> Self {
        if is_stranger(email) {
            Self::Waits
        } else {
            Self::StillWaits
        }
    }

    /// How programs call it.
    fn word(self) -> &'static str {
        match self {
            Self::SignedUp => "signed_up",
            Self::Waits => "waits",
            Self::StillWaits => "still_waits",
            Self::WaitsForPerson => "waits_for_person",
            Self::Approved => "approved",
            Self::InTeam => "in_team",
            Self::LoggedIn => "logged_in",
            Self::AskedForApi => "asked_for_api",
            Self::RegistrationApproved => "registration_approved",
        }
    }

    /// How people call it.
    fn text(self) -> &'static str {
        match self {
            Self::SignedUp => "signed up",
            Self::Waits => "waits: no rule lets them in",
            Self::StillWaits => "still waits",
            Self::WaitsForPerson => "waits for a person: /approvals",
            Self::Approved => "approved",
            Self::InTeam => "in team Partners",
            Self::LoggedIn => "logged in",
            Self::AskedForApi => "asked for the Fixtures API",
            Self::RegistrationApproved => "registration approved",
        }
    }
}

/// The smallest time that `percent` of the times do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().map(millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_person_is_told_as_what_is_done() {
        let park = Step::of_action(ActionState::Parked, "park");
        assert_eq!(park, Some(Step::WaitsForPerson));
        let approve = |state| Step::of_action(state, "approve_developer");
        assert_eq!(approve(ActionState::Done), Some(Step::Approved));
        assert_eq!(approve(ActionState::Planned), None);
        assert_eq!(approve(ActionState::Running), None);
        assert_eq!(Step::of_action(ActionState::Done, "park"), None);
    }

    #[test]
    fn no_rule_lets_in_only_those_whom_none_fits() {
        assert_eq!(
            Step::of_late("james20@manchestercity.com"),
            Step::StillWaits
        );
        assert_eq!(Step::of_late("ada@gmail.com"), Step::StillWaits);
        assert_eq!(Step::of_late("mallory@arsenal.com.evil.com"), Step::Waits);
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=10).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Some(5));
        assert_eq!(percentile(&times, 99), Some(10));
        assert_eq!(percentile(&times[..1], 99), Some(1));
        assert_eq!(percentile(&[], 50), None);
    }
}
