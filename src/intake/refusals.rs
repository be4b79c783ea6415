//! Deliveries of authorised senders that got no 2xx: what they brought may be missing. They are
//! kept here until somebody writes them down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Deliveries that were not taken, since they were last asked for. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    refused: Option<RefusedDeliveries>,
    /// How many are being taken.
    under_way: usize,
}

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
    /// A delivery is being taken. Unless it is answered with 2xx, it was not.
    pub fn delivery(&self) -> Delivery {
        self.noted().under_way += 1;
        Delivery {
            refusals: self.clone(),
            status: None,
        }
    }

    /// Those since the last call.
    pub fn take(&self) -> Option<RefusedDeliveries> {
        self.noted().refused.take()
    }

    /// Whether a delivery is being taken.
    pub fn is_any_under_way(&self) -> bool {
        self.noted().under_way > 0
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery is over, with its status where it was answered.
    fn note_end(&self, status: Option<u16>) {
        let now = Instant::now();
        let mut noted = self.noted();
        noted.under_way = noted.under_way.saturating_sub(1);
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return;
        }
        let one = RefusedDeliveries {
            first: now,
            last: now,
            times: 1,
            status,
        };
        noted.refused = Some(match noted.refused.take() {
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
        self.refusals.note_end(self.status);
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
        assert!(!refusals.is_any_under_way());
        let delivery = refusals.delivery();
        assert!(refusals.is_any_under_way());
        delivery.answered(200);
        assert!(!refusals.is_any_under_way());
        assert_eq!(refusals.take(), None);
    }
}
