//! When to look, and at what: pure, so that every rule of it has a test.

use std::time::Duration;

use crate::config::ObserveConfig;
use crate::directory::{LookState, Scope};

/// A portal is looked at on hints at most this often.
pub(super) const HINTED_EVERY: Duration = Duration::from_secs(2);
/// Longest wait after a failed look.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// What is due, if anything: `since_look` is the time since this process last began a look.
///
/// A portal that was never seen has its pending ones looked at first: that is fast, and they wait.
pub(super) fn due(
    state: &LookState,
    config: &ObserveConfig,
    since_look: Option<Duration>,
) -> Option<Scope> {
    let over = |age: Option<Duration>, every: Duration| age.is_none_or(|age| age >= every);
    if state.pending_age.is_none() {
        return Some(Scope::Pending);
    }
    if over(state.all_age, config.all_every) {
        return Some(Scope::All);
    }
    let hint_is_due = state.hinted && over(since_look, HINTED_EVERY);
    (hint_is_due || over(state.pending_age, config.pending_every)).then_some(Scope::Pending)
}

/// How long to wait after so many failures in a row: doubling from a second, or what the API asks
/// for if that is longer.
pub(super) fn backoff(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(1) * 2_u32.pow(failures.saturating_sub(1).min(6));
    doubled.max(asked.unwrap_or_default()).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn state(pending_age: Option<Duration>, all_age: Option<Duration>, hinted: bool) -> LookState {
        LookState {
            pending_age,
            all_age,
            hinted,
            ..LookState::default()
        }
    }

    #[test]
    fn looks_when_it_is_time_or_when_hinted() {
        let config = ObserveConfig::default();
        for (state, since_look, expected) in [
            (state(None, None, false), None, Some(Scope::Pending)),
            (
                state(Some(Duration::ZERO), None, false),
                Some(Duration::ZERO),
                Some(Scope::All),
            ),
            (
                state(Some(SECOND * 59), Some(SECOND * 3599), false),
                Some(SECOND * 59),
                None,
            ),
            (
                state(Some(SECOND * 60), Some(SECOND * 3599), false),
                Some(SECOND * 60),
                Some(Scope::Pending),
            ),
            (
                state(Some(SECOND * 1), Some(SECOND * 3600), false),
                Some(SECOND * 1),
                Some(Scope::All),
            ),
            (
                state(Some(SECOND * 9), Some(SECOND * 9), true),
                Some(SECOND * 1),
                None,
            ),
            (
                state(Some(SECOND * 9), Some(SECOND * 9), true),
                Some(SECOND * 2),
                Some(Scope::Pending),
            ),
            (
                state(Some(SECOND * 9), Some(SECOND * 9), true),
                None,
                Some(Scope::Pending),
            ),
        ] {
            assert_eq!(
                due(&state, &config, since_look),
                expected,
                "{state:?} {since_look:?}"
            );
        }
    }

    #[test]
    fn waits_longer_after_every_failure_but_not_for_ever() {
        for (failures, asked, expected) in [
            (1, None, 1),
            (2, None, 2),
            (5, None, 16),
            (7, None, 60),
            (4_000_000_000, None, 60),
            (1, Some(SECOND * 7), 7),
            (4, Some(SECOND * 7), 8),
            (1, Some(SECOND * 86_400), 60),
        ] {
            assert_eq!(
                backoff(failures, asked),
                Duration::from_secs(expected),
                "{failures}"
            );
        }
    }
}
