//! The follower: pulls by itself what is new, and looks a second time at what others brought.
//!
//! One instance at a time does it, under a lease. Each course has a checkpoint in the journal that
//! moves after the commit, so that a restart goes on where the last window ended.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::backfill::pull::error::PullError;
use crate::backfill::pull::store::Pulled;
use crate::backfill::pull::window::{PullProgress, Puller};
use crate::backfill::window::{REACH, Window, rfc3339};
use crate::clock::{Clock, Ids};
use crate::config::OrgLogs;
use crate::http::health::{Condition, Health};
use crate::journal::{GapReason, Journal, Lane, Lease, LogSource, NewGap, PullCheckpoint};
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// The part of `/readyz`, and the lease.
const PART: &str = "pull";
/// The lease is renewed three times before it ends.
const LEASE: Duration = Duration::from_mins(1);
/// What is about to become too old is left out, so that no window is refused on its way.
const REACH_MARGIN: TimeDelta = TimeDelta::minutes(1);
/// The first second look goes back so far.
const FIRST_CHECK: TimeDelta = TimeDelta::minutes(20);
/// Windows that ended longer ago are read after what happens now.
const LIVE_WITHIN: TimeDelta = TimeDelta::hours(1);
/// A loss is shown by `/readyz` for so long.
const LOSS_SHOWN: TimeDelta = TimeDelta::days(1);

/// How often the follower pulls, and how far behind the present.
#[derive(Debug, Clone, Copy)]
pub struct FollowTimings {
    /// Between two cycles.
    pub every: Duration,
    /// How long entries may be under way to the pull API.
    pub settle: Duration,
    /// Between two second looks, which are as far behind.
    pub check_every: Duration,
    /// The longest window that is pulled in one go: its end is the next checkpoint.
    pub slice: Duration,
}

impl FollowTimings {
    /// The timings where entries may be under way for `settle`.
    pub fn new(settle: Duration) -> Self {
        Self {
            every: Duration::from_secs(30),
            settle,
            check_every: Duration::from_mins(10),
            slice: Duration::from_hours(2),
        }
    }
}

/// What the follower does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Pulls what is new.
    Follow,
    /// Pulls once more what came before, by whichever way, and says what had not come.
    Check,
}

impl Course {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Check => "check",
        }
    }
}

/// Pulls the organisation's log by itself.
#[derive(Debug)]
pub struct Follower {
    puller: Puller,
    journal: Journal,
    clock: Clock,
    health: Health,
    source: OrgLogs,
    timings: FollowTimings,
    holder: Uuid,
}

impl Follower {
    /// A follower that pulls what is new where `source` is the pull API, and only looks a second
    /// time beside a webhook. `holder` names this instance.
    pub fn new(
        puller: Puller,
        (journal, clock): (Journal, Clock),
        health: Health,
        (source, timings): (OrgLogs, FollowTimings),
        holder: Uuid,
    ) -> Self {
        Self {
            puller,
            journal,
            clock,
            health,
            source,
            timings,
            holder,
        }
    }

    /// Pulls again and again until `stopping` fires. Being cut short loses nothing: the next window
    /// begins at the checkpoint.
    pub async fn run(self, stopping: CancellationToken) {
        let mut told = String::new();
        loop {
            let done = tokio::select! {
                () = stopping.cancelled() => break,
                done = self.cycle() => done,
            };
            match done {
                Ok(()) => told.clear(),
                Err(PullError::Stopped) => break,
                Err(error) => {
                    let reason = error.to_string();
                    if reason == told {
                        debug!(reason, "could not pull the organisation's log again");
                    } else {
                        warn!(reason, "could not pull the organisation's log");
                        told = reason;
                    }
                }
            }
            if pause(self.timings.every, &stopping).await {
                break;
            }
        }
        if let Err(error) = self.journal.release_lease(&self.lease()).await {
            debug!(
                error = error.chain(),
                "the lease of the pull ends by itself"
            );
        }
    }

    /// Pulls what is due, if no other instance does, and reports to `/readyz` how it went.
    pub async fn cycle(&self) -> Result<(), PullError> {
        let done = self.try_cycle().await;
        match &done {
            Ok(true) => self.report_progress().await?,
            Ok(false) => self
                .health
                .set(PART, Condition::Ok, "another instance pulls"),
            Err(PullError::Stopped) => {}
            Err(error) => self.health.set(PART, Condition::Degraded, error.plain()),
        }
        done.map(drop)
    }

    /// `false` while another instance has the lease.
    async fn try_cycle(&self) -> Result<bool, PullError> {
        let lease = self.lease();
        if !self.journal.take_lease(&lease).await? {
            return Ok(false);
        }
        tokio::select! {
            done = self.advance_all() => done?,
            lost = self.journal.keep_lease(&lease) => return Err(lost.into()),
        }
        Ok(true)
    }

    fn lease(&self) -> Lease {
        Lease {
            name: PART.to_owned(),
            holder: self.holder,
            ttl: LEASE,
        }
    }

    async fn advance_all(&self) -> Result<(), PullError> {
        // A clock that is ahead would move the checkpoint over entries that are yet to come.
        let now = self.clock.now().min(self.journal.now().await?);
        if self.source == OrgLogs::Pull {
            self.advance(Course::Follow, now).await?;
        }
        self.advance(Course::Check, now).await
    }

    /// Pulls what is due of `course`, window after window.
    async fn advance(&self, course: Course, now: DateTime<Utc>) -> Result<(), PullError> {
        let timings = &self.timings;
        let behind = match course {
            Course::Follow => timings.settle,
            Course::Check => timings.check_every.max(timings.settle),
        };
        let until = before(now, behind);
        let mut from = self.begin(course, now).await?;
        if course == Course::Check && before(until, timings.check_every) < from {
            return Ok(());
        }
        while from < until {
            let to = from.checked_add_signed(span(timings.slice));
            let to = to.unwrap_or(until).min(until);
            // Less than a millisecond is left to the next cycle.
            let Ok(window) = Window::new(from, to, now) else {
                return Ok(());
            };
            let is_live = now - to <= LIVE_WITHIN;
            let lane = if is_live { Lane::Live } else { Lane::Bulk };
            let mut report = |progress: &PullProgress| debug!(%progress, "pulling");
            let pulled = self.puller.pull(window, None, lane, &mut report).await?;
            if course == Course::Check && pulled.stored > 0 {
                self.note_missing(window, pulled).await?;
            }
            let course = course.as_str();
            self.journal.move_pull_checkpoint(course, to).await?;
            from = to;
        }
        Ok(())
    }

    /// Where the next window of `course` begins. What cannot be pulled any more is noted.
    async fn begin(&self, course: Course, now: DateTime<Utc>) -> Result<DateTime<Utc>, PullError> {
        let earliest = now - REACH + REACH_MARGIN;
        let checkpoint = self.journal.pull_checkpoint(course.as_str()).await?;
        let Some(PullCheckpoint { pulled_to, .. }) = checkpoint else {
            return Ok(match course {
                Course::Follow => earliest,
                Course::Check => now - FIRST_CHECK,
            });
        };
        if pulled_to >= earliest {
            return Ok(pulled_to);
        }
        self.journal
            .note_pull_loss(course.as_str(), earliest)
            .await?;
        warn!(
            course = course.as_str(),
            from = rfc3339(pulled_to),
            to = rfc3339(earliest),
            "this time is over 7 days ago and cannot be pulled any more, going on from its end"
        );
        Ok(earliest)
    }

    /// Says that a second look found what had not come. Beside a webhook, that is a gap: what was
    /// pulled has no signature that can be checked, and a replay brings it with one.
    async fn note_missing(&self, window: Window, pulled: Pulled) -> Result<(), PullError> {
        counter!(names::PULL_MISSING).increment(pulled.stored);
        let (from, to) = (rfc3339(window.start_at()), rfc3339(window.end_at()));
        let entries = pulled.stored;
        if self.source == OrgLogs::Webhook {
            warn!(
                entries,
                from, to, "the webhook did not bring entries that konnect has, so they were pulled"
            );
            let gap = NewGap {
                id: Ids::new(self.clock.clone()).next(),
                source: Some(LogSource::Org),
                reason: GapReason::Unbrought,
                from: window.start_at(),
                to: window.end_at(),
                times: i32::try_from(entries).unwrap_or(i32::MAX),
                detail: format!(
                    "the pull API had {entries} entries that the webhook did not bring"
                ),
                noted_at: self.journal.readiness().await?.now,
                joins: true,
            };
            self.journal.note_gap(&gap).await?;
        } else {
            info!(
                entries,
                from, to, "entries came later than they were pulled"
            );
        }
        Ok(())
    }

    /// Reports how far the courses are, and for a day what was lost.
    async fn report_progress(&self) -> Result<(), PullError> {
        let course = match self.source {
            OrgLogs::Pull => Course::Follow,
            OrgLogs::Webhook | OrgLogs::Off => Course::Check,
        };
        let Some(checkpoint) = self.journal.pull_checkpoint(course.as_str()).await? else {
            self.health.set(PART, Condition::Ok, "");
            return Ok(());
        };
        let now = self.journal.now().await?;
        let up_to = checkpoint.pulled_to;
        #[expect(clippy::cast_precision_loss, reason = "a lag is far below 2^52 ms")]
        gauge!(names::PULL_LAG).set((now - up_to).num_milliseconds() as f64 / 1_000.0);
        let shown = checkpoint
            .lost
            .filter(|lost| now - lost.found_at < LOSS_SHOWN);
        let pulled = format!("pulled up to {}", rfc3339(up_to));
        let (condition, detail) = match shown {
            Some(lost) => {
                let (from, to) = (rfc3339(lost.from), rfc3339(lost.to));
                let lost =
                    format!("{from} to {to} was over 7 days ago and could not be pulled any more");
                (Condition::Degraded, format!("{lost}; {pulled}"))
            }
            None => (Condition::Ok, pulled),
        };
        self.health.set(PART, condition, detail);
        Ok(())
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn before(time: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    time.checked_sub_signed(span(duration)).unwrap_or_default()
}
