//! The part of the queue's capacity that a request has until it is answered.

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// The part of the queue's capacity that one request has. Dropping it frees the part.
#[derive(Debug)]
pub(super) struct QueueSlot {
    answer_by: Instant,
    _permit: OwnedSemaphorePermit,
}

impl QueueSlot {
    /// A slot that has the capacity of `permit`.
    pub(super) fn new(answer_by: Instant, permit: OwnedSemaphorePermit) -> Self {
        Self {
            answer_by,
            _permit: permit,
        }
    }

    /// After this the sender is asked to wait.
    pub(super) fn answer_by(&self) -> Instant {
        self.answer_by
    }
}
