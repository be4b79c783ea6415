//! The answers as the first page shows them: words and links, no numbers of its own.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::console::chart::{Chart, Sparkline};
use crate::console::overview::advice;
use crate::console::overview::questions::{Answers, FUNNEL_DAYS, Read, Span};
use crate::console::reports::charts;
use crate::console::show::{Ago, exact, number};
use crate::http::health::{Condition, PartShown};
use crate::journal::{COUNTED, OpenAlert, QUARANTINE_COUNTED, QuarantineCount, ReaderStatus};
use crate::report::{ActivePeople, EventCount, PendingCount};

/// Reasons of quarantine that are named at most.
const REASONS: usize = 5;

/// A number with what it counts.
pub(super) struct Tile {
    pub(super) label: &'static str,
    /// Where it leads.
    pub(super) href: String,
    /// The number; a dash where it could not be read.
    pub(super) value: String,
    /// What is to be said about it, or why it could not be read.
    pub(super) note: String,
    /// Since when the oldest waits, where something does.
    pub(super) oldest: Option<Ago>,
    /// Its course.
    pub(super) course: Option<Chart>,
}

impl Tile {
    fn new(label: &'static str, href: impl Into<String>) -> Self {
        Self {
            label,
            href: href.into(),
            value: "–".to_owned(),
            note: String::new(),
            oldest: None,
            course: None,
        }
    }

    /// The tile as `told` fills it, or with the reason why there is nothing to tell.
    fn of<T>(mut self, read: &Read<T>, told: impl FnOnce(&mut Self, &T)) -> Self {
        match read {
            Ok(answer) => told(&mut self, answer),
            Err(reason) => self.note = format!("not read: {reason}"),
        }
        self
    }
}

/// One part with its condition and what to do about it.
pub(super) struct PartRow {
    pub(super) name: String,
    pub(super) condition: &'static str,
    pub(super) detail: String,
    pub(super) advice: &'static str,
}

impl PartRow {
    fn new(part: PartShown) -> Self {
        let is_ok = part.condition == Condition::Ok;
        Self {
            advice: if is_ok { "" } else { advice::of(&part.name) },
            condition: part.condition.as_str(),
            name: part.name,
            detail: part.detail,
        }
    }
}

/// The parts, those that do not work first.
pub(super) fn parts(mut parts: Vec<PartShown>) -> Vec<PartRow> {
    parts.sort_by_key(|part| match part.condition {
        Condition::Down => 0,
        Condition::Degraded => 1,
        Condition::Ok => 2,
    });
    parts.into_iter().map(PartRow::new).collect()
}

/// All parts together, in words.
pub(super) fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Ok => "Deliveries are accepted, and every part works.",
        Condition::Degraded => "Deliveries are accepted, but a part does not work.",
        Condition::Down => {
            "No delivery can be accepted: neither the database nor a spool takes one."
        }
    }
}

/// Something that is wrong with usher itself, and what to do about it.
pub(super) struct AlertRow {
    pub(super) name: &'static str,
    pub(super) detail: String,
    pub(super) since: Ago,
    pub(super) advice: &'static str,
}

/// What is wrong now.
pub(super) fn alerts(open: &[OpenAlert], now: DateTime<Utc>) -> Vec<AlertRow> {
    let row = |open: &OpenAlert| AlertRow {
        name: open.found.alert.as_str(),
        // The detail of an alert about a portal has the portal's name.
        detail: match (open.found.subject.as_str(), open.found.portal_id) {
            ("", _) | (_, Some(_)) => open.found.detail.clone(),
            (subject, None) => format!("{subject}: {}", open.found.detail),
        },
        since: Ago {
            at: open.since,
            now,
        },
        advice: open.found.alert.advice(),
    };
    open.iter().map(row).collect()
}

/// How far a reader of the outbox is behind.
pub(super) struct ReaderRow {
    pub(super) name: String,
    pub(super) owed: String,
    pub(super) oldest: Option<Ago>,
}

/// The readers.
pub(super) fn readers(readers: &[ReaderStatus], now: DateTime<Utc>) -> Vec<ReaderRow> {
    let row = |reader: &ReaderStatus| ReaderRow {
        name: reader.reader.clone(),
        owed: or_more(reader.batches, COUNTED),
        oldest: reader.oldest.map(|at| Ago { at, now }),
    };
    readers.iter().map(row).collect()
}

/// Who waits, by how long.
pub(super) struct PendingRow {
    pub(super) what: &'static str,
    pub(super) counts: [String; 5],
    pub(super) oldest: Ago,
}

/// Who waits for an answer.
pub(super) fn pending(counts: &[PendingCount], now: DateTime<Utc>) -> Vec<PendingRow> {
    let row = |one: &PendingCount| PendingRow {
        what: if one.what == "developer" {
            "People"
        } else {
            "Registrations"
        },
        counts: [one.hour, one.day, one.week, one.longer, one.count].map(number),
        oldest: Ago {
            at: one.oldest,
            now,
        },
    };
    counts.iter().map(row).collect()
}

/// The reasons of quarantine with their counts; the rest is on the page of the quarantine.
pub(super) fn reasons(counts: &[QuarantineCount]) -> Vec<(String, String)> {
    let row = |one: &QuarantineCount| (one.reason.clone(), number(one.count));
    counts.iter().take(REASONS).map(row).collect()
}

/// The events over time.
pub(super) fn events(counts: &[EventCount], span: Span, portal: Option<Uuid>) -> Chart {
    charts::by_outcome(counts, (span.from, span.to), span.step(), portal)
}

/// The tiles of the page.
pub(super) fn tiles(
    answers: &Answers,
    span: Span,
    (portal, sees_all): (Option<Uuid>, bool),
    now: DateTime<Utc>,
) -> Vec<Tile> {
    let of_portal = portal.map_or_else(String::new, |id| format!("portal_id={id}"));
    let window = window(span, portal);
    let of_people = span.of_people();
    let lately = lately(span);
    let events = Tile::new("Events", format!("/events?{window}"));
    let verified = Tile::new("Verified", format!("/reports/trust?{window}"));
    let signed_in = "kind=authentication&outcome=success";
    let active = Tile::new(
        "Active people",
        format!("/events?{signed_in}&{}", self::window(of_people, portal)),
    );
    let pending = Tile::new("Pending", format!("/reports/pending?{of_portal}"));
    let parked = Tile::new("Parked actions", "/approvals");
    let failed = Tile::new(
        "Failed actions",
        format!("/actions?state=failed&{of_portal}"),
    );
    let quarantine = Tile::new("Quarantined", "/quarantine");
    let owed = Tile::new("Oldest row owed", "#readers");
    let mut tiles = vec![
        events.of(&answers.events, |tile, counts| {
            tile.value = number(counts.iter().map(|one| one.count).sum::<i64>());
            lately.clone_into(&mut tile.note);
        }),
        verified.of(&answers.events, |tile, counts| {
            (tile.value, tile.note) = proven(counts);
        }),
        active.of(&answers.active, |tile, people| {
            fill_active(tile, &people.answer, of_people);
        }),
        pending.of(&answers.pending, |tile, counts| {
            tile.value = number(counts.iter().map(|one| one.count).sum::<i64>());
            let oldest = counts.iter().map(|one| one.oldest).min();
            oldest
                .map_or("nobody waits", |_| "the oldest came")
                .clone_into(&mut tile.note);
            tile.oldest = oldest.map(|at| Ago { at, now });
        }),
        parked.of(&answers.tally, |tile, tally| {
            tile.value = number(tally.parked);
            let oldest = tally.parked_since;
            oldest
                .map_or("none waits for a person", |_| "the oldest was decided")
                .clone_into(&mut tile.note);
            tile.oldest = oldest.map(|at| Ago { at, now });
        }),
        failed.of(&answers.tally, |tile, tally| {
            tile.value = number(tally.failed);
            tile.note = format!("{lately}; {} planned or running", number(tally.open));
        }),
    ];
    if !sees_all {
        return tiles;
    }
    tiles.extend([
        quarantine.of(&answers.quarantine, |tile, counts| {
            let all = counts.iter().map(|one| one.count).sum();
            tile.value = or_more(all, QUARANTINE_COUNTED);
            "in the last 24 h, of all portals".clone_into(&mut tile.note);
        }),
        owed.of(&answers.readers, |tile, readers| {
            fill_owed(tile, readers, now);
        }),
    ]);
    tiles
}

/// The time of the page, and its portal, as the query of another page.
fn window(span: Span, portal: Option<Uuid>) -> String {
    let window = format!("from={}&to={}", exact(span.from), exact(span.to));
    match portal {
        Some(portal) => format!("{window}&portal_id={portal}"),
        None => window,
    }
}

/// The time of the page in words.
fn lately(span: Span) -> String {
    match span.days {
        1 => "in the last 24 h".to_owned(),
        days => format!("in {days} days, today included"),
    }
}

/// How much of what came in is proven. Own events, which bear no signature, do not count.
fn proven(counts: &[EventCount]) -> (String, String) {
    let sum = |is_it: &dyn Fn(&str) -> bool| -> i64 {
        let those = counts.iter().filter(|one| is_it(&one.verification));
        those.map(|one| one.count).sum()
    };
    let all = sum(&|verdict| verdict != "not_applicable");
    if all == 0 {
        return ("–".to_owned(), "nothing was delivered".to_owned());
    }
    let verified = sum(&|verdict| verdict == "verified");
    let told = ["failed", "key_unknown", "unsigned"].map(|verdict| {
        let count = sum(&|it| it == verdict);
        (count > 0).then(|| format!("{} {}", number(count), verdict.replace('_', " ")))
    });
    let told: Vec<String> = told.into_iter().flatten().collect();
    let note = if told.is_empty() {
        "of all that was delivered".to_owned()
    } else {
        told.join(", ")
    };
    (percent(verified, all), note)
}

/// A share in per cent, cut off and not rounded up: 100 % is all.
fn percent(part: i64, all: i64) -> String {
    let tenths = i128::from(part) * 1_000 / i128::from(all.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn fill_active(tile: &mut Tile, people: &[ActivePeople], span: Span) {
    let all = people.iter().find(|one| one.day.is_none());
    tile.value = number(all.map_or(0, |one| one.people));
    tile.note = format!("signed in {}", lately(span));
    if span.days == 1 {
        return;
    }
    let points = (0..span.days).map(|day| {
        let day = span.from + TimeDelta::days(day);
        let found = people.iter().find(|one| one.day == Some(day));
        let count = found.map_or(0, |one| u64::try_from(one.people).unwrap_or(0));
        (day.format("%Y-%m-%d").to_string(), count)
    });
    let course = Sparkline {
        label: "People who signed in, by day".to_owned(),
        points: points.collect(),
    };
    tile.course = Some(course.draw("Nobody signed in.")).filter(|chart| !chart.is_empty());
}

fn fill_owed(tile: &mut Tile, readers: &[ReaderStatus], now: DateTime<Utc>) {
    let behind = readers
        .iter()
        .filter_map(|reader| Some((reader.oldest?, reader)));
    if let Some((at, reader)) = behind.min_by_key(|(oldest, _)| *oldest) {
        tile.value.clone_from(&reader.reader);
        "owes what was received".clone_into(&mut tile.note);
        tile.oldest = Some(Ago { at, now });
    } else {
        "none".clone_into(&mut tile.value);
        "every reader has read all".clone_into(&mut tile.note);
    }
}

/// The heading of the funnel.
pub(super) fn funnel_title() -> String {
    format!("People who came in the last {FUNNEL_DAYS} days")
}

/// A count that stops at `most`.
fn or_more(count: i64, most: i64) -> String {
    if count >= most {
        format!("{} or more", number(most))
    } else {
        number(count)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{or_more, percent, proven};
    use crate::report::EventCount;

    #[test]
    fn what_is_proven_is_told_without_own_events() {
        let count = |verification: &str, count| EventCount {
            from: DateTime::UNIX_EPOCH,
            outcome: "success".to_owned(),
            verification: verification.to_owned(),
            count,
        };
        let told = |counts: &[EventCount]| {
            let (value, note) = proven(counts);
            format!("{value}: {note}")
        };
        assert_eq!(
            told(&[count("not_applicable", 9)]),
            "–: nothing was delivered"
        );
        let all = [count("verified", 5), count("not_applicable", 9)];
        assert_eq!(told(&all), "100.0 %: of all that was delivered");
        let some = [count("verified", 1_999), count("key_unknown", 1)];
        assert_eq!(told(&some), "99.9 %: 1 key unknown");
    }

    #[test]
    fn shares_and_counts_say_no_more_than_is_known() {
        assert_eq!(percent(i64::MAX, i64::MAX), "100.0 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(or_more(9_999, 10_000), "9\u{202f}999");
        assert_eq!(or_more(10_000, 10_000), "10\u{202f}000 or more");
    }
}
