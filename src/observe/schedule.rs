//! Decides when a sweep is due, and how much it reads: pure, so that every rule of it has a test.

use std::time::Duration;

use crate::config::ObserveConfig;
use crate::directory::SweepState;
use crate::lifecycle;
use crate::observe::pending::Extent;
use crate::observe::sweep_kind::SweepKind;

/// Hints cause a sweep of a portal at most this often.
const HINTED_EVERY: Duration = Duration::from_secs(2);
/// Hints of other instances are noticed after at most this time; own ones at once.
const STATE_READ_EVERY: Duration = Duration::from_millis(500);
/// Between checks whether a full sweep is still due: another instance or a command may have run
/// one.
const SWEEP_STATE_READ_EVERY: Duration = Duration::from_secs(10);
/// A sweep of whole lists is not repeated for so many times as long as it took.
const WHOLE_FACTOR: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait after a failed sweep, unless the API asks for a longer one.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How long `work` may wait; nothing when it is due. `since_sweep` is the time since this process
/// last began it.
pub(super) fn wait(
    work: SweepKind,
    state: &SweepState,
    config: &ObserveConfig,
    gone_after: Duration,
    since_sweep: Option<Duration>,
) -> Duration {
    let over = |age: Option<Duration>, every: Duration| age.is_none_or(|age| age >= every);
    let hinted = |is: bool| is && over(since_sweep, HINTED_EVERY);
    let is_due = match work {
        SweepKind::Refresh => {
            let is_missed = state.missed_age.is_some_and(|age| age >= gone_after);
            hinted(state.touched || is_missed)
        }
        SweepKind::Pending => {
            // A sweep that left something for the next one is due again at once.
            let every = config.pending_every;
            hinted(state.unanswered)
                || over(state.pending_age, every) && over(since_sweep, HINTED_EVERY.min(every))
        }
        SweepKind::Sweep => {
            let left = |age| config.all_every.saturating_sub(age);
            return state
                .all_age
                .map_or(Duration::ZERO, left)
                .min(SWEEP_STATE_READ_EVERY);
        }
    };
    if is_due {
        Duration::ZERO
    } else {
        STATE_READ_EVERY
    }
}

/// How much of its lists a pending sweep reads. `whole` says how long ago the last one of whole
/// lists ended and how long it took. Such sweeps may take a tenth of the time at most.
pub(super) fn extent(whole: Option<(Duration, Duration)>) -> Extent {
    match whole {
        Some((since, took)) if since < took * WHOLE_FACTOR => Extent::Newest,
        _ => Extent::Whole,
    }
}

/// How long to wait after so many failures in a row. It doubles from a second; if the API asks for
/// a longer wait, that counts, however long it is.
pub(super) fn backoff(failures: u32, asked: Option<Duration>) -> Duration {
    lifecycle::backoff(FIRST_BACKOFF, failures, MAX_BACKOFF).max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn state(pending_age: Option<u32>, all_age: Option<u32>) -> SweepState {
        let age = |seconds: Option<u32>| seconds.map(|seconds| SECOND * seconds);
        SweepState {
            pending_age: age(pending_age),
            all_age: age(all_age),
            ..SweepState::default()
        }
    }

    #[test]
    fn lists_that_take_long_are_read_whole_at_times() {
        let seconds = |seconds: u64| Duration::from_secs(seconds);
        for (whole, expected) in [
            (None, Extent::Whole),
            (Some((seconds(60), seconds(1))), Extent::Whole),
            (Some((seconds(60), seconds(20))), Extent::Newest),
            (Some((seconds(200), seconds(20))), Extent::Whole),
        ] {
            assert_eq!(extent(whole), expected, "{whole:?}");
        }
    }

    #[test]
    fn each_is_due_when_it_is_time_or_when_hinted_whatever_the_others_do() {
        let never = SweepState::default();
        let fresh = state(Some(9), Some(9));
        let unanswered = SweepState {
            unanswered: true,
            ..fresh.clone()
        };
        let touched = SweepState {
            touched: true,
            ..fresh
        };
        let milliseconds = Duration::from_millis;
        for (work, state, since_sweep, expected) in [
            (SweepKind::Pending, &never, None, milliseconds(0)),
            (SweepKind::Sweep, &never, None, milliseconds(0)),
            (SweepKind::Refresh, &never, None, milliseconds(500)),
            (
                SweepKind::Pending,
                &state(Some(59), None),
                Some(59),
                milliseconds(500),
            ),
            (
                SweepKind::Pending,
                &state(Some(60), None),
                Some(60),
                milliseconds(0),
            ),
            (
                SweepKind::Sweep,
                &state(None, Some(3_600)),
                Some(1),
                milliseconds(0),
            ),
            (
                SweepKind::Sweep,
                &state(None, Some(3_597)),
                None,
                milliseconds(3_000),
            ),
            (
                SweepKind::Sweep,
                &state(None, Some(1)),
                None,
                milliseconds(10_000),
            ),
            (SweepKind::Pending, &unanswered, Some(1), milliseconds(500)),
            (SweepKind::Pending, &unanswered, Some(2), milliseconds(0)),
            (SweepKind::Pending, &unanswered, None, milliseconds(0)),
            (SweepKind::Pending, &touched, None, milliseconds(500)),
            (SweepKind::Refresh, &touched, Some(1), milliseconds(500)),
            (SweepKind::Refresh, &touched, Some(2), milliseconds(0)),
            (SweepKind::Refresh, &unanswered, None, milliseconds(500)),
        ] {
            let since_sweep = since_sweep.map(|seconds| SECOND * seconds);
            assert_eq!(
                wait(
                    work,
                    state,
                    &ObserveConfig::default(),
                    SECOND * 60,
                    since_sweep
                ),
                expected,
                "{work:?} {state:?} {since_sweep:?}"
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
            (1, Some(SECOND * 86_400), 86_400),
        ] {
            assert_eq!(
                backoff(failures, asked),
                Duration::from_secs(expected),
                "{failures}"
            );
        }
    }
}
