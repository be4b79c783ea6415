//! One replay job of one source, a step at a time: each step looks at what is true now, so that a
//! restart in the middle changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{Client, ReplayJob, ReplayStatus};
use metrics::counter;
use tracing::{info, warn};

use crate::backfill::coverage::map::Facts;
use crate::backfill::coverage::poll::{self, Poll};
use crate::backfill::coverage::timings::{Timings, delta};
use crate::backfill::replay::{is_in_the_way, jobs_of, refusal};
use crate::backfill::window::Window;
use crate::journal::{
    JobOrigin, JobState, Journal, JournalError, LogSource, ReplayJobRow, SourceState, WindowCounts,
};
use crate::telemetry::metrics as names;

/// A job that Konnect has had for so long without an end is given up.
const STUCK_AFTER: TimeDelta = TimeDelta::hours(12);
/// How far usher may be ahead of Konnect's clock.
const AHEAD: TimeDelta = TimeDelta::seconds(2);
/// While a job runs, so much of the time at most goes into counting what it brought.
const COUNTED_PART: u32 = 20;

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
    /// Where deliveries come in.
    pub(super) ingest_path: String,
    pub(super) counted: Counted,
}

/// When what jobs brought was last counted, and how long that took. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted(Arc<Mutex<BTreeMap<LogSource, (Instant, Duration)>>>);

impl Counted {
    fn is_due(&self, source: LogSource) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.get(&source);
        last.is_none_or(|(at, took)| at.elapsed() >= *took * COUNTED_PART)
    }

    fn note(&self, source: LogSource, began: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(source, (Instant::now(), began.elapsed()));
    }
}

impl Steps {
    /// Asks Konnect for a job whose turn it is; it stays where it is while another one is active.
    pub(super) async fn ask(
        &self,
        job: &mut ReplayJobRow,
        now: DateTime<Utc>,
    ) -> Result<(), StepError> {
        let window = Window::of_rest(job.from, job.to);
        let asked_for = window;
        let Some(window) = window.and_then(|window| window.within_reach(now)) else {
            let detail = "konnect has dropped the entries of that time".to_owned();
            return self.end(job, JobState::Refused, detail, now).await;
        };
        let jobs = jobs_of(&self.client, job.source);
        let current = match jobs.get().await {
            Ok(current) => Some(current),
            // There may be no job, or no log: the start says which.
            Err(error) if matches!(error.status(), Some(403 | 404)) => None,
            Err(error) => return Err(error.into()),
        };
        // It was asked for already, and the answer was lost.
        if let (Some(asked_at), Some(current)) = (job.asked_at, &current) {
            let is_of_it = asked_for.is_some_and(|window| window.is_of(current));
            let updated_at = current.updated_at;
            if is_of_it && updated_at.is_some_and(|updated_at| updated_at >= asked_at - AHEAD) {
                return self.begin(job, current).await;
            }
        }
        job.from = window.start_at();
        if let Some(current) = current.filter(|current| is_in_the_way(current, now)) {
            job.konnect_status = format!("another job is {}", current.status);
            job.asked_at = None;
            return Ok(self.journal.update_replay_job(job).await?);
        }
        // Counted before Konnect begins to send. It closes only what was seen by then, also where
        // the answer is lost.
        job.before = self.counts(job).await?;
        job.asked_at = Some(now);
        self.journal.update_replay_job(job).await?;
        match jobs.start(window.start_at(), window.end_at()).await {
            Ok(taken) => self.begin(job, &taken).await,
            Err(error) if error.is_conflict() => {
                "another job is running".clone_into(&mut job.konnect_status);
                job.asked_at = None;
                Ok(self.journal.update_replay_job(job).await?)
            }
            Err(error) if matches!(error.status(), Some(400 | 403 | 404 | 422)) => {
                let detail = format!("konnect did not take it: {}", refusal(&error));
                self.end(job, JobState::Refused, detail, now).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn begin(&self, job: &mut ReplayJobRow, taken: &ReplayJob) -> Result<(), StepError> {
        job.state = JobState::Asked;
        taken.status.as_str().clone_into(&mut job.konnect_status);
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
        let asked_at = job.asked_at.unwrap_or(job.created_at);
        let is_stuck = now - asked_at > STUCK_AFTER;
        let seen = match jobs_of(&self.client, job.source).get().await {
            Ok(seen) => seen,
            Err(error) if is_stuck || error.status() == Some(404) => {
                let detail = format!(
                    "konnect does not say what became of it: {}",
                    refusal(&error)
                );
                return self.end(job, JobState::Failed, detail, now).await;
            }
            Err(error) => return Err(error.into()),
        };
        // A replica that lags behind may still show the job before, also one of the same window.
        let is_older = seen.updated_at.is_some_and(|at| at < asked_at - AHEAD);
        if is_older && now - asked_at < delta(self.timings.first_wait) {
            return Ok(());
        }
        let window = Window::of_rest(job.from, job.to);
        if !window.is_some_and(|window| window.is_of(&seen)) {
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
            _ if is_stuck => {
                let detail = format!("konnect did not finish it in {} h", STUCK_AFTER.num_hours());
                return self.end(job, JobState::Failed, detail, now).await;
            }
            _ => {}
        }
        if job.state == JobState::Settling || self.counted.is_due(job.source) {
            self.count(job).await?;
        }
        Ok(self.journal.update_replay_job(job).await?)
    }

    /// Ends a completed job once late deliveries must have come: well where everything that was
    /// known came again and nothing was amiss meanwhile. What is amiss is written down a moment
    /// later, so it waits for that.
    pub(super) async fn settle(
        &self,
        job: &mut ReplayJobRow,
        facts: &Facts,
    ) -> Result<(), StepError> {
        let now = facts.now;
        let completed_at = job.completed_at.unwrap_or(now);
        let is_stuck = now - completed_at > STUCK_AFTER;
        if !is_stuck && !facts.is_written_down_to(completed_at + facts.settle) {
            return Ok(());
        }
        let path = Some(self.ingest_path.as_str());
        let polled = match poll::ask(&self.client, job.source, path).await {
            Ok(polled) => Some(polled),
            Err(_) if is_stuck => None,
            Err(error) => return Err(error.into()),
        };
        self.count(job).await?;
        let asked_at = job.asked_at.unwrap_or(job.created_at);
        let seen = match polled {
            None => Some("it is not known how the webhook fared".to_owned()),
            Some(polled) => match self.journal.was_amiss_since(job.source, asked_at).await? {
                Some(seen) => Some(seen),
                None => amiss(polled, asked_at),
            },
        };
        if let Some(seen) = seen {
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
        let stored = self.counts(job).await?;
        let arrived = (stored.arrivals - job.before.arrivals).max(0);
        job.new_entries = (stored.stored - job.before.stored).clamp(0, arrived);
        job.repeated_entries = arrived - job.new_entries;
        Ok(())
    }

    /// Counts what is stored of the window, without what Konnect may have dropped.
    async fn counts(&self, job: &ReplayJobRow) -> Result<WindowCounts, StepError> {
        let began = Instant::now();
        let window = (job.from, job.to);
        let counts = self.journal.window_counts(job.source, window).await?;
        self.counted.note(job.source, began);
        Ok(counts)
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

/// What a poll shows against a job that was asked for at `asked_at`, where what it sent may have
/// gone elsewhere or nowhere.
fn amiss(polled: Poll, asked_at: DateTime<Utc>) -> Option<String> {
    let is_amiss = match polled.state {
        SourceState::Active | SourceState::Unknown => false,
        // It may have failed before, and nothing was tried since.
        SourceState::Failing => polled
            .last_attempt_at
            .is_none_or(|at| at >= asked_at - AHEAD),
        SourceState::Disabled | SourceState::Elsewhere | SourceState::Gone => true,
    };
    is_amiss.then_some(polled.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_leads_elsewhere_or_fails_since_a_job_was_asked_for_is_amiss() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let is_amiss = |state, last_attempt_at| {
            let polled = Poll {
                state,
                detail: "seen".to_owned(),
                last_attempt_at,
            };
            amiss(polled, at(100)).is_some()
        };
        assert!(!is_amiss(SourceState::Active, Some(at(200))));
        assert!(!is_amiss(SourceState::Unknown, None));
        assert!(!is_amiss(SourceState::Failing, Some(at(50))));
        assert!(is_amiss(SourceState::Failing, Some(at(150))));
        assert!(is_amiss(SourceState::Failing, None));
        for state in [
            SourceState::Disabled,
            SourceState::Elsewhere,
            SourceState::Gone,
        ] {
            assert!(is_amiss(state, Some(at(50))));
        }
    }

    #[test]
    fn what_takes_long_to_count_is_counted_seldom() {
        let counted = Counted::default();
        let source = LogSource::Org;
        assert!(counted.is_due(source));
        let began = Instant::now().checked_sub(Duration::from_mins(1));
        counted.note(source, began.unwrap());
        assert!(!counted.is_due(source));
        assert!(counted.is_due(LogSource::Portal(uuid::Uuid::nil())));
    }
}
