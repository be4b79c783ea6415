//! What the last batches brought, which tells what the next ones will bring. Knows no event.

use std::sync::atomic::{AtomicU32, Ordering};

/// Below this, a prepared statement is as fast as the two round trips of a COPY.
const FEWEST_ROWS: usize = 16;
/// So many batches are taken to be like the one that was seen: a replay brings more of its kind.
const LASTS: u32 = 16;
/// One known row in so many makes a replay. Looking a row up costs a fifth of the check of its
/// signature, so that looking up all of them pays from about there.
const KNOWN_ONE_IN: usize = 4;

/// Remembers whether batches bring known events.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Batches for which COPY is not tried: it stumbles over a known event.
    stumbles: AtomicU32,
    /// Batches whose events are looked up before anything is done with them.
    replays: AtomicU32,
}

impl Pace {
    /// Whether `rows` rows are best written by COPY.
    pub(super) fn suits_copy(&self, rows: usize) -> bool {
        rows >= FEWEST_ROWS && self.stumbles.load(Ordering::Relaxed) == 0
    }

    /// Whether known events are likely to come.
    pub(super) fn is_replay(&self) -> bool {
        self.replays.load(Ordering::Relaxed) > 0
    }

    /// Hears of a batch of `rows` rows, `held` of which had been looked up, and `known` of the
    /// others turned out to be known.
    pub(super) fn saw(&self, rows: usize, held: usize, known: usize) {
        remember(&self.stumbles, known > 0);
        remember(&self.replays, (held + known) * KNOWN_ONE_IN >= rows.max(1));
    }
}

fn remember(left: &AtomicU32, anew: bool) {
    if anew {
        left.store(LASTS, Ordering::Relaxed);
    } else {
        // Two writers may both count down from 1: the second leaves it at 0.
        let before = left.load(Ordering::Relaxed);
        left.store(before.saturating_sub(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_away_from_copy_for_a_while_after_a_known_event() {
        let pace = Pace::default();
        assert!(!pace.suits_copy(FEWEST_ROWS - 1));
        assert!(pace.suits_copy(FEWEST_ROWS));
        pace.saw(1_000, 0, 1);
        for left in (0..LASTS).rev() {
            assert!(!pace.suits_copy(1_000), "{left} batches left");
            pace.saw(1_000, 0, 0);
        }
        assert!(pace.suits_copy(1_000));
        pace.saw(0, 0, 0);
        assert!(pace.suits_copy(1_000));
    }

    #[test]
    fn what_was_looked_up_keeps_a_replay_going_and_copy_possible() {
        let pace = Pace::default();
        pace.saw(1_000, 0, 249);
        assert!(!pace.is_replay(), "retries among new events are none");
        pace.saw(1_000, 0, 250);
        assert!(pace.is_replay() && !pace.suits_copy(1_000));
        for _ in 0..LASTS {
            assert!(pace.is_replay());
            pace.saw(1_000, 900, 0);
        }
        assert!(pace.is_replay() && pace.suits_copy(1_000));
        for _ in 0..LASTS {
            assert!(pace.is_replay());
            pace.saw(1_000, 0, 0);
        }
        assert!(!pace.is_replay());
    }
}
