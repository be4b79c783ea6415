//! Claims: a long backlog, claims that run out, and claims that are renewed.

use std::time::{Duration, Instant};

use chrono::DateTime;
use usher::event::Verdict;
use usher::journal::{Claims, NewVerdict};

use crate::readers::{HOLD, KAFKA, PATIENCE, ROUND, Record};
use crate::support::{eventually, owed_batches};

#[tokio::test]
async fn a_long_backlog_is_drained_as_fast_as_a_short_one() {
    let record = Record::with_kafka().await;
    record.owe(1, 5_000).await;
    // Also what the server remembers of a short one.
    record.rounds().await;
    let short = record.rounds().await.min(record.rounds().await);
    record.owe(5_001, 300_000).await;
    let long = record.rounds().await.min(record.rounds().await);
    // A sort of all that is owed takes fifty times as long.
    assert!(
        short.as_secs_f64() / long.as_secs_f64() >= 0.5,
        "20 rounds took {short:?} of a short backlog and {long:?} of a long one"
    );
    // What is in others' hands is in the way of nobody.
    record
        .run("UPDATE outbox SET claimed_until = now() + interval '1 hour' WHERE lane = 'live' AND batch < '00000000-0000-7000-8000-000000003000'")
        .await;
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let readers = record.journal.readers().await.unwrap();
        fastest = fastest.min(began.elapsed());
        assert!(readers[0].batches >= 10_000, "{readers:?}");
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    record.end().await;
}

#[tokio::test]
async fn a_verdict_that_comes_while_a_claim_has_run_out_is_owed_still() {
    let record = Record::with_kafka().await;
    let (batch, event) = record.append(1).await;
    let slow = record
        .journal
        .claim(KAFKA, ROUND, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(slow.len(), 1);
    let verdict = NewVerdict {
        event_ts: slow[0].first_event_ts,
        id: event,
        from: Verdict::KeyUnknown,
        to: Verdict::Verified,
    };
    let settled = record.journal.settle(batch.id, &[verdict]).await.unwrap();
    assert_eq!(settled, Some(1));
    // What the first sent is the old verdict.
    record.strike_off(&slow).await;
    let owed = record.journal.claim(KAFKA, ROUND, HOLD).await.unwrap();
    assert_eq!(owed.len(), 1, "the new verdict is owed to nobody");
    record.strike_off(&owed).await;
    assert_eq!(owed_batches(&record.journal, KAFKA).await, 0);
    record.end().await;
}

#[tokio::test]
async fn holding_on_to_claims_leaves_what_is_put_off_put_off() {
    let record = Record::with_kafka().await;
    record.owe(1, 2).await;
    let rows = record.journal.claim(KAFKA, ROUND, Duration::ZERO).await;
    let rows: Vec<_> = rows.unwrap().iter().map(|row| row.batch).collect();
    record
        .journal
        .release(KAFKA, &rows[..1], HOLD)
        .await
        .unwrap();
    record
        .journal
        .renew_claims(KAFKA, &rows, HOLD / 2)
        .await
        .unwrap();
    let later = "SELECT count(*) FROM outbox WHERE claimed_until > now() + interval '50 minutes'";
    assert_eq!(record.number(later).await, 1);
    let held = "SELECT count(*) FROM outbox WHERE claimed_until > now()";
    assert_eq!(record.number(held).await, 2);
    record.end().await;
}

#[tokio::test]
async fn claims_are_held_on_to_as_long_as_work_goes_on() {
    let record = Record::with_kafka().await;
    record.owe(1, 2).await;
    let hold = Duration::from_secs(2);
    let rows = record.journal.claim(KAFKA, ROUND, hold).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| row.batch).collect();
    let claims = Claims::new(record.journal.clone(), KAFKA, hold);
    claims.are(&rows[1..]).await;
    let free = "SELECT count(*) FROM outbox WHERE claimed_until < now()";
    let began = Instant::now();
    // Each of its looks is something that came.
    let work = async {
        while began.elapsed() < hold * 2 {
            record.number(free).await;
        }
    };
    claims.during(hold, work).await;
    assert_eq!(record.number(free).await, 1);
    let let_go = eventually("all are let go", PATIENCE, async || {
        record.number(free).await == 2
    });
    tokio::select! {
        () = claims.during(hold, std::future::pending()) => {}
        () = let_go => {}
    }
    record.end().await;
}

#[tokio::test]
async fn a_look_for_old_batches_locks_none_that_are_not() {
    let record = Record::with_kafka().await;
    for number in 0..3 {
        record.append(number).await;
    }
    let before = DateTime::UNIX_EPOCH;
    let skipped = record.journal.skip_older(KAFKA, before).await.unwrap();
    assert_eq!(skipped, 0);
    let locked = "SELECT count(*) FROM outbox WHERE xmax <> 0";
    assert_eq!(record.number(locked).await, 0);
    record.end().await;
}
