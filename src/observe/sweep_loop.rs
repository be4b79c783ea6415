//! The loop of one kind of sweep at one portal. Each kind has its own times, failures and line in
//! the health report, and waits for no other.

use std::time::Duration;

use konnect::PortalId;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::observe::health::Failure;
use crate::observe::pending::Extent;
use crate::observe::sweep_kind::SweepKind;
use crate::observe::{ObserveError, Observer, Parts, schedule};

/// One kind of sweep at one portal.
#[derive(Debug)]
pub(super) struct SweepLoop {
    observer: Observer,
    portal: PortalId,
    work: SweepKind,
    /// When the last sweep began.
    began: Option<Instant>,
    /// When the last one of whole lists ended, and how long it took.
    whole: Option<(Instant, Duration)>,
    /// Failed sweeps in a row.
    failures: u32,
    /// Whether the token was refused last, so that this is logged as an error once.
    refused: bool,
}

impl SweepLoop {
    pub(super) fn new(observer: Observer, portal: PortalId, work: SweepKind) -> Self {
        Self {
            observer,
            portal,
            work,
            began: None,
            whole: None,
            failures: 0,
            refused: false,
        }
    }

    /// Runs until the portal is gone and no configuration names it.
    pub(super) async fn run(mut self) {
        let directory = self.observer.parts.directory.clone();
        loop {
            // Begun before the sweep, so that no hint given during it is missed.
            let hinted = directory.hinted();
            self.observer.rate_limit_pause.over().await;
            let wait = match self.run_once().await {
                Ok(wait) => wait,
                Err(ObserveError::PortalGone) if self.observer.parts.portals.is_empty() => {
                    info!(portal.id = %self.portal, "a portal is gone and no longer swept");
                    return;
                }
                Err(error) => self.failed(&error).await,
            };
            tokio::select! {
                // A hint shortens the wait for the next sweep, but not the wait after a failure.
                () = hinted, if self.failures == 0 && self.work != SweepKind::Sweep => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sweeps if that is due; returns how long to wait for the next time.
    async fn run_once(&mut self) -> Result<Duration, ObserveError> {
        let Parts {
            directory, config, ..
        } = &*self.observer.parts;
        let state = directory.sweep_state(self.portal).await?;
        let since_sweep = self.began.map(|at| at.elapsed());
        let gone_after = self.observer.timings.gone_after;
        let wait = schedule::wait(self.work, &state, config, gone_after, since_sweep);
        if !wait.is_zero() {
            return Ok(wait);
        }
        let began = Instant::now();
        self.began = Some(began);
        let whole = self.whole.map(|(at, took)| (at.elapsed(), took));
        let extent = schedule::extent(whole);
        let sweep = self
            .observer
            .run_sweep(self.portal, self.work.scope(), extent);
        let stored = sweep.await?;
        // A sweep that left something has not read them all.
        if extent == Extent::Whole && !stored.is_partial {
            self.whole = Some((Instant::now(), began.elapsed()));
        }
        debug!(
            portal.id = %self.portal,
            work = self.work.as_str(),
            differences = stored.differences,
            "swept a portal"
        );
        self.succeeded();
        Ok(Duration::ZERO)
    }

    fn succeeded(&mut self) {
        if self.failures > 0 {
            info!(
                portal.id = %self.portal,
                work = self.work.as_str(),
                failures = self.failures,
                "sweeping the portal works again"
            );
        }
        self.failures = 0;
        self.refused = false;
        let now = self.observer.parts.clock.now();
        self.observer
            .health
            .succeeded(self.portal, self.work.as_str(), now);
    }

    async fn failed(&mut self, error: &ObserveError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let first = !error.is_refused() || !self.refused;
        self.refused = error.is_refused();
        let work = self.work.as_str();
        report(
            first,
            error,
            &format!("could not sweep portal {} ({work})", self.portal),
        );
        let Parts {
            directory, clock, ..
        } = &*self.observer.parts;
        let failure = Failure {
            told: error.plain(),
            is_refused: error.is_refused(),
        };
        let health = &self.observer.health;
        health.failed(self.portal, work, failure, clock.now());
        let chain = error.chain();
        let kept = directory.sweep_failed(self.portal, self.work.scope(), &chain);
        if let Err(unsaid) = kept.await {
            debug!(error = unsaid.chain(), "could not store why a sweep failed");
        }
        schedule::backoff(self.failures, error.retry_after())
    }
}

/// Logs in one line what went wrong: a refused token as an error, but only the first time.
pub(super) fn report(first: bool, error: &ObserveError, what: &str) {
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
