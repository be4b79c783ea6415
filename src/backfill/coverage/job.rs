//! One replay job of one source, a step at a time: each step looks at what is true now, so that a
//! restart in the middle changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{Client, PortalId, ReplayJob, ReplayStatus};
use metrics::counter;
use tracing::{info, warn};

use crate::backfill::coverage::timings::{Timings, delta};
use crate::backfill::replay::{is_in_the_way, refusal};
use crate::backfill::window::Window;
use crate::journal::{
    JobOrigin, JobState, Journal, JournalError, LogSource, ReplayJobRow, WindowCounts,
};
use crate::telemetry::metrics as names;

/// A job that Konnect has had for so long without an end is given up.
const STUCK_AFTER: TimeDelta = TimeDelta::hours(12);

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// Konnect did not answer, or not as it should.
    #[error(transparent)]
    Konnect(#[from] konnect::Error),
    /// The database.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What makes the steps.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    pub(super) journal: Journal,
    pub(super) client: Client,
    pub(super) timings: Timings,
}

impl Steps {
    /// Asks Konnect for a job whose turn it is; it stays where it is while another one is active.
    pub(super) async fn ask(
        &self,
        job: &mut ReplayJobRow,
        now: DateTime<Utc>,
    ) -> Result<(), StepError> {
        let window = Window::of_rest(job.from, job.to);
        let Some(window) = window.and_then(|window| window.within_reach(now)) else {
            let detail = "konnect has dropped the entries of that time".to_owned();
            return self.end(job, JobState::Refused, detail, now).await;
        };
        job.from = window.start_at();
        let jobs = match job.source {
            LogSource::Org => self.client.org_replay(),
            LogSource::Portal(id) => self.client.portal_replay(PortalId(id)),
        };
        let current = jobs.get().await?;
        let is_ours = window.is_of(&current)
            && current
                .updated_at
                .is_some_and(|updated_at| updated_at >= job.created_at - TimeDelta::seconds(2));
        if is_ours {
            return self.begin(job, &current, now).await;
        }
        if is_in_the_way(&current, now) {
            job.konnect_status = format!("another job is {}", current.status);
            return Ok(self.journal.update_replay_job(job).await?);
        }
        // Counted before Konnect begins to send.
        job.before = self.counts(job).await?;
        self.journal.update_replay_job(job).await?;
        match jobs.start(window.start_at(), window.end_at()).await {
            Ok(taken) => self.begin(job, &taken, now).await,
            Err(error) if error.is_conflict() => {
                "another job is running".clone_into(&mut job.konnect_status);
                Ok(self.journal.update_replay_job(job).await?)
            }
            Err(error) if matches!(error.status(), Some(400 | 404 | 422)) => {
                let detail = format!("konnect did not take it: {}", refusal(&error));
                self.end(job, JobState::Refused, detail, now).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn begin(
        &self,
        job: &mut ReplayJobRow,
        taken: &ReplayJob,
        now: DateTime<Utc>,
    ) -> Result<(), StepError> {
        job.state = JobState::Asked;
        taken.status.as_str().clone_into(&mut job.konnect_status);
        job.asked_at = Some(now);
        info!(
            source = %job.source, from = %job.from, to = %job.to, origin = job.origin.as_str(),
            "konnect has taken a replay job"
        );
        Ok(self.journal.update_replay_job(job).await?)
    }

    /// Looks how far a job is that Konnect has.
    pub(super) async fn follow(
        &self,
        job: &mut ReplayJobRow,
        now: DateTime<Utc>,
    ) -> Result<(), StepError> {
        let jobs = match job.source {
            LogSource::Org => self.client.org_replay(),
            LogSource::Portal(id) => self.client.portal_replay(PortalId(id)),
        };
        let seen = jobs.get().await?;
        let asked_at = job.asked_at.unwrap_or(job.created_at);
        let window = Window::of_rest(job.from, job.to);
        if !window.is_some_and(|window| window.is_of(&seen)) {
            // A replica that lags behind may still show the job before.
            let is_older = seen.updated_at.is_some_and(|at| at < asked_at);
            if is_older && now - asked_at < delta(self.timings.first_wait) {
                return Ok(());
            }
            let detail = "another replay job took its place".to_owned();
            return self.end(job, JobState::Replaced, detail, now).await;
        }
        seen.status.as_str().clone_into(&mut job.konnect_status);
        match seen.status {
            ReplayStatus::Completed => {
                job.state = JobState::Settling;
                job.completed_at = Some(now);
            }
            ReplayStatus::Failed => {
                let detail = "konnect gave it up".to_owned();
                return self.end(job, JobState::Failed, detail, now).await;
            }
            _ if now - asked_at > STUCK_AFTER => {
                let detail = format!("konnect did not finish it in {} h", STUCK_AFTER.num_hours());
                return self.end(job, JobState::Failed, detail, now).await;
            }
            _ => {}
        }
        self.count(job).await?;
        Ok(self.journal.update_replay_job(job).await?)
    }

    /// Ends a completed job once late deliveries must have come: well where everything that was
    /// known came again and nothing was amiss meanwhile.
    pub(super) async fn settle(
        &self,
        job: &mut ReplayJobRow,
        now: DateTime<Utc>,
    ) -> Result<(), StepError> {
        let completed_at = job.completed_at.unwrap_or(now);
        if now - completed_at < delta(self.timings.settle) {
            return Ok(());
        }
        self.count(job).await?;
        let asked_at = job.asked_at.unwrap_or(job.created_at);
        if let Some(seen) = self.journal.was_amiss_since(job.source, asked_at).await? {
            let detail = format!("while it ran: {seen}");
            return self.end(job, JobState::Incomplete, detail, now).await;
        }
        if self.journal.was_imported_since(asked_at).await? {
            let detail =
                "while it ran: files were imported, which cannot be told from what it brought"
                    .to_owned();
            return self.end(job, JobState::Incomplete, detail, now).await;
        }
        let arrived = job.new_entries + job.repeated_entries;
        if arrived < job.before.known {
            let detail = format!(
                "{arrived} entries came, but {} of that time are known",
                job.before.known
            );
            return self.end(job, JobState::Incomplete, detail, now).await;
        }
        self.end(job, JobState::Closed, String::new(), now).await
    }

    /// Counts what came of the window since the job was asked for.
    async fn count(&self, job: &mut ReplayJobRow) -> Result<(), StepError> {
        let window = (job.from, job.to);
        let stored = self.journal.window_counts(job.source, window).await?;
        let arrived = (stored.arrivals - job.before.arrivals).max(0);
        job.new_entries = (stored.known - job.before.known).clamp(0, arrived);
        job.repeated_entries = arrived - job.new_entries;
        Ok(())
    }

    /// Counts what is stored of the window, without what Konnect may have dropped.
    async fn counts(&self, job: &ReplayJobRow) -> Result<WindowCounts, StepError> {
        let window = (job.from, job.to);
        Ok(self.journal.window_counts(job.source, window).await?)
    }

    async fn end(
        &self,
        job: &mut ReplayJobRow,
        state: JobState,
        detail: String,
        now: DateTime<Utc>,
    ) -> Result<(), StepError> {
        job.state = state;
        job.detail = detail;
        job.ended_at = Some(now);
        counter!(names::REPLAY_JOBS, "state" => state.as_str()).increment(1);
        if state == JobState::Closed {
            info!(
                source = %job.source, from = %job.from, to = %job.to,
                new = job.new_entries, repeated = job.repeated_entries,
                "a replay job has closed its window"
            );
            let found = u64::try_from(job.new_entries).unwrap_or(0);
            counter!(names::REPLAYED_ENTRIES, "origin" => job.origin.as_str()).increment(found);
            if job.origin == JobOrigin::Audit && job.new_entries > 0 {
                warn!(
                    source = %job.source, new = job.new_entries,
                    "the daily proof found entries that the webhook had not brought"
                );
            }
        } else {
            warn!(
                source = %job.source, from = %job.from, to = %job.to, state = state.as_str(),
                detail = job.detail, "a replay job did not close its window"
            );
        }
        Ok(self.journal.update_replay_job(job).await?)
    }
}
