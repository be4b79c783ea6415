//! What happens to each person, one line a step, with the time it took; and the sums at the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use konnect::{DeveloperId, PortalId};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::act::{Action, ActionFilter, ActionState, Queue, Target};
use crate::cli::demo::people::Person;
use crate::cli::{CliError, Output};
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

/// Follows people through what they do and what is done for them.
pub(super) struct Story {
    journal: Journal,
    directory: Directory,
    queue: Queue,
    published: Published,
    clock: Clock,
    began: Instant,
    /// Who signed up, and when by usher's own clock.
    signed_up: Vec<(String, DateTime<Utc>)>,
    /// The actions that were told already.
    told: HashSet<Uuid>,
    approvals: Vec<Duration>,
    registrations: usize,
}

impl Story {
    /// How often usher's actions are looked at.
    pub(super) const LOOK_EVERY: Duration = Duration::from_millis(150);
    /// A natural pace, quick enough to watch.
    pub(super) const NEXT_PERSON_AFTER: Duration = Duration::from_millis(2_500);
    /// What somebody needs to find a mail, or the next button.
    const MOMENT: Duration = Duration::from_millis(600);

    pub(super) fn new(
        journal: Journal,
        directory: Directory,
        queue: Queue,
        published: Published,
        clock: Clock,
    ) -> Self {
        Self {
            journal,
            directory,
            queue,
            published,
            clock,
            began: Instant::now(),
            signed_up: Vec::new(),
            told: HashSet::new(),
            approvals: Vec::new(),
            registrations: 0,
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
            .tell(&person.email, "logged in", None, output);
        person.ask_for_api().await?;
        story
            .lock()
            .await
            .tell(&person.email, "asked for the Fixtures API", None, output);
        Ok(())
    }
}

impl Story {
    fn signed_up(&mut self, email: &str, output: Output) {
        self.signed_up.push((email.to_owned(), self.clock.now()));
        self.tell(email, "signed up", None, output);
    }

    /// Shows one step; `took` is the time since the person signed up.
    fn tell(&self, who: &str, step: &str, took: Option<Duration>, output: Output) {
        let at = self.began.elapsed();
        let since = took.map_or_else(String::new, |took| {
            format!("{:>6.1} s later", took.as_secs_f64())
        });
        let text = format!("{:>6.1} s  {who:<28} {step:<40} {since}", at.as_secs_f64());
        let data = json!({
            "at_ms": millis(at), "who": who, "step": step, "took_ms": took.map(millis),
        });
        output.data(text.trim_end(), &data);
    }

    /// Looks at usher's actions and shows those that came to an end since the last look.
    pub(super) async fn look(&mut self, output: Output) {
        if let Err(failure) = self.try_look(output).await {
            warn!(error = failure.chain(), "could not look at the actions");
        }
    }

    async fn try_look(&mut self, output: Output) -> Result<(), JournalError> {
        let mut actions = self
            .queue
            .list(&ActionFilter::default(), None, 1_000)
            .await?;
        actions
            .retain(|action| action.state == ActionState::Done && !self.told.contains(&action.id));
        // Told in the order they were done.
        actions.sort_by_key(|action| action.updated_at);
        for action in actions {
            let Some(who) = self.who(&action).await? else {
                continue;
            };
            let since = self.signed_up.iter().rev().find(|(email, _)| *email == who);
            let took = since.and_then(|(_, at)| (action.updated_at - *at).to_std().ok());
            let step = match action.deed.as_str() {
                "approve_developer" => {
                    self.approvals.extend(took);
                    "approved"
                }
                "add_to_team" => "in team Partners",
                "approve_registration" => {
                    self.registrations += 1;
                    "registration approved"
                }
                other => other,
            };
            self.tell(&who, &format!("→ {step}  ({})", action.rule), took, output);
            self.told.insert(action.id);
        }
        Ok(())
    }

    /// The address of the person that an action was done for.
    async fn who(&self, action: &Action) -> Result<Option<String>, JournalError> {
        let portal = PortalId::from(action.portal_id);
        let developer = match action.target {
            Target::Developer { id } => Some(DeveloperId::from(id)),
            Target::Application { .. } => None,
            Target::Registration { application_id, .. } => {
                let application = self
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
        Ok(self.directory.subject(portal, developer).await?.email)
    }

    /// The sums, counted where they are: in the journal, by the broker's reports, among the actions.
    pub(super) async fn summary(&self) -> Result<Summary, CliError> {
        let events_stored = self
            .journal
            .stored_events()
            .await
            .context("could not count the events")?;
        let mut approvals = self.approvals.clone();
        approvals.sort_unstable();
        Ok(Summary {
            events_stored,
            kafka_published: self.published.count(),
            developers_signed_up: self.signed_up.len(),
            developers_approved: approvals.len(),
            registrations_approved: self.registrations,
            p50_ms: percentile(&approvals, 50),
            p99_ms: percentile(&approvals, 99),
        })
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
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=10).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Some(5));
        assert_eq!(percentile(&times, 99), Some(10));
        assert_eq!(percentile(&times[..1], 99), Some(1));
        assert_eq!(percentile(&[], 50), None);
    }
}
