//! From the outbox to other endpoints: what a receiver that once held Konnect's webhook gets, and
//! what it does not take.

mod instances;
mod refusals;

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use usher::app::Readers;
use usher::clock::{Clock, Ids};
use usher::config::{ForwardConfig, Secret};
use usher::event::{OwnEvent, Verdict, parse};
use usher::http::health::Health;
use usher::journal::{
    Journal, Lane, NewBatch, NewEvent, QuarantineFilter, Quarantined, ReaderName, Source,
};
use usher::lifecycle::Lifecycle;
use usher::publish::Forwards;

use crate::support::database::TestDatabase;
use crate::support::receiver::{Receiver, Reply};
use crate::support::{eventually, owed_batches, readiness};

/// Longer than a few waits that double, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const AUTHORIZATION: &str = "Splunk s3cret-of-the-siem";

/// A journal of its own, and what was appended that must go on.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    clock: Clock,
    entries: Vec<String>,
}

/// One usher, as far as forwarding goes.
struct Running {
    health: Health,
    lifecycle: Lifecycle,
}

impl Running {
    async fn stop(self) {
        self.lifecycle.shut_down().await;
    }

    /// What `/readyz` says of the endpoint, whatever its part is called.
    async fn says_of(&self, receiver: &Receiver) -> Option<Value> {
        let (status, parts) = readiness(&self.health).await;
        assert_eq!(
            status,
            StatusCode::OK,
            "deliveries are accepted all the same"
        );
        let parts = parts.as_object().expect("parts").clone();
        let mut parts = parts.into_iter().filter(|(name, part)| {
            let detail = part["detail"].as_str().expect("a text");
            name.starts_with("forward-") && detail.contains(&receiver.host())
        });
        parts.next().map(|(_, part)| part)
    }

    async fn degraded(&self, receiver: &Receiver, detail: &str) {
        eventually(detail, PATIENCE, async || {
            let part = self.says_of(receiver).await.unwrap_or_default();
            let told = part["detail"].as_str().unwrap_or_default();
            part["status"] == "degraded" && told.contains(detail) && !told.contains("token")
        })
        .await;
    }
}

fn endpoint(receiver: &Receiver) -> ForwardConfig {
    ForwardConfig {
        url: receiver.url().parse().expect("a URL"),
        authorization: Some(Secret::new(AUTHORIZATION.to_owned())),
    }
}

impl Scene {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).expect("a journal");
        journal.migrate().await.expect("a schema");
        Self {
            database,
            journal,
            clock: Clock::system(),
            entries: Vec::new(),
        }
    }

    fn forwards(&self, receivers: &[&Receiver], health: &Health) -> Forwards {
        let config: Vec<ForwardConfig> = receivers.iter().map(|it| endpoint(it)).collect();
        let ids = Ids::new(self.clock.clone());
        Forwards::new(&self.journal, &config, &self.clock, &ids, health).expect("endpoints")
    }

    fn reader(&self, receiver: &Receiver) -> ReaderName {
        self.forwards(&[receiver], &Health::default()).readers()[0]
    }

    /// Starts another instance, as the composition root does it.
    async fn start(&self, receivers: &[&Receiver]) -> Running {
        self.start_patient(receivers, Duration::from_mins(10)).await
    }

    /// Starts one that suspects entries after so long.
    async fn start_patient(&self, receivers: &[&Receiver], patience: Duration) -> Running {
        let health = Health::default();
        let forwards = self.forwards(receivers, &health).with_patience(patience);
        for reader in forwards.readers() {
            let activated = self.journal.activate_reader(reader, self.clock.now()).await;
            activated.expect("a reader");
        }
        let lifecycle = Lifecycle::new();
        let readers = Readers {
            journal: self.journal.clone(),
            wanted: forwards.readers(),
            health: health.clone(),
            every: Duration::from_millis(100),
        };
        lifecycle.spawn("readers", readers.run(lifecycle.stopping()));
        forwards.start(&lifecycle);
        Running { health, lifecycle }
    }

    /// Appends one batch of so many logins.
    async fn append(&mut self, entries: usize) {
        let from = self.entries.len();
        let lines: Vec<String> = (from..from + entries).map(login).collect();
        self.append_lines(&lines).await;
    }

    async fn append_lines(&mut self, lines: &[String]) {
        self.entries.extend_from_slice(lines);
        let raw = lines.iter().map(|line| line.clone().into_bytes());
        self.append_raw(Source::Webhook, raw.collect()).await;
    }

    async fn append_raw(&self, source: Source, entries: Vec<Vec<u8>>) {
        let event = |raw: Vec<u8>| NewEvent {
            event: parse(&raw).expect("an entry"),
            raw: raw.into(),
            verdict: Verdict::Unsigned,
            request: None,
        };
        let batch = NewBatch {
            id: Ids::new(self.clock.clone()).next(),
            source,
            lane: Lane::Live,
            part_of: None,
            received_at: self.clock.now(),
            requests: Vec::new(),
            events: entries.into_iter().map(event).collect(),
            quarantined: Vec::new(),
        };
        self.journal.append(&batch).await.expect("appended");
    }

    async fn owed(&self, receiver: &Receiver) -> i64 {
        owed_batches(&self.journal, self.reader(receiver)).await
    }

    async fn drained(&self, receiver: &Receiver) {
        eventually("the outbox drains", PATIENCE, async || {
            self.owed(receiver).await == 0
        })
        .await;
    }

    async fn quarantined(&self) -> Vec<Quarantined> {
        let all = QuarantineFilter {
            from: chrono::DateTime::UNIX_EPOCH,
            to: self.clock.now() + chrono::TimeDelta::days(1),
            reason: None,
            delivery_id: None,
            after: None,
        };
        self.journal.quarantined(&all, 100).await.expect("rows")
    }

    async fn end(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

fn login(number: usize) -> String {
    json!({
        "event_product": "Dev-Portal",
        "event_ts": "2026-06-23T14:28:47Z",
        "name": "AUTHENTICATION_OUTCOME_SUCCESS",
        "portal_id": "7d0f2f4e-1111-4222-8333-444455556666",
        "principal_id": "ada",
        "trace_id": 3_360_194_145_499_877_000_u64 + number as u64,
        "sig": "kept as it is",
    })
    .to_string()
}

#[tokio::test]
async fn sends_entries_as_received_and_in_order_to_every_endpoint() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let mut scene = Scene::new().await;
    let (own, _) = OwnEvent {
        name: "action.done".to_owned(),
        portal_id: "portal".to_owned(),
        principal_id: None,
        object: "action/1".to_owned(),
        revision: 1,
        occurred_at: scene.clock.now(),
        data: Map::new(),
    }
    .build();
    let running = scene.start(&[&first, &second]).await;
    for batch in 0..20 {
        scene.append(1 + batch % 3).await;
        if batch == 10 {
            scene.append_raw(Source::Act, vec![own.clone()]).await;
        }
    }
    for receiver in [&first, &second] {
        scene.drained(receiver).await;
        assert_eq!(receiver.entries(), scene.entries);
        for request in receiver.requests() {
            assert_eq!(request.headers["authorization"], AUTHORIZATION);
            assert_eq!(request.headers["content-type"], "text/plain");
            assert!(!request.headers.contains_key("content-encoding"));
        }
        let part = running.says_of(receiver).await.expect("a part");
        assert_eq!(part["status"], "ok");
    }
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn waits_for_an_endpoint_that_is_away_and_keeps_the_order() {
    let (away, there) = (Receiver::away().await, Receiver::start().await);
    let mut scene = Scene::new().await;
    let running = scene.start(&[&away, &there]).await;
    for _ in 0..10 {
        scene.append(3).await;
    }
    scene.drained(&there).await;
    running.degraded(&away, "could not reach").await;
    assert_eq!(scene.owed(&away).await, 10);

    away.open().await;
    scene.append(1).await;
    scene.drained(&away).await;
    assert_eq!(away.entries(), scene.entries);
    assert_eq!(there.entries(), scene.entries);
    let part = running.says_of(&away).await.expect("a part");
    assert_eq!(part["status"], "ok");
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn tries_again_when_it_was_asked_to() {
    let receiver = Receiver::start().await;
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    receiver.answers(|_| Reply::of(500));
    scene.append(2).await;
    running.degraded(&receiver, "500").await;
    receiver.answers(|_| Reply::of(429).with("retry-after", "3"));
    running.degraded(&receiver, "429").await;
    receiver.answers(|_| Reply::of(202));
    scene.drained(&receiver).await;

    assert_eq!(receiver.entries(), scene.entries);
    let requests = receiver.requests();
    let [.., asked, taken] = requests.as_slice() else {
        panic!("several requests");
    };
    assert_eq!(asked.status, 429);
    assert!(taken.at - asked.at >= Duration::from_secs(3));
    running.stop().await;
    scene.end().await;
}
