//! Whether the last batches were those of a replay, which shows what the next ones will contain.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many batches are expected to be like the last one: a replay sends more of its kind.
const LASTS: u32 = 16;
/// One known row in so many makes a replay. A query for a row costs a fifth of the check of its
/// signature, so that querying all of them pays from about there.
const KNOWN_ONE_IN: usize = 4;

/// Batches whose events are queried before anything is done with them.
#[derive(Debug, Default)]
pub(in crate::journal) struct ReplayDetector(AtomicU32);

impl ReplayDetector {
    /// Whether known events are likely to come.
    pub(super) fn are_expected(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Notes a batch of `rows` rows, of which `known` were stored before.
    pub(super) fn note_batch(&self, rows: usize, known: usize) {
        let left = if known * KNOWN_ONE_IN >= rows.max(1) {
            LASTS
        } else {
            // Two writers may both count down from 1: the second leaves it at 0.
            self.0.load(Ordering::Relaxed).saturating_sub(1)
        };
        self.0.store(left, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_known_events_makes_a_replay_that_lasts_a_while() {
        let replays = ReplayDetector::default();
        replays.note_batch(1_000, 249);
        assert!(!replays.are_expected(), "retries among new events are none");
        replays.note_batch(1_000, 250);
        for left in (0..LASTS).rev() {
            assert!(replays.are_expected(), "{left} batches left");
            replays.note_batch(1_000, 0);
        }
        assert!(!replays.are_expected());
        replays.note_batch(0, 0);
        assert!(!replays.are_expected());
    }
}
