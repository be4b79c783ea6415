//! Start and end of the process: one task tracker, and cancellation in two steps.
//!
//! Soft cancellation asks every loop to finish what it has begun; hard cancellation, at most
//! [`GRACE`] later, has it stop at once. Every task of usher is spawned here.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info, info_span, warn};
use uuid::Uuid;

/// How long accepted work may take after a request to stop.
pub const GRACE: Duration = Duration::from_secs(10);

/// Gives out cancellation and counts the tasks that must end before the process does.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// A lifecycle that nothing has asked to end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled as soon as the process is asked to stop: take no new work.
    pub fn stopping(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the grace period is over: stop at once.
    pub fn ended(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Runs `task` until it ends; shutdown waits for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of spawning, behind the tracker"
    )]
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        tokio::spawn(
            self.tracker
                .track_future(task.instrument(info_span!("task", name))),
        )
    }

    /// Asks everything to stop; returns at once.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Asks everything to stop and waits for it, at most [`GRACE`] and a moment for the hard end.
    pub async fn shut_down(&self) {
        self.soft.cancel();
        self.tracker.close();
        if tokio::time::timeout(GRACE, self.tracker.wait())
            .await
            .is_err()
        {
            warn!(
                grace_ms = 10_000,
                "some tasks did not finish within the grace period"
            );
            self.hard.cancel();
            if tokio::time::timeout(Duration::from_secs(1), self.tracker.wait())
                .await
                .is_err()
            {
                warn!("some tasks did not let go and are dropped");
            }
        }
    }

    /// Completes when the operating system asks the process to end (SIGTERM or Ctrl-C).
    pub async fn signalled() -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => info!(signal = "SIGTERM", "asked to stop"),
            result = tokio::signal::ctrl_c() => {
                result?;
                info!(signal = "SIGINT", "asked to stop");
            }
        }
        Ok(())
    }
}

/// SIGHUPs, which do not end the process once something receives them.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Receives them from now on.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn listen() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Calls `heard` for each until `cancel` fires; those that come close together count once.
    pub async fn each(mut self, heard: impl Fn(), cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                next = self.0.recv() => match next {
                    Some(()) => heard(),
                    None => return,
                },
            }
        }
    }
}

/// Waits for `duration`, or less when `cancel` fires; `true` if it was cut short.
pub async fn pause(duration: Duration, cancel: &CancellationToken) -> bool {
    tokio::select! {
        () = cancel.cancelled() => true,
        () = tokio::time::sleep(duration) => false,
    }
}

/// The wait after so many failures in a row: `first` after one, twice as long after each further
/// one, and never longer than `longest`.
pub fn backoff(first: Duration, failures: u32, longest: Duration) -> Duration {
    let doublings = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(doublings).min(longest)
}

/// Shortens a wait by up to half, so that those who failed together do not return together. The
/// last byte of an id is random.
pub fn spread(wait: Duration, id: Uuid) -> Duration {
    let [.., random] = id.into_bytes();
    wait.saturating_sub(wait / 2 * u32::from(random) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_mins(5));
        let waits = (0..=11).map(|failures| backoff(first, failures, longest).as_secs());
        let expected = [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        assert_eq!(waits.collect::<Vec<_>>(), expected);
        assert_eq!(backoff(first, u32::MAX, longest), longest);
    }

    #[test]
    fn a_spread_takes_at_most_half_of_the_wait() {
        let wait = Duration::from_secs(4);
        assert_eq!(spread(wait, Uuid::nil()), wait);
        assert_eq!(spread(wait, Uuid::max()), wait / 2);
        for byte in 0..=255 {
            let spread = spread(wait, Uuid::from_u128(byte));
            assert!(wait / 2 <= spread && spread <= wait, "{spread:?}");
        }
    }
}
