//! Log-ins that are summed up by the week: what is asked of a time is the same whether its weeks
//! are summed up, changed since, or are none.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use sqlx::PgPool;
use usher::clock::Clock;
use usher::event::Verdict;
use usher::journal::{MIGRATOR, Retention};
use usher::report::rollup::forget;
use usher::report::{Question, Reports};
use uuid::Uuid;

use crate::report::scene::{Entry, Scene, login};
use crate::support::konnect::PORTAL;
use crate::support::luck::Luck;

/// Of two domains in turn.
const PEOPLE: u128 = 6;

/// What events say of the people of a domain on the days that a window touches.
const LOGINS: &str = "
    SELECT split_part(s.email, '@', 2), count(e.id), max(e.event_ts)
    FROM subjects s
    LEFT JOIN events e
        ON e.principal_id = s.developer_id::text AND e.portal_id = s.portal_id::text
        AND e.kind = 'authentication' AND e.success AND e.verdict <> 'failed'
        AND date_bin('1 day', e.event_ts, 'epoch') >= date_bin('1 day', $1, 'epoch')
        AND date_bin('1 day', e.event_ts, 'epoch') < $2
    WHERE s.email IS NOT NULL
    GROUP BY 1";

/// Who signed in at a time or later: altogether, and on each day.
const ACTIVE: &str = "
    WITH logins AS (
        SELECT principal_id, date_bin('1 day', event_ts, 'epoch') AS day
        FROM events
        WHERE kind = 'authentication' AND success AND verdict <> 'failed'
            AND event_ts >= $1 AND event_ts < now()
    )
    SELECT NULL::timestamptz, count(DISTINCT principal_id) FROM logins
    UNION ALL
    SELECT day, count(DISTINCT principal_id) FROM logins GROUP BY day
    ORDER BY 1 NULLS FIRST";

fn person(number: u128) -> Uuid {
    Uuid::from_u128(0xe0 + number)
}

async fn directory(scene: &Scene) {
    let people = (0..PEOPLE).map(|number| {
        let (id, domain) = (person(number), number % 2);
        format!(
            "INSERT INTO directory_developers (portal_id, developer_id, status, look, revision,
                first_seen_at, last_seen_at)
            VALUES ('{PORTAL}', '{id}', 'approved', 1, 1, now(), now());
            INSERT INTO subjects (portal_id, developer_id, email, full_name)
            VALUES ('{PORTAL}', '{id}', 'p{number}@club-{domain}.example', 'P');"
        )
    });
    let portal = format!(
        "INSERT INTO directory_portals (portal_id, name, auto_approve_developers,
            auto_approve_applications, look, revision, first_seen_at, last_seen_at)
        VALUES ('{PORTAL}', 'weeks', false, false, 1, 1, now(), now());"
    );
    scene.run(&(portal + &people.collect::<String>())).await;
}

/// Somebody's log-in in the three months up to `now`; most succeed, and some are forged.
fn entry(rng: &mut StdRng, now: DateTime<Utc>) -> Entry {
    let who = person(rng.random_range(0..PEOPLE)).to_string();
    let at = now - TimeDelta::minutes(rng.random_range(0..90 * 24 * 60));
    let outcome = ["SUCCESS", "SUCCESS", "SUCCESS", "INVALID_PASSWORD"][rng.random_range(0..4)];
    let verdict = [Verdict::Verified, Verdict::Unsigned, Verdict::Failed][rng.random_range(0..3)];
    (login(at, &who, "10.0.0.8", outcome), verdict)
}

/// The log-ins of each domain and the last of them, as the report says and as events do.
async fn logins_add_up(scene: &Scene, window: (Option<DateTime<Utc>>, Option<DateTime<Utc>>)) {
    let (from, to) = window;
    let latest: DateTime<Utc> = "9999-12-31T00:00:00Z".parse().unwrap();
    let ends = (from.unwrap_or(DateTime::UNIX_EPOCH), to.unwrap_or(latest));
    let expected: Vec<(String, i64, Option<DateTime<Utc>>)> = sqlx::query_as(LOGINS)
        .bind(ends.0)
        .bind(ends.1)
        .fetch_all(&scene.pool)
        .await
        .unwrap();
    let expected: BTreeMap<String, (i64, Option<DateTime<Utc>>)> = expected
        .into_iter()
        .map(|(domain, logins, last)| (domain, (logins, last)))
        .collect();
    let question = Question {
        from,
        to,
        ..Question::default()
    };
    let answer = scene.ask("partners", question).await;
    let told = answer.rows.iter().map(|row| {
        let last = row["last_login_at"].as_str();
        let last = last.map(|time| time.parse::<DateTime<Utc>>().unwrap());
        let domain = row["domain"].as_str().unwrap().to_owned();
        (domain, (row["logins"].as_i64().unwrap(), last))
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), expected, "{window:?}");
}

async fn windows_add_up(scene: &Scene, rng: &mut StdRng, now: DateTime<Utc>) {
    logins_add_up(scene, (None, None)).await;
    for _ in 0..12 {
        let mut ends =
            [0; 2].map(|_| now - TimeDelta::minutes(rng.random_range(-3_000..100 * 24 * 60)));
        ends.sort();
        logins_add_up(scene, (Some(ends[0]), Some(ends[1]))).await;
    }
}

async fn number(scene: &Scene, question: &str) -> i64 {
    let asked = sqlx::query_scalar(question).fetch_one(&scene.pool);
    asked.await.unwrap()
}

const SUMMED: &str = "SELECT count(*) FROM report_login_weeks";
const FAILURES_SUMMED: &str = "SELECT count(*) FROM report_weeks";

#[sqlx::test(migrator = "MIGRATOR")]
async fn logins_add_up_be_their_weeks_summed_up_or_changed_since(pool: PgPool) {
    let mut luck = Luck::new();
    let rng = &mut luck.rng;
    let scene = Scene::new(pool).await;
    directory(&scene).await;
    let now = Clock::system().now().trunc_subsecs(0);
    let mut entries: Vec<Entry> = (0..400).map(|_| entry(rng, now)).collect();
    // From a clock that is far ahead.
    let far: DateTime<Utc> = "2999-05-06T13:30:00Z".parse().unwrap();
    let ahead = login(far, &person(0).to_string(), "10.0.0.8", "SUCCESS");
    entries.push((ahead, Verdict::Verified));
    scene.append(&entries).await;
    scene.count().await;
    let weeks = number(&scene, SUMMED).await;
    assert!(weeks >= 10, "{weeks}");
    assert_eq!(number(&scene, FAILURES_SUMMED).await, weeks);
    windows_add_up(&scene, rng, now).await;
    active_people_are_those_of_events(&scene, rng, now).await;

    // What changes takes its own week out, and nothing else.
    let change = |outcome: &str| {
        format!(
            "UPDATE report_principals SET events = events + 1 WHERE since IN (
                SELECT since FROM report_principals WHERE outcome = '{outcome}'
                    AND since BETWEEN now() - interval '50 days' AND now() - interval '30 days'
                ORDER BY since LIMIT 1) AND outcome = '{outcome}'"
        )
    };
    scene.run(&change("failure")).await;
    assert_eq!(number(&scene, SUMMED).await, weeks);
    assert_eq!(number(&scene, FAILURES_SUMMED).await, weeks - 1);
    scene.run(&change("success")).await;
    assert_eq!(number(&scene, SUMMED).await, weeks - 1);
    let left = "SELECT count(DISTINCT week) FROM report_logins";
    assert_eq!(number(&scene, left).await, weeks - 1);
    scene.count().await;
    windows_add_up(&scene, rng, now).await;

    // Some of the sums are there, and some are to come.
    scene
        .run("DELETE FROM report_login_weeks WHERE extract(day FROM week)::integer % 2 = 0")
        .await;
    windows_add_up(&scene, rng, now).await;
}

async fn active_people_are_those_of_events(scene: &Scene, rng: &mut StdRng, now: DateTime<Utc>) {
    let reports = Reports::new(scene.journal.clone());
    for _ in 0..8 {
        let from = now - TimeDelta::minutes(rng.random_range(0..9 * 24 * 60));
        let expected: Vec<(Option<DateTime<Utc>>, i64)> = sqlx::query_as(ACTIVE)
            .bind(from)
            .fetch_all(&scene.pool)
            .await
            .unwrap();
        let told = reports.active_people(None, from).await.unwrap();
        let told = told.into_iter().map(|one| (one.day, one.people));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{from}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn sums_of_weeks_go_with_whoever_is_forgotten_and_with_their_month(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let old: DateTime<Utc> = "2024-02-10T10:00:00Z".parse().unwrap();
    let june: DateTime<Utc> = "2026-06-23T10:00:00Z".parse().unwrap();
    let of = |at, number| {
        let entry = login(at, &person(number).to_string(), "10.0.0.8", "SUCCESS");
        (entry, Verdict::Verified)
    };
    scene.append(&[of(old, 1), of(june, 1), of(june, 2)]).await;
    scene.count().await;
    let sums = "SELECT count(*) FROM report_logins";
    assert_eq!(number(&scene, sums).await, 3);
    let year = Duration::from_hours(365 * 24);
    let retention = Retention {
        events: year,
        quarantine: year,
        batches: year,
        told: year,
    };
    let round = scene.journal.tidy_up(&retention, june).await.unwrap();
    assert_eq!(round.dropped, ["events_2024_02"]);
    assert_eq!(number(&scene, sums).await, 2);
    let forgotten = person(2);
    scene
        .run(&format!(
            "INSERT INTO subjects (portal_id, developer_id, forgotten_at)
             VALUES (gen_random_uuid(), '{forgotten}', now())"
        ))
        .await;
    forget(&scene.journal, forgotten).await.unwrap();
    let theirs = format!("SELECT count(*) FROM report_logins WHERE principal_id = '{forgotten}'");
    assert_eq!(number(&scene, &theirs).await, 0);
    scene.count().await;
    assert_eq!(number(&scene, &theirs).await, 0);
    assert_eq!(number(&scene, sums).await, 1);
}
