//! Who came in the three weeks before the demo, what was decided about them, and when they signed
//! in. Pure, and the same every time but for the ids.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cli::demo::people::PARTNERS;
use crate::clock::Ids;

/// How many came.
const PEOPLE: usize = 60;
/// How long ago the first of them did.
const SPAN: TimeDelta = TimeDelta::days(21);

const FIRST_NAMES: [&str; 20] = [
    "Amara", "Ben", "Chloe", "Dev", "Elena", "Femi", "Grace", "Hugo", "Ines", "Jonas", "Keiko",
    "Liam", "Mara", "Noor", "Otis", "Priya", "Quentin", "Rosa", "Sven", "Tara",
];
const LAST_NAMES: [&str; 3] = ["Ashworth", "Bellamy", "Castillo"];
/// Where the others belong to.
const OTHERS: [&str; 3] = ["gmail.com", "scoutreport.example", "outlook.com"];
/// So many of ten are of partners.
const OF_PARTNERS: usize = 7;

/// Somebody, with what was decided about them.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) id: Uuid,
    pub(super) full_name: String,
    pub(super) email: String,
    pub(super) came: DateTime<Utc>,
    pub(super) answer: Option<Answer>,
    pub(super) application: Option<Application>,
    /// Where they sign in from.
    src: String,
}

/// How somebody, or what they asked for, was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) at: DateTime<Utc>,
    pub(super) is_yes: bool,
    pub(super) by_usher: bool,
}

#[derive(Debug)]
pub(super) struct Application {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) made: DateTime<Utc>,
    pub(super) registration: Option<Registration>,
}

#[derive(Debug)]
pub(super) struct Registration {
    pub(super) id: Uuid,
    pub(super) asked: DateTime<Utc>,
    pub(super) answer: Option<Answer>,
}

/// Everybody who came in the three weeks before `now`.
pub(super) fn people(now: DateTime<Utc>, ids: &Ids) -> Vec<Newcomer> {
    let mut dice = StdRng::seed_from_u64(21);
    let mut people: Vec<Newcomer> = (0..PEOPLE)
        .map(|number| newcomer(number, now, ids, &mut dice))
        .collect();
    people.sort_by_key(|person| person.came);
    people
}

fn newcomer(number: usize, now: DateTime<Utc>, ids: &Ids, dice: &mut StdRng) -> Newcomer {
    let (first, last) = (
        FIRST_NAMES[number % FIRST_NAMES.len()],
        LAST_NAMES[number / FIRST_NAMES.len() % LAST_NAMES.len()],
    );
    let place = number * 7 % 10;
    let is_partner = place < OF_PARTNERS;
    let domain = if is_partner {
        PARTNERS[place % PARTNERS.len()]
    } else {
        OTHERS[place - OF_PARTNERS]
    };
    let came = at_work(now - SPAN + share(SPAN - TimeDelta::hours(30), dice));
    let past = |answer: Answer| (answer.at < now - TimeDelta::minutes(5)).then_some(answer);
    let answer = answered(came, is_partner, dice).and_then(past);
    let is_in = |answer: Option<Answer>| answer.filter(|answer| answer.is_yes);
    let application = is_in(answer)
        .filter(|_| dice.random_bool(0.8))
        .map(|answer| answer.at + share(TimeDelta::days(2), dice))
        .filter(|made| *made < now - TimeDelta::hours(2))
        .map(|made| {
            let asked = made + TimeDelta::minutes(1) + share(TimeDelta::hours(1), dice);
            let registration = dice.random_bool(0.85).then(|| Registration {
                id: ids.next(),
                asked,
                // A person who was let in gets it in the end.
                answer: answered(asked, is_partner, dice)
                    .map(|answer| Answer {
                        is_yes: true,
                        ..answer
                    })
                    .and_then(past),
            });
            Application {
                id: ids.next(),
                name: format!("{}-app", first.to_lowercase()),
                made,
                registration,
            }
        });
    Newcomer {
        id: ids.next(),
        full_name: format!("{first} {last}"),
        email: format!("{first}.{last}@{domain}").to_lowercase(),
        came,
        answer,
        application,
        src: format!("198.51.100.{}", 10 + number),
    }
}

/// Partners are let in by a rule within seconds; the others wait for a person, who is not always
/// quick, nor kind.
fn answered(asked: DateTime<Utc>, is_partner: bool, dice: &mut StdRng) -> Option<Answer> {
    if is_partner {
        let took = TimeDelta::milliseconds(dice.random_range(600..2_600));
        return Some(Answer {
            at: asked + took,
            is_yes: true,
            by_usher: true,
        });
    }
    let took = TimeDelta::hours(1) + share(TimeDelta::hours(40), dice);
    let answer = Answer {
        at: at_work(asked + took).max(asked + TimeDelta::minutes(20)),
        is_yes: dice.random_bool(0.8),
        by_usher: false,
    };
    dice.random_bool(0.85).then_some(answer)
}

/// A random part of `span`.
fn share(span: TimeDelta, dice: &mut StdRng) -> TimeDelta {
    TimeDelta::milliseconds(dice.random_range(0..span.num_milliseconds()))
}

/// The same day, at an hour at which people work.
fn at_work(time: DateTime<Utc>) -> DateTime<Utc> {
    let hour = 7 + time.hour() * 12 / 24;
    time.with_hour(hour).unwrap_or(time)
}

/// The entries that their log-ins left, the oldest first; with two nights on which strangers tried.
pub(super) fn log_ins(people: &[Newcomer], now: DateTime<Utc>) -> Vec<Map<String, Value>> {
    let mut dice = StdRng::seed_from_u64(22);
    let mut entries: Vec<LogIn> = Vec::new();
    for person in people {
        let Some(answer) = person.answer.filter(|answer| answer.is_yes) else {
            // A person who waits tries all the same.
            let tried = person.came + share(TimeDelta::hours(1), &mut dice);
            entries.push((
                tried,
                person.id.to_string(),
                "NOT_FOUND",
                person.src.clone(),
            ));
            continue;
        };
        let uses = |application: &Application| {
            let granted = application.registration.as_ref().and_then(|one| one.answer);
            granted.is_some_and(|answer| answer.is_yes)
        };
        let is_active = person.application.as_ref().is_some_and(uses);
        let a_day = if is_active { 6 } else { 1 };
        let mut day = answer.at + TimeDelta::minutes(2);
        // Some lose interest.
        let until = if dice.random_bool(0.15) {
            answer.at + TimeDelta::days(2)
        } else {
            now
        };
        while day < until {
            for _ in 0..dice.random_range(0..=2 * a_day) {
                let at = at_work(day + share(TimeDelta::days(1), &mut dice));
                let outcome = if dice.random_bool(0.05) {
                    "INVALID_PASSWORD"
                } else {
                    "SUCCESS"
                };
                entries.push((
                    at.max(answer.at),
                    person.id.to_string(),
                    outcome,
                    person.src.clone(),
                ));
            }
            day += TimeDelta::days(1);
        }
    }
    entries.extend(attacks(people, now));
    entries.retain(|(at, ..)| *at < now);
    entries.sort();
    entries.into_iter().map(entry).collect()
}

type LogIn = (DateTime<Utc>, String, &'static str, String);

/// One account guessed until it is locked, and one address that tries many.
fn attacks(people: &[Newcomer], now: DateTime<Utc>) -> Vec<LogIn> {
    let night = |days, second| now - TimeDelta::days(days) + TimeDelta::seconds(second);
    let mut tries = Vec::new();
    if let Some(victim) = people.first() {
        for number in 0..12 {
            let outcome = if number < 10 {
                "INVALID_PASSWORD"
            } else {
                "LOCKED"
            };
            let src = "203.0.113.66".to_owned();
            tries.push((night(6, number * 4), victim.id.to_string(), outcome, src));
        }
    }
    for (number, person) in (0..).zip(people.iter().take(18)) {
        let src = "203.0.113.99".to_owned();
        tries.push((
            night(3, number * 9),
            person.id.to_string(),
            "INVALID_PASSWORD",
            src,
        ));
    }
    tries
}

fn entry((at, who, outcome, src): LogIn) -> Map<String, Value> {
    let principal = if outcome == "NOT_FOUND" {
        String::new()
    } else {
        who
    };
    Map::from_iter([
        ("rt".to_owned(), json!(at.timestamp_millis().to_string())),
        (
            "name".to_owned(),
            json!(format!("AUTHENTICATION_OUTCOME_{outcome}")),
        ),
        (
            "success".to_owned(),
            json!((outcome == "SUCCESS").to_string()),
        ),
        ("principal_id".to_owned(), json!(principal)),
        ("src".to_owned(), json!(src)),
    ])
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{SPAN, log_ins, people};
    use crate::clock::{Clock, Ids};

    #[test]
    fn three_weeks_are_plausible_whenever_they_end() {
        for now in [
            "2026-11-30T06:00:00Z",
            "2026-03-01T00:00:30Z",
            "2028-02-29T23:59:59Z",
        ] {
            let now: DateTime<chrono::Utc> = now.parse().unwrap();
            let people = people(now, &Ids::new(Clock::system()));
            assert_eq!(people.len(), 60);
            let came = |person: &super::Newcomer| {
                person.came > now - SPAN - chrono::TimeDelta::days(1) && person.came < now
            };
            assert!(people.iter().all(came));
            let let_in = people
                .iter()
                .filter(|one| one.answer.is_some_and(|answer| answer.is_yes));
            let by_usher = let_in
                .clone()
                .filter(|one| one.answer.is_some_and(|answer| answer.by_usher));
            assert!(
                let_in.clone().count() > by_usher.clone().count(),
                "people let in some"
            );
            assert!(by_usher.count() > 30);
            let asked = people
                .iter()
                .filter_map(|one| one.application.as_ref()?.registration.as_ref());
            assert!(asked.clone().count() > 20);
            assert!(
                asked
                    .clone()
                    .filter_map(|one| one.answer)
                    .all(|answer| answer.at < now)
            );
            let entries = log_ins(&people, now);
            assert!((1_500..6_000).contains(&entries.len()), "{}", entries.len());
        }
    }
}
