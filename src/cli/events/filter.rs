//! The flags that say which events: the words of the one filter, read as the API reads them.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::CliError;
use crate::cli::events::verdicts;
use crate::cli::times::{Moment, ends};
use crate::event::{Kind, Verdict};
use crate::journal::{EventFilter, JournalError, Outcome};

#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Only events of this portal
    #[arg(long, value_name = "ID")]
    portal: Option<String>,
    /// Only events of this principal (the developer, in a Dev Portal's log)
    #[arg(long, value_name = "ID")]
    principal: Option<String>,
    /// Only events of developers whose e-mail or full name begins so
    #[arg(long, value_name = "TEXT")]
    person: Option<String>,
    /// Only events of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only events of this kind
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<Kind>,
    /// Only events that ended so
    #[arg(long, value_name = "OUTCOME", value_parser = outcomes())]
    outcome: Option<Outcome>,
    /// Only events from this address, or from one of this network (192.0.2.0/24)
    #[arg(long, value_name = "ADDRESS")]
    src: Option<String>,
    /// Earliest time of the event: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Events before this time: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Only events of this trace
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Only events with this verdict on their signature
    #[arg(long, value_name = "VERDICT", value_parser = verdicts())]
    verification: Option<Verdict>,
    /// Only events whose entry contains this text, in exact case
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
}

impl FilterArgs {
    /// The filter that the flags describe.
    ///
    /// # Errors
    /// [`CliError::Usage`] names the flag whose value is not possible.
    pub(super) fn read(self, now: DateTime<Utc>) -> Result<EventFilter, CliError> {
        let (from, to) = ends(self.from, self.to, now)?;
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut filter = EventFilter::default();
        for (word, value) in [
            ("portal_id", self.portal),
            ("principal_id", self.principal),
            ("person", self.person),
            ("name", self.name),
            ("kind", self.kind.map(|kind| kind.as_str().to_owned())),
            ("outcome", self.outcome.map(|outcome| outcome.to_string())),
            ("src", self.src),
            ("from", from.map(time)),
            ("to", to.map(time)),
            ("trace_id", self.trace),
            ("verification", self.verification.map(|it| it.to_string())),
            ("q", self.q),
        ] {
            let wrong = |error| CliError::Usage(format!("{}: {error}", EventFilter::flag(word)));
            filter
                .set(word, &value.unwrap_or_default())
                .map_err(wrong)?;
        }
        Ok(filter)
    }
}

/// Why events could not be read.
pub(super) fn unread(error: JournalError) -> CliError {
    match error {
        JournalError::TooManyPeople { .. } => CliError::Usage(format!("--person: {error}")),
        other => CliError::Failed(anyhow::Error::new(other).context("could not read events")),
    }
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let words = Kind::ALL.map(Kind::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Kind>())
}

fn outcomes() -> impl TypedValueParser<Value = Outcome> {
    let words = Outcome::ALL.map(Outcome::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Outcome>())
}
