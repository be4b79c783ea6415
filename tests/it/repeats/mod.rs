//! Events that come again: what is checked once more and what is not, how copies are counted, and
//! that no forgery gains by it. On real Postgres and HTTP.

mod counted;
mod recognised;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use usher::app::build_client;
use usher::clock::{Clock, Ids};
use usher::config::VerifyPolicy;
use usher::event::{Verdict, parse};
use usher::intake::{Intake, KeyRing, Received, Taken};
use usher::journal::{Journal, Lane, NewBatch, NewEvent, RequestRecord, Source};
use usher::lifecycle::Lifecycle;

use crate::support::app::config;
use crate::support::database::TestDatabase;

const PATIENCE: Duration = Duration::from_secs(30);

async fn connect(database: &TestDatabase) -> PgConnection {
    let options: PgConnectOptions = database.url().parse().unwrap();
    options.connect().await.unwrap()
}

async fn number(database: &TestDatabase, query: &str) -> i64 {
    let mut connection = connect(database).await;
    let number = sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    number
}

/// The record and the way into it, without the door and without keys.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    intake: Intake,
    lifecycle: Lifecycle,
    ids: Ids,
    clock: Clock,
}

impl Scene {
    async fn create() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let lifecycle = Lifecycle::new();
        let client = build_client(&config("http://127.0.0.1:9").konnect).unwrap();
        let keys = KeyRing::new(client, journal.clone(), clock.clone());
        let intake = Intake::new(
            journal.clone(),
            Arc::new(keys),
            VerifyPolicy::Off,
            100_000,
            ids.clone(),
            &lifecycle,
        );
        Self {
            database,
            journal,
            intake,
            lifecycle,
            ids,
            clock,
        }
    }

    fn received(&self, lines: &[String]) -> Received {
        let body = lines.join("\n").into_bytes();
        Received {
            id: self.ids.next(),
            received_at: self.clock.now(),
            peer: "127.0.0.1".to_owned(),
            encoding: String::new(),
            body_bytes: body.len(),
            body: body.into(),
            complete: true,
        }
    }

    async fn take(&self, lines: &[String]) -> Taken {
        let received = self.received(lines);
        self.intake.take(received, None).await.unwrap()
    }

    /// A batch of one request, verified.
    fn batch(&self, lines: &[String]) -> NewBatch {
        let now = self.clock.now();
        let events = lines.iter().map(|line| NewEvent {
            event: parse(line.as_bytes()).unwrap(),
            raw: line.clone().into(),
            verdict: Verdict::Verified,
            request: Some(0),
        });
        NewBatch {
            id: self.ids.next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: now,
            requests: vec![RequestRecord {
                id: self.ids.next(),
                received_at: now,
                peer: "127.0.0.1".to_owned(),
                encoding: String::new(),
                body_bytes: 0,
                inflated_bytes: 0,
                status: 200,
                received: lines.len(),
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            }],
            events: events.collect(),
            quarantined: Vec::new(),
        }
    }

    async fn finish(self) {
        let Self {
            database,
            journal,
            intake,
            lifecycle,
            ..
        } = self;
        drop(intake);
        lifecycle.shut_down().await;
        journal.close().await;
        database.drop().await;
    }
}
