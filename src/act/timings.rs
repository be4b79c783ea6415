//! The times of the worker. Reads no clock.

use std::time::Duration;

use crate::act::backoff::Backoff;

/// The times of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// How often a paused worker checks whether its token is accepted again, and how often one deed
    /// of a forbidden kind is tried.
    pub probe_every: Duration,
    /// Longest time for one attempt as a whole.
    pub attempt: Duration,
    /// How long a claim lasts without renewal, which comes three times as often: the actions of a
    /// crashed worker wait that long.
    pub lease: Duration,
    /// How often the queue is polled when nothing wakes the worker.
    pub poll: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            probe_every: Duration::from_secs(30),
            attempt: Duration::from_secs(45),
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            backoff: Backoff::default(),
        }
    }
}
