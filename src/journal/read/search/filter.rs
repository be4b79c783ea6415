//! The filter of a search: one for API, export, command line and pages, how it is read from words,
//! and the command with the same filter. Pure.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::event::{AuditEvent, Kind, Verdict};
use crate::journal::read::search::address::{Network, NoNetwork};
use crate::journal::read::window::{NoWindow, read_time};

/// What to find; an absent member matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Member `portal_id`.
    pub portal_id: Option<String>,
    /// Member `principal_id`.
    pub principal_id: Option<String>,
    /// What the e-mail or the full name of the principal begins with. The case of ASCII letters
    /// does not count.
    pub person: Option<String>,
    /// Member `name`.
    pub name: Option<String>,
    /// Kind, by its word. Without it all but the access log, since reading would otherwise fill
    /// what is read.
    pub kind: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Where member `src` lies.
    pub src: Option<Network>,
    /// Member `trace_id`.
    pub trace_id: Option<String>,
    /// What its signature proves.
    pub verification: Option<Verdict>,
    /// Earliest `event_ts`, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Latest `event_ts`, exclusive.
    pub to: Option<DateTime<Utc>>,
    /// Text that the entry's bytes contain.
    pub q: Option<String>,
    /// Only events of these batches; has no word.
    pub batches: Option<Vec<Uuid>>,
}

/// How an event ended, whichever member its kind says it by: `usher_outcome` in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Logged in, granted, or answered below 400.
    Success,
    /// Not so.
    Failure,
    /// Its members do not show how it ended.
    Unknown,
}

/// A word that no filter has, or one whose value is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoFilter(String);

/// The words of a filter, each with its flag at the command line.
const WORDS: [(&str, &str); 12] = [
    ("portal_id", "--portal"),
    ("principal_id", "--principal"),
    ("person", "--person"),
    ("name", "--name"),
    ("kind", "--kind"),
    ("outcome", "--outcome"),
    ("src", "--src"),
    ("trace_id", "--trace"),
    ("verification", "--verification"),
    ("from", "--from"),
    ("to", "--to"),
    ("q", "--q"),
];

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Unknown];

    /// The word that the API and SQL use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }

    /// How `event` ended.
    pub fn of(event: &AuditEvent) -> Self {
        let answered = || event.status().map(|status| status < 400);
        match event
            .success()
            .or_else(|| event.granted())
            .or_else(answered)
        {
            Some(true) => Self::Success,
            Some(false) => Self::Failure,
            None => Self::Unknown,
        }
    }
}

impl FromStr for Outcome {
    type Err = NoFilter;

    fn from_str(word: &str) -> Result<Self, NoFilter> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == word);
        found.ok_or_else(|| expected(Self::ALL.map(Self::as_str)))
    }
}

impl EventFilter {
    /// The words that [`set`](Self::set) knows, in the order in which the filter is written.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.into_iter().map(|(word, _)| word)
    }

    /// The flag of a word at the command line; the word itself where there is none.
    pub fn flag(word: &str) -> &str {
        let found = WORDS.into_iter().find(|(known, _)| *known == word);
        found.map_or(word, |(_, flag)| flag)
    }

    /// Sets the value of one word. An empty one matches everything, as an absent one does.
    ///
    /// # Errors
    /// [`NoFilter`] says what was expected instead.
    pub fn set(&mut self, word: &str, value: &str) -> Result<(), NoFilter> {
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        if value.contains('\0') {
            return Err(NoFilter("NUL is no text".to_owned()));
        }
        match word {
            "portal_id" => self.portal_id = text(),
            "principal_id" => self.principal_id = text(),
            "person" => self.person = text(),
            "name" => self.name = text(),
            "trace_id" => self.trace_id = text(),
            "q" => self.q = text(),
            "kind" => {
                let kinds = || expected(Kind::ALL.map(Kind::as_str));
                let kind = read::<Kind>(value).map_err(|_| kinds())?;
                self.kind = kind.map(|kind| kind.as_str().to_owned());
            }
            "outcome" => self.outcome = read(value)?,
            "src" => {
                let wrong = |error: NoNetwork| NoFilter(error.to_string());
                self.src = read(value).map_err(wrong)?;
            }
            "verification" => {
                let verdicts = || expected(Verdict::ALL.map(Verdict::as_str));
                self.verification = read(value).map_err(|_| verdicts())?;
            }
            "from" => self.from = time(value)?,
            "to" => self.to = time(value)?,
            _ => return Err(NoFilter("no filter has this word".to_owned())),
        }
        Ok(())
    }

    /// Checks that something can lie between `from` and `to`.
    ///
    /// # Errors
    /// When the window ends before it starts.
    pub fn check(&self) -> Result<(), NoWindow> {
        NoWindow::check_order(self.from, self.to)
    }

    /// The words that are set, with values that [`set`](Self::set) reads as the same filter.
    pub fn as_words(&self) -> Vec<(&'static str, String)> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let value = |word: &str| match word {
            "portal_id" => self.portal_id.clone(),
            "principal_id" => self.principal_id.clone(),
            "person" => self.person.clone(),
            "name" => self.name.clone(),
            "kind" => self.kind.clone(),
            "outcome" => self.outcome.map(|outcome| outcome.as_str().to_owned()),
            "src" => self.src.map(|src| src.to_string()),
            "trace_id" => self.trace_id.clone(),
            "verification" => self.verification.map(|it| it.as_str().to_owned()),
            "from" => self.from.map(time),
            "to" => self.to.map(time),
            "q" => self.q.clone(),
            _ => None,
        };
        let there = EventFilter::words().filter_map(|word| Some((word, value(word)?)));
        there.collect()
    }

    /// `command` with the flags of this filter, to be pasted into a shell.
    pub fn command(&self, command: &str) -> String {
        let flags = self.as_words().into_iter().map(|(word, value)| {
            let flag = Self::flag(word);
            // Else it would be read as a flag of its own.
            let gap = if value.starts_with('-') { "=" } else { " " };
            format!(" {flag}{gap}{}", shell_word(&value))
        });
        format!("{command}{}", flags.collect::<String>())
    }

    /// Whether rows must be examined for more than their time, and no index finds the ones that
    /// match.
    pub(super) fn is_looked_for(&self) -> bool {
        let Self {
            portal_id,
            principal_id: _,
            person: _,
            name,
            kind,
            outcome,
            src,
            trace_id,
            verification,
            from: _,
            to: _,
            q,
            batches,
        } = self;
        let texts = [portal_id, name, kind, trace_id, q];
        batches.is_none()
            && (texts.into_iter().any(Option::is_some)
                || outcome.is_some()
                || src.is_some()
                || verification.is_some())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value; none where it is empty.
fn read<T: FromStr>(value: &str) -> Result<Option<T>, T::Err> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some)
}

fn time(value: &str) -> Result<Option<DateTime<Utc>>, NoFilter> {
    if value.is_empty() {
        return Ok(None);
    }
    let time = read_time(value);
    time.map(Some)
        .ok_or_else(|| NoFilter("expected a time such as 2026-01-31T12:00:00Z".to_owned()))
}

/// The error that one of some words was expected.
fn expected<const N: usize>(words: [&str; N]) -> NoFilter {
    let (last, others) = words.split_last().expect("there are words");
    NoFilter(format!("expected {} or {last}", others.join(", ")))
}

/// A value as one word of a shell.
pub fn shell_word(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(letter);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::EventFilter;

    fn read(pairs: &[(&str, &str)]) -> EventFilter {
        let mut filter = EventFilter::default();
        for (word, value) in pairs {
            filter.set(word, value).unwrap();
        }
        filter
    }

    #[test]
    fn what_is_told_reads_as_the_same_filter_and_as_a_command() {
        let filter = read(&[
            ("portal_id", "3e551b39-227d-4297-b911-e68fd5d77c17"),
            ("person", "-o'Neil $(x)"),
            ("outcome", "failure"),
            ("src", "192.0.2.0/24"),
            ("verification", "verified"),
            ("kind", "access"),
            ("from", "2026-06-23T14:00:00.250+02:00"),
            ("q", ""),
        ]);
        let told = filter.as_words();
        let pairs: Vec<(&str, &str)> = told.iter().map(|(w, v)| (*w, v.as_str())).collect();
        assert_eq!(read(&pairs), filter);
        assert_eq!(
            filter.command("usher events"),
            "usher events --portal 3e551b39-227d-4297-b911-e68fd5d77c17 \
             --person='-o'\\''Neil $(x)' --kind access --outcome failure --src 192.0.2.0/24 \
             --verification verified --from 2026-06-23T12:00:00.250Z"
        );
        assert_eq!(
            EventFilter::default().command("usher events"),
            "usher events"
        );
    }

    #[test]
    fn every_word_is_read_and_told() {
        for word in EventFilter::words() {
            let value = match word {
                "kind" => "access",
                "outcome" => "unknown",
                "src" => "::1",
                "verification" => "failed",
                "from" | "to" => "2026-06-23T12:00:00Z",
                _ => "some text",
            };
            let filter = read(&[(word, value)]);
            assert_eq!(filter.as_words(), [(word, value.to_owned())]);
            assert_eq!(read(&[(word, "")]), EventFilter::default());
        }
    }

    #[test]
    fn says_what_was_expected() {
        for (word, value, told) in [
            ("outcome", "ok", "expected success, failure or unknown"),
            (
                "src",
                "10.0.0.0/99",
                "expected an address such as 192.0.2.7",
            ),
            ("from", "2h", "expected a time such as"),
            ("to", "+12345-01-01T00:00:00Z", "expected a time such as"),
            ("kind", "Access", "expected authentication, authorization"),
            ("verification", "x", "expected verified, failed"),
            ("name", "a\0", "NUL is no text"),
            ("colour", "red", "no filter has this word"),
        ] {
            let error = EventFilter::default().set(word, value).unwrap_err();
            assert!(error.to_string().starts_with(told), "{word}: {error}");
        }
        let mut filter = read(&[
            ("from", "2026-06-23T12:00:00Z"),
            ("to", "2026-06-22T12:00:00Z"),
        ]);
        assert!(filter.check().is_err());
        filter.to = None;
        assert!(filter.check().is_ok());
    }
}
