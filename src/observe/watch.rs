//! The loops: one finds the portals, one for each portal looks when it is time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use konnect::PortalId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::directory::Scope;
use crate::journal::Lease;
use crate::lifecycle::{Lifecycle, pause};
use crate::observe::{ObserveError, Observer, Parts, pace};

/// How long a lease is held without renewal: an instance that died is replaced after that.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// Between renewals, also during a look.
const LEASE_RENEWED_EVERY: Duration = Duration::from_secs(10);
/// Between tries to get a lease that another instance holds.
const LEASE_TRIED_EVERY: Duration = Duration::from_secs(5);
/// Hints of other instances are seen after at most this time; own ones at once.
const STATE_READ_EVERY: Duration = Duration::from_millis(500);

impl Observer {
    /// Looks at every portal until `lifecycle` ends; each has a task of its own, so that trouble
    /// with one does not touch the others. Portals that appear later are found hourly; one that is
    /// gone is no longer looked at until it is listed again, unless it is configured.
    pub async fn run(self, lifecycle: Lifecycle) {
        let cancel = lifecycle.stopping();
        let watched = Arc::new(Mutex::new(BTreeSet::new()));
        let mut failures = 0;
        while !cancel.is_cancelled() {
            let found = tokio::select! {
                () = cancel.cancelled() => return,
                found = self.portals() => found,
            };
            let wait = match found {
                Ok(portals) => {
                    failures = 0;
                    self.health.discovered(Ok(()));
                    for portal in portals {
                        if in_hand(&watched).insert(portal) {
                            let watch = self.clone().watch(portal, cancel.clone());
                            let watched = Arc::clone(&watched);
                            lifecycle.spawn("observe", async move {
                                watch.await;
                                in_hand(&watched).remove(&portal);
                            });
                        }
                    }
                    self.parts.config.all_every
                }
                Err(error) => {
                    failures += 1;
                    let plain = error.plain();
                    tell(failures == 1, &error, "could not list the portals");
                    self.health
                        .discovered(Err(format!("could not list the portals: {plain}")));
                    pace::backoff(failures, error.retry_after())
                }
            };
            pause(wait, &cancel).await;
        }
    }

    async fn watch(self, portal: PortalId, cancel: CancellationToken) {
        let mut watch = Watch {
            lease: Lease {
                name: format!("observe:{portal}"),
                holder: self.parts.holder,
                ttl: LEASE_TTL,
            },
            observer: self,
            portal,
            renewed: None,
            last_look: None,
            failures: 0,
            refused: false,
            is_over: false,
        };
        let directory = watch.observer.parts.directory.clone();
        loop {
            // Begun before the turn, so that no hint given during it is slept through.
            let hinted = directory.hinted();
            let wait = tokio::select! {
                () = cancel.cancelled() => break,
                wait = watch.turn() => wait,
            };
            if watch.is_over {
                break;
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                // A hint shortens the wait for the next turn, but not the wait after a failure.
                () = hinted, if watch.failures == 0 => {}
                _ = pause(wait, &cancel) => {}
            }
        }
        if watch.renewed.is_some()
            && let Err(error) = watch.observer.parts.journal.give_up(&watch.lease).await
        {
            debug!(error = error.chain(), "could not give up a lease");
        }
    }
}

/// The state of one portal's loop.
struct Watch {
    observer: Observer,
    portal: PortalId,
    lease: Lease,
    /// When the lease was last had; none while another instance has it.
    renewed: Option<Instant>,
    /// When the last look began.
    last_look: Option<Instant>,
    /// Failed looks in a row.
    failures: u32,
    /// Whether the token was refused last, so that this is said loudly once.
    refused: bool,
    /// Whether the portal is gone, and nobody said that it should be there.
    is_over: bool,
}

impl Watch {
    /// Looks if that is due and ours to do; returns how long to wait for the next turn.
    async fn turn(&mut self) -> Duration {
        match self.try_turn().await {
            Ok(wait) => wait,
            Err(error) => self.failed(&error).await,
        }
    }

    async fn try_turn(&mut self) -> Result<Duration, ObserveError> {
        if !self.hold_lease().await? {
            return Ok(LEASE_TRIED_EVERY);
        }
        let Parts {
            directory, config, ..
        } = &*self.observer.parts;
        let state = directory.look_state(self.portal).await?;
        let since_look = self.last_look.map(|at| at.elapsed());
        let Some(scope) = pace::due(&state, config, since_look) else {
            return Ok(STATE_READ_EVERY);
        };
        self.last_look = Some(Instant::now());
        if self.look(scope).await? {
            self.succeeded();
        }
        Ok(Duration::ZERO)
    }

    /// Has the lease, renewed if that is due.
    async fn hold_lease(&mut self) -> Result<bool, ObserveError> {
        if self
            .renewed
            .is_some_and(|at| at.elapsed() < LEASE_RENEWED_EVERY)
        {
            return Ok(true);
        }
        let held = self.observer.parts.journal.hold(&self.lease).await?;
        if !held && self.renewed.is_some() {
            self.observer.health.passed_on(self.portal);
        }
        self.renewed = held.then(Instant::now);
        Ok(held)
    }

    /// Looks, and renews the lease meanwhile; `false` when the lease was lost, and the look is
    /// left to whoever has it.
    async fn look(&mut self, scope: Scope) -> Result<bool, ObserveError> {
        let observer = self.observer.clone();
        let look = observer.sweep_once(self.portal, scope);
        tokio::pin!(look);
        let beside = answer_hints(self.observer.clone(), self.portal);
        tokio::pin!(beside);
        loop {
            tokio::select! {
                () = &mut beside, if scope == Scope::All => {}
                outcome = &mut look => {
                    let stored = outcome?;
                    debug!(
                        portal.id = %self.portal,
                        scope = scope.as_str(),
                        differences = stored.differences,
                        "looked at a portal"
                    );
                    return Ok(true);
                }
                () = tokio::time::sleep(LEASE_RENEWED_EVERY) => {
                    self.renewed = None;
                    if !self.hold_lease().await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn succeeded(&mut self) {
        if self.failures > 0 {
            info!(portal.id = %self.portal, failures = self.failures, "looking at the portal works again");
        }
        self.failures = 0;
        self.refused = false;
        let now = self.observer.parts.clock.now();
        self.observer.health.succeeded(self.portal, now);
    }

    async fn failed(&mut self, error: &ObserveError) -> Duration {
        let is_configured = !self.observer.parts.portals.is_empty();
        if matches!(error, ObserveError::PortalGone) && !is_configured {
            info!(portal.id = %self.portal, "a portal is gone and no longer looked at");
            self.is_over = true;
            self.observer.health.passed_on(self.portal);
            return Duration::ZERO;
        }
        self.failures = self.failures.saturating_add(1);
        let first = !error.is_refused() || !self.refused;
        self.refused = error.is_refused();
        tell(
            first,
            error,
            &format!("could not look at portal {}", self.portal),
        );
        let Parts {
            directory, clock, ..
        } = &*self.observer.parts;
        self.observer
            .health
            .failed(self.portal, error.plain(), clock.now());
        if let Err(unsaid) = directory.look_failed(self.portal, &error.chain()).await {
            debug!(error = unsaid.chain(), "could not keep why a look failed");
        }
        pace::backoff(self.failures, error.retry_after())
    }
}

/// Answers hints by short looks while a look at everything goes on, which may take minutes and shows
/// only what was there when it began. Never ends. Trouble is for the look at everything to tell.
async fn answer_hints(observer: Observer, portal: PortalId) {
    let directory = &observer.parts.directory;
    loop {
        let hinted = directory.hinted();
        match directory.look_state(portal).await {
            Ok(state) if state.hinted => {
                if let Err(error) = observer.sweep_once(portal, Scope::Pending).await {
                    debug!(portal.id = %portal, error = error.chain(), "could not answer a hint");
                }
                tokio::time::sleep(pace::HINTED_EVERY).await;
            }
            Ok(_) => {
                tokio::select! {
                    () = hinted => {}
                    () = tokio::time::sleep(STATE_READ_EVERY) => {}
                }
            }
            Err(error) => {
                debug!(portal.id = %portal, error = error.chain(), "could not see what is hinted");
                tokio::time::sleep(pace::HINTED_EVERY).await;
            }
        }
    }
}

/// The portals that are watched.
fn in_hand(watched: &Mutex<BTreeSet<PortalId>>) -> MutexGuard<'_, BTreeSet<PortalId>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says in one line what went wrong: a refused token loudly, but only the first time.
fn tell(first: bool, error: &ObserveError, what: &str) {
    let chain = error.chain();
    match (error.is_refused(), first) {
        (true, true) => error!(
            error = chain,
            "{what}: the token is refused, a human must help"
        ),
        (true, false) => debug!(error = chain, "{what}"),
        (false, _) => warn!(error = chain, "{what}"),
    }
}
