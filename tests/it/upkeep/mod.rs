//! What grows old: months that are dropped, rows that are deleted, and a schema that changes under
//! several instances. Real Postgres, real transactions in the way.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod gaps;
mod months;
mod rows;
mod schema;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Map;
use sqlx::{Connection, PgConnection};
use usher::act::Queue;
use usher::app::Upkeep;
use usher::clock::{Clock, Ids};
use usher::config::RetentionConfig;
use usher::directory::Directory;
use usher::event::{OwnEvent, Verdict};
use usher::journal::{
    Appended, Journal, Lane, Lease, NewBatch, NewEvent, RequestRecord, Retention, Source,
};
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::eventually;

const FAST: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_hours(24);

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// 400 days before it lie in the middle of October 2025.
fn now() -> DateTime<Utc> {
    at("2026-11-15T12:00:00Z")
}

fn retention() -> Retention {
    Retention {
        events: 400 * DAY,
        quarantine: 90 * DAY,
        batches: 90 * DAY,
        told: 90 * DAY,
    }
}

/// A record with a database of its own.
struct Archive {
    database: TestDatabase,
    journal: Journal,
    ids: Ids,
}

impl Archive {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        journal.make_partitions_ahead(now()).await.unwrap();
        let ids = Ids::new(Clock::system());
        Self {
            database,
            journal,
            ids,
        }
    }

    /// One delivery, received at `received_at`, with an event at each of `times`.
    async fn deliver(&self, received_at: DateTime<Utc>, times: &[&str]) -> (Uuid, Appended) {
        let events: Vec<NewEvent> = times.iter().map(|time| self.event(at(time))).collect();
        let batch = NewBatch {
            id: self.ids.next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at,
            requests: vec![RequestRecord {
                id: self.ids.next(),
                received_at,
                peer: "192.0.2.7".to_owned(),
                encoding: String::new(),
                body_bytes: 1,
                inflated_bytes: 1,
                status: 200,
                received: events.len(),
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            }],
            events,
            quarantined: Vec::new(),
        };
        let appended = self.journal.append(&batch).await.unwrap();
        (batch.id, appended)
    }

    fn event(&self, occurred_at: DateTime<Utc>) -> NewEvent {
        let (raw, event) = OwnEvent {
            name: "custom.match_played".to_owned(),
            portal_id: Uuid::nil().to_string(),
            principal_id: None,
            object: self.ids.next().to_string(),
            revision: 1,
            occurred_at,
            data: Map::new(),
        }
        .build();
        NewEvent {
            event,
            raw: raw.into(),
            verdict: Verdict::Unsigned,
            request: Some(0),
        }
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.database.url()).await.unwrap()
    }

    async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(self.journal.pool())
            .await
            .unwrap();
    }

    async fn number(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(self.journal.pool())
            .await
            .unwrap()
    }

    /// Years and months of the stored events.
    async fn months(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT to_char(event_ts AT TIME ZONE 'UTC', 'YYYY-MM') FROM events ORDER BY event_ts",
        )
        .fetch_all(self.journal.pool())
        .await
        .unwrap()
    }

    /// Waits until a month is half detached.
    async fn is_detaching(&self) {
        eventually("a month is being detached", FAST, async || {
            self.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
                .await
                == 1
        })
        .await;
    }

    fn upkeep(&self, journal: Journal) -> Upkeep {
        self.upkeep_by(Clock::system(), journal)
    }

    fn upkeep_by(&self, clock: Clock, journal: Journal) -> Upkeep {
        Upkeep {
            actions: Queue::new(journal.clone(), clock.clone(), self.ids.clone()),
            directory: Directory::new(journal.clone(), clock.clone(), self.ids.clone()),
            journal,
            retention: RetentionConfig::default(),
            clock,
            holder: self.ids.next(),
        }
    }

    async fn close(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

#[tokio::test]
async fn one_instance_at_a_time_keeps_house() {
    let archive = Archive::open().await;
    archive
        .deliver(now(), &["2025-02-10T00:00:00Z", "2025-03-10T00:00:00Z"])
        .await;
    let mut reader = archive.connect().await;
    let mut report = reader.begin().await.unwrap();
    sqlx::query("SELECT FROM events")
        .execute(&mut *report)
        .await
        .unwrap();

    let first = archive.upkeep(archive.journal.clone());
    let journal = Journal::open(&archive.database.url()).unwrap();
    let second = archive.upkeep(journal.clone());
    let meanwhile = async {
        archive.is_detaching().await;
        let round = second.round().await.unwrap();
        report.rollback().await.unwrap();
        round
    };
    let (first_round, second_round) = tokio::join!(first.round(), meanwhile);
    assert_eq!(
        first_round.unwrap().unwrap().dropped,
        ["events_2025_02", "events_2025_03"]
    );
    assert_eq!(second_round, None);
    // The first gave the lease up.
    assert_eq!(second.round().await.unwrap().unwrap().dropped, [""; 0]);
    let lease = Lease {
        name: "upkeep".to_owned(),
        holder: archive.ids.next(),
        ttl: DAY,
    };
    assert!(archive.journal.take_lease(&lease).await.unwrap());
    reader.close().await.unwrap();
    journal.close().await;
    archive.close().await;
}
