//! Rows that are deleted once they are old and nobody needs them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use usher::journal::{ReaderName, SLICE};
use uuid::Uuid;

use super::{Archive, DAY, at, now, retention};

#[tokio::test]
async fn rows_go_when_they_are_old_and_nobody_needs_them() {
    let archive = Archive::open().await;
    let kafka = ReaderName::Kafka;
    let long_ago = at("2025-03-01T00:00:00Z");
    let last_spring = at("2026-04-01T00:00:00Z");
    // Times that no month of the past holds: only their receipt tells their age.
    let odd = [
        "1970-01-01T00:00:00Z",
        "2038-02-02T00:00:00Z",
        "2044-01-01T00:00:00Z",
    ];
    let (gone, _) = archive.deliver(long_ago, &odd).await;
    let (emptied, _) = archive.deliver(last_spring, &odd).await;
    archive
        .journal
        .activate_reader(kafka, last_spring + TimeDelta::days(1))
        .await
        .unwrap();
    let (owed, _) = archive
        .deliver(last_spring, &["2026-04-01T00:00:00Z"])
        .await;
    let (fresh, _) = archive.deliver(now(), &odd).await;
    let claimed = archive
        .journal
        .claim(kafka, 10, Duration::ZERO)
        .await
        .unwrap();
    let done = claimed.iter().find(|row| row.batch == fresh).unwrap();
    archive.journal.finish(kafka, &[done.owed()]).await.unwrap();
    archive
        .run(
            "INSERT INTO quarantine (id, received_at, batch, reason, detail, raw, raw_bytes)
             SELECT gen_random_uuid(), at, gen_random_uuid(), 'empty', '', '', 0
             FROM (VALUES ('2026-08-01'::timestamptz, 12345), ('2026-11-01', 7)) AS t (at, rows),
                 generate_series(1, rows);
             INSERT INTO leases (name, holder, expires_at)
             VALUES ('old', gen_random_uuid(), now() - interval '3 days'),
                 ('held', gen_random_uuid(), now() + interval '1 min');
             INSERT INTO imports (digest, id, updated_at)
             VALUES ('left', gen_random_uuid(), '2026-04-01'),
                 ('going on', gen_random_uuid(), '2026-11-01')",
        )
        .await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    // 12,345 of quarantine, 3 events, their batch, the requests of two batches, a lease, an import.
    assert_eq!(round.rows, 12_345 + 3 + 1 + 2 + 1 + 1, "{round:?}");
    assert!(
        round.rows > 2 * SLICE.unsigned_abs(),
        "it took several slices"
    );
    assert_eq!(archive.number("SELECT count(*) FROM quarantine").await, 7);
    assert_eq!(archive.number("SELECT count(*) FROM leases").await, 1);
    assert_eq!(archive.number("SELECT count(*) FROM imports").await, 1);
    assert_eq!(archive.number("SELECT count(*) FROM events").await, 7);
    let rows: Vec<(Uuid, bool)> =
        sqlx::query_as("SELECT id, requests <> '[]' FROM batches ORDER BY id")
            .fetch_all(archive.journal.pool())
            .await
            .unwrap();
    assert!(rows.iter().all(|(id, _)| *id != gone));
    assert_eq!(rows, [(emptied, false), (owed, true), (fresh, true)]);
    // Their events can still be owed to a reader that comes later.
    archive.journal.retire_reader("kafka").await.unwrap();
    archive
        .journal
        .activate_reader(kafka, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let claimed = archive.journal.claim(kafka, 10, DAY).await.unwrap();
    assert_eq!(claimed.len(), 3);
    let row = claimed.iter().find(|row| row.batch == emptied).unwrap();
    assert_eq!(archive.journal.events_of(row).await.unwrap().len(), 3);
    archive.close().await;
}

#[tokio::test]
async fn actions_go_with_their_attempts_once_they_ended_long_ago() {
    let archive = Archive::open().await;
    archive
        .run(
            "INSERT INTO actions
                 (id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, signal,
                  signal_key, state, causes, facts, chain_id, step, limit_per_hour, on_limit,
                  next_attempt_at, updated_at, lease, leased_until)
             SELECT gen_random_uuid(), 'r', 'park', 'park', '{}', 'developer', gen_random_uuid(),
                 gen_random_uuid(), 'developer.signed_up', 'k', state, '{}', '{}',
                 gen_random_uuid(), 0, 0, 'park', at, at,
                 CASE WHEN state = 'running' THEN gen_random_uuid() END,
                 CASE WHEN state = 'running' THEN at END
             FROM UNNEST(ARRAY['planned', 'running', 'done', 'refused', 'parked', 'failed',
                     'cancelled', 'shadow']) AS state,
                 (VALUES (now() - interval '120 days'), (now() - interval '14 days')) AS t (at);
             INSERT INTO attempts (action, number, started_at, ended_at, outcome)
             SELECT id, 1, updated_at, updated_at, 'ok' FROM actions;
             -- A follower that is still open needs to know how this one ended.
             UPDATE actions SET waits_for = (
                 SELECT id FROM actions WHERE state = 'done' ORDER BY updated_at LIMIT 1
             )
             WHERE state = 'planned'",
        )
        .await;
    archive
        .upkeep(archive.journal.clone())
        .round()
        .await
        .unwrap();
    let left: Vec<(String, i64)> = sqlx::query_as(
        "SELECT a.state, count(t.number) FROM actions a LEFT JOIN attempts t ON t.action = a.id
         WHERE a.updated_at < now() - interval '60 days' GROUP BY a.state ORDER BY a.state",
    )
    .fetch_all(archive.journal.pool())
    .await
    .unwrap();
    let expected = ["done", "parked", "planned", "running"].map(|state| (state.to_owned(), 1));
    assert_eq!(left, expected);
    assert_eq!(archive.number("SELECT count(*) FROM actions").await, 12);
    assert_eq!(archive.number("SELECT count(*) FROM attempts").await, 12);
    archive.close().await;
}
