//! Pages: exact, as fast far back as at the start, and short rather than late.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::Value;
use sqlx::PgPool;
use usher::clock::Clock;
use usher::journal::{EventFilter, Export, Journal, MIGRATOR, Position};
use uuid::Uuid;

use super::{app, ids, logins};

/// Events of which one in `rare` has another name: a third of them in one second, the rest over
/// months and beyond.
async fn fill(pool: &PgPool, events: i32, rare: i32) -> Journal {
    let journal = Journal::from_pool(pool.clone());
    let now: DateTime<Utc> = "2026-06-23T14:00:00Z".parse().unwrap();
    journal.make_partitions_ahead(now).await.unwrap();
    sqlx::query(
        "INSERT INTO events (event_ts, id, occurred_at, received_at, batch, position, kind, format, verdict,
             ambiguous, time_known, copies, name, principal_id, src, raw)
         SELECT ts, gen_random_uuid(), ts, now(), gen_random_uuid(), 0, 'access', 'json', 'unsigned',
             false, true, 1, CASE WHEN g % $2 = 0 THEN 'rare' ELSE 'frequent' END,
             CASE WHEN g % 50 = 0 THEN 'ada' ELSE 'bob' END, '192.0.2.' || g % 300, '{}'
         FROM generate_series(1, $1) AS g,
             LATERAL (SELECT CASE
                 WHEN g % 3 = 0 THEN '2026-06-23T14:00:00Z'::timestamptz
                 WHEN g % 500 = 1 THEN 'epoch'::timestamptz + g * interval '1 hour'
                 WHEN g % 500 = 2 THEN '2040-01-01T00:00:00Z'::timestamptz + g * interval '1 day'
                 ELSE '2026-06-20T00:00:00Z'::timestamptz + g * interval '2 minutes' END AS ts) AS t",
    )
    .bind(events)
    .bind(rare)
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE events").execute(pool).await.unwrap();
    journal
}

fn named(name: &str) -> EventFilter {
    EventFilter {
        name: Some(name.to_owned()),
        ..EventFilter::default()
    }
}

/// All that pages of `limit` show, each within `budget`; with how many pages were empty.
async fn walk(
    journal: &Journal,
    filter: &EventFilter,
    limit: i64,
    budget: Duration,
) -> (Vec<Uuid>, usize) {
    let (mut found, mut empty, mut after) = (Vec::new(), 0, None);
    loop {
        let page = journal.search_page_within(filter, after, limit, budget);
        let page = page.await.unwrap();
        assert!(page.events.len() <= usize::try_from(limit).unwrap());
        empty += usize::from(page.events.is_empty());
        found.extend(page.events.iter().map(|event| event.id.as_uuid()));
        match page.next {
            Some(next) => after = Some(next),
            None => return (found, empty),
        }
    }
}

async fn all(pool: &PgPool, condition: &str) -> Vec<Uuid> {
    let select = format!("SELECT id FROM events WHERE {condition} ORDER BY event_ts DESC, id DESC");
    sqlx::query_scalar(&select).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_takes_too_long_is_told_in_parts_that_skip_and_repeat_nothing(pool: PgPool) {
    let journal = fill(&pool, 60_000, 977).await;
    let rare = all(&pool, "name = 'rare'").await;
    assert_eq!(rare.len(), 61);
    for limit in [1, 7, 1_000] {
        // No time at all: each page is one stretch.
        let (found, empty) = walk(&journal, &named("rare"), limit, Duration::ZERO).await;
        assert_eq!(found, rare, "{limit}");
        assert!(limit == 1 || empty > 0, "{limit}");
        let (found, empty) = walk(&journal, &named("rare"), limit, Duration::from_mins(1)).await;
        assert_eq!((found, empty), (rare.clone(), 0), "{limit}");
    }
    let (found, _) = walk(&journal, &named("nothing"), 10, Duration::ZERO).await;
    assert!(found.is_empty());
    let of_ada = EventFilter {
        principal_id: Some("ada".to_owned()),
        ..named("frequent")
    };
    let expected = all(&pool, "principal_id = 'ada' AND name = 'frequent'").await;
    for limit in [3, 1_000] {
        let (found, _) = walk(&journal, &of_ada, limit, Duration::ZERO).await;
        assert_eq!(found, expected, "{limit}");
    }
    let within = EventFilter {
        from: Some("2026-06-23T14:00:00Z".parse().unwrap()),
        to: Some("2026-06-23T14:00:01Z".parse().unwrap()),
        ..named("frequent")
    };
    let second = "event_ts = '2026-06-23T14:00:00Z' AND name = 'frequent'";
    let (found, _) = walk(&journal, &within, 333, Duration::ZERO).await;
    assert_eq!(found, all(&pool, second).await);
    // The same the other way round.
    for filter in [named("rare"), of_ada, within, EventFilter::default()] {
        let (mut newest_first, _) = walk(&journal, &filter, 1_000, Duration::ZERO).await;
        newest_first.reverse();
        let mut export = Export::begin(journal.clone(), filter, None).await.unwrap();
        let mut exported = Vec::new();
        while let Some(events) = export.next().await.unwrap() {
            exported.extend(events.iter().map(|event| event.id.as_uuid()));
            let (part, _) = export.progress();
            assert!((0.0..=1.0).contains(&part), "{part}");
        }
        assert_eq!(exported, newest_first);
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn page_1000_is_as_fast_as_the_first(pool: PgPool) {
    let journal = fill(&pool, 30_000, 10).await;
    let frequent = named("frequent");
    let mut after: Option<Position> = None;
    let mut seen = BTreeSet::new();
    for number in 0..1_000 {
        let page = journal.search_page(&frequent, after, 20).await.unwrap();
        assert_eq!(page.events.len(), 20, "{number}");
        assert!(
            page.events
                .iter()
                .all(|event| seen.insert(event.id.as_uuid()))
        );
        after = page.next;
    }
    // In turn, so that other load meets both.
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for _ in 0..51 {
        for (took, after) in [(&mut first, None), (&mut last, after)] {
            let asked = Instant::now();
            let page = journal.search_page(&frequent, after, 20).await.unwrap();
            took.push(asked.elapsed());
            assert_eq!(page.events.len(), 20);
        }
    }
    let median = |mut of: Vec<Duration>| {
        of.sort_unstable();
        of[of.len() / 2]
    };
    let (first, last) = (median(first), median(last));
    assert!(
        last < first * 5 + Duration::from_millis(5),
        "{first:?}, {last:?}"
    );
}

#[tokio::test]
async fn a_token_is_good_for_its_own_filter_alone() {
    let app = app().await;
    app.deliver(&logins(0..30)).await;
    let first = "/api/v1/events?limit=10&kind=authentication&outcome=success";
    let (_, page) = app.get(first).await;
    let next = page["meta"]["next"].as_str().unwrap();
    let (_, token) = next.split_once("cursor=").unwrap();
    let token = token.split('&').next().unwrap();
    // Another size of the page is the same search.
    let again = format!("{first}&cursor={token}").replace("limit=10", "limit=7");
    let rows = app.rows(&again).await;
    assert_eq!(rows.len(), 7);
    let known: Vec<Value> = page["data"].as_array().unwrap().clone();
    assert!(ids(&rows).iter().all(|id| !ids(&known).contains(id)));
    for path in [
        format!("/api/v1/events?kind=authentication&cursor={token}"),
        format!("/api/v1/events?kind=authentication&outcome=failure&cursor={token}"),
        format!("/api/v1/events?kind=authentication&outcome=success&q=x&cursor={token}"),
        format!("/api/v1/deliveries?cursor={token}"),
    ] {
        let (status, problem) = app.get(&path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("parameter cursor: "), "{path}: {detail}");
    }
    for token in ["x", "AAAA", "", "%00"] {
        let path = format!("/api/v1/events?cursor={token}");
        let (status, problem) = app.get(&path).await;
        assert_eq!(
            status == StatusCode::OK,
            token.is_empty(),
            "{path}: {problem}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn a_rare_event_is_found_by_the_command_however_many_pages_it_takes() {
    let (usher, database) = super::installation().await;
    assert_eq!(usher.run(&["migrate"]).await.code, Some(0));
    let pool = PgPool::connect(&database.url()).await.unwrap();
    fill(&pool, 30_000, 29_999).await;
    let ran = usher.run(&["events", "--json", "--name", "rare"]).await;
    // What was stored by hand has no members to show.
    assert_eq!(ran.lines(0).len(), 1);
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn nothing_is_asked_of_a_clock() {
    // The newest event may be of any time, also one to come.
    let app = app().await;
    let now = Clock::system().now();
    let line = logins(0..1)[0].replace("2026-06-23T14:28:47Z", "2038-01-01T00:00:00Z");
    app.deliver(&[line]).await;
    let rows = app
        .rows("/api/v1/events?name=AUTHENTICATION_OUTCOME_SUCCESS")
        .await;
    assert_eq!(rows.len(), 1);
    let to = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert!(
        app.rows(&format!("/api/v1/events?to={to}"))
            .await
            .is_empty()
    );
    app.finish().await;
}
