//! The time that a replay job is asked for, and whether Konnect can still serve it. Pure.

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use konnect::ReplayJob;

use crate::journal::NoWindow;

/// How long Konnect keeps entries; older ones are gone for good.
pub const REACH: TimeDelta = TimeDelta::days(7);

/// Time for the way to Konnect and for clocks that differ, where a window begins at the limit.
const MARGIN: TimeDelta = TimeDelta::seconds(5);

/// How far the clock of the caller may be ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// Konnect may store times less finely than they were sent.
const RESOLUTION: TimeDelta = TimeDelta::seconds(1);

/// A span of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
}

/// Why a window cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Konnect has dropped entries of that time.
    #[error(
        "the window starts at {}, over 7 days ago; konnect keeps entries for 7 days, the earliest start is {}",
        rfc3339(*start_at),
        rfc3339(*earliest)
    )]
    OutOfReach {
        /// The start asked for.
        start_at: DateTime<Utc>,
        /// The earliest start there can be.
        earliest: DateTime<Utc>,
    },
    /// Konnect refuses windows that are not over.
    #[error("the window ends at {}, in the future; `--to 0s` is now", rfc3339(*end_at))]
    EndsInTheFuture {
        /// The end asked for.
        end_at: DateTime<Utc>,
    },
    /// There is no time between its ends.
    #[error(transparent)]
    NoWindow(#[from] NoWindow),
}

impl Window {
    /// Checks a window against the time of the request; its ends are cut to milliseconds, as
    /// Konnect writes them.
    pub fn new(
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self, WindowError> {
        NoWindow::check_order(Some(start_at), Some(end_at))?;
        let earliest = now - REACH;
        if start_at < earliest {
            return Err(WindowError::OutOfReach { start_at, earliest });
        }
        if end_at - now > AHEAD {
            return Err(WindowError::EndsInTheFuture { end_at });
        }
        let (start_at, end_at) = (start_at.trunc_subsecs(3), end_at.trunc_subsecs(3));
        NoWindow::check_time_between(start_at, end_at)?;
        Ok(Self { start_at, end_at })
    }

    /// A window that was in order when it was planned, and whose beginning may have become too old;
    /// none where there is no time between its ends.
    pub(super) fn of_rest(start_at: DateTime<Utc>, end_at: DateTime<Utc>) -> Option<Self> {
        let (start_at, end_at) = (start_at.trunc_subsecs(3), end_at.trunc_subsecs(3));
        (start_at < end_at).then_some(Self { start_at, end_at })
    }

    /// First time whose entries are wanted.
    pub fn start_at(&self) -> DateTime<Utc> {
        self.start_at
    }

    /// Last time whose entries are wanted.
    pub fn end_at(&self) -> DateTime<Utc> {
        self.end_at
    }

    /// What Konnect can still serve of the window at `now`, which moves on while a job is waited
    /// for; `None` when nothing is left.
    pub(super) fn within_reach(&self, now: DateTime<Utc>) -> Option<Self> {
        let earliest = now - REACH + MARGIN;
        if self.start_at >= earliest {
            return Some(*self);
        }
        let start_at = earliest.trunc_subsecs(3);
        (start_at <= self.end_at).then_some(Self { start_at, ..*self })
    }

    /// Whether `job` was asked for with this window.
    pub(super) fn is_of(&self, job: &ReplayJob) -> bool {
        let near = |own: DateTime<Utc>, other: Option<DateTime<Utc>>| {
            other.is_some_and(|other| (own - other).abs() < RESOLUTION)
        };
        near(self.start_at, job.start_at) && near(self.end_at, job.end_at)
    }
}

/// Writes a time as Konnect does: RFC 3339 in UTC with milliseconds.
pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use konnect::ReplayStatus;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-06-23T14:00:00Z".parse().unwrap()
    }

    /// A window of minutes before [`now`].
    fn window(from: i64, to: i64) -> Result<Window, WindowError> {
        let ago = |minutes| now() - TimeDelta::minutes(minutes);
        Window::new(ago(from), ago(to), now())
    }

    #[test]
    fn reaches_back_seven_days_and_no_further() {
        const DAY: i64 = 24 * 60;
        let cases = [
            (120, 60, None),
            (
                60,
                60,
                Some("empty: it starts and ends at 2026-06-23T13:00"),
            ),
            (0, 0, Some("empty")),
            (7 * DAY - 1, 0, None),
            (7 * DAY, 0, None),
            (60, -1, None),
            (
                60,
                -60,
                Some("ends at 2026-06-23T15:00:00.000Z, in the future"),
            ),
            (
                7 * DAY + 1,
                0,
                Some("starts at 2026-06-16T13:59:00.000Z, over 7 days ago"),
            ),
            (
                60,
                61,
                Some("ends at 2026-06-23T12:59:00.000Z, before it starts"),
            ),
            (9 * DAY, 10 * DAY, Some("before it starts")),
        ];
        for (from, to, reason) in cases {
            let refused = window(from, to).err().map(|error| error.to_string());
            match reason {
                None => assert_eq!(refused, None, "{from} to {to}"),
                Some(reason) => {
                    let refused = refused.unwrap();
                    assert!(refused.contains(reason), "{from} to {to}: {refused}");
                }
            }
        }
    }

    #[test]
    fn shrinks_while_time_moves_on() {
        let asked = window(7 * 24 * 60, 7 * 24 * 60 - 10).unwrap();
        let after = |seconds| asked.within_reach(now() + TimeDelta::seconds(seconds));
        assert_eq!(
            after(0).unwrap().start_at(),
            asked.start_at() + TimeDelta::seconds(5)
        );
        let later = after(300).unwrap();
        assert_eq!(later.start_at(), asked.start_at() + TimeDelta::seconds(305));
        assert_eq!(later.end_at(), asked.end_at());
        assert_eq!(after(600), None);
        let young = window(60, 0).unwrap();
        assert_eq!(young.within_reach(now()), Some(young));
    }

    #[test]
    fn knows_its_own_job_whatever_the_resolution() {
        let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let job = |start_at, end_at| ReplayJob {
            status: ReplayStatus::Running,
            start_at,
            end_at,
            updated_at: None,
        };
        let window = Window::new(
            "2026-06-23T11:00:00.734Z".parse().unwrap(),
            "2026-06-23T12:00:00.001Z".parse().unwrap(),
            now(),
        )
        .unwrap();
        let seconds = (at("2026-06-23T11:00:00Z"), at("2026-06-23T12:00:00Z"));
        assert!(window.is_of(&job(seconds.0, seconds.1)));
        assert!(!window.is_of(&job(at("2026-06-23T11:00:02Z"), seconds.1)));
        assert!(!window.is_of(&job(None, None)));
    }
}
