//! Whether the server's disk is full. It answers questions then, so that asking it would not tell.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::JournalError;

/// So long after a refusal, writing is worth another try.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What the last transactions met.
#[derive(Debug, Default)]
pub(super) struct Fullness(Mutex<Option<Instant>>);

impl Fullness {
    /// A transaction was committed, or failed.
    pub(super) fn note<T>(&self, outcome: &Result<T, JournalError>) {
        let refused_at = match outcome {
            Ok(_) => None,
            Err(error) if error.is_disk_full() => Some(Instant::now()),
            Err(_) => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = refused_at;
    }

    /// Whether the disk was full a moment ago, and nothing could be written since.
    pub(super) fn is_full(&self) -> bool {
        let refused_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused_at.is_some_and(|at| at.elapsed() < TRY_AGAIN_AFTER)
    }
}
