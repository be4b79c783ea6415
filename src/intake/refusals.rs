//! Deliveries of authorised senders that got no 2xx: what they brought may be missing. They are
//! kept here until somebody writes them down.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Deliveries that were not taken, since they were last asked for. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<Option<RefusedDeliveries>>>);

/// Deliveries that were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedDeliveries {
    /// The first of them.
    pub first: Instant,
    /// The last of them.
    pub last: Instant,
    /// How many.
    pub times: u32,
    /// What the last one was answered; none where the connection ended without an answer.
    pub status: Option<u16>,
}

impl RefusedDeliveries {
    /// Both together; `later` came after these.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            first: self.first.min(later.first),
            last: self.last.max(later.last),
            times: self.times.saturating_add(later.times),
            status: later.status,
        }
    }
}

impl Refusals {
    /// A delivery is being taken. Unless it is [`answered`](Delivery::answered) with 2xx, it was
    /// not.
    pub fn delivery(&self) -> Delivery {
        Delivery {
            refusals: self.clone(),
            status: None,
        }
    }

    /// Those since the last call.
    pub fn take(&self) -> Option<RefusedDeliveries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, status: Option<u16>) {
        let now = Instant::now();
        let one = RefusedDeliveries {
            first: now,
            last: now,
            times: 1,
            status,
        };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(match held.take() {
            Some(earlier) => earlier.and(one),
            None => one,
        });
    }
}

/// A delivery that is being taken. Dropped without an answer, it counts as not taken.
#[derive(Debug)]
pub struct Delivery {
    refusals: Refusals,
    status: Option<u16>,
}

impl Delivery {
    /// It is answered with `status`.
    pub fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let is_taken = self
            .status
            .is_some_and(|status| (200..300).contains(&status));
        if !is_taken {
            self.refusals.note(self.status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_was_not_taken() {
        let refusals = Refusals::default();
        refusals.delivery().answered(200);
        refusals.delivery().answered(202);
        assert_eq!(refusals.take(), None);
        refusals.delivery().answered(429);
        drop(refusals.delivery());
        refusals.delivery().answered(500);
        let refused = refusals.take().unwrap();
        assert_eq!((refused.times, refused.status), (3, Some(500)));
        assert_eq!(refusals.take(), None);
    }
}
