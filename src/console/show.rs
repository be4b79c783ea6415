//! How values look on a page: times, states, numbers. Each is a type that a template prints; what
//! they print is markup of their own and needs no escaping.

use std::fmt;

use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A time in UTC, to the millisecond in its title; script adds the reader's own zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct When(pub(super) DateTime<Utc>);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_rfc3339_opts(SecondsFormat::Millis, true);
        let short = self.0.format("%Y-%m-%d %H:%M:%S");
        write!(
            f,
            "<time datetime=\"{exact}\" title=\"{exact}\">{short}&nbsp;UTC</time>"
        )
    }
}

impl HtmlSafe for When {}

/// A time as the API and the command line write it.
pub(super) fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time as how long ago it was, or will be; exact in its title.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ago {
    pub(super) at: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let passed = self.now - self.at;
        let words = if passed >= TimeDelta::zero() {
            format!("{} ago", span(passed))
        } else {
            format!("in {}", span(-passed))
        };
        write!(
            f,
            "<time class=\"relative\" datetime=\"{exact}\" title=\"{exact}\">{words}</time>"
        )
    }
}

impl HtmlSafe for Ago {}

/// A length of time in its largest unit.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A length of time in its two largest units: `2 d 3 h`, `12 min`, `0 s`.
pub(super) fn length(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit);
    let Some(first) = first else {
        return "0 s".to_owned();
    };
    let mut left = seconds;
    let mut words = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        if left >= *unit {
            words.push(format!("{} {name}", left / unit));
        }
        left %= unit;
    }
    words.join(" ")
}

/// How long it is until a time, in its two largest units; exact in its title.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) at: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let left = length(self.at - self.now);
        write!(
            f,
            "<time class=\"left\" datetime=\"{exact}\" title=\"{exact}\">{left}</time>"
        )
    }
}

impl HtmlSafe for Left {}

/// A length of time in seconds as people say it: `850 ms`, `12 s`, `3 h`.
pub(super) fn seconds(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a span of some years at most"
    )]
    let millis = (seconds * 1000.0).round() as i64;
    match millis {
        ..1_000 => format!("{millis} ms"),
        1_000..10_000 => format!("{seconds:.1} s"),
        _ => span(TimeDelta::milliseconds(millis)),
    }
}

/// How good or bad something is, for its colour; the words say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Ok,
    Warn,
    Bad,
    Info,
    Muted,
}

impl Tone {
    /// The class of its chips and notices.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Muted => "muted",
        }
    }

    /// The tone of a word for a state, status, verdict, outcome or condition.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "done" | "approved" | "verified" | "success" | "ok" | "live" => Self::Ok,
            "planned" | "running" | "pending" | "parked" | "key_unknown" | "degraded" => Self::Warn,
            "failed" | "refused" | "rejected" | "revoked" | "failure" | "down" => Self::Bad,
            "shadow" => Self::Info,
            _ => Self::Muted,
        }
    }
}

/// A word as a coloured chip. The word is one of usher's or Konnect's, and escaped all the same.
#[derive(Debug, Clone)]
pub(super) struct Chip(pub(super) String);

/// A word as a coloured chip.
pub(super) fn chip(word: impl fmt::Display) -> Chip {
    Chip(word.to_string())
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = Tone::of(&self.0).class();
        let word = askama::filters::escape(self.0.replace('_', " "), askama::filters::Html);
        match word {
            Ok(word) => write!(f, "<span class=\"chip {class}\">{word}</span>"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl HtmlSafe for Chip {}

/// A whole number with thin spaces between thousands.
pub(super) fn number(number: impl Into<i64>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    if number < 0 {
        grouped.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in bytes as people say it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} kB", bytes / 1_024),
        _ => format!("{} MB", bytes / 1_048_576),
    }
}

/// The first letters of an id, enough to tell it from its neighbours; the page has it whole beside.
pub(super) fn short(id: impl fmt::Display) -> String {
    id.to_string().chars().take(8).collect()
}

/// `text` with no more than `most` letters, and an ellipsis where it was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};

    use super::{Ago, Left, chip, cut, length, number, seconds, short};

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = chrono::DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(9);
        for (passed, words) in [
            (TimeDelta::zero(), "0 s ago"),
            (TimeDelta::seconds(59), "59 s ago"),
            (TimeDelta::minutes(61), "1 h ago"),
            (TimeDelta::days(3), "3 d ago"),
            (TimeDelta::seconds(-90), "in 1 min"),
        ] {
            let shown = Ago {
                at: now - passed,
                now,
            };
            assert!(shown.to_string().contains(&format!(">{words}<")), "{shown}");
        }
        assert_eq!(seconds(0.25), "250 ms");
        assert_eq!(seconds(90.0), "1 min");
    }

    #[test]
    fn lengths_have_two_units_at_most() {
        for (seconds, words) in [
            (-5, "0 s"),
            (0, "0 s"),
            (59, "59 s"),
            (125, "2 min 5 s"),
            (3_600, "1 h"),
            (3_601, "1 h"),
            (2 * 86_400 + 3 * 3_600 + 59, "2 d 3 h"),
            (7 * 86_400, "7 d"),
        ] {
            assert_eq!(length(TimeDelta::seconds(seconds)), words, "{seconds}");
        }
        let now = chrono::DateTime::<Utc>::UNIX_EPOCH;
        let at = now + TimeDelta::hours(51);
        let shown = Left { at, now }.to_string();
        assert!(
            shown.contains("title=\"1970-01-03T03:00:00.000Z\">2 d 3 h<"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        assert_eq!(
            chip("<b>").to_string(),
            "<span class=\"chip muted\">&#60;b&#62;</span>"
        );
        assert_eq!(
            chip("done").to_string(),
            "<span class=\"chip ok\">done</span>"
        );
    }

    #[test]
    fn numbers_and_texts_are_short() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(-12), "-12");
        assert_eq!(short("0123456789"), "01234567");
        assert_eq!(cut("häuser", 2), "hä…");
        assert_eq!(cut("ab", 2), "ab");
    }
}
