//! One replay job of a log, from the request to its end.
//!
//! A log has one job at a time, and a new request replaces one that has not begun. A job of
//! somebody else is therefore waited for first. Everything here may be repeated: a window asked for
//! twice sends the same entries twice, which the journal recognises.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{Client, PortalId, Replay, ReplayJob, ReplayStatus};
use tokio_util::sync::CancellationToken;

use crate::backfill::window::{Window, rfc3339};
use crate::clock::Clock;
use crate::journal::LogSource;
use crate::lifecycle::{backoff, pause};
use crate::telemetry;

/// A job that was accepted this long ago and has not begun is not waited for any more.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(10);

/// How long the waits are.
#[derive(Debug, Clone, Copy)]
pub struct ReplayTimings {
    /// Between two attempts while another job is active.
    pub busy: Duration,
    /// Before the first poll of an accepted job; doubles up to `look_at_most`.
    pub first_look: Duration,
    /// Longest wait between two polls.
    pub look_at_most: Duration,
    /// Before the first retry of a call that failed; doubles up to `retry_at_most`.
    pub first_retry: Duration,
    /// Longest wait before a retry, unless Konnect asks for a longer one.
    pub retry_at_most: Duration,
    /// Failures in a row after which the job is given up.
    pub attempts: u32,
}

impl Default for ReplayTimings {
    fn default() -> Self {
        Self {
            busy: Duration::from_secs(10),
            first_look: Duration::from_secs(1),
            look_at_most: Duration::from_secs(10),
            first_retry: Duration::from_secs(1),
            retry_at_most: Duration::from_secs(30),
            attempts: 8,
        }
    }
}

/// What a caller may report while it waits. Each is reported once until the next one comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another job is active; its status, where Konnect says it.
    Busy(Option<ReplayStatus>),
    /// The beginning of the window became too old.
    Shortened {
        /// The start that is asked for instead.
        start_at: DateTime<Utc>,
    },
    /// The job has this status now.
    Reached(ReplayStatus),
    /// A call failed and is repeated.
    Retrying {
        /// The error of Konnect, or of the connection to it.
        reason: String,
        /// When it is repeated.
        wait: Duration,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(Some(status)) => {
                write!(
                    formatter,
                    "another replay job is {status}, waiting for its end"
                )
            }
            Self::Busy(None) => {
                formatter.write_str("another replay job is running, waiting for its end")
            }
            Self::Shortened { start_at } => write!(
                formatter,
                "konnect drops what is older than 7 days, asking from {} on",
                rfc3339(*start_at)
            ),
            Self::Reached(status) => write!(formatter, "the replay job is {status}"),
            Self::Retrying { reason, wait } => {
                write!(formatter, "{reason}; trying again in {wait:?}")
            }
        }
    }
}

/// Why a window was not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// 401: Konnect does not know the token.
    #[error("konnect does not accept the token (401): it is wrong, expired or revoked")]
    TokenRefused,
    /// 403: the token lacks a role.
    #[error("the token may not start replay jobs of {} (403)", described(*log))]
    Forbidden {
        /// Whose log.
        log: LogSource,
    },
    /// 404: not a log of this organisation and region.
    #[error("konnect knows no {} at this konnect.base_url (404)", sought(*log))]
    UnknownLog {
        /// The log asked for.
        log: LogSource,
    },
    /// Konnect does not take the job as it was asked for.
    #[error("konnect refused the replay job: {reason}")]
    Refused {
        /// The reason that Konnect gave.
        reason: String,
    },
    /// Konnect could not be reached, or failed itself, too often.
    #[error("konnect gave no useful answer in {attempts} attempts: {reason}")]
    Unreachable {
        /// Failures in a row.
        attempts: u32,
        /// The last of them.
        reason: String,
    },
    /// The call failed in a way that a repetition does not repair.
    #[error("the replay job could not be asked for: {0}")]
    Call(konnect::Error),
    /// All of the window became older than seven days while another job was waited for.
    #[error("the window became older than 7 days while another replay job was waited for")]
    TooLate,
    /// Somebody asked for another window while this one was waited for.
    #[error("the replay job was replaced by another one before it ended")]
    Replaced,
    /// Konnect gave the job up.
    #[error("konnect gave the replay job up: its status is failed")]
    Failed,
    /// The process was asked to stop.
    #[error("stopped before the replay job was done")]
    Stopped,
}

/// Asks for replay jobs of one log.
#[derive(Debug, Clone)]
pub struct Replays {
    client: Client,
    log: LogSource,
    clock: Clock,
    pace: ReplayTimings,
    stopping: CancellationToken,
}

/// Called for each new progress.
type Report<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// The result of one attempt to start a job.
enum StartAttempt {
    Accepted(ReplayJob),
    Busy(Option<ReplayStatus>),
}

impl Replays {
    /// Asks through `client`, which needs a token; every wait ends when `stopping` fires.
    pub fn new(
        client: Client,
        log: LogSource,
        clock: Clock,
        pace: ReplayTimings,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            client,
            log,
            clock,
            pace,
            stopping,
        }
    }

    /// Asks once whether the token may ask for jobs of the log, and starts none. That Konnect does
    /// not answer for now is no refusal.
    ///
    /// # Errors
    /// Those of [`start`](Self::start) that do not go away by themselves.
    pub async fn check(&self) -> Result<(), ReplayError> {
        match jobs_of(&self.client, self.log).get().await {
            Err(error) if !error.is_transient() => Err(give_up(self.log, error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Asks for a window and returns the job as Konnect accepted it.
    ///
    /// Waits for as long as another job is active. What becomes too old meanwhile is left out.
    pub async fn start(
        &self,
        window: Window,
        report: Report<'_>,
    ) -> Result<ReplayJob, ReplayError> {
        let mut patience = FailureBackoff::new(self.pace);
        let mut news = News::new(report);
        // The job that was there before a start whose outcome is unknown.
        let mut unclear = None;
        loop {
            let Some(left) = window.within_reach(self.clock.now()) else {
                return Err(ReplayError::TooLate);
            };
            let wait = match self.try_start(left, &mut unclear).await {
                Ok(StartAttempt::Accepted(job)) => {
                    if left != window {
                        let start_at = left.start_at();
                        news.report(Progress::Shortened { start_at });
                    }
                    news.report(Progress::Reached(job.status.clone()));
                    return Ok(job);
                }
                Ok(StartAttempt::Busy(status)) => {
                    patience.restore();
                    news.report(Progress::Busy(status));
                    self.pace.busy
                }
                Err(error) => patience.wait_after(self.log, error, &mut news)?,
            };
            self.pause(wait).await?;
        }
    }

    /// Waits until the accepted `job` is completed.
    ///
    /// # Errors
    /// [`ReplayError::Failed`] and [`ReplayError::Replaced`] say that it never will be.
    pub async fn finish(
        &self,
        job: ReplayJob,
        report: Report<'_>,
    ) -> Result<ReplayJob, ReplayError> {
        let mut patience = FailureBackoff::new(self.pace);
        let mut news = News::new(report);
        news.know(Progress::Reached(job.status.clone()));
        let mut latest = job.clone();
        let mut look_after = self.pace.first_look;
        loop {
            match latest.status {
                ReplayStatus::Completed => return Ok(latest),
                ReplayStatus::Failed => return Err(ReplayError::Failed),
                _ => {}
            }
            self.pause(look_after).await?;
            look_after = (look_after * 2).min(self.pace.look_at_most);
            match jobs_of(&self.client, self.log).get().await {
                // A replica that lags behind may still show the earlier job; an answer without a
                // time says nothing of that.
                Ok(seen) if seen.updated_at.is_some() && seen.updated_at < job.updated_at => {
                    patience.restore();
                }
                Ok(seen) if (seen.start_at, seen.end_at) != (job.start_at, job.end_at) => {
                    return Err(ReplayError::Replaced);
                }
                Ok(seen) => {
                    patience.restore();
                    news.report(Progress::Reached(seen.status.clone()));
                    latest = seen;
                }
                Err(error) => {
                    look_after = patience.wait_after(self.log, error, &mut news)?;
                }
            }
        }
    }

    /// Starts the job unless another one is active.
    async fn try_start(
        &self,
        window: Window,
        unclear: &mut Option<ReplayJob>,
    ) -> Result<StartAttempt, konnect::Error> {
        let jobs = jobs_of(&self.client, self.log);
        let current = jobs.get().await?;
        let was_taken_in = unclear
            .as_ref()
            .is_some_and(|before| *before != current && window.is_of(&current));
        if was_taken_in {
            return Ok(StartAttempt::Accepted(current));
        }
        if is_in_the_way(&current, self.clock.now()) {
            return Ok(StartAttempt::Busy(Some(current.status)));
        }
        match jobs.start(window.start_at(), window.end_at()).await {
            Ok(job) => Ok(StartAttempt::Accepted(job)),
            Err(error) if error.is_conflict() => Ok(StartAttempt::Busy(None)),
            Err(error) => {
                if error.is_transient() {
                    unclear.get_or_insert(current);
                }
                Err(error)
            }
        }
    }

    async fn pause(&self, wait: Duration) -> Result<(), ReplayError> {
        if pause(wait, &self.stopping).await {
            return Err(ReplayError::Stopped);
        }
        Ok(())
    }
}

/// Whether a job must end before another may be asked for.
///
/// Konnect answers 409 only while a job runs. One that has not begun would be replaced, and its
/// window lost to the one who asked for it.
pub(super) fn is_in_the_way(job: &ReplayJob, now: DateTime<Utc>) -> bool {
    match job.status {
        ReplayStatus::Running => true,
        ReplayStatus::Accepted | ReplayStatus::Pending => job
            .updated_at
            .is_some_and(|updated_at| now - updated_at < STUCK_AFTER),
        _ => false,
    }
}

/// Counts failures in a row and decides how long to wait after each.
struct FailureBackoff {
    pace: ReplayTimings,
    failures: u32,
}

impl FailureBackoff {
    fn new(pace: ReplayTimings) -> Self {
        Self { pace, failures: 0 }
    }

    fn restore(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next attempt, or why there is none.
    fn wait_after(
        &mut self,
        log: LogSource,
        error: konnect::Error,
        news: &mut News<'_>,
    ) -> Result<Duration, ReplayError> {
        if !error.is_transient() {
            return Err(give_up(log, error));
        }
        self.failures += 1;
        let reason = telemetry::chain(&error);
        if self.failures >= self.pace.attempts {
            let attempts = self.failures;
            return Err(ReplayError::Unreachable { attempts, reason });
        }
        let pace = &self.pace;
        let wait = backoff(pace.first_retry, self.failures, pace.retry_at_most)
            .max(error.retry_after().unwrap_or_default());
        news.report(Progress::Retrying { reason, wait });
        Ok(wait)
    }
}

/// The replay jobs of a log.
pub(super) fn jobs_of(client: &Client, log: LogSource) -> Replay<'_> {
    match log {
        LogSource::Org => client.org_replay(),
        LogSource::Portal(id) => client.portal(PortalId(id)).replay(),
    }
}

/// Whose log it is.
fn described(log: LogSource) -> String {
    match log {
        LogSource::Org => "this organisation".to_owned(),
        LogSource::Portal(id) => format!("portal {id}"),
    }
}

/// What is not there where Konnect does not know a log.
fn sought(log: LogSource) -> String {
    match log {
        LogSource::Org => "audit log of this organisation".to_owned(),
        LogSource::Portal(id) => format!("portal {id}"),
    }
}

/// Says why a call that is not worth repeating ends the whole.
fn give_up(log: LogSource, error: konnect::Error) -> ReplayError {
    match error.status() {
        Some(401) => ReplayError::TokenRefused,
        Some(403) => ReplayError::Forbidden { log },
        Some(404) => ReplayError::UnknownLog { log },
        Some(400 | 422) => ReplayError::Refused {
            reason: refusal(&error),
        },
        _ => ReplayError::Call(error),
    }
}

/// What Konnect says about the parameters, else about the call.
pub(super) fn refusal(error: &konnect::Error) -> String {
    let parameters = error
        .problem()
        .map(|problem| problem.invalid_parameters.as_slice())
        .unwrap_or_default();
    if parameters.is_empty() {
        return error.to_string();
    }
    let reasons: Vec<String> = parameters
        .iter()
        .map(|parameter| format!("{} {}", parameter.field, parameter.reason))
        .collect();
    reasons.join(", ")
}

/// Passes on what differs from the last report.
struct News<'a> {
    report: Report<'a>,
    last: Option<Progress>,
}

impl<'a> News<'a> {
    fn new(report: Report<'a>) -> Self {
        Self { report, last: None }
    }

    fn know(&mut self, progress: Progress) {
        self.last = Some(progress);
    }

    fn report(&mut self, progress: Progress) {
        if self.last.as_ref() != Some(&progress) {
            (self.report)(&progress);
            self.last = Some(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_a_job_that_has_not_begun_unless_it_is_stuck() {
        let now: DateTime<Utc> = "2026-06-23T14:00:00Z".parse().unwrap();
        let cases = [
            (ReplayStatus::Unconfigured, None, false),
            (ReplayStatus::Accepted, Some(0), true),
            (ReplayStatus::Pending, Some(9), true),
            (ReplayStatus::Pending, Some(11), false),
            (ReplayStatus::Accepted, None, false),
            (ReplayStatus::Running, Some(60), true),
            (ReplayStatus::Running, None, true),
            (ReplayStatus::Completed, Some(0), false),
            (ReplayStatus::Failed, Some(0), false),
        ];
        for (status, minutes, expected) in cases {
            let job = ReplayJob {
                status,
                start_at: None,
                end_at: None,
                updated_at: minutes.map(|minutes| now - TimeDelta::minutes(minutes)),
            };
            assert_eq!(is_in_the_way(&job, now), expected, "{job:?}");
        }
    }

    #[test]
    fn tells_each_state_once() {
        let mut told = Vec::new();
        let mut report = |progress: &Progress| told.push(progress.to_string());
        let mut news = News::new(&mut report);
        news.know(Progress::Reached(ReplayStatus::Accepted));
        for status in [
            ReplayStatus::Accepted,
            ReplayStatus::Running,
            ReplayStatus::Running,
            ReplayStatus::Completed,
        ] {
            news.report(Progress::Reached(status));
        }
        assert_eq!(
            told,
            ["the replay job is running", "the replay job is completed"]
        );
    }
}
