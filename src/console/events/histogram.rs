//! How many events there were over the time of a search, as bars that narrow it. The numbers are
//! the report's; what it cannot count by is said, or left out.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use tracing::warn;

use crate::console::chart::{Chart, Series, StackedBars, Tone};
use crate::console::events::paths;
use crate::event::{Kind, Verdict};
use crate::journal::{EventFilter, Outcome};
use crate::report::{By, Question, ReportError, ReportName, Reports, Row};

/// Bytes of a link at most, where each bar has one.
const LONGEST_LINK: usize = 800;

/// The window of bars where none is asked for.
const DEFAULT: TimeDelta = TimeDelta::hours(24);
/// A shorter window is one bar or two.
const LEAST: TimeDelta = TimeDelta::hours(2);
/// Up to this a bar is an hour, then a day, then seven days.
const BY_HOUR: TimeDelta = TimeDelta::hours(48);
const BY_DAY: TimeDelta = TimeDelta::days(31);
/// A longer window takes long to count.
const MOST: TimeDelta = TimeDelta::days(92);
/// Letters of a name that the report tells apart.
const NAME_LETTERS: usize = 200;

/// The bars above a search.
#[derive(Debug)]
pub(super) struct Histogram {
    /// The bars.
    pub(super) chart: Option<Chart>,
    /// What they count, and what they do not.
    pub(super) notes: Vec<String>,
}

/// The bars of a search; none where they would say nothing.
pub(super) async fn of(
    reports: &Reports,
    filter: &EventFilter,
    now: DateTime<Utc>,
) -> Option<Histogram> {
    // Those of a batch are few. The report does not count who read.
    if filter.batches.is_some() || filter.kind.as_deref() == Some(Kind::Read.as_str()) {
        return None;
    }
    let span = match Span::of(filter, now) {
        Ok(span) => span?,
        Err(note) => return Some(note_alone(note)),
    };
    let question = Question {
        portal: filter.portal_id.as_ref().and_then(|id| id.parse().ok()),
        from: Some(span.from),
        to: Some(span.to),
        by: Some(span.by),
        ..Question::default()
    };
    let answer = match reports.ask(ReportName::Activity, &question).await {
        Ok(answer) => answer,
        Err(ReportError::Question(error)) => return Some(note_alone(&error.to_string())),
        Err(ReportError::Journal(error)) => {
            warn!(error = error.chain(), "a histogram could not be counted");
            return Some(note_alone("The bars cannot be counted now."));
        }
    };
    let mut notes: Vec<String> = uncounted(filter).into_iter().collect();
    if filter.from.is_none() {
        notes.push("No start is asked for, so the bars begin a day before the end.".to_owned());
    }
    if answer.is_cut {
        notes.push("There is more than can be counted at once: shorten the time.".to_owned());
    } else if !answer.is_complete {
        notes.push("Not all that is stored is counted yet.".to_owned());
    }
    Some(Histogram {
        chart: Some(span.draw(filter, &answer.rows)),
        notes,
    })
}

fn note_alone(note: &str) -> Histogram {
    Histogram {
        chart: None,
        notes: vec![note.to_owned()],
    }
}

/// The time that the bars are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    begin: DateTime<Utc>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    by: By,
    step: TimeDelta,
}

impl Span {
    /// None where it is too short for bars; a sentence where it is too long.
    fn of(filter: &EventFilter, now: DateTime<Utc>) -> Result<Option<Self>, &'static str> {
        let hour = TimeDelta::hours(1);
        let down = |at: DateTime<Utc>, step| at.duration_trunc(step).unwrap_or(at);
        let to = filter.to.unwrap_or_else(|| down(now, hour) + hour);
        let from = filter
            .from
            .or_else(|| to.checked_sub_signed(DEFAULT))
            .unwrap_or(to);
        let length = to - from;
        if length < LEAST {
            return Ok(None);
        }
        if length > MOST {
            return Err("The time is too long for bars: ask for three months or less.");
        }
        let day = TimeDelta::days(1);
        let (by, unit, step) = if length <= BY_HOUR {
            (By::Hour, hour, hour)
        } else if length <= BY_DAY {
            (By::Day, day, day)
        } else {
            (By::Day, day, TimeDelta::days(7))
        };
        Ok(Some(Self {
            // The report names an hour or a day by its beginning, which may be before the window.
            begin: down(from, unit),
            from,
            to,
            by,
            step,
        }))
    }

    fn draw(self, filter: &EventFilter, rows: &[Row]) -> Chart {
        let series = Outcome::ALL.map(|outcome| Series {
            name: outcome.as_str().to_owned(),
            tone: match outcome {
                Outcome::Success => Tone::Ok,
                Outcome::Failure => Tone::Bad,
                Outcome::Unknown => Tone::Muted,
            },
        });
        let window = (self.begin, self.to);
        let mut bars = StackedBars::new("Events by outcome", series.into(), window, self.step);
        for row in rows.iter().filter(|row| is_counted(row, filter)) {
            let at = text(row, "from").parse::<DateTime<Utc>>();
            let outcome = text(row, "outcome");
            let place = Outcome::ALL.iter().position(|it| it.as_str() == outcome);
            let count = row.get("count").and_then(Value::as_u64);
            if let (Ok(at), Some(place), Some(count)) = (at, place, count) {
                bars.add(at, place, count);
            }
        }
        let path = |from: DateTime<Utc>, to: DateTime<Utc>| {
            paths::between(filter, Some(from.max(self.from)), Some(to.min(self.to)))
        };
        // Every link repeats the filter: with a long one the page would be mostly that.
        let is_short = path(self.from, self.to).len() <= LONGEST_LINK;
        let bars = if is_short { bars.linked(path) } else { bars };
        bars.draw("No event is counted in this time. Widen it, or leave a field out.")
    }
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the filter asks for what a row counts, by the members that the report knows.
fn is_counted(row: &Row, filter: &EventFilter) -> bool {
    let is = |column: &str, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| {
            let wanted = wanted
                .char_indices()
                .nth(NAME_LETTERS)
                .map_or(wanted, |(end, _)| &wanted[..end]);
            text(row, column) == wanted
        })
    };
    is("portal_id", filter.portal_id.as_deref())
        && is("kind", filter.kind.as_deref())
        && is("name", filter.name.as_deref())
        && is("outcome", filter.outcome.map(Outcome::as_str))
        && is("verification", filter.verification.map(Verdict::as_str))
}

/// Says which fields the report knows nothing of, if some are filled.
fn uncounted(filter: &EventFilter) -> Option<String> {
    let fields = [
        ("Contains", filter.q.is_some()),
        ("Person", filter.person.is_some()),
        ("Principal", filter.principal_id.is_some()),
        ("Address", filter.src.is_some()),
        ("Trace", filter.trace_id.is_some()),
    ];
    let filled = fields.into_iter().filter(|(_, is_filled)| *is_filled);
    let names: Vec<&str> = filled.map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "The bars count all events of the time: what is in {} cannot be counted by.",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::{Span, is_counted, uncounted};
    use crate::journal::EventFilter;
    use crate::report::By;

    fn filter(words: &[(&str, &str)]) -> EventFilter {
        let mut filter = EventFilter::default();
        for (word, value) in words {
            filter.set(word, value).unwrap();
        }
        filter
    }

    #[test]
    fn bars_are_hours_or_days_of_the_window() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-06-23T12:30:00Z");
        let last_day = Span::of(&filter(&[]), now).unwrap().unwrap();
        assert_eq!(
            (last_day.from, last_day.to, last_day.by),
            (
                at("2026-06-22T13:00:00Z"),
                at("2026-06-23T13:00:00Z"),
                By::Hour
            )
        );
        let week = filter(&[("from", "2026-06-16T12:30:00Z")]);
        assert_eq!(Span::of(&week, now).unwrap().unwrap().by, By::Day);
        let hour = filter(&[("from", "2026-06-23T11:30:00Z")]);
        assert_eq!(Span::of(&hour, now), Ok(None));
        let ahead = filter(&[("from", "2026-07-23T11:30:00Z")]);
        assert_eq!(Span::of(&ahead, now), Ok(None));
        let years = filter(&[("from", "0001-01-01T00:00:00Z")]);
        assert!(Span::of(&years, now).is_err());
        let first = filter(&[("to", "0001-01-01T00:00:00Z")]);
        assert!(Span::of(&first, now).is_ok());
    }

    #[test]
    fn what_the_report_knows_is_counted_by_and_the_rest_is_said() {
        let row = json!({
            "from": "2026-06-23T12:00:00.000Z", "portal_id": null, "kind": "access",
            "name": "Ingress", "outcome": "failure", "verification": "verified", "count": 3,
        });
        let row = row.as_object().unwrap();
        for (words, expected) in [
            (&[][..], true),
            (&[("kind", "access"), ("outcome", "failure")], true),
            (&[("name", "Authz.portals")], false),
            (&[("portal_id", "p")], false),
            (&[("verification", "failed")], false),
            (&[("q", "x")], true),
        ] {
            assert_eq!(is_counted(row, &filter(words)), expected, "{words:?}");
        }
        assert_eq!(uncounted(&filter(&[("name", "x")])), None);
        let told = uncounted(&filter(&[("q", "x"), ("src", "::1")])).unwrap();
        assert!(told.contains("Contains, Address"), "{told}");
    }
}
