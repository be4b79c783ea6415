//! From the outbox to Kafka: the same promises against the broker in process and against Apache
//! Kafka.

mod brokers;
mod promises;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usher::clock::{Clock, Ids};
use usher::event::{Verdict, parse};
use usher::http::health::Health;
use usher::journal::{Journal, Lane, NewBatch, NewEvent, ReaderName, Source, far_future};
use usher::lifecycle::Lifecycle;
use usher::publish::{Published, Publisher};

use crate::support::database::TestDatabase;
use crate::support::kafka::{Broker, Received, TestKafka};
use crate::support::{eventually, owed_batches, readiness};

const PORTAL: &str = "7d0f2f4e-1111-4222-8333-444455556666";
/// Longer than a killed publisher's lease, or the start of Apache Kafka on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A journal of its own, a broker, and what was appended.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    kafka: TestKafka,
    clock: Clock,
    entries: BTreeMap<String, String>,
}

/// A publisher that runs.
struct Running {
    health: Health,
    published: Published,
    task: JoinHandle<()>,
    stopping: CancellationToken,
}

impl Running {
    async fn stop(self) {
        self.stopping.cancel();
        self.task.await.expect("the publisher ends in order");
    }

    /// Ends it as a kill does: nothing is returned, nothing is given up.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl Scene {
    async fn on(kafka: TestKafka) -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).expect("a journal");
        journal.migrate().await.expect("a schema");
        journal
            .activate_reader(ReaderName::Kafka, chrono::DateTime::UNIX_EPOCH)
            .await
            .expect("a reader");
        Self {
            database,
            journal,
            kafka,
            clock: Clock::system(),
            entries: BTreeMap::new(),
        }
    }

    async fn with(broker: Broker) -> Self {
        Self::on(TestKafka::start(broker).await).await
    }

    /// Starts another instance.
    fn start(&self) -> Running {
        let health = Health::default();
        let publisher = Publisher::new(
            self.journal.clone(),
            &self.kafka.config,
            Ids::new(self.clock.clone()),
            health.clone(),
        )
        .expect("a publisher");
        let sent = publisher.published();
        let stopping = CancellationToken::new();
        let task = Lifecycle::new().spawn("publish", publisher.run(stopping.clone()));
        Running {
            health,
            published: sent,
            task,
            stopping,
        }
    }

    /// Appends one batch of logins, one per person named.
    async fn append(&mut self, persons: &[&str]) {
        let lines: Vec<String> = persons
            .iter()
            .zip(self.entries.len()..)
            .map(|(person, number)| login(person, number, "firefox"))
            .collect();
        self.append_lines(lines).await;
    }

    async fn append_lines(&mut self, lines: Vec<String>) {
        let mut events = Vec::new();
        for line in lines {
            let event = parse(line.as_bytes()).expect("an entry");
            self.entries.insert(event.id.to_string(), line.clone());
            events.push(NewEvent {
                event,
                raw: line.into(),
                verdict: Verdict::Unsigned,
                request: None,
            });
        }
        let batch = NewBatch {
            id: Ids::new(self.clock.clone()).next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: self.clock.now(),
            requests: Vec::new(),
            events,
            quarantined: Vec::new(),
        };
        self.journal.append(&batch).await.expect("appended");
    }

    /// Ids of the events that are kept aside for their size, each with what is told of it.
    async fn kept_aside(&self) -> Vec<(String, String)> {
        let kept = self
            .journal
            .quarantined_for("message_too_large", None, far_future(), 10)
            .await;
        let kept = kept.expect("the database answers").into_iter();
        kept.map(|row| {
            let event = row.event_id.expect("an event").to_string();
            assert_eq!(row.raw, self.entries[&event].as_bytes());
            (event, row.detail)
        })
        .collect()
    }

    async fn owed(&self) -> i64 {
        owed_batches(&self.journal, ReaderName::Kafka).await
    }

    /// Waits until nothing is owed; everything that was ever sent is in the topic then.
    async fn drained(&self) -> Vec<Received> {
        eventually("the outbox drains", PATIENCE, async || {
            self.owed().await == 0
        })
        .await;
        self.kafka.messages().await
    }

    fn ids(&self) -> BTreeSet<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    async fn end(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

/// One login of `person`; `number` sets its trace id apart and its order.
fn login(person: &str, number: usize, user_agent: &str) -> String {
    json!({
        "event_product": "Dev-Portal",
        "event_ts": "2026-06-23T14:28:47Z",
        "name": "AUTHENTICATION_OUTCOME_SUCCESS",
        "portal_id": PORTAL,
        "principal_id": person,
        "trace_id": 3_360_194_145_499_877_000_u64 + number as u64,
        "user_agent": user_agent,
    })
    .to_string()
}

fn ids(messages: &[Received]) -> BTreeSet<&str> {
    messages.iter().map(Received::id).collect()
}

fn trace(message: &Received) -> u64 {
    let text = message.body["event"]["trace_id"].as_str();
    text.expect("a string").parse().expect("a number")
}

/// What `/readyz` says of Kafka, with its status code.
async fn kafka_readiness(running: &Running) -> (StatusCode, Value) {
    let (status, parts) = readiness(&running.health).await;
    (status, parts["kafka"].clone())
}
