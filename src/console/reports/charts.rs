//! The rows of reports as charts, for those that a picture fits.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::console::chart::{Chart, Rank, Ranking, Series, Share, StackedBars, Tone};
use crate::console::show;
use crate::journal::Outcome;
use crate::report::{EventCount, ReportName, Row, text};

/// Bars of a ranking at most, but for the one of all others.
const TOP: usize = 10;
/// What signatures prove, as the columns of `trust` have it, from the bottom of a bar upwards.
const VERDICTS: [(&str, Tone); 5] = [
    ("verified", Tone::Ok),
    ("not_applicable", Tone::Info),
    ("unsigned", Tone::Muted),
    ("key_unknown", Tone::Warn),
    ("failed", Tone::Bad),
];

/// The chart of a report that is made of its rows; none where no picture fits.
pub(super) fn of(name: ReportName, rows: &[Row]) -> Option<Chart> {
    match name {
        ReportName::Funnel => Some(funnel(rows)),
        ReportName::Trust => Some(trust(rows)),
        ReportName::Decisions => Some(top("Decisions", "Decision", rows, "count", |row| {
            let word = |column| text(row, column).unwrap_or_default();
            let (name, deed, outcome) = (word("name"), word("deed"), word("outcome"));
            (format!("{name}: {deed}, {outcome}"), None)
        })),
        ReportName::FailedLogins => Some(top(
            "Failed log-ins",
            "Account and address",
            rows,
            "failures",
            |row| {
                let account = text(row, "email").or_else(|| text(row, "principal_id"));
                let account = account.unwrap_or_else(|| "nobody known".to_owned());
                let src = text(row, "src").unwrap_or_else(|| "no address".to_owned());
                (format!("{account} from {src}"), text(row, "pattern"))
            },
        )),
        ReportName::Partners => Some(top("People", "Domain", rows, "people", |row| {
            (text(row, "domain").unwrap_or_default(), None)
        })),
        _ => None,
    }
}

/// The steps from signing up to using an API, each with how long it took; of several weeks the sum.
pub(in crate::console) fn funnel(rows: &[Row]) -> Chart {
    let mut steps: Vec<Rank> = Vec::new();
    for row in rows {
        let name = text(row, "step").unwrap_or_default().replace('_', " ");
        if let Some(known) = steps.iter_mut().find(|known| known.name == name) {
            known.value += count(row, "people");
            // A median of medians would be none.
            known.note = None;
        } else {
            steps.push(Rank {
                name,
                value: count(row, "people"),
                note: took(row),
                href: None,
            });
        }
    }
    let ranking = Ranking {
        label: "People by how far they came".to_owned(),
        names: "Step".to_owned(),
        notes: "From the step before".to_owned(),
        rows: steps,
        share: Share::OfFirst,
        tone: Tone::Info,
    };
    ranking.draw("Nobody signed up in this time.")
}

/// How long half of the people took, and of how many that is known.
fn took(row: &Row) -> Option<String> {
    let median = row.get("median_seconds")?.as_f64()?;
    let timed = count(row, "timed");
    Some(format!("median {}, n = {timed}", show::seconds(median)))
}

/// Events by how they ended; each bar leads to its events.
pub(in crate::console) fn by_outcome(
    counts: &[EventCount],
    span: (DateTime<Utc>, DateTime<Utc>),
    step: TimeDelta,
    portal: Option<Uuid>,
) -> Chart {
    let outcomes = Outcome::ALL;
    let series = outcomes.map(|outcome| Series {
        name: outcome.as_str().to_owned(),
        tone: match outcome {
            Outcome::Success => Tone::Ok,
            Outcome::Failure => Tone::Bad,
            Outcome::Unknown => Tone::Muted,
        },
    });
    let mut bars = StackedBars::new("Events by outcome", series.into(), span, step);
    for one in counts {
        let place = outcomes.iter().position(|it| it.as_str() == one.outcome);
        if let Some(place) = place {
            bars.add(one.from, place, u64::try_from(one.count).unwrap_or(0));
        }
    }
    let portal = portal.map_or_else(String::new, |portal| format!("&portal_id={portal}"));
    bars.linked(|from, to| {
        let (from, to) = (show::exact(from), show::exact(to));
        format!("/events?from={from}&to={to}{portal}")
    })
    .draw("No event in this time.")
}

/// The span of times in steps that has all counts; none where there is none.
pub(super) fn span_of(
    counts: &[EventCount],
    step: TimeDelta,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let first = counts.iter().map(|one| one.from).min()?;
    let last = counts.iter().map(|one| one.from).max()?;
    Some((first, last.checked_add_signed(step)?))
}

fn trust(rows: &[Row]) -> Chart {
    let day = |row: &Row| text(row, "day")?.parse::<DateTime<Utc>>().ok();
    let step = TimeDelta::days(1);
    let days = || rows.iter().filter_map(day);
    let first = days().min().unwrap_or(DateTime::UNIX_EPOCH);
    let last = days().max().and_then(|last| last.checked_add_signed(step));
    let series = VERDICTS.map(|(name, tone)| Series {
        name: name.replace('_', " "),
        tone,
    });
    let span = (first, last.unwrap_or(first));
    let mut bars = StackedBars::new("Events by verdict", series.into(), span, step);
    for row in rows {
        let Some(day) = day(row) else { continue };
        for (place, (verdict, _)) in VERDICTS.into_iter().enumerate() {
            bars.add(day, place, count(row, verdict));
        }
    }
    bars.draw("No event in this time.")
}

/// The rows with the highest counts, and all others as one.
fn top(
    label: &str,
    names: &str,
    rows: &[Row],
    column: &str,
    told: impl Fn(&Row) -> (String, Option<String>),
) -> Chart {
    let mut ranks: Vec<Rank> = rows
        .iter()
        .map(|row| {
            let (name, note) = told(row);
            Rank {
                name,
                value: count(row, column),
                note,
                href: None,
            }
        })
        .collect();
    ranks.sort_by_key(|rank| std::cmp::Reverse(rank.value));
    let others = ranks.split_off(TOP.min(ranks.len()));
    if !others.is_empty() {
        ranks.push(Rank {
            name: format!("{} others", others.len()),
            value: others.iter().map(|rank| rank.value).sum(),
            note: None,
            href: None,
        });
    }
    let ranking = Ranking {
        label: format!("{label}: the {TOP} highest counts, and the others"),
        names: names.to_owned(),
        notes: "Note".to_owned(),
        rows: ranks,
        share: Share::OfAll,
        tone: Tone::Info,
    };
    ranking.draw("Nothing was counted in this time.")
}

fn count(row: &Row, column: &str) -> u64 {
    let value = row.get(column).and_then(serde_json::Value::as_u64);
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::{by_outcome, funnel, of, span_of};
    use crate::report::{EventCount, ReportName, Row};

    fn rows(value: Value) -> Vec<Row> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_funnel_tells_the_time_of_each_step_and_sums_weeks() {
        let mut steps = vec![
            json!({"step": "signed_up", "people": 8, "median_seconds": null, "timed": 0}),
            json!({"step": "approved", "people": 4, "median_seconds": 90.0, "timed": 3}),
        ];
        let chart = funnel(&rows(json!(steps)));
        assert!(chart.svg.contains("signed up"), "{}", chart.svg);
        assert!(chart.table.contains("median 1 min, n = 3"));
        steps.push(json!({"step": "approved", "people": 2, "median_seconds": 1.0, "timed": 2}));
        let chart = funnel(&rows(json!(steps)));
        assert!(chart.svg.contains("6 · 75 %"), "{}", chart.svg);
        assert!(!chart.table.contains("median"));
    }

    #[test]
    fn events_lead_to_their_window() {
        let count = |outcome: &str, count| EventCount {
            from: "2026-11-30T13:00:00Z".parse().unwrap(),
            outcome: outcome.to_owned(),
            verification: "verified".to_owned(),
            count,
        };
        let counts = [count("success", 3), count("failure", 2)];
        let step = TimeDelta::hours(1);
        let span = span_of(&counts, step).unwrap();
        let chart = by_outcome(&counts, span, step, Some(uuid::Uuid::nil()));
        let link = "/events?from=2026-11-30T13:00:00Z&amp;to=2026-11-30T14:00:00Z&amp;portal_id=";
        assert!(chart.svg.contains(link), "{}", chart.svg);
        assert!(chart.svg.contains("5 in all"), "{}", chart.svg);
        assert_eq!(span_of(&[], step), None);
    }

    #[test]
    fn rows_that_lack_what_is_drawn_are_no_error() {
        for name in ReportName::ALL {
            let chart = of(*name, &rows(json!([{}, {"day": "x", "count": -1}])));
            assert!(chart.is_none_or(|chart| chart.is_empty()), "{name}");
            of(*name, &[]);
        }
        let trust = json!([{"day": "2026-11-30T00:00:00.000Z", "verified": 5, "failed": 1}]);
        let chart = of(ReportName::Trust, &rows(trust)).unwrap();
        assert!(chart.svg.contains("6 in all"), "{}", chart.svg);
    }
}
