//! How long to wait before the next attempt. Pure.

use std::time::Duration;

use uuid::Uuid;

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
    /// The wait after attempt number `made`, between half of the full wait and all of it. `spread`
    /// is a random id that decides where, so that actions which failed together are spread out.
    pub(super) fn wait(&self, made: i32, spread: Uuid) -> Duration {
        let doublings = u32::try_from(made - 1).unwrap_or(0).min(20);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let share = f64::from(spread.as_bytes()[15]) / 255.0;
        full.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::Backoff;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let full = |made| backoff.wait(made, Uuid::max()).as_secs();
        let waits: Vec<_> = (1..=11).map(full).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.wait(1_000_000, Uuid::max()), backoff.longest);
    }

    #[test]
    fn jitter_takes_at_most_half_of_the_wait() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(1, Uuid::nil()), Duration::from_millis(500));
        for byte in 0..=255 {
            let wait = backoff.wait(3, Uuid::from_u128(byte));
            assert!((2.0..=4.0).contains(&wait.as_secs_f64()), "{wait:?}");
        }
    }
}
