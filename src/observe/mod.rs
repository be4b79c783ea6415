//! Looks at the API: pending ones often, everything at times, and soon after a hint.
//!
//! One instance looks at a portal at a time (a lease), by loops that go on beside each other (`turns`). Decides nothing and writes nothing to the
//! API; what a look shows goes to the directory, which tells the journal what differs.

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
    /// Holds the leases.
    pub journal: Journal,
    /// Keeps what was seen.
    pub directory: Directory,
    /// Calls the API within its rate limit.
    pub client: Client,
    /// How often to look.
    pub config: ObserveConfig,
    /// The portals to look at; empty means every portal that the token sees.
    pub portals: Vec<PortalId>,
    /// Times of the health report.
    pub clock: Clock,
    /// This instance, as the holder of leases.
    pub holder: Uuid,
}

/// Times that nobody but tests sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Between lists of the portals.
    pub portals_every: Duration,
    /// Between the two direct reads that an object which is gone is not found by; zero is one read.
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

/// Looks at portals. Cheap to clone.
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
    /// An observer that looks at nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            health: Health::default(),
            rate_limit_pause: Arc::default(),
            timings: Timings::default(),
            by_scope: Arc::default(),
        }
    }

    /// The same with a client for the looks of each scope, so that they share a rate by classes.
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

    /// How looking goes, for `/readyz`; shared with this observer.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The portals to look at: those configured, else all that the token sees.
    pub async fn portals(&self) -> Result<Vec<PortalId>, ObserveError> {
        if !self.parts.portals.is_empty() {
            return Ok(self.parts.portals.clone());
        }
        let list = ListPortals::default();
        let listed = self.parts.client.portals().list(&list).await;
        let portals = listed.map_err(|error| self.note_rate_limit(error.into()))?;
        Ok(portals.into_iter().map(|portal| portal.id).collect())
    }

    /// Looks once at `portal` and stores what was seen: at the pending ones and at what somebody
    /// changed, or at everything. Needs no lease: looks that overlap are told apart by their
    /// numbers, and a difference becomes an event once.
    ///
    /// A look at the pending ones stays short: of many changes it reads the newest, the next one goes on.
    ///
    /// # Errors
    /// A look that failed counts for none. What it showed and is no news may have been stored; that of
    /// [`ObserveError::PortalGone`] has been.
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

    /// Takes one look: [`Scope::Direct`] is one at what somebody changed.
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

    /// Says what could not be read and what is held back: in the log once, in the health report until
    /// it is over.
    fn report(&self, snapshot: &Snapshot, withheld: Option<String>) {
        let unread = snapshot.unread.iter().map(ToString::to_string);
        let lines = unread.chain(withheld).collect();
        for line in self.health.notes(snapshot.portal_id, snapshot.scope, lines) {
            warn!(portal.id = %snapshot.portal_id, "until the next look: {line}");
        }
    }

    /// Lets every loop wait where the API asks for it.
    fn note_rate_limit(&self, error: ObserveError) -> ObserveError {
        if let Some(wait) = error.rate_limit() {
            self.rate_limit_pause.ask(wait);
        }
        error
    }
}
