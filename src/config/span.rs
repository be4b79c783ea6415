//! Durations as people write them: `"30s"`, `"2m"`, `"1h"`, `"400d"`.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Reads one whole number with its unit: `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// Says which forms are understood.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration such as \"30s\", \"2m\", \"1h\" or \"7d\"".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    parse_span(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same where the key may be left out; a time of nothing at all would never be quiet.
pub(super) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let span = deserialize(deserializer)?;
    if span.is_zero() {
        return Err(D::Error::custom(
            "expected a duration above 0; leave the key out to switch it off",
        ));
    }
    Ok(Some(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_refuses_the_rest() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                parse_span(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "1 h",
            "1w",
            "99999999999999999999s",
        ] {
            assert!(parse_span(text).is_err(), "{text:?}");
        }
    }
}
