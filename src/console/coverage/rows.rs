//! A log as the pages show it: its verdict in words with what to do, and the stretches of its time
//! that are not covered.

use chrono::{DateTime, Utc};
use url::form_urlencoded;
use uuid::Uuid;

use crate::backfill::{SourceCoverage, Stretch, StretchState};
use crate::console::Console;
use crate::console::coverage::logs;
use crate::console::coverage::words::{self, Word};
use crate::console::show::{Left, length};
use crate::console::window::told;
use crate::journal::LogSource;

/// Stretches of a log that a page lists, the earliest, which expire first.
const MOST: usize = 50;
/// Reasons of a stretch that a page lists.
const MOST_REASONS: usize = 5;

/// What is known of a log in one line.
#[derive(Debug)]
pub(in crate::console) struct Head {
    /// What it is called.
    pub(in crate::console) name: String,
    /// Its page.
    pub(in crate::console) href: String,
    /// The worst that is known of all its time.
    pub(in crate::console) verdict: Word,
    /// Until Konnect begins to drop what is missing.
    pub(in crate::console) expires: Option<Left>,
    /// What to do; empty where nothing is.
    pub(in crate::console) advice: &'static str,
}

impl Head {
    /// The line of a log with all of its time.
    pub(in crate::console) fn new(console: &Console, known: &SourceCoverage, name: String) -> Self {
        let source = known.status.source;
        let verdict = known.verdict();
        let asks = console.settings.asks_konnect && console.coverage.asks_by_itself();
        Self {
            name,
            href: match source.portal() {
                Some(portal) => format!("/coverage?portal_id={portal}"),
                None => "/coverage#log-org".to_owned(),
            },
            verdict: words::state(verdict),
            expires: known.expires_at().map(|at| Left { at, now: known.now }),
            advice: advice(verdict, asks),
        }
    }
}

/// What to do about a verdict; `asks` where usher asks for gaps by itself.
fn advice(verdict: StretchState, asks: bool) -> &'static str {
    match verdict {
        StretchState::Covered | StretchState::Settling | StretchState::Replaying => "",
        StretchState::Missing if asks => "usher has it sent again by itself, one job at a time.",
        StretchState::Missing => {
            "Nobody asks Konnect for it: have it sent again before Konnect drops it."
        }
        StretchState::Lost => {
            "No replay brings it back. Acknowledge it with a reason: it stays visible, and raises no alarm any more."
        }
    }
}

/// A stretch of time that is not covered.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) length: String,
    pub(super) state: Word,
    /// Each reason in words, and what was seen.
    pub(super) reasons: Vec<(&'static str, String)>,
    pub(super) more_reasons: usize,
    pub(super) expires: Option<Left>,
    pub(super) job: Option<Uuid>,
    /// Who took note of it, and why.
    pub(super) acknowledged: Option<(String, String)>,
    /// Where it is asked for.
    pub(super) ask: Option<String>,
    /// Its ends as fields of the form that acknowledges it; none where there is nothing to.
    pub(super) open_loss: Option<(String, String)>,
}

impl Row {
    fn new(stretch: &Stretch, source: LogSource, now: DateTime<Utc>) -> Self {
        let acknowledged = stretch.acknowledged.as_ref();
        let reasons = stretch.reasons.iter().take(MOST_REASONS);
        let ask = stretch.to_ask_for(now);
        Self {
            from: stretch.from,
            to: stretch.to,
            length: length(stretch.length()),
            state: words::state(stretch.state),
            reasons: reasons
                .map(|(reason, detail)| {
                    let reason = words::reason(*reason);
                    let is_said = detail == reason;
                    (
                        reason,
                        if is_said {
                            String::new()
                        } else {
                            detail.clone()
                        },
                    )
                })
                .collect(),
            more_reasons: stretch.reasons.len().saturating_sub(MOST_REASONS),
            expires: stretch.expires_at().map(|at| Left { at, now }),
            job: stretch.job,
            acknowledged: acknowledged.map(|loss| (loss.who.clone(), loss.reason.clone())),
            ask: ask.map(|(from, to)| replay(source, from, to)),
            open_loss: stretch
                .is_open_loss()
                .then(|| (told(stretch.from), told(stretch.to))),
        }
    }
}

/// The form for a replay job, filled in.
fn replay(source: LogSource, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("portal_id", &logs::field(source))
        .append_pair("from", &told(from))
        .append_pair("to", &told(to))
        .finish();
    format!("/replay?{query}")
}

/// Stretches that are not covered, and how many more there are than a page lists.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) more: usize,
}

impl Rows {
    /// Those of a log that `is_wanted`, the earliest first.
    pub(super) fn of(known: &SourceCoverage, is_wanted: impl Fn(&Stretch) -> bool) -> Self {
        let stretches = known.stretches.iter();
        let mut found: Vec<&Stretch> = stretches
            .filter(|stretch| is_amiss(stretch) && is_wanted(stretch))
            .collect();
        let more = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        let row = |stretch: &&Stretch| Row::new(stretch, known.status.source, known.now);
        Self {
            rows: found.iter().map(row).collect(),
            more,
        }
    }
}

/// Whether something is known against a stretch. What is merely young is not listed.
fn is_amiss(stretch: &Stretch) -> bool {
    match stretch.state {
        StretchState::Covered => false,
        StretchState::Settling => !stretch.reasons.is_empty(),
        StretchState::Replaying | StretchState::Missing | StretchState::Lost => true,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{advice, replay};
    use crate::backfill::StretchState;
    use crate::journal::LogSource;

    #[test]
    fn the_form_is_filled_in_with_the_stretch() {
        let at = |text: &str| text.parse().unwrap();
        let (from, to) = (at("2026-06-23T12:00:00Z"), at("2026-06-23T13:00:00Z"));
        let window = "from=2026-06-23T12%3A00%3A00Z&to=2026-06-23T13%3A00%3A00Z";
        let portal = Uuid::from_u128(7);
        assert_eq!(
            replay(LogSource::Portal(portal), from, to),
            format!("/replay?portal_id={portal}&{window}")
        );
        assert_eq!(
            replay(LogSource::Org, from, to),
            format!("/replay?portal_id=&{window}")
        );
    }

    #[test]
    fn what_is_missing_says_who_asks_for_it() {
        assert!(advice(StretchState::Missing, true).starts_with("usher has it"));
        assert!(advice(StretchState::Missing, false).starts_with("Nobody asks"));
        assert!(advice(StretchState::Lost, true).starts_with("No replay"));
        assert_eq!(advice(StretchState::Replaying, true), "");
    }
}
