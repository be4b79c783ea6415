//! Upkeep by the hour, in one instance at a time: old months, old rows, old actions.

use std::time::Duration;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::act::Queue;
use crate::app::clocks::{self, TRUSTED_WITHIN};
use crate::clock::Clock;
use crate::config::RetentionConfig;
use crate::directory::Directory;
use crate::journal::{Journal, JournalError, Lease, Retention, SLICE, UpkeepRun, before};
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// Between runs.
const EVERY: Duration = Duration::from_hours(1);
/// After the start, and after a run that left something to do.
const SOON: Duration = Duration::from_mins(1);
/// The lease is renewed three times before it ends.
const LEASE: Duration = Duration::from_mins(1);

/// What upkeep works on.
#[derive(Debug)]
pub struct Upkeep {
    /// The journal.
    pub journal: Journal,
    /// What was decided and done.
    pub actions: Queue,
    /// What is stored about people.
    pub directory: Directory,
    /// How long each sort of row stays.
    pub retention: RetentionConfig,
    /// Must agree with the database's clock, which decides what is old.
    pub clock: Clock,
    /// Names this instance.
    pub holder: Uuid,
}

impl Upkeep {
    /// Runs again and again until cancelled. A run that is cut short loses nothing: the next one
    /// finishes it.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let mut wait = SOON;
        while !pause(wait, &cancel).await {
            let upkeep_run = tokio::select! {
                () = cancel.cancelled() => break,
                upkeep_run = self.round() => upkeep_run,
            };
            wait = match upkeep_run {
                Ok(Some(upkeep_run)) if !upkeep_run.unfinished.is_empty() => SOON,
                Ok(_) => EVERY,
                Err(error) => {
                    let wait = if error.is_transient() { SOON } else { EVERY };
                    warn!(
                        error = error.chain(),
                        wait_s = wait.as_secs(),
                        "a run of upkeep was cut short, another one follows"
                    );
                    wait
                }
            };
        }
        if let Err(error) = self.journal.release_lease(&self.lease()).await {
            debug!(error = error.chain(), "the lease of upkeep ends by itself");
        }
    }

    /// One run; none while another instance does it, or while the time is not certain. The lease is
    /// renewed as long as the run takes, and released after it.
    pub async fn round(&self) -> Result<Option<UpkeepRun>, JournalError> {
        let ahead = clocks::ahead(&self.journal, &self.clock).await?;
        if ahead.abs() > TRUSTED_WITHIN {
            let ahead_s = ahead.num_seconds();
            warn!(
                ahead_s,
                "upkeep waits: this clock and the database's differ"
            );
            return Ok(None);
        }
        let lease = self.lease();
        if !self.journal.take_lease(&lease).await? {
            return Ok(None);
        }
        let upkeep_run = tokio::select! {
            upkeep_run = self.tidy_up() => upkeep_run,
            lost = self.journal.keep_lease(&lease) => Err(lost),
        };
        self.journal.release_lease(&lease).await?;
        upkeep_run.map(Some)
    }

    fn lease(&self) -> Lease {
        Lease {
            name: "upkeep".to_owned(),
            holder: self.holder,
            ttl: LEASE,
        }
    }

    async fn tidy_up(&self) -> Result<UpkeepRun, JournalError> {
        let now = self.journal.now().await?;
        let too_old = before(now, self.retention.actions);
        loop {
            let deleted = self.actions.delete_ended(too_old).await?;
            counter!(names::UPKEEP_ROWS, "table" => "actions").increment(deleted);
            if deleted < SLICE.unsigned_abs() {
                break;
            }
        }
        let gone_before = before(now, self.retention.subjects);
        loop {
            let emptied = self.directory.empty_gone(gone_before).await?;
            counter!(names::UPKEEP_ROWS, "table" => "subjects").increment(emptied);
            if emptied < SLICE.unsigned_abs() {
                break;
            }
        }
        let retention = Retention {
            events: self.retention.events,
            quarantine: self.retention.quarantine,
            batches: self.retention.batches,
            // An action must not be decided again while it may be remembered.
            told: self.retention.actions,
        };
        let upkeep_run = self.journal.tidy_up(&retention, now).await?;
        for (reason, kept) in [
            ("owed", &upkeep_run.owed),
            ("waiting", &upkeep_run.unfinished),
        ] {
            let months = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            gauge!(names::UPKEEP_KEPT, "reason" => reason).set(months);
        }
        Ok(upkeep_run)
    }
}
