//! Leaves a window to the instance of usher that runs, and follows its job by the journal.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::time::sleep;
use uuid::Uuid;

use crate::backfill::{Coverage, ReplayRefused};
use crate::cli::meter::ProgressMeter;
use crate::cli::person::system_user;
use crate::cli::record::Record;
use crate::cli::replay::progress::ReportedProgress;
use crate::cli::replay::wanted::Wanted;
use crate::cli::{CliError, Output};
use crate::journal::{JobState, Journal, ReplayJobRow};

/// Between looks at the job.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Without an instance for so long, the job is waited for no more.
const AWAY_AFTER: Duration = Duration::from_mins(1);
/// The bar is full once the job has ended, and not before.
const ALMOST: f64 = 0.99;

/// How far a job is that may be waited for no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Accepted,
    Completed,
    Failed,
    Replaced,
    Refused,
}

/// Puts the window on record, waits until Konnect has taken it or has sent everything, and shows
/// how it ended.
pub(super) async fn run(
    record: Record,
    coverage: &Coverage,
    wanted: &Wanted,
) -> Result<(), CliError> {
    let id = record.ids().next();
    let journal = record.journal().clone();
    let work = async move {
        let who = system_user();
        let queued = coverage.want_window(id, wanted.source, wanted.window, &who);
        queued.await.map_err(|error| match error {
            ReplayRefused::Journal(error) => CliError::Failed(error.into()),
            refused => CliError::Failed(anyhow!(refused)),
        })?;
        Output::progress(&format!(
            "the usher that runs asks Konnect for it, replay job {id}"
        ));
        let told = ReportedProgress::default();
        let following = follow((&journal, coverage), id, wanted.wait, &told);
        told.remind(following).await
    };
    let Some((job, reached)) = record.finish(work).await? else {
        return Err(CliError::Failed(anyhow!(
            "stopped before the replay job was done: what is on record goes on, see `usher coverage jobs`"
        )));
    };
    end(wanted, &job, reached)
}

/// Follows the job until it has reached what is waited for.
async fn follow(
    (journal, coverage): (&Journal, &Coverage),
    id: Uuid,
    wait: bool,
    told: &ReportedProgress,
) -> Result<(ReplayJobRow, Reached), CliError> {
    let mut meter = ProgressMeter::new("received");
    let mut kept_at = Instant::now();
    loop {
        let job = journal.replay_job(id).await;
        let job = job.context("could not read the replay job")?;
        let job = job.ok_or_else(|| anyhow!("replay job {id} is no longer on record"))?;
        let text = described(&job);
        if !told.is_known(&text) {
            told.report(&text);
        }
        if let Some(reached) = reached(job.state, wait) {
            Output::end_meter();
            return Ok((job, reached));
        }
        if job.state == JobState::Asked {
            let (received, part) = received(&job);
            meter.report(received, (part, None));
        }
        let is_kept = coverage.is_kept().await;
        if is_kept.context("could not see which instances run")? {
            kept_at = Instant::now();
        } else if kept_at.elapsed() >= AWAY_AFTER {
            return Err(CliError::Failed(anyhow!(
                "no usher runs any more: replay job {id} stays on record as {}, and goes on once `usher serve` runs",
                job.state.as_str()
            )));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// How far it is, in the words of a command that asks Konnect itself.
fn described(job: &ReplayJobRow) -> String {
    match (job.state, job.konnect_status.as_str()) {
        (JobState::Queued, _) => "the replay job waits for its turn".to_owned(),
        (JobState::Planned, "") => "the replay job is being asked for".to_owned(),
        (JobState::Planned, status) => format!("{status}, waiting for its end"),
        (_, "") => format!("the replay job is {}", job.state.as_str()),
        (_, status) => format!("the replay job is {status}"),
    }
}

/// What a job has reached that need not be waited for any longer.
fn reached(state: JobState, wait: bool) -> Option<Reached> {
    match state {
        JobState::Queued | JobState::Planned => None,
        JobState::Asked => (!wait).then_some(Reached::Accepted),
        JobState::Settling | JobState::Closed | JobState::Incomplete if wait => {
            Some(Reached::Completed)
        }
        JobState::Settling | JobState::Closed | JobState::Incomplete => Some(Reached::Accepted),
        JobState::Failed => Some(Reached::Failed),
        JobState::Replaced => Some(Reached::Replaced),
        JobState::Refused => Some(Reached::Refused),
    }
}

/// How many entries came, and which part that is of those that are known.
#[expect(clippy::cast_precision_loss, reason = "a bar has a hundred steps")]
fn received(job: &ReplayJobRow) -> (u64, f64) {
    let came = job.new_entries + job.repeated_entries;
    let part = came as f64 / job.before.known.max(1) as f64;
    (u64::try_from(came).unwrap_or(0), part.min(ALMOST))
}

/// Shows how it ended, and fails where nothing is sent.
fn end(wanted: &Wanted, job: &ReplayJobRow, reached: Reached) -> Result<(), CliError> {
    let show = |status| wanted.show((job.from, job.to), status, Some(job.id));
    let because = |what: &str| {
        let detail = &job.detail;
        Err(CliError::Failed(anyhow!("the replay job {what}: {detail}")))
    };
    match reached {
        Reached::Accepted => show("accepted"),
        Reached::Completed => {
            if job.state == JobState::Settling {
                Output::progress(
                    "late deliveries are waited for: `usher coverage jobs` shows whether it closes its time",
                );
            }
            show("completed")
        }
        Reached::Failed => {
            show("failed")?;
            because("failed")
        }
        Reached::Replaced => because("was replaced"),
        Reached::Refused => because("was refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Reached, reached};
    use crate::journal::JobState;

    #[test]
    fn a_command_waits_for_what_it_was_asked_for() {
        for (state, expected) in [
            (JobState::Queued, [None, None]),
            (JobState::Planned, [None, None]),
            (JobState::Asked, [Some(Reached::Accepted), None]),
            (
                JobState::Settling,
                [Some(Reached::Accepted), Some(Reached::Completed)],
            ),
            (
                JobState::Incomplete,
                [Some(Reached::Accepted), Some(Reached::Completed)],
            ),
            (JobState::Failed, [Some(Reached::Failed); 2]),
            (JobState::Replaced, [Some(Reached::Replaced); 2]),
            (JobState::Refused, [Some(Reached::Refused); 2]),
        ] {
            let ended = [reached(state, false), reached(state, true)];
            assert_eq!(ended, expected, "{state:?}");
        }
    }
}
