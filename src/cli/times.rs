//! Times as people give them to a command: RFC 3339, or how long ago.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::cli::CliError;
use crate::config::parse_span;
use crate::journal::NoWindow;

/// How long ago a time may be, a thousand years: nothing was recorded before that, and Postgres can
/// still write the time.
const LONGEST_AGO: Duration = Duration::from_hours(365_000 * 24);

/// A time in an argument; one that is counted from now is known only when the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(DateTime<Utc>),
    Ago(Duration),
}

/// The two ends of a window, either of which may be left open.
pub(super) type Ends = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// The ends of the window that `--from` and `--to` ask for.
///
/// # Errors
/// If it ends before it starts.
pub(super) fn ends(
    from: Option<Moment>,
    to: Option<Moment>,
    now: DateTime<Utc>,
) -> Result<Ends, CliError> {
    let time = |moment: Option<Moment>| moment.map(|moment| moment.resolve(now));
    let (from, to) = (time(from), time(to));
    NoWindow::check_order(from, to).map_err(|error| no_window(&error, (from, to)))?;
    Ok((from, to))
}

/// That the window of `--from` and `--to` cannot be taken, for this reason, and what can.
pub(super) fn no_window(why: &impl Display, (from, to): Ends) -> CliError {
    let hint = if from.zip(to).is_some_and(|(from, to)| to <= from) {
        "; give --from the earlier time, and --to the later one"
    } else {
        ""
    };
    CliError::Usage(format!("--from, --to: {why}{hint}"))
}

impl Moment {
    /// The time itself.
    pub(super) fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => TimeDelta::from_std(span)
                .ok()
                .and_then(|span| now.checked_sub_signed(span))
                .unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            let time = time.to_utc();
            return if (1..=9_999).contains(&time.year()) {
                Ok(Self::At(time))
            } else {
                Err("expected a time of the years 1 to 9999".to_owned())
            };
        }
        let span = parse_span(text).map_err(|_| {
            "expected a time such as 2026-06-23T14:00:00Z, or how long ago, such as 30m, 2h or 7d"
                .to_owned()
        })?;
        if span > LONGEST_AGO {
            return Err("expected a time within the last 365000d, a thousand years".to_owned());
        }
        Ok(Self::Ago(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_how_long_ago() {
        let now = "2026-06-23T14:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-06-23T12:30:00Z", "2026-06-23T12:30:00Z"),
            ("2026-06-23T14:30:00.250+02:00", "2026-06-23T12:30:00.250Z"),
            ("2h", "2026-06-23T12:00:00Z"),
            ("7d", "2026-06-16T14:00:00Z"),
            ("0s", "2026-06-23T14:00:00Z"),
        ] {
            let expected: DateTime<Utc> = expected.parse().unwrap();
            let read: Moment = text.parse().unwrap();
            assert_eq!(read.resolve(now), expected, "{text}");
        }
        for text in ["", "yesterday", "2h ago", "-2h", "2026-06-23", "14:00"] {
            assert!(text.parse::<Moment>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn ends_that_are_the_wrong_way_round_are_told_which_is_which() {
        let now = "2026-06-23T14:00:00Z".parse().unwrap();
        let ago = |hours| Some(Moment::Ago(Duration::from_hours(hours)));
        for (from, to) in [(ago(2), ago(1)), (ago(1), ago(1)), (None, ago(1))] {
            assert!(ends(from, to, now).is_ok(), "{from:?} {to:?}");
        }
        let refused = ends(ago(1), ago(2), now).unwrap_err();
        assert_eq!(refused.code(), 2);
        let refused = refused.to_string();
        assert!(refused.starts_with("--from, --to: the window ends at 2026-06-23T12:"));
        assert!(refused.ends_with("give --from the earlier time, and --to the later one"));
    }

    #[test]
    fn refuses_times_that_no_record_can_have() {
        for (text, expected) in [
            ("365000d", None),
            ("365001d", Some("within the last 365000d")),
            ("99999999999d", Some("within the last 365000d")),
            ("0001-01-01T00:00:00Z", None),
            ("0000-12-31T23:59:59Z", Some("the years 1 to 9999")),
            ("9999-12-31T23:59:59Z", None),
            ("9999-12-31T23:59:59-01:00", Some("the years 1 to 9999")),
        ] {
            let refused = text.parse::<Moment>().err();
            match expected {
                None => assert_eq!(refused, None, "{text}"),
                Some(expected) => assert!(refused.unwrap().contains(expected), "{text}"),
            }
        }
    }
}
