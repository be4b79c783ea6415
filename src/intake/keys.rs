//! The keys that entries may be signed with, fetched from Konnect when they are needed.
//!
//! Every key ever served stays good for 8 days after it left the set, since replays reach 7 days
//! back. The last good set is kept when a fetch fails; one fetch runs at a time, and not more often
//! than every few seconds, however many unknown signatures arrive.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::VerifyingKey;
use metrics::gauge;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::event::Verdict;
use crate::intake::verify::{Check, CheckError, Verifier};
use crate::journal::{Journal, JournalError};
use crate::telemetry::metrics as names;

/// How long a key is believed after it left the set.
pub(super) const GOOD_FOR: TimeDelta = TimeDelta::days(8);
/// A key is last seen when it is fetched, so fetching must not depend on somebody needing it: one that
/// leaves the set after months would else count as gone since the start of usher.
const FRESH_FOR: Duration = Duration::from_hours(1);
/// Between two fetches, so that a flood of unknown signatures is not passed on to Konnect.
const MIN_INTERVAL: Duration = Duration::from_secs(3);
/// A delivery waits no longer than this for a fetch; its entries are looked at again later.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the set could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Konnect did not serve it.
    #[error("could not fetch the signing keys")]
    Fetch(#[source] konnect::Error),
    /// It did not come in time.
    #[error("the signing keys did not arrive in time")]
    Timeout,
    /// The record did not answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The keys and how fresh they are.
#[derive(Debug)]
pub struct KeyRing {
    client: konnect::Client,
    journal: Journal,
    clock: Clock,
    known: RwLock<Known>,
    verifier: Verifier,
    /// Held while fetching: others wait for the same answer.
    fetching: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<Vec<VerifyingKey>>,
    /// When the newest set was asked for.
    fetched_at: Option<DateTime<Utc>>,
    /// The same moment by a clock that nobody sets.
    fetched: Option<Instant>,
    /// When a fetch was last tried.
    tried: Option<Instant>,
}

impl Known {
    /// When the newest set was asked for. A time to come says nothing: the clock was set back since.
    fn fetched_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.fetched_at.filter(|fetched_at| *fetched_at <= now)
    }
}

impl KeyRing {
    /// A ring that knows no key yet; call [`KeyRing::load`] when the database answers.
    pub fn new(client: konnect::Client, journal: Journal, clock: Clock) -> Self {
        Self {
            client,
            journal,
            clock,
            known: RwLock::default(),
            verifier: Verifier::default(),
            fetching: Mutex::default(),
        }
    }

    /// Takes the keys that were seen before, so that a start does not depend on Konnect.
    pub async fn load(&self) -> Result<(), KeysError> {
        let stored = self.journal.keys_seen_within(GOOD_FOR).await?;
        let keys = stored.iter().filter_map(|stored| {
            VerifyingKey::from_bytes(stored.key.as_slice().try_into().ok()?).ok()
        });
        self.known.write().await.keys = Arc::new(keys.collect());
        Ok(())
    }

    /// Fetches the set unless one was asked for after `wanted` or a moment ago.
    ///
    /// # Errors
    /// The last good set stays in use.
    pub async fn refresh(&self, wanted: DateTime<Utc>) -> Result<(), KeysError> {
        let _one_at_a_time = self.fetching.lock().await;
        let (now, asked) = (self.clock.now(), Instant::now());
        {
            let mut known = self.known.write().await;
            let fresh = known
                .fetched_at(now)
                .is_some_and(|fetched| fetched > wanted);
            let soon = known
                .tried
                .is_some_and(|tried| asked - tried < MIN_INTERVAL);
            if fresh || soon {
                return Ok(());
            }
            known.tried = Some(asked);
        }
        let served = tokio::time::timeout(FETCH_TIMEOUT, self.client.jwks().fetch())
            .await
            .map_err(|_| KeysError::Timeout)?
            .map_err(KeysError::Fetch)?;
        let keys: Vec<([u8; 32], Option<String>)> = served
            .ed25519_keys()
            .map(|(kid, key)| (key, Some(kid.to_owned())))
            .collect();
        info!(keys = keys.len(), "fetched the signing keys");
        self.journal.see_keys(&keys).await?;
        self.load().await?;
        let mut known = self.known.write().await;
        (known.fetched_at, known.fetched) = (Some(now), Some(asked));
        Ok(())
    }

    /// Fetches the set where the last one is an hour old, and tells how old it is.
    pub(super) async fn keep_fresh(&self) {
        let age = || async { Some(self.known.read().await.fetched?.elapsed()) };
        if age().await.is_none_or(|age| age > FRESH_FOR)
            && let Err(error) = self.refresh(self.clock.now()).await
        {
            debug!(
                error = &error as &dyn std::error::Error,
                "the signing keys are as old as they were"
            );
        }
        if let Some(age) = age().await {
            gauge!(names::JWKS_AGE).set(age.as_secs_f64());
        }
    }

    /// The verdict on each line. Where no key fits, the set is fetched once more: `failed` means
    /// that no key of a set asked for after `received_at` fits, until then it is `key_unknown`.
    ///
    /// # Errors
    /// Only when the checking thread dies.
    pub async fn verdicts(
        &self,
        lines: Vec<Bytes>,
        received_at: DateTime<Utc>,
    ) -> Result<Vec<Verdict>, CheckError> {
        let (mut checks, mut fetched_at) = self.check(&lines).await?;
        let settled = |fetched_at: Option<DateTime<Utc>>| {
            fetched_at.is_some_and(|fetched_at| fetched_at > received_at)
        };
        if checks.contains(&Check::NoKeyFits) && !settled(fetched_at) {
            if let Err(error) = self.refresh(received_at).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "signing keys are not fresh"
                );
            }
            (checks, fetched_at) = self.check(&lines).await?;
        }
        let no_key = if settled(fetched_at) {
            Verdict::Failed
        } else {
            Verdict::KeyUnknown
        };
        Ok(checks
            .into_iter()
            .map(|check| match check {
                Check::Fits => Verdict::Verified,
                Check::NoKeyFits => no_key,
                Check::NoSignature => Verdict::Failed,
                Check::Unsigned => Verdict::Unsigned,
            })
            .collect())
    }

    async fn check(
        &self,
        lines: &[Bytes],
    ) -> Result<(Vec<Check>, Option<DateTime<Utc>>), CheckError> {
        let (keys, fetched_at) = {
            let known = self.known.read().await;
            (Arc::clone(&known.keys), known.fetched_at(self.clock.now()))
        };
        // The lines are shared, not copied.
        let checks = self.verifier.check(lines.to_vec(), keys).await?;
        Ok((checks, fetched_at))
    }
}
