//! The worker: claims actions, carries them out, and answers every kind of trouble. Decides
//! nothing about what is to be done.

use std::time::Duration;

use konnect::{DeveloperId, ListPortals, PortalId};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::act::backoff::Backoff;
use crate::act::calls::{self, Call};
use crate::act::claim::{Admission, Claimed};
use crate::act::deeds::{self, Bench, Doing, Outcome};
use crate::act::notify::Notifier;
use crate::act::outcome::{AttemptRecord, Ending};
use crate::act::pause::Pause;
use crate::act::trouble::{Remedy, Trouble};
use crate::act::{ActionState, DeedSpec, Queue, Target};
use crate::config::NotifyConfig;
use crate::directory::Directory;
use crate::journal::JournalError;
use crate::lifecycle::pause as wait;

/// Actions in hand at the same time: one slow call must not hold up the others, and the rate
/// limit of the client decides how fast they go.
const LANES: usize = 4;
/// How often what waits in vain is looked for; it is rare, and nobody waits for it to end.
const STRANDED_EVERY: Duration = Duration::from_secs(5);
/// Attempts after which an object that cannot be read is believed to be gone: Konnect may answer
/// 404 for a while after a create.
const GONE_AFTER: i32 = 8;

/// The times that the worker goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// How often a paused worker asks whether its token is accepted again.
    pub probe_every: Duration,
    /// Longest time for one attempt as a whole.
    pub attempt: Duration,
    /// How long a claim holds without renewal, which comes three times as often: what a crashed
    /// worker had in hand waits that long.
    pub lease: Duration,
    /// How often the queue is looked at when nothing wakes the worker.
    pub poll: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            probe_every: Duration::from_secs(30),
            attempt: Duration::from_secs(45),
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            backoff: Backoff::default(),
        }
    }
}

/// Does what the queue holds.
#[derive(Debug)]
pub struct Worker {
    queue: Queue,
    directory: Directory,
    client: konnect::Client,
    notifier: Notifier,
    timings: Timings,
    pause: Pause,
}

impl Worker {
    /// A worker that calls the API with `client`. The client's observer should call
    /// [`note_call`](crate::act::note_call), so that the record of an attempt names its call.
    pub fn new(
        queue: Queue,
        directory: Directory,
        client: konnect::Client,
        timings: Timings,
    ) -> Self {
        let notifier = Notifier::new(NotifyConfig::default(), queue.clock.clone());
        Self {
            queue,
            directory,
            client,
            notifier,
            timings,
            pause: Pause::new(),
        }
    }

    /// Sends notices as configured; else unsigned ones to public addresses only.
    #[must_use]
    pub fn with_notify(mut self, config: NotifyConfig) -> Self {
        self.notifier = Notifier::new(config, self.queue.clock.clone());
        self
    }

    /// Whether the worker pauses because its token is refused, to be watched by `/readyz`.
    pub fn paused(&self) -> watch::Receiver<bool> {
        self.pause.watch()
    }

    /// Works until `stop` fires; an action in hand is finished first.
    ///
    /// Dropping the future is safe at any moment: what was in hand is taken up again when its
    /// lease ends, and nothing is written twice.
    pub async fn run(&self, stop: CancellationToken) {
        const { assert!(LANES == 4, "one lane a line below") };
        tokio::join!(
            self.lane(&stop),
            self.lane(&stop),
            self.lane(&stop),
            self.lane(&stop),
            self.probe(&stop),
            self.cancel_stranded(&stop),
        );
    }

    /// Looks now and then for what waits in vain.
    async fn cancel_stranded(&self, stop: &CancellationToken) {
        loop {
            if let Err(error) = self.queue.cancel_stranded().await {
                debug!(
                    error = error.chain(),
                    "could not look for what waits in vain"
                );
            }
            if wait(STRANDED_EVERY, stop).await {
                return;
            }
        }
    }

    /// Carries out one action after the other.
    async fn lane(&self, stop: &CancellationToken) {
        let mut paused = self.pause.watch();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender lives as long as the worker.
                _ = paused.wait_for(|paused| !paused) => {}
            }
            // Begun before the look, so that nothing enqueued in between is slept through.
            let woken = self.queue.woken();
            match self.queue.claim(self.timings.lease).await {
                Ok(Some(claimed)) => {
                    if let Err(error) = Box::pin(self.work(&claimed)).await {
                        // The lease ends by itself, and reading before writing makes up for it.
                        warn!(
                            action.id = %claimed.id,
                            error = error.chain(),
                            "could not record an action"
                        );
                    }
                }
                Ok(None) => self.rest(woken, stop).await,
                Err(error) => {
                    warn!(error = error.chain(), "could not claim an action");
                    wait(self.timings.probe_every.min(Duration::from_secs(5)), stop).await;
                }
            }
        }
    }

    /// Waits until something may be due.
    async fn rest(&self, woken: impl Future<Output = ()>, stop: &CancellationToken) {
        let due = self.queue.next_due().await.unwrap_or_default();
        let at_most = due.map_or(self.timings.poll, |due| due.min(self.timings.poll));
        tokio::select! {
            () = stop.cancelled() => {}
            () = woken => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Asks whether the token is accepted again, while the worker pauses.
    async fn probe(&self, stop: &CancellationToken) {
        let mut paused = self.pause.watch();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = paused.wait_for(|paused| *paused) => {}
            }
            if wait(self.timings.probe_every, stop).await {
                return;
            }
            let options = ListPortals {
                page_size: Some(1),
                ..ListPortals::default()
            };
            match self.client.portals().list_page(&options, 1).await {
                Ok(_) => self.pause.end(),
                Err(error) => debug!(%error, "the token is not accepted yet"),
            }
        }
    }

    #[tracing::instrument(skip_all, fields(action.id = %claimed.id, deed = claimed.deed.name()))]
    async fn work(&self, claimed: &Claimed) -> Result<(), JournalError> {
        match self.queue.admit(claimed).await? {
            Admission::Granted => {}
            Admission::Delayed(wait) => return self.queue.put_back(claimed, wait).await,
            Admission::Parked { limit_per_hour } => {
                let reason = Some(format!("over the limit of {limit_per_hour} deeds per hour"));
                let ending = Ending {
                    state: ActionState::Parked,
                    reason,
                    report: None,
                };
                return self.queue.settle(claimed, &ending, None).await.map(drop);
            }
        }
        let started_at = self.queue.clock.now();
        let (result, call) = calls::noting(self.attempt(claimed)).await;
        match result {
            Ok(outcome) => {
                self.pause.accepted();
                let attempt = AttemptRecord {
                    started_at,
                    call,
                    outcome: "ok",
                    detail: None,
                };
                self.conclude(claimed, outcome, &attempt).await
            }
            Err(trouble) => self.answer(claimed, &trouble, (started_at, call)).await,
        }
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<Outcome, Trouble> {
        let bench = Bench {
            queue: &self.queue,
            client: &self.client,
            directory: &self.directory,
            notifier: &self.notifier,
            claimed,
            lease: self.timings.lease,
        };
        let work = tokio::time::timeout(self.timings.attempt, deeds::carry_out(&bench));
        tokio::select! {
            outcome = work => outcome.unwrap_or(Err(Trouble::TooSlow)),
            () = self.hold(claimed) => Err(Trouble::LeaseLost),
        }
    }

    /// Holds on to the action; completes when it is lost, or may be by this process's own clock:
    /// whoever takes it over must find nobody at it.
    async fn hold(&self, claimed: &Claimed) {
        let (lease, every) = (self.timings.lease, self.timings.lease / 3);
        let mut held_since = claimed.since;
        loop {
            tokio::time::sleep(every).await;
            let asked_at = Instant::now();
            match tokio::time::timeout(every, self.queue.renew(claimed, lease, None)).await {
                Ok(Ok(true)) => held_since = asked_at,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => debug!(error = error.chain(), "could not renew a lease"),
                Err(_) => debug!("the lease was not renewed in time"),
            }
            if held_since.elapsed() + every >= lease {
                return;
            }
        }
    }

    async fn conclude(
        &self,
        claimed: &Claimed,
        outcome: Outcome,
        attempt: &AttemptRecord,
    ) -> Result<(), JournalError> {
        let mut account = None;
        let (state, reason, changed) = match outcome {
            Outcome::Done(Doing::Written) => (ActionState::Done, None, true),
            Outcome::Done(Doing::Elsewhere) => (ActionState::Done, None, false),
            Outcome::Done(Doing::Held(why)) => (ActionState::Done, Some(why), claimed.write_sent),
            Outcome::Done(Doing::Reported { reason, report }) => {
                account = Some(report);
                (ActionState::Done, reason, true)
            }
            Outcome::Refused(why) => (ActionState::Refused, Some(why), false),
            Outcome::Parked(why) => (ActionState::Parked, Some(why), false),
            Outcome::Unfinished => return self.queue.put_back(claimed, Duration::ZERO).await,
        };
        let ending = Ending {
            state,
            reason,
            report: account,
        };
        let ours = self.queue.settle(claimed, &ending, Some(attempt)).await?;
        // Whoever decided otherwise is not in the directory yet either.
        if ours && (changed || state == ActionState::Refused) {
            let portal = PortalId(claimed.portal_id);
            match whom_no_list_shows(claimed, ending.report.as_ref()) {
                Some(developer) => self.directory.touch(portal, developer).await?,
                None => self.directory.hint(portal).await?,
            }
        }
        Ok(())
    }

    async fn answer(
        &self,
        claimed: &Claimed,
        trouble: &Trouble,
        (started_at, call): (chrono::DateTime<chrono::Utc>, Option<Call>),
    ) -> Result<(), JournalError> {
        let (remedy, class) = trouble.judge();
        let detail = Some(trouble.to_string());
        let attempt = AttemptRecord {
            started_at,
            call,
            outcome: class,
            detail: detail.clone(),
        };
        let made = claimed.attempts + 1;
        let allowed = match trouble {
            Trouble::Gone(_) => GONE_AFTER.min(self.timings.backoff.attempts),
            _ => self.timings.backoff.attempts,
        };
        match remedy {
            Remedy::Retry(at_least) if made < allowed => {
                let wait = self.timings.backoff.wait(made, claimed.lease);
                let wait = wait.max(at_least.unwrap_or_default());
                debug!(
                    class,
                    attempt = made,
                    wait_ms = wait.as_millis(),
                    "trying again later"
                );
                self.queue.postpone(claimed, wait, &attempt).await
            }
            Remedy::Retry(_) | Remedy::GiveUp => {
                let ending = Ending {
                    state: ActionState::Failed,
                    reason: detail,
                    report: None,
                };
                self.queue
                    .settle(claimed, &ending, Some(&attempt))
                    .await
                    .map(drop)
            }
            Remedy::Pause => {
                if let Some(error) = trouble.api() {
                    self.pause.refused(error);
                }
                self.queue.put_back(claimed, Duration::ZERO).await
            }
            Remedy::LetGo => {
                debug!(class, error = %trouble, "letting go of an action");
                Ok(())
            }
        }
    }
}
/// The developer whom a deed has changed in a way that the lists of pending ones do not show.
fn whom_no_list_shows(claimed: &Claimed, report: Option<&Value>) -> Option<DeveloperId> {
    let id = match (&claimed.deed, claimed.target) {
        (
            DeedSpec::AddToTeam { .. }
            | DeedSpec::RemoveFromTeam { .. }
            | DeedSpec::RevokeDeveloper,
            Target::Developer { id },
        ) => id,
        (DeedSpec::InviteDeveloper { .. }, _) => {
            report?.get("developer_id")?.as_str()?.parse().ok()?
        }
        _ => return None,
    };
    Some(DeveloperId(id))
}
