//! The writer: requests that share a transaction, rows that the database refuses, known events, two
//! instances at once, and the end of the process, all on a real Postgres.

mod batches;
mod ends;
mod network;
mod together;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::task::JoinSet;
use usher::app::build_client;
use usher::clock::{Clock, Ids};
use usher::config::VerifyPolicy;
use usher::event::{Verdict, parse};
use usher::intake::{Intake, IntakeError, KeyRing, Received, Taken};
use usher::journal::{Journal, Lane, NewBatch, NewEvent, RequestRecord, Source};
use usher::lifecycle::Lifecycle;

use crate::support::app::config;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::signer::Entry;

const FAST: Duration = Duration::from_secs(10);

/// The record and the way into it, without the door.
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
        let journal = open(&database);
        Self::over(database, journal).await
    }

    async fn over(database: TestDatabase, journal: Journal) -> Self {
        journal.migrate().await.unwrap();
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let lifecycle = Lifecycle::new();
        // Nothing asks Konnect for keys: signatures are not looked at.
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

    /// Takes `requests` while nothing can commit, so that all but the first share a transaction;
    /// what each is answered, in order.
    async fn take_together(&self, requests: &[Vec<String>]) -> Vec<Taken> {
        let taking = self.hold_up(requests).await;
        taking.let_go().await
    }

    /// Hands requests to a writer that waits for a lock of the test's.
    async fn hold_up(&self, requests: &[Vec<String>]) -> HeldUp {
        let mut obstacle = connect(&self.database).await;
        run(&mut obstacle, "BEGIN").await;
        run(&mut obstacle, "LOCK TABLE batches IN EXCLUSIVE MODE").await;
        let mut taking = JoinSet::new();
        for (place, lines) in requests.iter().enumerate() {
            let (intake, received) = (self.intake.clone(), self.received(lines));
            taking.spawn(async move { (place, intake.take(received, None).await) });
            if place == 0 {
                eventually("the first transaction waits", FAST, async || {
                    let mut look = connect(&self.database).await;
                    let waits = count(
                        &mut look,
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'batches'::regclass
                            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                    )
                    .await;
                    waits == 1
                })
                .await;
            }
        }
        // On one thread, every request is at the writer once all were given their turns.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        HeldUp { obstacle, taking }
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

struct HeldUp {
    obstacle: PgConnection,
    taking: JoinSet<(usize, Result<Taken, IntakeError>)>,
}

impl HeldUp {
    async fn let_go(mut self) -> Vec<Taken> {
        run(&mut self.obstacle, "COMMIT").await;
        let mut taken = self.taking.join_all().await;
        taken.sort_by_key(|(place, _)| *place);
        taken.into_iter().map(|(_, taken)| taken.unwrap()).collect()
    }
}

fn open(database: &TestDatabase) -> Journal {
    Journal::open(&database.url()).unwrap()
}

async fn connect(database: &TestDatabase) -> PgConnection {
    let options: PgConnectOptions = database.url().parse().unwrap();
    options.connect().await.unwrap()
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(statement).execute(connection).await.unwrap();
}

async fn count(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn texts(connection: &mut PgConnection, query: &str) -> Vec<String> {
    sqlx::query_scalar(query)
        .fetch_all(connection)
        .await
        .unwrap()
}

fn line(number: u64) -> String {
    Entry::numbered(number).json()
}

fn counts(taken: &Taken) -> [usize; 4] {
    [
        taken.received,
        taken.stored,
        taken.duplicates,
        taken.quarantined,
    ]
}

/// A batch of one request with these entries.
fn batch(ids: &Ids, clock: &Clock, numbers: impl IntoIterator<Item = u64>) -> NewBatch {
    let now = clock.now();
    let events: Vec<NewEvent> = numbers
        .into_iter()
        .map(|number| {
            let raw = match number % 3 {
                0 => Entry::numbered(number).cef(),
                1 => line(number),
                _ => format!("{{\"event\":{}}}", line(number)),
            };
            NewEvent {
                event: parse(raw.as_bytes()).unwrap(),
                raw: raw.into(),
                verdict: if number.is_multiple_of(2) {
                    Verdict::Verified
                } else {
                    Verdict::Unsigned
                },
                request: Some(0),
            }
        })
        .collect();
    NewBatch {
        id: ids.next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at: now,
        requests: vec![RequestRecord {
            id: ids.next(),
            received_at: now,
            peer: "127.0.0.1".to_owned(),
            encoding: String::new(),
            body_bytes: 0,
            inflated_bytes: 0,
            status: 200,
            received: events.len(),
            stored: 0,
            duplicates: 0,
            quarantined: 0,
        }],
        events,
        quarantined: Vec::new(),
    }
}
