//! How long to wait before the next try. Keeps no time itself.

use std::time::Duration;

use crate::clock::Ids;
use crate::lifecycle::{backoff, spread};

const FIRST: Duration = Duration::from_millis(200);

/// Waits that double from 200 ms up to the longest, spread so that instances do not return in step.
#[derive(Debug)]
pub(super) struct Backoff {
    ids: Ids,
    failures: u32,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(ids: Ids, longest: Duration) -> Self {
        Self {
            ids,
            failures: 0,
            longest,
        }
    }

    /// The wait before the next try.
    pub(super) fn wait(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = backoff(FIRST, self.failures, self.longest);
        spread(wait, self.ids.next())
    }

    /// Starts over after a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, FIRST};
    use crate::clock::{Clock, Ids};

    #[test]
    fn doubles_to_its_longest_and_starts_over() {
        let longest = Duration::from_secs(5);
        let mut backoff = Backoff::new(Ids::new(Clock::system()), longest);
        let mut expected = FIRST;
        for _ in 0..8 {
            let wait = backoff.wait();
            assert!(wait <= expected && wait >= expected / 2, "{wait:?}");
            expected = (expected * 2).min(longest);
        }
        assert_eq!(expected, longest);
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
