//! The wait that the API asked for: a 429 counts for every caller with the same token.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Stands for a wait that no clock can count.
const FOREVER: Duration = Duration::from_hours(30 * 24);

/// Until when no sweep begins. The longest wait that was asked for counts.
#[derive(Debug, Default)]
pub(super) struct RateLimitPause(Mutex<Option<Instant>>);

impl RateLimitPause {
    /// No sweep begins for so long.
    pub(super) fn ask(&self, wait: Duration) {
        let until = Instant::now() + wait.min(FOREVER);
        let mut quiet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = (*quiet).max(Some(until));
    }

    /// Completes when no sweep has to wait any more.
    pub(super) async fn over(&self) {
        while let Some(until) = self.until().filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
