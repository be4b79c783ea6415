//! Coverage as it is on record: for the map, the API and the commands, and for the keeper itself.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::backfill::coverage::map::{Facts, Stretch, StretchState};
use crate::backfill::coverage::timings::{Timings, delta};
use crate::backfill::window::{REACH, Window, WindowError};
use crate::config::BackfillConfig;
use crate::http::PortalScope;
use crate::journal::{
    Acknowledgement, JobOrigin, JobState, Journal, JournalError, LogSource, NewReplayJob, NoWindow,
    Readiness, ReplayJobRow, SourceStatus, WindowCounts,
};

/// The lease of the instance that keeps the account, and asks Konnect for replay jobs.
pub(super) const LEASE_NAME: &str = "coverage";

/// What is known of the time of every log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Coverage {
    journal: Journal,
    timings: Timings,
}

/// What is known of the time of one log.
#[derive(Debug, Clone)]
pub struct SourceCoverage {
    /// The log, and how its webhook fares.
    pub status: SourceStatus,
    /// Its time, the earliest first.
    pub stretches: Vec<Stretch>,
    /// Konnect's present.
    pub now: DateTime<Utc>,
}

impl SourceCoverage {
    /// The worst that is known of its time. What is settling, and a loss that somebody has taken
    /// note of, count as nothing amiss.
    pub fn verdict(&self) -> StretchState {
        let counts = |part: &&Stretch| {
            part.state != StretchState::Settling
                && (part.state != StretchState::Lost || part.is_open_loss())
        };
        let states = self.stretches.iter().filter(counts).map(|part| part.state);
        states.max().unwrap_or(StretchState::Covered)
    }

    /// The same, with only that of its stretches that lies in a window.
    #[must_use]
    pub fn within(&self, window: (DateTime<Utc>, DateTime<Utc>)) -> Self {
        let stretches = self.stretches.iter();
        Self {
            stretches: stretches.filter_map(|part| part.within(window)).collect(),
            status: self.status.clone(),
            now: self.now,
        }
    }

    /// How much of its time has a state.
    pub fn length_of(&self, state: StretchState) -> TimeDelta {
        let of_it = self.stretches.iter().filter(|part| part.state == state);
        of_it.map(Stretch::length).sum()
    }

    /// When Konnect begins to drop the first of what is missing.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        let missing = self.stretches.iter();
        missing.filter_map(Stretch::expires_at).min()
    }
}

/// Why a loss was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    /// There is no time between its ends.
    #[error(transparent)]
    NoWindow(#[from] NoWindow),
    /// Nothing of the window is lost.
    #[error("nothing of that time is lost")]
    NothingLost,
    /// usher hears of no such log.
    #[error("usher hears of no such log")]
    UnknownSource,
    /// There is no reason.
    #[error("a reason is needed")]
    NoReason,
    /// The database.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a replay job was not put on record.
#[derive(Debug, thiserror::Error)]
pub enum ReplayRefused {
    /// The window cannot be asked for.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// usher hears of no such log.
    #[error("usher hears of no such log")]
    UnknownSource,
    /// The database.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why no instance asks Konnect for a job that is put on record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// None runs that has a token.
    #[error("no instance of usher runs that asks Konnect")]
    NoInstance,
    /// usher hears of no such log.
    #[error("usher does not receive this log")]
    UnknownSource,
    /// The log is sent to nobody, or to somebody else.
    #[error("the webhook of this log does not lead to usher: {0}")]
    Elsewhere(String),
}

impl Coverage {
    /// Reads from `journal`, by the times that `config` sets.
    pub fn new(journal: Journal, config: &BackfillConfig) -> Self {
        Self {
            journal,
            timings: Timings::of(config),
        }
    }

    /// Whether gaps are asked for without a person.
    pub fn asks_by_itself(&self) -> bool {
        self.timings.auto
    }

    /// Konnect's present, as far as usher knows its clock.
    pub async fn now(&self) -> Result<DateTime<Utc>, JournalError> {
        Ok(self.journal.readiness().await?.now)
    }

    /// The same, for somebody who may see these portals only.
    #[must_use]
    pub fn seen_by(&self, portals: &PortalScope) -> Self {
        Self {
            journal: self.journal.seen_by(portals),
            timings: self.timings.clone(),
        }
    }

    /// Every log that may be seen and is wanted, with its stretches in a window: all of its time
    /// where there is none.
    pub async fn of_all(
        &self,
        is_wanted: impl Fn(LogSource) -> bool,
        window: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Result<Vec<SourceCoverage>, JournalError> {
        let readiness = self.journal.readiness().await?;
        let from = window.0.unwrap_or(DateTime::UNIX_EPOCH);
        let to = window.1.unwrap_or(readiness.now);
        let mut all = Vec::new();
        for status in self.journal.coverage_sources().await? {
            if is_wanted(status.source) {
                let facts = self.facts(status, readiness, (from, to)).await?;
                all.push(SourceCoverage {
                    stretches: facts.stretches((from, to)),
                    now: facts.now,
                    status: facts.status,
                });
            }
        }
        Ok(all)
    }

    /// The logs of which something is known.
    pub async fn logs(&self) -> Result<Vec<LogSource>, JournalError> {
        let known = self.journal.coverage_sources().await?;
        Ok(known.into_iter().map(|status| status.source).collect())
    }

    /// What is on record about a source in a window.
    pub(super) async fn facts(
        &self,
        status: SourceStatus,
        readiness: Readiness,
        window: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Facts, JournalError> {
        let source = status.source;
        Ok(Facts {
            gaps: self.journal.gaps(source, window).await?,
            jobs: self.journal.replay_jobs_of(source, window).await?,
            acknowledged: self.journal.acknowledgements(source, window).await?,
            status,
            ready_to: readiness.ready_to,
            spooled_from: readiness.spooled_from,
            now: readiness.now,
            settle: delta(self.timings.settle),
            silent_after: delta(self.timings.silent_after),
            unpolled_after: delta(self.timings.unpolled_after),
        })
    }

    /// Whether some instance keeps the account now, by the database's clock.
    pub async fn is_kept(&self) -> Result<bool, JournalError> {
        let leases = self.journal.leases().await?;
        let mut leases = leases.iter();
        Ok(leases.any(|lease| lease.name == LEASE_NAME && lease.is_held))
    }

    /// Why no instance would ask Konnect for a job of a log; none where one does.
    pub async fn why_not_asked(&self, source: LogSource) -> Result<Option<NotAsked>, JournalError> {
        if !self.is_kept().await? {
            return Ok(Some(NotAsked::NoInstance));
        }
        let known = self.journal.coverage_sources().await?;
        let Some(status) = known.into_iter().find(|status| status.source == source) else {
            return Ok(Some(NotAsked::UnknownSource));
        };
        let is_elsewhere = !status.state.may_lead_here();
        Ok(is_elsewhere.then_some(NotAsked::Elsewhere(status.detail)))
    }

    /// Puts a job on record that somebody wants; the keeper asks Konnect for it in its turn.
    pub async fn want_replay(
        &self,
        id: Uuid,
        source: LogSource,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        who: &str,
    ) -> Result<ReplayJobRow, ReplayRefused> {
        let now = self.now().await?;
        let window = Window::new(from, to, now)?;
        self.want_window(id, source, window, who).await
    }

    /// The same for a window that was in order when it was checked: what becomes too old until its
    /// turn is left out then.
    pub async fn want_window(
        &self,
        id: Uuid,
        source: LogSource,
        window: Window,
        who: &str,
    ) -> Result<ReplayJobRow, ReplayRefused> {
        let now = self.now().await?;
        let known = self.journal.coverage_sources().await?;
        if !known.iter().any(|status| status.source == source) {
            return Err(ReplayRefused::UnknownSource);
        }
        let job = NewReplayJob {
            id,
            source,
            from: window.start_at(),
            to: window.end_at(),
            origin: JobOrigin::Person,
            who: who.to_owned(),
            state: JobState::Queued,
            created_at: now,
        };
        self.journal
            .add_replay_job(&job, WindowCounts::default())
            .await?;
        let stored = self.journal.replay_job(id).await?;
        stored.ok_or(ReplayRefused::UnknownSource)
    }

    /// Notes that somebody knows of the losses in a window; they stay visible. Nobody can know of
    /// what is yet to be lost: of a window that lasts longer, that part is left out.
    pub async fn acknowledge(
        &self,
        id: Uuid,
        source: LogSource,
        loss: Acknowledgement,
    ) -> Result<(), AcknowledgeError> {
        NoWindow::check_order(Some(loss.from), Some(loss.to))?;
        NoWindow::check_time_between(loss.from, loss.to)?;
        if loss.reason.trim().is_empty() {
            return Err(AcknowledgeError::NoReason);
        }
        let window = (Some(loss.from), Some(loss.to));
        let found = self.of_all(|one| one == source, window).await?;
        let found = found.first().ok_or(AcknowledgeError::UnknownSource)?;
        let is_lost = |part: &Stretch| part.state == StretchState::Lost;
        if !found.stretches.iter().any(is_lost) {
            return Err(AcknowledgeError::NothingLost);
        }
        let loss = Acknowledgement {
            to: loss.to.min(found.now - REACH),
            ..loss
        };
        Ok(self.journal.acknowledge_loss(id, source, &loss).await?)
    }
}
