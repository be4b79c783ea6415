//! Keeps the account of time, in one instance at a time: asks how webhooks fare, and has Konnect
//! send again what was missed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{Client, ListPortals};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::backfill::coverage::choose::Choice;
use crate::backfill::coverage::job::{Counted, StepError, Steps};
use crate::backfill::coverage::konnect_clock::{KonnectClock, OFF_BY};
use crate::backfill::coverage::map::{Facts, StretchState};
use crate::backfill::coverage::poll::{self, FoundGap, Poll, Polled, SLOT_EVERY};
use crate::backfill::coverage::record::{Coverage, LEASE_NAME, SourceCoverage};
use crate::backfill::coverage::reported::{PART, report, show};
use crate::backfill::coverage::timings::{Timings, delta};
use crate::backfill::window::REACH;
use crate::clock::Ids;
use crate::config::{BackfillConfig, KonnectConfig, OrgLogs};
use crate::http::health::{Condition, Health};
use crate::journal::{
    GapReason, JobState, Journal, Lease, LogSource, NewGap, NewReplayJob, SourceState, WindowCounts,
};
use crate::lifecycle::{backoff, pause};

/// How long the lease lasts without renewal.
const LEASE: Duration = Duration::from_secs(30);
/// The portals are listed so often.
const LIST_EVERY: Duration = Duration::from_mins(10);
/// Covered time is written down for other tools so often.
const SHOWN_EVERY: Duration = Duration::from_mins(1);
/// Of the calls to the API, at most this part is for polls.
const POLLED_PART: f64 = 0.1;
/// After an error, the longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// The first account of a log begins so much later than Konnect's oldest entry: those are dropped
/// while it is asked for.
const AT_FIRST: TimeDelta = TimeDelta::minutes(1);
/// An instance that keeps no account asks for the time so often.
const TIME_EVERY: Duration = Duration::from_mins(5);
/// The account begins so long after the first poll: deliveries could be taken by then, however
/// Konnect's clock is read.
const BEGINS_AFTER: TimeDelta = TimeDelta::milliseconds(2 * OFF_BY.num_milliseconds());
/// How far back the account is looked at for jobs: entries older than Konnect's are settled.
const LOOKS_BACK: TimeDelta = TimeDelta::days(8);

/// Keeps the account of every log.
#[derive(Debug)]
pub struct Keeper {
    journal: Journal,
    client: Client,
    coverage: Coverage,
    konnect: KonnectClock,
    timings: Timings,
    config: KonnectConfig,
    org_logs: bool,
    ingest_path: String,
    health: Health,
    ids: Ids,
    lease: Lease,
    /// What was last polled, and when whose slot it is was asked.
    polled: BTreeMap<LogSource, Attempt>,
    listed: Option<(Instant, Vec<LogSource>)>,
    counted: Counted,
    /// When covered time was last written down for other tools.
    shown_at: Option<Instant>,
    /// When Konnect was last asked for the time alone.
    time_asked_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Attempt {
    at: Option<Instant>,
    slot_at: Option<Instant>,
    failures: u32,
    wait: Duration,
}

/// What a keeper is made of.
#[derive(Debug)]
pub struct KeeperParts {
    /// Where the account is.
    pub journal: Journal,
    /// How Konnect is asked.
    pub client: Client,
    /// What Konnect's clock shows.
    pub konnect: KonnectClock,
    /// Where Konnect is.
    pub config: KonnectConfig,
    /// Where deliveries come in.
    pub ingest_path: String,
    /// Where its condition is shown.
    pub health: Health,
    /// Makes ids.
    pub ids: Ids,
}

impl Keeper {
    /// A keeper that does as `backfill` says.
    pub fn new(parts: KeeperParts, backfill: &BackfillConfig) -> Self {
        let holder = parts.ids.next();
        Self {
            coverage: Coverage::new(parts.journal.clone(), backfill),
            timings: Timings::of(backfill),
            org_logs: backfill.org_logs == OrgLogs::Webhook,
            journal: parts.journal,
            client: parts.client,
            konnect: parts.konnect,
            config: parts.config,
            ingest_path: parts.ingest_path,
            health: parts.health,
            ids: parts.ids,
            lease: Lease {
                name: LEASE_NAME.to_owned(),
                holder,
                ttl: LEASE,
            },
            polled: BTreeMap::new(),
            listed: None,
            counted: Counted::default(),
            shown_at: None,
            time_asked_at: None,
        }
    }

    /// Replaces the waits, for tests.
    #[must_use]
    pub fn with_timings(mut self, timings: Timings) -> Self {
        self.timings = timings;
        self
    }

    /// Keeps the account while it has the lease, until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut failures = 0;
        let mut wait = self.timings.round_every;
        while !pause(wait, &cancel).await {
            let done = tokio::select! {
                () = cancel.cancelled() => break,
                done = self.round_under_lease() => done,
            };
            wait = match done {
                Ok(()) => {
                    failures = 0;
                    self.timings.round_every
                }
                Err(error) => {
                    failures += 1;
                    self.tell(failures == 1, &error);
                    let wait = backoff(self.timings.round_every, failures, LONGEST_WAIT);
                    match &error {
                        StepError::Konnect(error) => wait.max(error.retry_after().unwrap_or(wait)),
                        StepError::Journal(_) => wait,
                    }
                }
            };
        }
        if let Err(error) = self.journal.release_lease(&self.lease).await {
            debug!(
                error = error.chain(),
                "the lease of coverage ends by itself"
            );
        }
    }

    fn tell(&self, is_first: bool, error: &StepError) {
        let error = error as &dyn std::error::Error;
        if is_first {
            warn!(
                error,
                "a look at coverage was cut short, another one follows"
            );
        } else {
            debug!(error, "a look at coverage was cut short again");
        }
        self.health
            .set(PART, Condition::Degraded, crate::telemetry::chain(error));
    }

    async fn round_under_lease(&mut self) -> Result<(), StepError> {
        if !self.journal.take_lease(&self.lease).await? {
            // What this one reported while it had the lease is old.
            self.health
                .set(PART, Condition::Ok, "another instance keeps it");
            show(&[]);
            self.ask_the_time().await;
            return Ok(());
        }
        let (journal, lease) = (self.journal.clone(), self.lease.clone());
        tokio::select! {
            done = self.round() => done,
            lost = journal.keep_lease(&lease) => Err(lost.into()),
        }
    }

    /// Asks Konnect for the time now and then: whoever keeps no account may ask for nothing else,
    /// and writes down by Konnect's clock what it refused.
    async fn ask_the_time(&mut self) {
        let is_fresh = self
            .time_asked_at
            .is_some_and(|at| at.elapsed() < TIME_EVERY);
        if is_fresh && self.konnect.now().is_some() {
            return;
        }
        self.time_asked_at = Some(Instant::now());
        let portals = ListPortals::default();
        if let Err(error) = self.client.portals().pages(&portals).next().await {
            debug!(
                error = &error as &dyn std::error::Error,
                "Konnect did not tell the time"
            );
        }
    }

    /// Looks once at every source, and makes the next step for each.
    ///
    /// # Errors
    /// The first one of a source; the others were looked at all the same.
    pub(super) async fn round(&mut self) -> Result<(), StepError> {
        let (sources, mut first_error) = self.sources().await?;
        for source in sources {
            if let Err(error) = self.poll_when_due(source).await {
                let is_of_all = matches!(
                    &error,
                    StepError::Konnect(error) if error.status() == Some(401)
                );
                first_error.get_or_insert(error);
                if is_of_all {
                    break;
                }
            }
        }
        let readiness = self.journal.readiness().await?;
        let mut all = Vec::new();
        for status in self.journal.coverage_sources().await? {
            let window = (readiness.now - LOOKS_BACK, readiness.now);
            let facts = self.coverage.facts(status, readiness, window).await?;
            // Before the first sign of life, Konnect's present is not on record.
            if facts.ready_to.is_some()
                && let Err(error) = self.step(&facts).await
            {
                first_error.get_or_insert(error);
            }
            all.push(SourceCoverage {
                stretches: facts.stretches(window),
                now: facts.now,
                status: facts.status,
            });
        }
        show(&all);
        self.write_down(&all, readiness.now - LOOKS_BACK).await?;
        if let Some(error) = first_error {
            return Err(error);
        }
        report(&self.health, &all);
        Ok(())
    }

    /// The logs that may be sent to usher: of each portal, and of the organisation. Where portals
    /// cannot be listed, those that are known, and why.
    async fn sources(&mut self) -> Result<(Vec<LogSource>, Option<StepError>), StepError> {
        if let Some((at, listed)) = &self.listed
            && at.elapsed() < LIST_EVERY
        {
            return Ok((listed.clone(), None));
        }
        let mut portals = self.config.portals.clone();
        let mut unlisted = None;
        if portals.is_empty() {
            match self.client.portals().list(&ListPortals::default()).await {
                Ok(found) => portals = found.into_iter().map(|portal| portal.id.0).collect(),
                Err(error) => unlisted = Some(StepError::from(error)),
            }
        }
        // What was heard of stays in the account.
        let known = self.journal.coverage_sources().await?;
        let known = known
            .into_iter()
            .filter(|status| status.state != SourceState::Gone);
        let mut sources: Vec<LogSource> = portals.into_iter().map(LogSource::Portal).collect();
        sources.extend(self.org_logs.then_some(LogSource::Org));
        sources.extend(known.map(|status| status.source));
        if let (Some(_), Some((_, listed))) = (&unlisted, &self.listed) {
            sources.extend(listed);
        }
        sources.sort_unstable();
        sources.dedup();
        if unlisted.is_none() || !sources.is_empty() {
            self.listed = Some((Instant::now(), sources.clone()));
        }
        Ok((sources, unlisted))
    }

    async fn poll_when_due(&mut self, source: LogSource) -> Result<(), StepError> {
        let last = self.polled.get(&source).copied().unwrap_or_default();
        let every = self.poll_every().max(last.wait);
        if last.at.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        let polled = self.poll(source, last.slot_at).await;
        let mut attempt = Attempt {
            at: Some(Instant::now()),
            ..last
        };
        match &polled {
            Ok(has_asked_for_slot) => {
                (attempt.failures, attempt.wait) = (0, Duration::ZERO);
                if *has_asked_for_slot {
                    attempt.slot_at = attempt.at;
                }
            }
            Err(error) => {
                attempt.failures += 1;
                let wait = backoff(self.timings.poll_every, attempt.failures, LONGEST_WAIT);
                let asked = match error {
                    StepError::Konnect(error) => error.retry_after(),
                    StepError::Journal(_) => None,
                };
                attempt.wait = wait.max(asked.unwrap_or(wait));
            }
        }
        self.polled.insert(source, attempt);
        polled.map(drop)
    }

    /// Between polls of one source: seldom enough that all of them leave the API to others.
    fn poll_every(&self) -> Duration {
        let sources = self.listed.as_ref().map_or(1, |(_, listed)| listed.len());
        let sources = u32::try_from(sources).unwrap_or(u32::MAX);
        let per_second = f64::from(self.config.requests_per_second) * POLLED_PART;
        let least = Duration::from_secs_f64(f64::from(sources) / per_second.max(0.1));
        let is_few = least <= Duration::from_secs(10);
        if is_few {
            self.timings.poll_every
        } else {
            self.timings.poll_every.max(least)
        }
    }

    /// Asks how a webhook fares, and writes it down; whether its destination was asked for, too.
    async fn poll(&self, source: LogSource, slot_at: Option<Instant>) -> Result<bool, StepError> {
        let known = self.journal.coverage_sources().await?;
        let before = known.into_iter().find(|status| status.source == source);
        // One that was switched off may be another destination's afterwards.
        let is_elsewhere = before.as_ref().is_some_and(|before| {
            let state = before.state;
            matches!(state, SourceState::Elsewhere | SourceState::Disabled)
        });
        let is_due = slot_at.is_none_or(|at| at.elapsed() >= SLOT_EVERY);
        let asks_for_slot = before.is_none() || is_elsewhere || is_due;
        let path = asks_for_slot.then_some(self.ingest_path.as_str());
        let poll = if source == LogSource::Org && !self.org_logs {
            Poll::gone("backfill.org_logs is not webhook")
        } else {
            poll::ask(&self.client, source, path).await?
        };
        let Some(now) = self.konnect.now() else {
            return Ok(false);
        };
        let since = if self.timings.auto {
            now - REACH + AT_FIRST
        } else {
            now + BEGINS_AFTER
        };
        let unpolled_after = delta(self.timings.unpolled_after.max(self.poll_every() * 4));
        let polled = Polled::of(before.as_ref(), source, poll, (now, since), unpolled_after);
        if let Some(polled) = polled {
            let gap = polled.gap.as_ref().map(|gap| self.gap(source, gap, now));
            self.journal.note_poll(&polled.status, gap.as_ref()).await?;
        }
        Ok(asks_for_slot)
    }

    /// A gap that a poll found, to be written down.
    fn gap(&self, source: LogSource, found: &FoundGap, now: DateTime<Utc>) -> NewGap {
        // What was made a little earlier may have been under way.
        let (under_way, to) = match found.reason {
            GapReason::Before => (TimeDelta::zero(), now + BEGINS_AFTER),
            _ => (delta(self.timings.settle), now),
        };
        NewGap {
            id: self.ids.next(),
            source: Some(source),
            reason: found.reason,
            from: (found.from - under_way).min(now),
            to,
            times: i32::from(found.is_certain),
            detail: found.detail.clone(),
            noted_at: found.noted_at,
            joins: found.is_certain,
        }
    }

    /// Makes the next step for one source.
    async fn step(&self, facts: &Facts) -> Result<(), StepError> {
        let steps = Steps {
            journal: self.journal.clone(),
            client: self.client.clone(),
            timings: self.timings.clone(),
            ingest_path: self.ingest_path.clone(),
            counted: self.counted.clone(),
        };
        let now = facts.now;
        let of = |state| facts.jobs.iter().filter(move |job| job.state == state);
        for job in of(JobState::Settling) {
            steps.settle(&mut job.clone(), facts).await?;
        }
        if let Some(job) = of(JobState::Asked).next() {
            return steps.follow(&mut job.clone(), now).await;
        }
        if let Some(job) = of(JobState::Planned).next() {
            return steps.ask(&mut job.clone(), now).await;
        }
        if !facts.status.state.may_lead_here() {
            return Ok(());
        }
        if let Some(queued) = of(JobState::Queued).next() {
            let mut job = queued.clone();
            job.state = JobState::Planned;
            return Ok(self.journal.update_replay_job(&job).await?);
        }
        let choice = Choice {
            gap_after: delta(self.timings.gap_after),
            first_wait: self.timings.first_wait,
            auto: self.timings.auto,
            audit_after: self.timings.audit_after.map(delta),
        };
        let Some(chosen) = choice.next(facts) else {
            return Ok(());
        };
        let job = NewReplayJob {
            id: self.ids.next(),
            source: facts.status.source,
            from: chosen.from,
            to: chosen.to,
            origin: chosen.origin,
            who: String::new(),
            state: JobState::Planned,
            created_at: now,
        };
        self.journal
            .add_replay_job(&job, WindowCounts::default())
            .await?;
        Ok(())
    }

    /// Writes down now and then what is covered since a time, for other tools.
    async fn write_down(
        &mut self,
        all: &[SourceCoverage],
        since: DateTime<Utc>,
    ) -> Result<(), StepError> {
        if self.shown_at.is_some_and(|at| at.elapsed() < SHOWN_EVERY) {
            return Ok(());
        }
        for known in all {
            let covered = known.stretches.iter();
            let covered = covered.filter(|part| part.state == StretchState::Covered);
            let covered: Vec<_> = covered.map(|part| (part.from, part.to)).collect();
            let source = known.status.source;
            self.journal.show_covered(source, &covered, since).await?;
        }
        self.shown_at = Some(Instant::now());
        Ok(())
    }
}
