//! Kills under load: what was acknowledged is stored once, and published.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use crate::kill::SOON;
use crate::support::database::TestDatabase;
use crate::support::kafka::{Broker, Received, TestKafka};
use crate::support::konnect::TestKonnect;
use crate::support::luck::{Luck, tell};
use crate::support::process::{Installation, settings};
use crate::support::record::Record;
use crate::support::sender::{Acknowledged, Sender, id_of};
use crate::support::signer::Entry;
use crate::support::{environment, eventually};

/// Nobody listens on this port.
const NO_BROKER: &str = "127.0.0.1:1";
const KILLS: usize = 5;

fn ids(messages: &[Received]) -> BTreeSet<Uuid> {
    messages
        .iter()
        .map(|message| message.id().parse().expect("a UUID"))
        .collect()
}

fn publish_to(settings: &mut Value, brokers: &str, kafka: &TestKafka) {
    settings["kafka"] = json!({ "brokers": brokers, "topic": kafka.config.topic });
}

fn brokers(kafka: &TestKafka) -> &str {
    kafka.config.brokers.as_deref().expect("a broker")
}

#[tokio::test]
async fn what_was_acknowledged_is_published_after_a_kill() {
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    publish_to(&mut settings, NO_BROKER, &kafka);
    let mut usher = Installation::new(&settings);

    let process = usher.start().await;
    let lines: Vec<String> = (0..200)
        .map(|number| konnect.signer.json(&Entry::numbered(number)))
        .collect();
    assert_eq!(process.deliver(&lines).await.expect("an answer"), 200);
    process.kill().await;

    let mut record = Record::of(&database).await;
    let acknowledged: BTreeSet<Uuid> = lines.iter().map(|line| id_of(line)).collect();
    assert_eq!(record.event_ids().await, acknowledged);
    assert!(
        kafka.messages().await.is_empty(),
        "killed before anything was published"
    );

    publish_to(&mut settings, brokers(&kafka), &kafka);
    usher.configure(&settings);
    let process = usher.start().await;
    // The lease of the dead publisher is waited out: nobody has to help.
    let messages = record.published(&kafka).await;
    assert_eq!(ids(&messages), acknowledged);
    assert_eq!(record.event_ids().await, acknowledged);
    process.kill().await;
    database.drop().await;
}

/// What usher is at when it is killed.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Whatever it is.
    Anything,
    /// Writing a transaction.
    Commit,
    /// Events are owed to Kafka.
    Publish,
    /// Requests of an outage go from the spool into the record.
    Drain,
}

impl At {
    const ALL: [Self; 4] = [Self::Anything, Self::Commit, Self::Publish, Self::Drain];

    /// Waits until usher is at it.
    async fn comes(self, database: &TestDatabase, spool: &Path) {
        match self {
            Self::Anything => {}
            Self::Commit => {
                let mut record = Record::of(database).await;
                eventually("a transaction writes", SOON, async || {
                    record.is_being_written().await
                })
                .await;
            }
            Self::Publish => {
                let mut record = Record::of(database).await;
                eventually("events are owed to Kafka", SOON, async || {
                    record.owed_to_kafka().await > 0
                })
                .await;
            }
            Self::Drain => {
                database.refuse().await;
                eventually("deliveries are spooled", SOON, async || {
                    requests_in(spool) > 20
                })
                .await;
                database.allow().await;
                let mut most = 0;
                eventually("the spool is being emptied", SOON, async || {
                    let now = requests_in(spool);
                    most = most.max(now);
                    now < most
                })
                .await;
            }
        }
    }
}

fn requests_in(spool: &Path) -> usize {
    let files = fs::read_dir(spool).expect("the spool's folder");
    files
        .filter_map(Result::ok)
        .filter(|file| file.path().extension().is_some_and(|end| end == "request"))
        .count()
}

#[tokio::test]
async fn kills_under_load_lose_nothing_and_store_nothing_twice() {
    let mut luck = Luck::new();
    let kills = environment::rounds(KILLS);
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    publish_to(&mut settings, brokers(&kafka), &kafka);
    let home = TempDir::new().expect("a folder");
    let spool = home.path().join("spool");
    settings["spool"] = json!({ "dir": spool });
    settings["telemetry"]["log"] = json!("info");
    let mut usher = Installation::new(&settings);
    let mut process = usher.start().await;
    // With a spool it takes deliveries before there is a schema, and the test looks at tables.
    eventually("the record takes deliveries", SOON, async || {
        process.deliver(&[]).await == Some(StatusCode::OK)
    })
    .await;

    let acknowledged = Acknowledged::default();
    let enough = AtomicBool::new(false);
    let url = watch::Sender::new(process.url.clone());
    // Below and above the number of rows from which on the writer copies.
    let senders = [(0, 1), (1_000_000, 20), (2_000_000, 400)]
        .map(|(first, size)| Sender::new(&konnect.signer, first, size, &acknowledged));
    let first = luck.rng.random_range(0..At::ALL.len());
    let rng = &mut luck.rng;
    let all_kills = async {
        for round in 0..kills {
            acknowledged.go_on(20).await;
            let at = At::ALL[(first + round) % At::ALL.len()];
            at.comes(&database, &spool).await;
            // Any moment of it will do, so each run tries others.
            let moment = Duration::from_micros(rng.random_range(0..100_000));
            tokio::time::sleep(moment).await;
            process.kill().await;
            // Else nobody would publish until the first of the dead publishers lost its lease.
            Record::of(&database).await.let_leases_end().await;
            process = usher.start().await;
            url.send_replace(process.url.clone());
        }
        acknowledged.go_on(60).await;
        enough.store(true, Ordering::Relaxed);
        process
    };
    let [one, two, three] = &senders;
    let (process, ..) = tokio::join!(
        all_kills,
        one.send_all(url.subscribe(), &enough),
        two.send_all(url.subscribe(), &enough),
        three.send_all(url.subscribe(), &enough),
    );
    eventually("the spool is empty", SOON, async || {
        requests_in(&spool) == 0
    })
    .await;

    let acknowledged = acknowledged.into_ids();
    let mut record = Record::of(&database).await;
    let stored = record.event_ids().await;
    let messages = record.published(&kafka).await;
    tell(&format!(
        "{kills} kills (seed {}): {} entries acknowledged, {} stored, {} published in {} messages",
        luck.seed,
        acknowledged.len(),
        stored.len(),
        ids(&messages).len(),
        messages.len()
    ));
    assert_eq!(stored, acknowledged);
    assert_eq!(ids(&messages), acknowledged);
    process.kill().await;
    assert!(!usher.log().contains("panicked"));
    database.drop().await;
}
