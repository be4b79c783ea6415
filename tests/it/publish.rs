//! From the outbox to Kafka: the same promises against the broker in process and against Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::clock::{Clock, Ids};
use usher::config::Secret;
use usher::event::{Verdict, parse};
use usher::http::health::Health;
use usher::journal::{Journal, Lane, Lease, NewBatch, NewEvent, ReaderName, Source, far_future};
use usher::lifecycle::Lifecycle;
use usher::publish::{Published, Publisher};

use crate::support::database::TestDatabase;
use crate::support::kafka::{Broker, PLAIN_PASSWORD, Received, SCRAM_PASSWORD, TestKafka, USER};
use crate::support::process::{Installation, settings};
use crate::support::readiness;
use crate::support::{eventually, owed_batches};

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

async fn sends_each_event_once(broker: Broker) {
    let mut scene = Scene::with(broker).await;
    // One is there before the publisher is, the others come while it runs.
    scene.append(&["ada", "bob"]).await;
    let running = scene.start();
    for _ in 0..20 {
        scene.append(&["ada", "bob", "eve"]).await;
    }
    let messages = scene.drained().await;

    assert_eq!(ids(&messages), scene.ids());
    assert_eq!(messages.len(), 62);
    assert_eq!(running.published.count(), 62);
    for message in &messages {
        let event = &message.body["event"];
        let person = event["principal_id"].as_str().expect("a person");
        assert_eq!(message.key, Some(format!("{PORTAL}/{person}")));
        assert_eq!(event["id"], message.id());
        assert_eq!(message.body["raw"], scene.entries[message.id()]);
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_type", "com.konghq.konnect.audit.authentication"),
            ("ce_source", &format!("/portals/{PORTAL}")),
            ("ce_time", "2026-06-23T14:28:47.000Z"),
            ("ce_subject", person),
            ("content-type", "application/json"),
        ];
        for (name, value) in attributes {
            assert_eq!(message.headers[name], value, "{name}");
        }
    }
    running.stop().await;
    scene.end().await;
}

async fn keeps_one_persons_order_inside_a_batch(broker: Broker) {
    let mut scene = Scene::with(broker).await;
    let persons: Vec<&str> = (0..1_000)
        .map(|n| ["ada", "bob", "eve", "kim"][n % 4])
        .collect();
    scene.append(&persons).await;
    let running = scene.start();
    let messages = scene.drained().await;

    let mut seen: BTreeMap<&str, Vec<(i32, u64)>> = BTreeMap::new();
    for message in &messages {
        let key = message.key.as_deref().expect("a key");
        seen.entry(key)
            .or_default()
            .push((message.partition, trace(message)));
    }
    assert_eq!(seen.len(), 4);
    for (person, events) in seen {
        assert_eq!(events.len(), 250, "{person}");
        assert!(events.is_sorted(), "{person} is out of order");
        assert_eq!(events[0].0, events[249].0, "{person} is on one partition");
    }
    running.stop().await;
    scene.end().await;
}

async fn two_publishers_repeat_nothing(broker: Broker) {
    let mut scene = Scene::with(broker).await;
    let first = scene.start();
    let second = scene.start();
    for _ in 0..40 {
        scene.append(&["ada", "bob"]).await;
    }
    let messages = scene.drained().await;
    assert_eq!(ids(&messages), scene.ids());
    assert_eq!(messages.len(), 80);
    let sent = [first.published.count(), second.published.count()];
    assert!(sent.contains(&0), "one at a time publishes: {sent:?}");

    // The lease is given up at an orderly end: the other need not wait until it runs out.
    let (active, standby) = if sent[0] > 0 {
        (first, second)
    } else {
        (second, first)
    };
    active.stop().await;
    scene.append(&["eve"]).await;
    let stopped = Instant::now();
    let messages = scene.drained().await;
    assert!(stopped.elapsed() < Duration::from_secs(8));
    assert_eq!((messages.len(), standby.published.count()), (81, 1));
    standby.stop().await;
    scene.end().await;
}

async fn sends_what_a_killed_one_had_only_claimed(broker: Broker) {
    let mut scene = Scene::with(broker).await;
    scene.append(&["ada", "bob"]).await;
    // What a process that is killed right after its claim leaves behind.
    let hold = Duration::from_secs(2);
    let killed = Lease {
        name: "publish".to_owned(),
        holder: Ids::new(scene.clock.clone()).next(),
        ttl: hold,
    };
    assert!(scene.journal.hold(&killed).await.expect("an answer"));
    let claimed = scene.journal.claim(ReaderName::Kafka, 10, hold).await;
    assert_eq!(claimed.expect("an answer").len(), 1);
    scene.append(&["eve"]).await;

    let running = scene.start();
    let messages = scene.drained().await;
    assert_eq!(ids(&messages), scene.ids());
    assert_eq!(messages.len(), 3);
    running.stop().await;
    scene.end().await;
}

async fn a_kill_in_the_middle_repeats_at_most(broker: Broker) {
    let mut scene = Scene::with(broker).await;
    for _ in 0..150 {
        scene.append(&["ada", "bob", "eve"]).await;
    }
    let killed = scene.start();
    eventually("some events are sent", PATIENCE, async || {
        killed.published.count() > 0
    })
    .await;
    killed.kill().await;
    assert!(scene.owed().await > 0, "the kill came in the middle");
    scene.append(&["kim"]).await;

    let running = scene.start();
    let messages = scene.drained().await;
    assert_eq!(ids(&messages), scene.ids(), "every event, and no other id");
    for id in scene.ids() {
        let copies: Vec<&Received> = messages.iter().filter(|m| m.id() == id).collect();
        let of_first = copies[0].partition;
        assert!(copies.len() <= 2 && copies.iter().all(|m| m.partition == of_first));
    }
    running.stop().await;
    scene.end().await;
}

async fn an_event_that_kafka_cannot_take_holds_up_nobody(broker: Broker) {
    let mut scene = Scene::with(broker).await;
    let huge = "x".repeat(1_100_000);
    scene
        .append_lines(vec![
            login("ada", 1, "firefox"),
            login("ada", 2, &huge),
            login("ada", 3, "firefox"),
        ])
        .await;
    scene.append(&["bob"]).await;
    let running = scene.start();
    let messages = scene.drained().await;
    assert_eq!(messages.len(), 3);
    assert!(
        messages
            .iter()
            .all(|m| m.body["raw"] == scene.entries[m.id()])
    );
    let kept = scene.kept_aside().await;
    let [(event, detail)] = kept.as_slice() else {
        panic!("one is kept aside: {kept:?}");
    };
    assert!(scene.entries[event].contains(&huge));
    assert!(detail.contains("message.max.bytes"), "{detail}");
    running.stop().await;
    scene.end().await;
}

/// The topic takes less than what is packed together, and less than two of the events.
async fn keeps_aside_what_the_topic_does_not_take(options: &[(&str, &str)]) {
    let mut kafka = TestKafka::with_small_topic(20_000).await;
    kafka.config.options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())))
        .collect();
    let mut scene = Scene::on(kafka).await;
    // Nothing that would shrink when it is packed.
    let huge: String = (0..2_000).map(|_| Ids::secret()).collect();
    let medium: String = (0..20).map(|_| Ids::secret()).collect();
    let lines = (0..300).map(|n| match n {
        0 | 150 => login("ada", n, &huge),
        _ => login(["ada", "bob"][n % 2], n, &medium),
    });
    scene.append_lines(lines.collect()).await;
    scene.append(&["eve"]).await;
    let running = scene.start();
    let messages = scene.drained().await;

    let kept = scene.kept_aside().await;
    let kept: BTreeSet<&str> = kept.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(kept.len(), 2);
    for event in &kept {
        assert!(scene.entries[*event].contains(&huge));
    }
    let rest: BTreeSet<&str> = scene.ids().difference(&kept).copied().collect();
    assert_eq!(ids(&messages), rest);
    if options.is_empty() {
        assert_eq!(messages.len(), rest.len(), "nothing comes twice");
    }
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn keeps_aside_what_a_topic_does_not_take() {
    keeps_aside_what_the_topic_does_not_take(&[]).await;
}

#[tokio::test]
async fn finds_what_a_topic_does_not_take_among_what_is_packed_together() {
    keeps_aside_what_the_topic_does_not_take(&[("batch.size", "1000000")]).await;
}

/// What `/readyz` says of Kafka, with its status code.
async fn kafka_readiness(running: &Running) -> (StatusCode, Value) {
    let (status, parts) = readiness(&running.health).await;
    (status, parts["kafka"].clone())
}

/// Every promise that holds on both brokers, once in each module.
macro_rules! on_each_broker {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $name() {
                crate::publish::$name(crate::support::kafka::Broker::InProcess).await;
            })*
        }
        mod real {
            $(#[tokio::test]
            async fn $name() {
                crate::publish::$name(crate::support::kafka::Broker::Real).await;
            })*
        }
    };
}

on_each_broker!(
    sends_each_event_once,
    keeps_one_persons_order_inside_a_batch,
    two_publishers_repeat_nothing,
    sends_what_a_killed_one_had_only_claimed,
    a_kill_in_the_middle_repeats_at_most,
    an_event_that_kafka_cannot_take_holds_up_nobody,
);

#[tokio::test]
async fn the_outbox_waits_for_a_broker_that_is_away() {
    the_outbox_waits_until_it_is_back(TestKafka::start(Broker::InProcess).await).await;
}

#[tokio::test]
async fn the_outbox_waits_while_apache_kafka_is_bounced() {
    the_outbox_waits_until_it_is_back(TestKafka::start_own().await).await;
}

async fn the_outbox_waits_until_it_is_back(kafka: TestKafka) {
    let mut scene = Scene::on(kafka).await;
    let running = scene.start();
    scene.append(&["ada", "bob"]).await;
    assert_eq!(scene.drained().await.len(), 2);
    assert_eq!(kafka_readiness(&running).await.1["status"], "ok");

    // In the middle of a backlog, so that messages are under way.
    for _ in 0..200 {
        scene.append(&["ada", "bob", "ada"]).await;
    }
    eventually("some of it is sent", PATIENCE, async || {
        running.published.count() > 2
    })
    .await;
    scene.kafka.set_reachable(false).await;
    for _ in 0..10 {
        scene.append(&["ada", "ada", "bob"]).await;
    }
    eventually("usher says so", PATIENCE, async || {
        let (status, kafka) = kafka_readiness(&running).await;
        assert_eq!(
            status,
            StatusCode::OK,
            "deliveries are accepted all the same"
        );
        kafka["status"] == "degraded"
    })
    .await;
    assert!(scene.owed().await >= 10);

    scene.kafka.set_reachable(true).await;
    let messages = scene.drained().await;
    assert_eq!(ids(&messages), scene.ids());
    let mut order: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for message in &messages {
        // A repetition is harmless; its first copy is what has a place.
        if seen.insert(message.id()) {
            let key = message.key.as_deref().expect("a key");
            order.entry(key).or_default().push(trace(message));
        }
    }
    assert!(order.values().all(|traces| traces.is_sorted()), "{order:?}");
    assert_eq!(kafka_readiness(&running).await.1["status"], "ok");
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_batch_that_takes_longer_than_a_claim_is_held_on_to_and_sent_once() {
    let mut scene = Scene::with(Broker::InProcess).await;
    // Five requests are under way at once, and two of these entries are too much for one.
    scene.kafka.answer_after(Duration::from_secs(1)).await;
    let large = "x".repeat(300_000);
    let lines = (0..60).map(|number| login("ada", number, &large));
    scene.append_lines(lines.collect()).await;
    let running = [scene.start(), scene.start()];
    let claimed = async |how: &str| {
        let claimed = format!("SELECT count(*) FROM outbox WHERE claimed_until {how} now()");
        let claimed = sqlx::query_scalar::<_, i64>(&claimed).fetch_one(scene.journal.pool());
        claimed.await.expect("the database answers")
    };
    eventually("it is claimed", PATIENCE, async || claimed(">").await == 1).await;
    let began = Instant::now();
    eventually("the outbox drains", PATIENCE, async || {
        assert_eq!(claimed("<").await, 0, "after {:?}", began.elapsed());
        scene.owed().await == 0
    })
    .await;
    assert!(began.elapsed() > Duration::from_secs(9), "not slow enough");
    assert_eq!(scene.kafka.messages().await.len(), 60);
    for publisher in running {
        publisher.stop().await;
    }
    scene.end().await;
}

#[tokio::test]
async fn whoever_lost_the_lease_sends_no_more() {
    let mut scene = Scene::with(Broker::InProcess).await;
    let running = scene.start();
    scene.append(&["ada"]).await;
    assert_eq!(scene.drained().await.len(), 1);

    // As after a pause of this process that was longer than the lease.
    let stolen = sqlx::query(
        "UPDATE leases SET holder = gen_random_uuid(), expires_at = now() + interval '10 s'",
    );
    let stolen = stolen
        .execute(scene.journal.pool())
        .await
        .expect("the database obeys");
    assert_eq!(stolen.rows_affected(), 1);
    eventually("it notices", PATIENCE, async || {
        kafka_readiness(&running).await.1["detail"] == "another instance sends"
    })
    .await;
    scene.append(&["bob"]).await;
    assert_eq!(scene.kafka.messages().await.len(), 1);
    assert_eq!(scene.owed().await, 1);

    assert_eq!(scene.drained().await.len(), 2);
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn stops_in_time_while_no_broker_answers() {
    let mut scene = Scene::with(Broker::InProcess).await;
    scene.kafka.set_reachable(false).await;
    scene.append(&["ada"]).await;
    let running = scene.start();
    eventually("usher says so", PATIENCE, async || {
        kafka_readiness(&running).await.1["status"] == "degraded"
    })
    .await;
    let asked = Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < usher::lifecycle::GRACE);
    assert_eq!(scene.owed().await, 1);
    scene.end().await;
}

#[tokio::test]
async fn creates_the_topic_when_it_is_missing() {
    let mut scene = Scene::on(TestKafka::without_topic(Broker::Real)).await;
    scene.append(&["ada"]).await;
    let running = scene.start();
    assert_eq!(scene.drained().await.len(), 1);
    running.stop().await;
    scene.end().await;
}

/// A broker with TLS and SASL: what `kafka.options` must name to get in, and what is told of one who does not.
#[tokio::test]
async fn publishes_by_tls_and_sasl_and_says_what_does_not_fit() {
    let (kafka, certificate) = TestKafka::start_secured().await;
    let mut scene = Scene::on(kafka).await;
    let certificate = certificate.display().to_string();
    let options = |mechanism: &str, password: &str, certificate: &str| {
        [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", password),
            ("ssl.ca.location", certificate),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
        .into()
    };
    for (sent, mechanism, password) in [
        (1, "PLAIN", PLAIN_PASSWORD),
        (2, "SCRAM-SHA-512", SCRAM_PASSWORD),
    ] {
        scene.kafka.config.options = options(mechanism, password, &certificate);
        scene.append(&["ada"]).await;
        let running = scene.start();
        assert_eq!(scene.drained().await.len(), sent, "{mechanism}");
        running.stop().await;
    }

    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let other = other.display().to_string();
    scene.append(&["ada"]).await;
    for (mechanism, certificate, told) in [
        ("SCRAM-SHA-512", &certificate, "credentials"),
        ("PLAIN", &other, "TLS"),
    ] {
        scene.kafka.config.options = options(mechanism, "wr0ng", certificate);
        let running = scene.start();
        eventually("usher says so", PATIENCE, async || {
            let (_, kafka) = kafka_readiness(&running).await;
            let detail = kafka["detail"].as_str().unwrap_or_default().to_owned();
            kafka["status"] == "degraded" && detail.contains(told) && !detail.contains(USER)
        })
        .await;
        running.stop().await;
    }
    assert_eq!(scene.owed().await, 1);
    no_log_shows_the_password(&scene, &certificate).await;
    scene.end().await;
}

/// A real usher that logs everything, with a wrong password from a file and then the right one.
async fn no_log_shows_the_password(scene: &Scene, certificate: &str) {
    let mut settings = settings(&scene.database, "http://127.0.0.1:1");
    settings["telemetry"]["log"] = json!("trace");
    settings["kafka"] = json!({
        "brokers": scene.kafka.config.brokers,
        "topic": scene.kafka.config.topic,
        "options": {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": USER,
            "sasl.password": "file:password",
            "ssl.ca.location": certificate,
        },
    });
    let mut installation = Installation::new(&settings);
    for password in ["s3cret-but-wrong", PLAIN_PASSWORD] {
        installation.write("password", &format!("{password}\n"));
        let usher = installation.start().await;
        eventually("it is refused, or publishes", PATIENCE, async || {
            let log = usher.log();
            log.contains("refuses the credentials") || scene.owed().await == 0
        })
        .await;
        usher.terminate().await;
        usher.exit(PATIENCE).await;
    }
    assert_eq!(scene.owed().await, 0);
    let log = installation.log();
    assert!(log.contains("refuses the credentials"));
    let line = log.lines().find(|line| line.contains("s3cret"));
    assert_eq!(line, None);
}
