//! Sweeps portals: pending ones often, full ones at intervals, and soon after a hint.
//!
//! One instance sweeps a portal at a time (a lease), by loops that run side by side (`sweep_loop`).
//! Decides nothing and writes nothing to the API. A sweep goes to the directory, which reports the
//! differences to the journal.

mod complete;
mod confirm;
mod error;
mod full_sweep;
mod health;
mod pending;
mod rate_limit_pause;
mod schedule;
mod snapshot;
mod supervisor;
mod sweep_kind;
mod sweep_loop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use konnect::{Client, ListPortals, PortalId};
use metrics::counter;
use tracing::warn;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::ObserveConfig;
use crate::directory::{Directory, Scope, Snapshot, Stored};
use crate::journal::Journal;
use crate::telemetry::metrics as names;

pub use error::ObserveError;
pub use health::{Health, PortalHealth};
pub use snapshot::read;

use pending::Extent;
use rate_limit_pause::RateLimitPause;

/// What an [`Observer`] works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Has the leases.
    pub journal: Journal,
    /// Stores what was read.
    pub directory: Directory,
    /// Calls the API within its rate limit.
    pub client: Client,
    /// How often to sweep.
    pub config: ObserveConfig,
    /// The portals to sweep; empty means every portal that the token can read.
    pub portals: Vec<PortalId>,
    /// Times of the health report.
    pub clock: Clock,
    /// This instance, as the holder of leases.
    pub holder: Uuid,
}

/// Times that only tests change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Between lists of the portals.
    pub portals_every: Duration,
    /// Between the two direct reads that must not find an object before it is gone; zero is one
    /// read.
    pub gone_after: Duration,
    /// The same for a portal.
    pub portal_gone_after: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            portals_every: Duration::from_mins(10),
            gone_after: Duration::from_mins(1),
            portal_gone_after: Duration::from_mins(10),
        }
    }
}

/// Sweeps portals. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    parts: Arc<Parts>,
    health: Health,
    rate_limit_pause: Arc<RateLimitPause>,
    timings: Timings,
    /// The same parts with the client of a scope, where it has one of its own.
    by_scope: Arc<BTreeMap<Scope, Arc<Parts>>>,
}

impl Observer {
    /// An observer that sweeps nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            health: Health::default(),
            rate_limit_pause: Arc::default(),
            timings: Timings::default(),
            by_scope: Arc::default(),
        }
    }

    /// The same with a client for the sweeps of each scope, so that they share a rate by classes.
    #[must_use]
    pub fn with_clients(self, clients: impl IntoIterator<Item = (Scope, Client)>) -> Self {
        let parts = |client| {
            Arc::new(Parts {
                client,
                ..Parts::clone(&self.parts)
            })
        };
        let by_scope = clients
            .into_iter()
            .map(|(scope, client)| (scope, parts(client)))
            .collect();
        Self {
            by_scope: Arc::new(by_scope),
            ..self
        }
    }

    /// The same with other times.
    #[must_use]
    pub fn with_timings(self, timings: Timings) -> Self {
        Self { timings, ..self }
    }

    /// The health of all sweeps, for `/readyz`; shared with this observer.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The portals to sweep: those configured, else all that the token can read.
    pub async fn portals(&self) -> Result<Vec<PortalId>, ObserveError> {
        if !self.parts.portals.is_empty() {
            return Ok(self.parts.portals.clone());
        }
        let list = ListPortals::default();
        let listed = self.parts.client.portals().list(&list).await;
        let portals = listed.map_err(|error| self.note_rate_limit(error.into()))?;
        Ok(portals.into_iter().map(|portal| portal.id).collect())
    }

    /// Sweeps `portal` once and stores the result: a pending sweep with the refresh requests, or a
    /// full one. Needs no lease: sweeps that overlap have different numbers, and a difference
    /// becomes an event once.
    ///
    /// A pending sweep stays short: of many changes it reads the newest, and the next one
    /// continues.
    ///
    /// # Errors
    /// A sweep that failed does not count. Its objects without a difference may have been stored;
    /// the result of [`ObserveError::PortalGone`] has been.
    pub async fn sweep_once(&self, portal: PortalId, scope: Scope) -> Result<Stored, ObserveError> {
        let whole = Extent::Whole;
        let mut stored = self.run_sweep(portal, scope, whole).await?;
        if scope == Scope::Pending {
            stored.differences += self
                .run_sweep(portal, Scope::Direct, whole)
                .await?
                .differences;
        }
        Ok(stored)
    }

    /// Runs one sweep: [`Scope::Direct`] is a refresh.
    #[tracing::instrument(skip_all, fields(portal.id = %portal, scope = scope.as_str()))]
    async fn run_sweep(
        &self,
        portal: PortalId,
        scope: Scope,
        extent: Extent,
    ) -> Result<Stored, ObserveError> {
        let parts = self.by_scope.get(&scope).unwrap_or(&self.parts);
        let observer = Self {
            parts: Arc::clone(parts),
            ..self.clone()
        };
        let outcome = observer.read_and_store(portal, scope, extent).await;
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        counter!(names::SWEEPS, "scope" => scope.as_str(), "outcome" => word).increment(1);
        outcome.map_err(|error| self.note_rate_limit(error))
    }

    async fn read_and_store(
        &self,
        portal: PortalId,
        scope: Scope,
        extent: Extent,
    ) -> Result<Stored, ObserveError> {
        let Parts {
            directory, client, ..
        } = &*self.parts;
        let sweep = directory.begin(portal).await?;
        let read = match scope {
            Scope::All => Box::pin(full_sweep::full_sweep(client, directory, sweep)).await,
            Scope::Pending => Box::pin(pending::pending(client, directory, portal, extent)).await,
            Scope::Direct => Ok(Snapshot::empty(portal, scope)),
        };
        let read = match read {
            Err(ObserveError::Api(error)) if error.is_not_found() => {
                return self.portal_is_missing(sweep, portal, error).await;
            }
            read => read?,
        };
        let (snapshot, withheld) = self.complete(sweep, read).await?;
        let stored = directory.store(sweep, &snapshot).await?;
        self.report(&snapshot, withheld);
        Ok(stored)
    }

    /// Reports what could not be read and which absences are withheld: in the log once, in the
    /// health report until it is over.
    fn report(&self, snapshot: &Snapshot, withheld: Option<String>) {
        let unread = snapshot.unread.iter().map(ToString::to_string);
        let lines = unread.chain(withheld).collect();
        for line in self.health.notes(snapshot.portal_id, snapshot.scope, lines) {
            warn!(portal.id = %snapshot.portal_id, "until the next sweep: {line}");
        }
    }

    /// Makes every loop wait as long as the API asks for.
    fn note_rate_limit(&self, error: ObserveError) -> ObserveError {
        if let Some(wait) = error.rate_limit() {
            self.rate_limit_pause.ask(wait);
        }
        error
    }
}
