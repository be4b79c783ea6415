//! Readers of the outbox: with much to read, added late, and gone from the configuration.

mod claims;
mod late;
mod listed;
mod retired;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use tokio::task::JoinHandle;
use usher::app::Readers;
use usher::clock::{Clock, Ids};
use usher::event::{EventId, Verdict, parse};
use usher::http::health::Health;
use usher::journal::{Journal, Lane, NewBatch, NewEvent, OutboxRow, ReaderName, Source};
use usher::lifecycle::Lifecycle;

use crate::support::database::TestDatabase;

const KAFKA: ReaderName = ReaderName::Kafka;
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than any test.
const HOLD: Duration = Duration::from_hours(1);
/// Batches in one round of a reader.
const ROUND: i64 = 64;

/// A record of its own.
struct Record {
    database: TestDatabase,
    journal: Journal,
}

impl Record {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        Self { database, journal }
    }

    async fn with_kafka() -> Self {
        let this = Self::open().await;
        this.journal
            .activate_reader(KAFKA, DateTime::UNIX_EPOCH)
            .await
            .unwrap();
        this
    }

    async fn run(&self, statement: &str) {
        let pool = self.journal.pool();
        sqlx::raw_sql(statement).execute(pool).await.unwrap();
    }

    async fn number(&self, query: &str) -> i64 {
        let pool = self.journal.pool();
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    }

    /// Appends one login and says in which batch.
    async fn append(&self, number: u64) -> (NewBatch, EventId) {
        self.append_late(number, TimeDelta::zero()).await
    }

    /// Appends one login that was received so long ago.
    async fn append_late(&self, number: u64, ago: TimeDelta) -> (NewBatch, EventId) {
        let clock = Clock::system();
        let entry = json!({
            "event_product": "Dev-Portal",
            "event_ts": "2026-06-23T14:28:47Z",
            "name": "AUTHENTICATION_OUTCOME_SUCCESS",
            "portal_id": "7d0f2f4e-1111-4222-8333-444455556666",
            "trace_id": number,
        });
        let raw = entry.to_string().into_bytes();
        let event = parse(&raw).unwrap();
        let id = event.id;
        let batch = NewBatch {
            id: Ids::new(clock.clone()).next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: clock.now() - ago,
            requests: Vec::new(),
            events: vec![NewEvent {
                event,
                raw: raw.into(),
                verdict: Verdict::KeyUnknown,
                request: None,
            }],
            quarantined: Vec::new(),
        };
        self.journal.append(&batch).await.unwrap();
        (batch, id)
    }

    /// Has Kafka owed so many batches more, without anybody telling the planner.
    async fn owe(&self, from: i64, to: i64) {
        self.run(&format!(
            "INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
             SELECT 'kafka', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                 CASE WHEN n % 2 = 0 THEN 'live' ELSE 'bulk' END, now(), now(), now()
             FROM generate_series({from}::bigint, {to}::bigint) AS n"
        ))
        .await;
    }

    /// How long twenty rounds take.
    async fn rounds(&self) -> Duration {
        let began = Instant::now();
        for _ in 0..20 {
            let rows = self.journal.claim(KAFKA, ROUND, HOLD).await.unwrap();
            assert_eq!(rows.len(), 64);
            self.strike_off(&rows).await;
        }
        began.elapsed()
    }

    async fn strike_off(&self, rows: &[OutboxRow]) {
        let done: Vec<_> = rows.iter().map(OutboxRow::owed).collect();
        self.journal
            .finish_without(KAFKA, &done, &[])
            .await
            .unwrap();
    }

    async fn end(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

/// What an instance that is configured with `wanted` does, running.
fn look_after(
    record: &Record,
    health: &Health,
    wanted: &[ReaderName],
    every: Duration,
) -> (JoinHandle<()>, Lifecycle) {
    let lifecycle = Lifecycle::new();
    let readers = Readers {
        journal: record.journal.clone(),
        wanted: wanted.to_vec(),
        health: health.clone(),
        every,
    };
    let task = lifecycle.spawn("readers", readers.run(lifecycle.stopping()));
    (task, lifecycle)
}
