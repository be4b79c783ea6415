//! Reads the two times of an entry. Never uses the present time: what the entry does not say stays
//! unknown.

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};

/// The times of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// The header's time in whole seconds; the epoch where it is not known.
    pub(crate) event_ts: DateTime<Utc>,
    /// The time in milliseconds from `rt`; else the header's.
    pub(crate) occurred_at: DateTime<Utc>,
    /// Whether the header's time is known.
    pub(crate) known: bool,
}

impl Times {
    /// Reads the header's time and `rt`, milliseconds since the epoch.
    pub(crate) fn read(event_ts: Option<&str>, rt: Option<i64>) -> Self {
        let precise = rt.and_then(from_millis);
        let header = event_ts.and_then(|text| header_time(text.trim(), precise));
        let event_ts = header.unwrap_or(DateTime::UNIX_EPOCH);
        Self {
            event_ts,
            occurred_at: precise.unwrap_or(event_ts),
            known: header.is_some(),
        }
    }
}

/// Reads a header's time: RFC 3339, or the syslog style without a year (`Apr 14 05:39:08`, UTC).
fn header_time(text: &str, rt: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc(),
        Err(_) => syslog_time(text, rt?)?,
    };
    // chrono shows a leap second as up to two seconds of nanoseconds: it belongs to the second
    // before.
    time.with_nanosecond(0).and_then(plausible)
}

/// Completes a syslog time with the year that is nearest to `rt`. So an entry that was written on
/// the last evening of a year and received on the next morning keeps its year.
fn syslog_time(text: &str, rt: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (rt.year() - 1..=rt.year() + 1)
        .filter_map(|year| {
            NaiveDateTime::parse_from_str(&format!("{year:04} {text}"), "%Y %b %e %H:%M:%S").ok()
        })
        .map(|time| time.and_utc())
        .min_by_key(|time| (*time - rt).abs())
}

/// Reads milliseconds since the epoch; a negative `rt` is no time at which Konnect can have run.
fn from_millis(rt: i64) -> Option<DateTime<Utc>> {
    if rt < 0 {
        None
    } else {
        DateTime::from_timestamp_millis(rt).and_then(plausible)
    }
}

/// Accepts the years 1970 to 9999, which an event id, RFC 3339 and Postgres can all represent.
/// Konnect is younger.
fn plausible(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1970..=9999).contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::Times;

    fn read(event_ts: &str, rt: Option<i64>) -> (String, String, bool) {
        let times = Times::read(Some(event_ts), rt);
        (
            times.event_ts.to_rfc3339(),
            times.occurred_at.to_rfc3339(),
            times.known,
        )
    }

    #[test]
    fn reads_whole_seconds_from_the_header_and_milliseconds_from_rt() {
        let table = [
            ("2025-06-23T14:28:47Z", "2025-06-23T14:28:47+00:00"),
            ("2025-06-23T14:28:47.999Z", "2025-06-23T14:28:47+00:00"),
            ("2025-06-23T16:28:47+02:00", "2025-06-23T14:28:47+00:00"),
            ("Jun 23 14:28:47", "2025-06-23T14:28:47+00:00"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
        ];
        for (text, event_ts) in table {
            let expected = (
                event_ts.into(),
                "2025-06-23T14:28:47.556+00:00".into(),
                true,
            );
            assert_eq!(read(text, Some(1_750_688_927_556)), expected, "{text}");
        }
        assert_eq!(
            read("2025-06-23T14:28:47Z", None).1,
            "2025-06-23T14:28:47+00:00"
        );
    }

    #[test]
    fn takes_the_year_that_puts_a_syslog_time_nearest_to_rt() {
        let table = [
            (
                "Apr 14 05:39:08",
                1_681_450_748_406,
                "2023-04-14T05:39:08+00:00",
            ),
            (
                "Apr  4 05:39:08",
                1_680_586_748_406,
                "2023-04-04T05:39:08+00:00",
            ),
            (
                "Dec 31 23:59:59",
                1_704_067_200_100,
                "2023-12-31T23:59:59+00:00",
            ),
            (
                "Jan 1 00:00:00",
                1_704_067_199_900,
                "2024-01-01T00:00:00+00:00",
            ),
            (
                "Feb 29 12:00:00",
                1_709_208_000_000,
                "2024-02-29T12:00:00+00:00",
            ),
        ];
        for (text, rt, event_ts) in table {
            let (found, _, known) = read(text, Some(rt));
            assert_eq!((found.as_str(), known), (event_ts, true), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_the_epoch_and_flagged() {
        let unknown = "1970-01-01T00:00:00+00:00";
        for text in [
            "",
            "junk",
            "10000-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "9999-12-31T23:30:00-01:00",
            "2025-02-30T00:00:00Z",
            "Apr 14 05:39:08",
            "Foo 14 05:39:08",
        ] {
            assert_eq!(
                read(text, None),
                (unknown.into(), unknown.into(), false),
                "{text}"
            );
        }
        let (event_ts, occurred_at, known) = read("junk", Some(1_750_688_927_556));
        assert_eq!((event_ts.as_str(), known), (unknown, false));
        assert_eq!(occurred_at, "2025-06-23T14:28:47.556+00:00");
        assert!(!read("Feb 29 12:00:00", Some(1_655_000_000_000)).2);
    }

    #[test]
    fn an_absurd_rt_leaves_the_header_time_standing() {
        for rt in [i64::MIN, -1, 253_402_300_800_000, i64::MAX] {
            let (event_ts, occurred_at, known) = read("2025-06-23T14:28:47Z", Some(rt));
            assert_eq!(event_ts, "2025-06-23T14:28:47+00:00", "{rt}");
            assert_eq!((occurred_at, known), (event_ts, true), "{rt}");
        }
        assert!(!Times::read(None, None).known);
    }
}
