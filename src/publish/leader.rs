//! One instance at a time is the leader of a reader: it takes the lease, renews it, and releases
//! it. Knows nothing of the work.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::journal::{Claims, Journal, Lease, Progress};
use crate::lifecycle::pause;
use crate::publish::trouble::{Recovery, Trouble};

/// What another instance waits for after a kill. Longer than a message may be under way to Kafka,
/// and long enough for three renewals to fail.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// A leader that could not renew the lease counts it as lost this long before others do.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// Between attempts of an instance that does not have the lease.
const STANDBY: Duration = Duration::from_secs(1);
/// Between polls of an empty outbox. An append of this process ends the wait.
const IDLE: Duration = Duration::from_millis(500);
/// Work that waits longer for one thing stands still, and its lease is not renewed: another
/// instance may do better.
const STALLED_AFTER: Duration = Duration::from_secs(20);
/// For the last writes to the database at the end.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// The work of the leader.
pub(super) trait LeaderTask {
    /// How long it may wait for one thing.
    const STALLED_AFTER: Duration = STALLED_AFTER;

    /// Its claims, to be renewed as long as it advances.
    fn claims(&self) -> Option<&Claims> {
        None
    }

    /// Works until `stopping` or `lost` fires, and sends nothing once `lost` did.
    fn run_as_leader(
        &self,
        trouble: &mut Trouble,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) -> impl Future<Output = ()> + Send;
}

/// The leadership of this instance for one piece of work.
#[derive(Debug)]
pub(super) struct Leadership {
    journal: Journal,
    lease: Lease,
}

impl Leadership {
    pub(super) fn new(journal: Journal, name: String, holder: Uuid) -> Self {
        let lease = Lease {
            name,
            holder,
            ttl: LEASE_TTL,
        };
        Self { journal, lease }
    }

    /// Works whenever this instance has the lease, until `stopping` fires.
    pub(super) async fn run(
        &self,
        work: &(impl LeaderTask + Sync),
        trouble: &mut Trouble,
        stopping: &CancellationToken,
    ) {
        while !stopping.is_cancelled() {
            let asked = Instant::now();
            let wait = match self.journal.take_lease(&self.lease).await {
                Ok(true) => {
                    self.lead_until_lost(asked, work, trouble, stopping).await;
                    Duration::ZERO
                }
                Ok(false) => {
                    trouble.over("another instance sends");
                    STANDBY
                }
                Err(error) => trouble.report(&error, Recovery::Passing),
            };
            pause(wait, stopping).await;
        }
    }

    /// Works as long as the instance has the lease, and then releases it.
    async fn lead_until_lost<W: LeaderTask + Sync>(
        &self,
        held_since: Instant,
        work: &W,
        trouble: &mut Trouble,
        stopping: &CancellationToken,
    ) {
        info!(lease = self.lease.name, "this instance is the leader now");
        let lost = CancellationToken::new();
        let done = CancellationToken::new();
        let progress = Progress::now();
        // Each is polled only when it is woken, else a renewal would count as progress.
        let mut both = FuturesUnordered::<BoxFuture<'_, ()>>::new();
        both.push(Box::pin(async {
            let progress = (&progress, W::STALLED_AFTER);
            let keep_lease = self.keep_lease(held_since, progress, &lost, &done);
            match work.claims() {
                Some(claims) => tokio::select! {
                    () = keep_lease => {}
                    never = claims.keep(progress.0, progress.1) => match never {},
                },
                None => keep_lease.await,
            }
        }));
        both.push(Box::pin(async {
            progress
                .with(work.run_as_leader(trouble, stopping, &lost))
                .await;
            done.cancel();
        }));
        while both.next().await.is_some() {}
        drop(both);
        // Without an answer the lease expires by itself.
        if let Ok(Err(error)) = timeout(LAST_WRITES, self.journal.release_lease(&self.lease)).await
        {
            warn!(error = error.chain(), "could not give the lease up");
        }
    }

    /// Renews the lease until `done`; cancels `lost` when another instance has it, or may have it.
    async fn keep_lease(
        &self,
        held_since: Instant,
        (progress, at_most): (&Progress, Duration),
        lost: &CancellationToken,
        done: &CancellationToken,
    ) {
        let mut renewed = held_since;
        while !pause(RENEW_EVERY, done).await {
            if progress.ago() > at_most {
                warn!(
                    lease = self.lease.name,
                    "the work stands still, its lease ends"
                );
                lost.cancel();
                return;
            }
            let asked = Instant::now();
            let ends = renewed + LEASE_TTL - LEASE_MARGIN;
            match timeout_at(ends, self.journal.take_lease(&self.lease)).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Err(error)) if Instant::now() + RENEW_EVERY < ends => {
                    warn!(error = error.chain(), "could not renew the lease yet");
                }
                Ok(Ok(false) | Err(_)) | Err(_) => {
                    warn!(
                        lease = self.lease.name,
                        "lost the lease; another instance may go on"
                    );
                    lost.cancel();
                    return;
                }
            }
        }
    }
}

/// Waits before the next try.
pub(super) async fn rest(wait: Duration, stopping: &CancellationToken, lost: &CancellationToken) {
    tokio::select! {
        _ = pause(wait, stopping) => {}
        () = lost.cancelled() => {}
    }
}

/// Waits for something to do.
pub(super) async fn idle(
    journal: &Journal,
    stopping: &CancellationToken,
    lost: &CancellationToken,
) {
    tokio::select! {
        () = journal.appended(IDLE) => {}
        () = stopping.cancelled() => {}
        () = lost.cancelled() => {}
    }
}

/// Completes `wait` after `token` fired.
pub(super) async fn after(wait: Duration, token: &CancellationToken) {
    token.cancelled().await;
    tokio::time::sleep(wait).await;
}
