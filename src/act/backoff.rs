//! How long to wait before the next attempt. Pure.

use std::time::Duration;

use uuid::Uuid;

use crate::lifecycle::{backoff, spread};

/// The waits of an action between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait before the second attempt; it doubles from then on.
    pub first: Duration,
    /// Longest of all waits.
    pub longest: Duration,
    /// Attempts in all at an API that answers, but wrongly; after them the action failed.
    pub attempts: i32,
    /// How long an action waits for an API or a network in trouble; after that, an action that
    /// gives something failed.
    pub patience: Duration,
}

impl Default for Backoff {
    /// An outage of the API of a week fails no action.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(5),
            attempts: 20,
            patience: Duration::from_hours(7 * 24),
        }
    }
}

impl Backoff {
    /// The wait after attempt number `made`. `id` spreads actions that failed together.
    pub(super) fn wait(&self, made: i32, id: Uuid) -> Duration {
        let failures = u32::try_from(made).unwrap_or_default();
        spread(backoff(self.first, failures, self.longest), id)
    }
}
