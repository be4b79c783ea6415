//! Transactions whose caller goes away: whoever gets the connection next must not work inside them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use usher::clock::{Clock, Ids};
use usher::event::{Verdict, parse};
use usher::journal::{EventFilter, Journal, Lane, NewBatch, NewEvent, Source};

use crate::support::database::TestDatabase;
use crate::support::record::Record;
use crate::support::signer::Entry;

/// Drops `future` as soon as it waits for the `waits`th time.
async fn cut<T>(future: impl Future<Output = T>, waits: usize) {
    let mut future = pin!(future);
    let mut left = waits;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Pending if left > 1 => {
            left -= 1;
            Poll::Pending
        }
        _ => Poll::Ready(()),
    })
    .await;
}

fn batch(ids: &Ids, number: u64, now: DateTime<Utc>) -> NewBatch {
    let raw = Entry::numbered(number).json().into_bytes();
    NewBatch {
        id: ids.next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at: now,
        requests: Vec::new(),
        events: vec![NewEvent {
            event: parse(&raw).unwrap(),
            raw: raw.into(),
            verdict: Verdict::NotApplicable,
            request: None,
        }],
        quarantined: Vec::new(),
    }
}

/// Whether a statement of its own, on the connection that was used last, lasts.
async fn is_lost(pool: &PgPool, outside: &mut Record) -> bool {
    sqlx::query("INSERT INTO written DEFAULT VALUES")
        .execute(pool)
        .await
        .unwrap();
    let seen = outside.rows_of("written").await;
    // Ends what is under way, so that the next look begins anew; nothing happens where nothing is.
    sqlx::query("ROLLBACK").execute(pool).await.unwrap();
    outside.run("TRUNCATE written").await;
    seen == 0
}

#[tokio::test]
async fn a_transaction_cut_at_any_moment_leaves_nothing_behind() {
    let database = TestDatabase::create().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(20))
        .connect_lazy(&database.url())
        .unwrap();
    let journal = Journal::from_pool(pool.clone());
    journal.migrate().await.unwrap();
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let mut outside = Record::of(&database).await;
    outside
        .run("CREATE TABLE written (at timestamptz DEFAULT now())")
        .await;

    // The driver's own is what must not be used: else this module may go.
    let mut lost = false;
    for waits in (1..=8).cycle().take(400) {
        cut(pool.begin(), waits).await;
        lost = is_lost(&pool, &mut outside).await;
        if lost {
            break;
        }
    }
    assert!(lost, "the driver keeps track of a BEGIN that was cut");

    // Whether the connection is new, just used, or cut before: each waits at other places.
    let filter = EventFilter::default();
    let mut stored = 0;
    for waits in (1..=12).cycle().take(48) {
        cut(journal.pool().begin(), waits).await;
        assert!(!is_lost(&pool, &mut outside).await, "{waits} waits");
        cut(journal.search(&filter, None, 10), waits).await;
        assert!(!is_lost(&pool, &mut outside).await, "search, {waits} waits");
        cut(journal.settle(ids.next(), &[]), waits).await;
        stored += 1;
        let batch = batch(&ids, stored, clock.now());
        journal.append(&batch).await.unwrap();
        let seen = outside.event_ids().await.len() as u64;
        assert_eq!(seen, stored, "settle, {waits} waits");
    }
    journal.close().await;
    database.drop().await;
}
