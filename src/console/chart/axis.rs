//! Where the marks of an axis stand: round counts upwards, round times in UTC along.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

/// Marks along at most. Every second one is left out on a narrow page.
const MOST_TIMES: i64 = 8;
/// The same where the marks are months, whose labels are longer.
const MOST_MONTHS: u32 = 7;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
const MONTH: i64 = 30 * DAY;
/// The first Monday after the epoch: weeks are marked at their Mondays.
const FIRST_MONDAY: i64 = 4 * DAY;

/// The round counts from zero to the first that is not below `max`: three to five steps, or fewer
/// where the counts are that small.
pub(crate) fn counts(max: u64) -> Vec<u64> {
    let step = round_step(max);
    let steps = max.div_ceil(step).max(1);
    (0..=steps).map(|at| at.saturating_mul(step)).collect()
}

/// The least of 1, 2, 5, 10, 20, 50, … by which five steps reach `max`.
fn round_step(max: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if max.div_ceil(step) <= 5 {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A mark along the axis of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeMark {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// Its label, in UTC.
    pub(crate) label: String,
}

/// Round times of a span, from its start to before its end, with short labels. They are no nearer
/// to each other than `least`.
pub(crate) fn times(from: DateTime<Utc>, to: DateTime<Utc>, least: TimeDelta) -> Vec<TimeMark> {
    let span = (to - from).num_seconds();
    let steps = [
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        WEEK,
        2 * WEEK,
        4 * WEEK,
    ];
    let fits = |step: &i64| *step >= least.num_seconds() && span <= step * MOST_TIMES;
    let mut last_day = None;
    let mut mark = |at: DateTime<Utc>, step: i64| {
        let day = at.date_naive();
        let is_new = last_day.replace(day) != Some(day);
        let label = if step >= DAY || (is_new && at.timestamp().rem_euclid(DAY) == 0) {
            at.format("%-d %b").to_string()
        } else {
            at.format("%H:%M").to_string()
        };
        TimeMark { at, label }
    };
    match steps.into_iter().find(fits) {
        Some(step) => seconds(from, to, step)
            .into_iter()
            .map(|at| mark(at, step))
            .collect(),
        None => months(from, to),
    }
}

/// The times that are multiples of a step.
fn seconds(from: DateTime<Utc>, to: DateTime<Utc>, step: i64) -> Vec<DateTime<Utc>> {
    let origin = if step >= WEEK { FIRST_MONDAY } else { 0 };
    let past = (from.timestamp() - origin).rem_euclid(step);
    let first = if past == 0 && from.timestamp_subsec_nanos() == 0 {
        Some(from)
    } else {
        DateTime::from_timestamp(from.timestamp() - past + step, 0)
    };
    std::iter::successors(first, |at| at.checked_add_signed(TimeDelta::seconds(step)))
        .take_while(|at| *at < to)
        .collect()
}

/// The beginnings of months, some left out so that there are few.
fn months(from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<TimeMark> {
    let all = (to - from).num_seconds() / MONTH + 2;
    let every = u32::try_from(all).unwrap_or(u32::MAX).div_ceil(MOST_MONTHS);
    let first = NaiveDate::from_ymd_opt(from.year(), from.month(), 1);
    let first = first.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let first = first.and_then(|first| {
        let is_past = first < from;
        first.checked_add_months(Months::new(u32::from(is_past)))
    });
    let starts = std::iter::successors(first, |at| at.checked_add_months(Months::new(every)));
    let mark = |at: DateTime<Utc>| TimeMark {
        at,
        label: at.format("%b %Y").to_string(),
    };
    starts.take_while(|at| *at < to).map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::{counts, times};
    use chrono::{DateTime, TimeDelta, Utc};

    #[test]
    fn counts_are_round_and_few() {
        for (max, marks) in [
            (0, vec![0, 1]),
            (1, vec![0, 1]),
            (3, vec![0, 1, 2, 3]),
            (7, vec![0, 2, 4, 6, 8]),
            (1_204_331, vec![0, 500_000, 1_000_000, 1_500_000]),
        ] {
            assert_eq!(counts(max), marks, "{max}");
        }
        for power in 0..63 {
            let marks = counts((1 << power) + 1);
            assert!(marks.len() <= 6, "{marks:?}");
            assert!(marks[marks.len() - 1] > 1 << power, "{marks:?}");
        }
        assert_eq!(counts(u64::MAX).last(), Some(&u64::MAX));
    }

    #[test]
    fn times_are_round_in_utc() {
        for (from, hours, labels) in [
            ("2026-11-30T13:20:00Z", 1, "13:30 13:45 14:00 14:15"),
            (
                "2026-11-30T15:00:00Z",
                24,
                "15:00 18:00 21:00 1 Dec 03:00 06:00 09:00 12:00",
            ),
            (
                "2026-11-24T00:00:00Z",
                4 * 24,
                "24 Nov 12:00 25 Nov 12:00 26 Nov 12:00 27 Nov 12:00",
            ),
            (
                "2026-11-24T00:00:00Z",
                7 * 24,
                "24 Nov 25 Nov 26 Nov 27 Nov 28 Nov 29 Nov 30 Nov",
            ),
            (
                "2026-11-01T07:00:00Z",
                30 * 24,
                "2 Nov 9 Nov 16 Nov 23 Nov 30 Nov",
            ),
            (
                "2025-12-01T00:00:00Z",
                365 * 24,
                "Dec 2025 Feb 2026 Apr 2026 Jun 2026 Aug 2026 Oct 2026",
            ),
        ] {
            let from: DateTime<Utc> = from.parse().unwrap();
            let found: Vec<String> =
                times(from, from + TimeDelta::hours(hours), TimeDelta::minutes(1))
                    .into_iter()
                    .map(|mark| mark.label)
                    .collect();
            assert_eq!(found.join(" "), labels);
        }
    }

    #[test]
    fn times_are_few_for_every_span() {
        let from: DateTime<Utc> = "2024-02-29T23:59:59.5Z".parse().unwrap();
        for minutes in [0, 1, 7, 61, 1_000, 10_000, 100_000, 1_000_000, 100_000_000] {
            let found = times(from, from + TimeDelta::minutes(minutes), TimeDelta::zero());
            assert!(found.len() <= 8, "{minutes}: {found:?}");
            assert!(found.iter().all(|mark| mark.at >= from));
        }
    }
}
