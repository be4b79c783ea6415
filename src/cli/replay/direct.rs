//! Asks Konnect from here. Where there is a database, the job is put on record, so that it closes
//! gaps.

use std::sync::OnceLock;
use std::time::Duration;

use konnect::ReplayJob;
use uuid::Uuid;

use crate::backfill::{Progress, ReplayError, ReplayTimings, Replays, Window};
use crate::cli::person::system_user;
use crate::cli::record::Record;
use crate::cli::replay::progress::ReportedProgress;
use crate::cli::replay::wanted::{Wanted, failed};
use crate::cli::{CliError, Output};
use crate::journal::{JobOrigin, JobState, LogSource, NewReplayJob, WindowCounts};
use crate::lifecycle::Lifecycle;

/// Asks for the window, waits if asked to, and shows how it ended.
pub(super) async fn run(
    replays: &Replays,
    wanted: &Wanted,
    record: Option<Record>,
) -> Result<(), CliError> {
    let onto = match record {
        Some(record) => JobRecord::count(record, wanted).await,
        None => None,
    };
    tokio::select! {
        done = replay(replays, wanted, onto) => done,
        signalled = Lifecycle::signalled() => {
            signalled.map_err(anyhow::Error::from)?;
            Err(failed(ReplayError::Stopped))
        }
    }
}

async fn replay(
    replays: &Replays,
    wanted: &Wanted,
    onto: Option<JobRecord>,
) -> Result<(), CliError> {
    let told = ReportedProgress::default();
    let is_patience_told = OnceLock::new();
    // What is new, and at the first failure how long Konnect is tried.
    let mut report = |progress: &Progress| {
        told.report(&progress.to_string());
        if matches!(progress, Progress::Retrying { .. }) {
            is_patience_told.get_or_init(|| Output::progress(&patience()));
        }
    };
    let window = wanted.window;
    let accepted = told.remind(replays.start(window, &mut report)).await;
    let accepted = accepted.map_err(failed)?;
    let job_id = match onto {
        Some(onto) => onto.put(&accepted).await,
        None => None,
    };
    let show = |job: &ReplayJob, status: &str| {
        let start_at = job.start_at.unwrap_or_else(|| window.start_at());
        let end_at = job.end_at.unwrap_or_else(|| window.end_at());
        wanted.show((start_at, end_at), status, job_id)
    };
    if !wanted.wait {
        return show(&accepted, accepted.status.as_str());
    }
    let finishing = replays.finish(accepted.clone(), &mut report);
    let ended = told.remind(finishing).await;
    let shown = match &ended {
        Ok(job) => show(job, job.status.as_str()),
        Err(ReplayError::Failed) => show(&accepted, "failed"),
        Err(_) => Ok(()),
    };
    ended.map_err(failed)?;
    shown
}

/// Where the job is put on record.
struct JobRecord {
    record: Record,
    source: LogSource,
    window: Window,
    before: WindowCounts,
}

impl JobRecord {
    /// Counts what is known of the window. A database that is away holds nothing up.
    async fn count(record: Record, wanted: &Wanted) -> Option<Self> {
        let (source, window) = (wanted.source, wanted.window);
        let ends = (window.start_at(), window.end_at());
        match record.journal().window_counts(source, ends).await {
            Ok(before) => Some(Self {
                record,
                source,
                window,
                before,
            }),
            Err(error) => {
                let error = error.plain();
                Output::progress(&format!("the job will not be on record: {error}"));
                None
            }
        }
    }

    /// The id that it has there; none where it is not on record, which is told.
    async fn put(self, accepted: &ReplayJob) -> Option<Uuid> {
        let (journal, id) = (self.record.journal().clone(), self.record.ids().next());
        let (window, before, source) = (self.window, self.before, self.source);
        let start_at = accepted.start_at.unwrap_or_else(|| window.start_at());
        let work = async move {
            let job = NewReplayJob {
                id,
                source,
                from: start_at,
                to: window.end_at(),
                origin: JobOrigin::Person,
                who: system_user(),
                state: JobState::Asked,
                created_at: journal.readiness().await.map_err(anyhow::Error::from)?.now,
            };
            let added = journal.add_replay_job(&job, before).await;
            Ok(added.map_err(anyhow::Error::from)?)
        };
        match self.record.finish(work).await {
            Ok(Some(true)) => return Some(id),
            Ok(Some(false)) => Output::progress(
                "the job is not on record, and closes no gap: another one of this log is under way there, see `usher coverage jobs`",
            ),
            Ok(None) => {}
            Err(error) => Output::progress(&format!("the job is not on record: {error}")),
        }
        None
    }
}

/// How long calls that fail are repeated.
fn patience() -> String {
    let ReplayTimings {
        attempts,
        first_retry,
        retry_at_most,
        ..
    } = ReplayTimings::default();
    let waits = (0..attempts.saturating_sub(1))
        .map(|retry| (first_retry * 2_u32.saturating_pow(retry)).min(retry_at_most));
    let seconds = waits.sum::<Duration>().as_secs();
    format!("konnect is tried {attempts} times, for at least {seconds} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_long_failing_calls_are_repeated() {
        assert_eq!(patience(), "konnect is tried 8 times, for at least 91 s");
    }
}
