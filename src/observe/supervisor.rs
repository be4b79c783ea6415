//! Finds the portals. The instance that has the lease of one sweeps it, by loops that run side by
//! side.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use konnect::PortalId;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::journal::{JournalError, Lease};
use crate::lifecycle::{Lifecycle, pause};
use crate::observe::health::Failure;
use crate::observe::sweep_kind::SweepKind;
use crate::observe::sweep_loop::{SweepLoop, report};
use crate::observe::{ObserveError, Observer, schedule};

/// How long a lease lasts without renewal: after that, another instance replaces one that died.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// Between renewals.
const LEASE_RENEWED_EVERY: Duration = Duration::from_secs(10);
/// Between tries to get a lease that another instance has, or to renew one after an error.
const LEASE_TRIED_EVERY: Duration = Duration::from_secs(5);
/// The line of the health report about leases.
const LEASE: &str = "lease";

impl Observer {
    /// Sweeps every portal until `lifecycle` ends; each has a task of its own, so that an error of
    /// one does not affect the others. New portals are found within minutes. One that is gone is no
    /// longer swept until it is listed again, unless it is configured.
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
                    self.timings.portals_every
                }
                Err(error) => {
                    failures += 1;
                    let plain = error.plain();
                    report(failures == 1, &error, "could not list the portals");
                    self.health.discovered(Err(Failure {
                        told: format!("could not list the portals: {plain}"),
                        is_refused: error.is_refused(),
                    }));
                    schedule::backoff(failures, error.retry_after())
                }
            };
            pause(wait, &cancel).await;
        }
    }

    async fn watch(self, portal: PortalId, cancel: CancellationToken) {
        let mut watch = PortalSupervisor {
            lease: Lease {
                name: format!("observe:{portal}"),
                holder: self.parts.holder,
                ttl: LEASE_TTL,
            },
            observer: self,
            portal,
            held: None,
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = watch.until_gone() => watch.observer.health.passed_on(portal),
        }
        if watch.held.is_some()
            && let Err(error) = watch
                .observer
                .parts
                .journal
                .release_lease(&watch.lease)
                .await
        {
            debug!(error = error.chain(), "could not give up a lease");
        }
    }
}

/// One portal, and the lease to sweep it.
struct PortalSupervisor {
    observer: Observer,
    portal: PortalId,
    lease: Lease,
    /// When this instance last had the lease; none while another instance has it.
    held: Option<Instant>,
}

impl PortalSupervisor {
    /// Sweeps while this instance has the lease, until the portal is gone and no configuration
    /// names it.
    async fn until_gone(&mut self) {
        let mut failures = 0;
        loop {
            match self.keep_lease().await {
                Ok(true) => {
                    failures = 0;
                    if self.sweep_until_lost().await {
                        return;
                    }
                }
                Ok(false) => {
                    failures = 0;
                    sleep(LEASE_TRIED_EVERY).await;
                }
                Err(error) => {
                    failures += 1;
                    self.could_not_keep_lease(error);
                    sleep(schedule::backoff(failures, None)).await;
                }
            }
        }
    }

    /// Sweeps as long as this instance has the lease; `true` when the portal is gone.
    async fn sweep_until_lost(&mut self) -> bool {
        let (observer, portal) = (self.observer.clone(), self.portal);
        let run = |work| Box::pin(SweepLoop::new(observer.clone(), portal, work).run());
        let (refresh, pending, sweep) = (
            run(SweepKind::Refresh),
            run(SweepKind::Pending),
            run(SweepKind::Sweep),
        );
        tokio::select! {
            () = refresh => true,
            () = pending => true,
            () = sweep => true,
            () = self.until_lost() => false,
        }
    }

    /// Renews the lease until another instance has it, or it is no longer known whether one has.
    async fn until_lost(&mut self) {
        let mut wait = LEASE_RENEWED_EVERY;
        loop {
            sleep(wait).await;
            wait = match self.keep_lease().await {
                Ok(true) => LEASE_RENEWED_EVERY,
                Ok(false) => return,
                Err(error) => {
                    self.could_not_keep_lease(error);
                    if self.held.is_none_or(|at| at.elapsed() >= LEASE_TTL) {
                        return;
                    }
                    LEASE_TRIED_EVERY
                }
            };
        }
    }

    /// Takes or renews the lease.
    async fn keep_lease(&mut self) -> Result<bool, JournalError> {
        let held = self.observer.parts.journal.take_lease(&self.lease).await?;
        if held {
            self.observer.health.mended(self.portal, LEASE);
        } else if self.held.is_some() {
            self.observer.health.passed_on(self.portal);
        }
        self.held = held.then(Instant::now);
        Ok(held)
    }

    fn could_not_keep_lease(&self, error: JournalError) {
        let error = ObserveError::Store(error);
        report(
            true,
            &error,
            &format!("could not renew the lease of portal {}", self.portal),
        );
        let failure = Failure {
            told: error.plain(),
            is_refused: false,
        };
        let now = self.observer.parts.clock.now();
        let health = &self.observer.health;
        health.failed(self.portal, LEASE, failure, now);
    }
}

/// The portals that have a supervisor.
fn in_hand(watched: &Mutex<BTreeSet<PortalId>>) -> MutexGuard<'_, BTreeSet<PortalId>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}
