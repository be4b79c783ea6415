//! The keys that entries may be signed with, fetched from Konnect when they are needed.
//!
//! Every key ever served stays good for 8 days after it left the set, since replays reach 7 days
//! back. The last good set stays in use when a fetch fails. One fetch runs at a time, and there are
//! seconds between two, however many unknown signatures arrive.

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
use crate::intake::settled::Settled;
use crate::intake::verify::{Check, CheckError, Verifier};
use crate::journal::{Journal, JournalError};
use crate::telemetry::metrics as names;

/// How long a key is accepted after it left the set.
pub(super) const GOOD_FOR: TimeDelta = TimeDelta::days(8);
/// A key's `last_seen` is the last fetch, so keys must be fetched even when no entry needs one.
/// Otherwise a key that leaves the set after months would count as gone since the start of usher.
const FRESH_FOR: Duration = Duration::from_hours(1);
/// Between two fetches, so that a flood of unknown signatures is not passed on to Konnect.
const MIN_INTERVAL: Duration = Duration::from_secs(3);
/// A delivery waits no longer than this for a fetch. Its entries are checked again later.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the set could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Konnect did not serve it.
    #[error("could not fetch the signing keys")]
    Fetch(#[source] konnect::Error),
    /// It did not arrive in time.
    #[error("the signing keys did not arrive in time")]
    Timeout,
    /// The journal did not answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The keys and how fresh they are.
#[derive(Debug)]
pub struct KeyRing {
    client: konnect::Client,
    journal: Journal,
    clock: Clock,
    known: RwLock<KnownKeys>,
    verifier: Verifier,
    /// Locked during a fetch: others wait for the same answer.
    fetching: Mutex<()>,
}

#[derive(Debug, Default)]
struct KnownKeys {
    keys: Arc<Vec<VerifyingKey>>,
    /// When the newest set was asked for.
    fetched_at: Option<DateTime<Utc>>,
    /// The same moment by a clock that nobody sets.
    fetched: Option<Instant>,
    /// When a fetch was last tried, by both clocks.
    tried: Option<(Instant, DateTime<Utc>)>,
    /// An entry that no key fits is forged if it was received before these.
    settled: Settled,
}

impl KnownKeys {
    /// When the newest set was asked for. A time in the future is ignored: the clock was set back
    /// since.
    fn fetched_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.fetched_at.filter(|fetched_at| *fetched_at <= now)
    }
}

impl KeyRing {
    /// A ring without a key. Call [`KeyRing::load`] when the database answers.
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

    /// Loads the keys that were stored before, so that a start does not depend on Konnect.
    pub async fn load(&self) -> Result<(), KeysError> {
        // First, so that the keys of every set counted here are read below.
        let settled = Settled::by(&self.journal.key_fetches().await?);
        let stored = self.journal.keys_seen_within(GOOD_FOR).await?;
        let keys = stored.iter().filter_map(|stored| {
            VerifyingKey::from_bytes(stored.key.as_slice().try_into().ok()?).ok()
        });
        let mut known = self.known.write().await;
        known.keys = Arc::new(keys.collect());
        known.settled = settled;
        Ok(())
    }

    /// Fetches the set, unless one was asked for after `wanted` or a moment ago, or another task's
    /// fetch failed while this one waited.
    ///
    /// # Errors
    /// The last good set stays in use, with the keys that other instances stored.
    pub async fn refresh(&self, wanted: DateTime<Utc>) -> Result<(), KeysError> {
        let came = Instant::now();
        let _one_at_a_time = self.fetching.lock().await;
        let (now, asked) = (self.clock.now(), Instant::now());
        {
            let mut known = self.known.write().await;
            let fresh = known
                .fetched_at(now)
                .is_some_and(|fetched| fetched > wanted);
            // A clock that is set, forward or back, never delays a fetch.
            let soon = known.tried.is_some_and(|(tried, at)| {
                tried >= came
                    || asked - tried < MIN_INTERVAL
                        && (now - at).abs().to_std().is_ok_and(|it| it < MIN_INTERVAL)
            });
            if fresh || soon {
                return Ok(());
            }
            known.tried = Some((asked, now));
        }
        let fetched = self.fetch(now).await;
        let loaded = self.load().await;
        let mut known = self.known.write().await;
        if let Err(error) = fetched.and(loaded) {
            // A task that waited for this fetch does not wait for another.
            known.tried = Some((Instant::now(), self.clock.now()));
            return Err(error);
        }
        (known.fetched_at, known.fetched) = (Some(now), Some(asked));
        Ok(())
    }

    /// Stores the set as Konnect serves it.
    async fn fetch(&self, now: DateTime<Utc>) -> Result<(), KeysError> {
        let served = tokio::time::timeout(FETCH_TIMEOUT, self.client.jwks().fetch())
            .await
            .map_err(|_| KeysError::Timeout)?
            .map_err(KeysError::Fetch)?;
        let mut keys: Vec<([u8; 32], Option<String>)> = served
            .ed25519_keys()
            .map(|(kid, key)| (key, Some(kid.to_owned())))
            .collect();
        // The same order in every instance, so that none waits for another in a circle.
        keys.sort();
        info!(keys = keys.len(), "fetched the signing keys");
        let forgotten = self.known.read().await.settled.before();
        self.journal.see_keys(&keys, now, forgotten).await?;
        Ok(())
    }

    /// Fetches the set where the last one is an hour old, and reports its age.
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

    /// The verdict on each line. Where no key fits, the set is fetched once more. `failed` means
    /// that no key of three sets fits, fetched after `received_at` and over five minutes. Until
    /// then it is `key_unknown`.
    ///
    /// # Errors
    /// Only when the checking thread panics.
    pub async fn verdicts(
        &self,
        lines: Vec<Bytes>,
        received_at: DateTime<Utc>,
    ) -> Result<Vec<Verdict>, CheckError> {
        let (mut checks, mut settled) = self.check(&lines).await?;
        if checks.contains(&Check::NoKeyFits) && !settled.holds_for(received_at) {
            self.refresh_or_warn(received_at).await;
            (checks, settled) = self.check(&lines).await?;
        }
        let verdicts = checks.into_iter();
        let verdicts = verdicts.map(|check| settled.verdict(check, received_at));
        Ok(verdicts.collect())
    }

    /// The verdict on each line that no key fitted so far, given when each was received. The set is
    /// fetched again, so that a key that is served late is found soon.
    ///
    /// # Errors
    /// Only when the checking thread panics.
    pub(super) async fn verdicts_again(
        &self,
        lines: Vec<Bytes>,
        received_at: impl Iterator<Item = DateTime<Utc>>,
    ) -> Result<Vec<Verdict>, CheckError> {
        self.refresh_or_warn(self.clock.now()).await;
        let (checks, settled) = self.check(&lines).await?;
        let verdicts = checks.into_iter().zip(received_at);
        let verdicts = verdicts.map(|(check, received_at)| settled.verdict(check, received_at));
        Ok(verdicts.collect())
    }

    async fn refresh_or_warn(&self, wanted: DateTime<Utc>) {
        if let Err(error) = self.refresh(wanted).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "signing keys are not fresh"
            );
        }
    }

    /// Fetches the set, unless that was tried a moment ago; returns the keys and what they settle.
    pub(super) async fn renewed(&self) -> (Arc<Vec<VerifyingKey>>, Settled) {
        self.refresh_or_warn(self.clock.now()).await;
        self.known().await
    }

    async fn known(&self) -> (Arc<Vec<VerifyingKey>>, Settled) {
        let known = self.known.read().await;
        (Arc::clone(&known.keys), known.settled)
    }

    async fn check(&self, lines: &[Bytes]) -> Result<(Vec<Check>, Settled), CheckError> {
        let (keys, settled) = self.known().await;
        // The lines are shared, not copied.
        let checks = self.verifier.check(lines.to_vec(), keys).await?;
        Ok((checks, settled))
    }
}
