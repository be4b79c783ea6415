//! What is counted is what is stored, whatever happened in between.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usher::event::Verdict;
use usher::http::health::Health;
use usher::journal::{Journal, MIGRATOR, NewVerdict, ReaderName, Retention};
use usher::report::Question;
use usher::report::rollup::{Keeper, Rebuild, forget};
use uuid::Uuid;

use crate::report::scene::{Entry, Scene, call, login};
use crate::support::eventually;
use crate::support::luck::{Luck, tell};

const PATIENCE: Duration = Duration::from_mins(1);

/// What the rollups hold and events do not, or the other way round.
const DIFFERENCES: &str = "
    WITH raw AS (
        SELECT
            date_bin('1 hour', event_ts, 'epoch') AS hour, COALESCE(portal_id, '') AS portal_id, kind,
            COALESCE(name, '') AS name,
            CASE
                WHEN COALESCE(success, granted, status < 400) THEN 'success'
                WHEN COALESCE(success, granted, status < 400) IS NULL THEN 'unknown'
                ELSE 'failure'
            END AS outcome,
            verdict, COALESCE(principal_id, '') AS principal_id, COALESCE(src, '') AS src, event_ts
        FROM events
    ), hours AS (
        SELECT hour, portal_id, kind, name, outcome, verdict, count(*) AS events
        FROM raw GROUP BY 1, 2, 3, 4, 5, 6
    ), logins AS (
        SELECT
            CASE outcome WHEN 'failure' THEN hour ELSE date_bin('1 day', hour, 'epoch') END AS since,
            portal_id, principal_id, name, src, outcome, verdict, count(*) AS events,
            min(event_ts) AS first_at, max(event_ts) AS last_at
        FROM raw WHERE kind = 'authentication' GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), kept_hours AS (
        SELECT hour, portal_id, kind, name, outcome, verdict, events FROM report_hours
    ), kept_logins AS (
        SELECT
            since, portal_id, principal_id, name, src, outcome, verdict, events, first_at, last_at
        FROM report_principals WHERE kind = 'authentication'
    ), weeks AS (
        SELECT
            w.week, l.portal_id, l.principal_id, l.src, sum(l.events)::bigint AS failures,
            COALESCE(sum(l.events) FILTER (WHERE l.name = 'AUTHENTICATION_OUTCOME_LOCKED'), 0)::bigint AS locked,
            min(l.first_at) AS first_at, max(l.last_at) AS last_at
        FROM report_weeks w
        JOIN logins l ON l.since >= w.week AND l.since < w.week + interval '7 days'
        WHERE l.outcome = 'failure' GROUP BY 1, 2, 3, 4
    ), login_weeks AS (
        SELECT
            w.week, l.portal_id, l.principal_id, sum(l.events)::bigint AS logins,
            min(l.first_at) AS first_at, max(l.last_at) AS last_at
        FROM report_login_weeks w
        JOIN logins l ON l.since >= w.week AND l.since < w.week + interval '7 days'
        WHERE l.outcome = 'success' AND l.verdict <> 'failed' GROUP BY 1, 2, 3
    )
    SELECT
        (SELECT count(*) FROM ((TABLE hours EXCEPT TABLE kept_hours)
            UNION ALL (TABLE kept_hours EXCEPT TABLE hours)) AS a)
        + (SELECT count(*) FROM ((TABLE logins EXCEPT TABLE kept_logins)
            UNION ALL (TABLE kept_logins EXCEPT TABLE logins)) AS b)
        + (SELECT count(*) FROM ((TABLE weeks EXCEPT TABLE report_failures)
            UNION ALL (TABLE report_failures EXCEPT TABLE weeks)) AS c)
        + (SELECT count(*) FROM ((TABLE login_weeks EXCEPT TABLE report_logins)
            UNION ALL (TABLE report_logins EXCEPT TABLE login_weeks)) AS d)";

const VERDICTS: [Verdict; 5] = [
    Verdict::Verified,
    Verdict::Failed,
    Verdict::KeyUnknown,
    Verdict::Unsigned,
    Verdict::NotApplicable,
];

async fn number(pool: &PgPool, question: &str) -> i64 {
    sqlx::query_scalar(question).fetch_one(pool).await.unwrap()
}

fn start() -> DateTime<Utc> {
    "2026-06-23T00:00:00Z".parse().unwrap()
}

/// One of so few events that the same come again, with whatever verdict.
fn entry(rng: &mut StdRng) -> Entry {
    let number: i64 = rng.random_range(0..1_500);
    let at = start() + TimeDelta::seconds(number * 800);
    let who = format!("person-{}", number % 7);
    let entry = match number % 5 {
        0 => call(
            at,
            &who,
            "PATCH",
            "/v3/portals",
            if number % 2 == 0 { 200 } else { 403 },
        ),
        1 => login(at, &who, "10.0.0.9", "INVALID_PASSWORD"),
        2 => login(at, "", "10.0.0.9", "NOT_FOUND"),
        _ => login(at, &who, "10.0.0.8", "SUCCESS"),
    };
    (entry, VERDICTS[rng.random_range(0..VERDICTS.len())])
}

/// Changes some verdicts, for better or worse.
async fn settle(scene: &Scene, rng: &mut StdRng) {
    let rows: Vec<(Uuid, DateTime<Utc>, Uuid, String)> =
        sqlx::query_as("SELECT batch, event_ts, id, verdict FROM events ORDER BY random() LIMIT 3")
            .fetch_all(&scene.pool)
            .await
            .unwrap();
    for (batch, event_ts, id, verdict) in rows {
        let new = NewVerdict {
            event_ts,
            id: id.to_string().parse().unwrap(),
            from: verdict.parse().unwrap(),
            to: VERDICTS[rng.random_range(0..VERDICTS.len())],
        };
        scene.journal.settle(batch, &[new]).await.unwrap();
    }
}

/// Counts until it is cut off at a random moment, and again.
async fn keep_and_kill(journal: Journal, mut rng: StdRng) {
    loop {
        let keeper = Keeper::new(journal.clone(), Health::default())
            .with_settling(TimeDelta::milliseconds(50));
        let mut task = JoinSet::new();
        task.spawn(keeper.run(CancellationToken::new()));
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..300))).await;
        task.shutdown().await;
    }
}

async fn rebuild_now_and_then(journal: Journal, mut rng: StdRng) {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..700))).await;
        let mut rebuild = Rebuild::begin(&journal).await.unwrap();
        // Not always to its end.
        for _ in 0..rng.random_range(0..4) {
            if rebuild.next().await.unwrap().to.is_none() {
                break;
            }
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_counted_is_what_is_stored_whatever_comes_again_changes_or_is_cut(pool: PgPool) {
    let mut luck = Luck::new();
    let scene = Scene::new(pool).await;
    let mut helpers = JoinSet::new();
    for _ in 0..2 {
        let rng = luck.rng.random::<u64>();
        helpers.spawn(keep_and_kill(scene.journal.clone(), seeded(rng)));
    }
    let rng = luck.rng.random::<u64>();
    helpers.spawn(rebuild_now_and_then(scene.journal.clone(), seeded(rng)));
    let mut strengthened = 0;
    for round in 0..150 {
        let many = luck.rng.random_range(1..40);
        let entries: Vec<Entry> = (0..many).map(|_| entry(&mut luck.rng)).collect();
        strengthened += scene.append(&entries).await.1.strengthened;
        if round % 5 == 0 {
            settle(&scene, &mut luck.rng).await;
        }
        if round % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(luck.rng.random_range(0..200))).await;
        }
    }
    helpers.shutdown().await;
    assert!(
        strengthened > 10,
        "nothing came again with a better verdict"
    );
    let stop = CancellationToken::new();
    let keeper = Keeper::new(scene.journal.clone(), Health::default())
        .with_settling(TimeDelta::milliseconds(50));
    let mut task = JoinSet::new();
    task.spawn(keeper.run(stop.clone()));
    eventually("everything is counted", PATIENCE, async || {
        let left = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM recounts)
            + (SELECT count(*) FROM report_progress WHERE counted_to IS NOT NULL)
            + (SELECT (count(*) = 0)::integer FROM report_weeks)
            + (SELECT (count(*) = 0)::integer FROM report_login_weeks)";
        number(&scene.pool, left).await == 0
    })
    .await;
    stop.cancel();
    task.join_all().await;
    let events = number(&scene.pool, "SELECT count(*) FROM events").await;
    assert!(events > 500, "{events}");
    assert_eq!(number(&scene.pool, DIFFERENCES).await, 0);
    for _ in 0..20 {
        failures_add_up(&scene, &mut luck.rng).await;
    }
    tell(&format!(
        "{events} events counted, {strengthened} of which came again with a better verdict"
    ));
}

/// Whatever the window, each failure of its hours is in the report once, be its week summed up or
/// not.
async fn failures_add_up(scene: &Scene, rng: &mut StdRng) {
    let mut ends = [0; 2].map(|_| start() + TimeDelta::minutes(rng.random_range(-20_000..20_000)));
    ends.sort();
    let [from, to] = ends;
    let expected: i64 = sqlx::query_scalar(
        "SELECT COALESCE(sum(events), 0)::bigint
         FROM report_hours
         WHERE kind = 'authentication' AND outcome = 'failure'
            AND hour >= date_bin('1 hour', $1, 'epoch') AND hour < $2",
    )
    .bind(from)
    .bind(to)
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    let question = Question {
        from: Some(from),
        to: Some(to),
        ..Question::default()
    };
    let answer = scene.ask("failed-logins", question).await;
    let failures = answer
        .rows
        .iter()
        .filter_map(|row| row["failures"].as_i64());
    assert_eq!(failures.sum::<i64>(), expected, "{from} {to}");
}

fn seeded(seed: u64) -> StdRng {
    use rand::SeedableRng;
    StdRng::seed_from_u64(seed)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_was_there_before_is_counted_and_a_reader_that_was_retired_begins_anew(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let retired = scene.journal.retire_reader("report").await.unwrap();
    assert!(retired.is_some());
    let login = |minute: i64| {
        login(
            start() + TimeDelta::minutes(minute),
            "kevin",
            "10.0.0.8",
            "SUCCESS",
        )
    };
    let entries: Vec<Entry> = (0..100).map(|it| (login(it), Verdict::Verified)).collect();
    scene.append(&entries).await;
    for round in 1..3 {
        scene
            .journal
            .activate_readers(&[ReaderName::Report])
            .await
            .unwrap();
        let more = [(login(1_000 * round), Verdict::Verified)];
        scene.append(&more).await;
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(Keeper::new(scene.journal.clone(), Health::default()).run(stop.clone()));
        eventually("everything is counted", PATIENCE, async || {
            number(
                &scene.pool,
                "SELECT COALESCE(sum(events), 0)::bigint FROM report_hours",
            )
            .await
                == 100 + round
        })
        .await;
        stop.cancel();
        task.join_all().await;
        assert_eq!(number(&scene.pool, DIFFERENCES).await, 0);
        // Who comes back finds counts of before, and counts nothing twice.
        scene.journal.retire_reader("report").await.unwrap();
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn counts_without_persons_outlive_the_month_of_their_events(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let old: DateTime<Utc> = "2024-02-10T10:00:00Z".parse().unwrap();
    let entries: Vec<Entry> = (0..20)
        .map(|it| {
            let at = old + TimeDelta::minutes(it * 7);
            (login(at, "kevin", "10.0.0.8", "SUCCESS"), Verdict::Verified)
        })
        .collect();
    scene.append(&entries).await;
    scene.count().await;
    let year = Duration::from_hours(365 * 24);
    let retention = Retention {
        events: year,
        quarantine: year,
        batches: year,
        told: year,
    };
    let round = scene.journal.tidy_up(&retention, start()).await.unwrap();
    assert_eq!(round.dropped, ["events_2024_02"]);
    let counted = "SELECT sum(events)::bigint FROM report_hours";
    let persons = "SELECT count(*) FROM report_principals";
    assert_eq!(number(&scene.pool, counted).await, 20);
    assert_eq!(number(&scene.pool, persons).await, 0);
    // Neither counting all anew nor an entry that comes late takes them away.
    scene.count().await;
    assert_eq!(number(&scene.pool, counted).await, 20);
    let late = [(login(old, "late", "10.0.0.8", "SUCCESS"), Verdict::Verified)];
    scene.append(&late).await;
    scene.count().await;
    assert_eq!(number(&scene.pool, counted).await, 21);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_is_forgotten_is_counted_by_nobodys_name(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let kevin = Uuid::from_u128(0xb0);
    let other = Uuid::from_u128(0xb1);
    let logins = [kevin, other].map(|who| {
        let entry = login(start(), &who.to_string(), "10.0.0.8", "SUCCESS");
        (entry, Verdict::Verified)
    });
    scene.append(&logins).await;
    scene.count().await;
    let persons = "SELECT count(*) FROM report_principals";
    assert_eq!(number(&scene.pool, persons).await, 2);
    scene
        .run(&format!(
            "INSERT INTO subjects (portal_id, developer_id, forgotten_at)
             VALUES (gen_random_uuid(), '{kevin}', now())"
        ))
        .await;
    assert_eq!(forget(&scene.journal, kevin).await.unwrap(), 1);
    assert_eq!(number(&scene.pool, persons).await, 1);
    scene.count().await;
    assert_eq!(number(&scene.pool, persons).await, 1);
    // The sums hold still.
    let counted = "SELECT sum(events)::bigint FROM report_hours";
    assert_eq!(number(&scene.pool, counted).await, 2);
}

const COUNTED: &str = "SELECT COALESCE(sum(events), 0)::bigint FROM report_hours";

/// Counts until `is_done`.
async fn keep_until(scene: &Scene, is_done: impl AsyncFn() -> bool) {
    let stop = CancellationToken::new();
    let mut task = JoinSet::new();
    let keeper = Keeper::new(scene.journal.clone(), Health::default())
        .with_settling(TimeDelta::milliseconds(50));
    task.spawn(keeper.run(stop.clone()));
    eventually("it is counted", PATIENCE, is_done).await;
    stop.cancel();
    task.join_all().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_month_that_is_not_there_for_now_is_counted_anew_when_it_is_back(pool: PgPool) {
    let scene = Scene::new(pool).await;
    scene
        .append(&[(
            login(start(), "kevin", "10.0.0.8", "SUCCESS"),
            Verdict::Verified,
        )])
        .await;
    scene.count().await;
    let mark = format!(
        "INSERT INTO recounts (hour, created_at) VALUES ('{}', now() - interval '1 hour')",
        start()
    );
    scene.run(&mark).await;
    scene.run("UPDATE report_hours SET events = 7").await;
    scene
        .run("ALTER TABLE events DETACH PARTITION events_2026_06")
        .await;
    let marks = "SELECT count(*) FROM recounts WHERE created_at > now() - interval '1 minute'";
    keep_until(&scene, async || number(&scene.pool, marks).await == 1).await;
    // Neither is it taken for empty, by whoever counts all anew.
    scene.count().await;
    assert_eq!(number(&scene.pool, COUNTED).await, 7);
    scene
        .run("ALTER TABLE events ATTACH PARTITION events_2026_06 FOR VALUES FROM ('2026-06-01Z') TO ('2026-07-01Z')")
        .await;
    let left = "SELECT count(*) FROM recounts";
    keep_until(&scene, async || number(&scene.pool, left).await == 0).await;
    assert_eq!(number(&scene.pool, COUNTED).await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_month_whose_counts_may_be_wrong_is_not_dropped(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let old: DateTime<Utc> = "2024-02-10T10:00:00Z".parse().unwrap();
    scene
        .append(&[(
            login(old, "kevin", "10.0.0.8", "SUCCESS"),
            Verdict::Verified,
        )])
        .await;
    let year = Duration::from_hours(365 * 24);
    let retention = Retention {
        events: year,
        quarantine: year,
        batches: year,
        told: year,
    };
    let dropped = async || {
        scene
            .journal
            .tidy_up(&retention, start())
            .await
            .unwrap()
            .dropped
    };
    // Struck off, and the past not counted yet.
    scene.run("DELETE FROM outbox").await;
    assert!(dropped().await.is_empty());
    scene.count().await;
    scene
        .run(&format!("INSERT INTO recounts (hour) VALUES ('{old}')"))
        .await;
    assert!(dropped().await.is_empty());
    scene.run("DELETE FROM recounts").await;
    assert_eq!(dropped().await, ["events_2024_02"]);
    assert_eq!(number(&scene.pool, COUNTED).await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn far_times_and_ids_in_capitals_are_counted_once_and_in_one_form(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let who = Uuid::from_u128(0xbeef_0000);
    let far: DateTime<Utc> = "2999-05-06T13:30:00Z".parse().unwrap();
    let of = |text: String, at| (login(at, &text, "10.0.0.8", "SUCCESS"), Verdict::Verified);
    scene
        .append(&[
            of(who.to_string(), far),
            of(who.to_string().to_uppercase(), far),
        ])
        .await;
    for _ in 0..2 {
        scene.count().await;
        let persons = "SELECT sum(events)::bigint FROM report_principals";
        assert_eq!(number(&scene.pool, persons).await, 2);
        assert_eq!(number(&scene.pool, COUNTED).await, 2);
    }
    assert_eq!(forget(&scene.journal, who).await.unwrap(), 1);
    assert_eq!(
        number(&scene.pool, "SELECT count(*) FROM report_principals").await,
        0
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn where_nobody_ever_counted_a_rebuild_counts_every_day_and_what_comes_later(pool: PgPool) {
    let scene = Scene::new(pool).await;
    scene.journal.retire_reader("report").await.unwrap();
    let login = |day: i64| {
        let entry = login(
            start() + TimeDelta::days(day),
            "kevin",
            "10.0.0.8",
            "SUCCESS",
        );
        (entry, Verdict::Verified)
    };
    scene.append(&[login(0), login(1), login(2)]).await;
    let mut rebuild = Rebuild::begin(&scene.journal).await.unwrap();
    while rebuild.next().await.unwrap().to.is_some() {}
    assert_eq!(number(&scene.pool, COUNTED).await, 3);
    scene.append(&[login(3)]).await;
    keep_until(&scene, async || number(&scene.pool, COUNTED).await == 4).await;
}
