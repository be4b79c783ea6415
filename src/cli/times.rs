//! Times as people give them to a command: RFC 3339, or how long ago.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::parse_span;

/// A time in an argument; one that is counted from now is known only when the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(DateTime<Utc>),
    Ago(Duration),
}

impl Moment {
    /// The time itself. What lies before all times that can be told is the earliest of them.
    pub(super) fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => TimeDelta::from_std(span)
                .ok()
                .and_then(|span| now.checked_sub_signed(span))
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(time.to_utc()));
        }
        parse_span(text).map(Self::Ago).map_err(|_| {
            "expected a time such as 2026-06-23T14:00:00Z, or how long ago, such as 30m, 2h or 7d"
                .to_owned()
        })
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
    fn survives_spans_longer_than_time_itself() {
        let read: Moment = "99999999999d".parse().unwrap();
        assert_eq!(
            read.resolve(DateTime::<Utc>::UNIX_EPOCH),
            DateTime::<Utc>::MIN_UTC
        );
    }
}
