//! Two instances on one record, which share what was delivered and what is to be published. Real
//! processes, real Postgres, real Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt;
use reqwest::{Client, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::environment;
use crate::support::eventually;
use crate::support::kafka::{Broker, Received, TestKafka};
use crate::support::konnect::TestKonnect;
use crate::support::luck::{Luck, tell};
use crate::support::process::{Installation, USHER, deliver, settings};
use crate::support::record::Record;
use crate::support::sender::id_of;
use crate::support::signer::{Entry, Signer};

const PATIENCE: Duration = Duration::from_mins(1);
const BATCHES: usize = 120;
/// What the first is given before the second is there.
const EARLY_BATCHES: usize = 40;
const ENTRIES: u64 = 100;
/// Few, so that everyone has many entries in every batch.
const PERSONS: u64 = 7;
/// Senders at each instance.
const SENDERS: usize = 4;

fn batch(signer: &Signer, number: usize) -> Vec<String> {
    let first = number as u64 * ENTRIES;
    (first..first + ENTRIES)
        .map(|entry| {
            let person = Entry::numbered(entry % PERSONS);
            signer.json(&Entry {
                principal_id: person.principal_id,
                ..Entry::numbered(entry)
            })
        })
        .collect()
}

/// Delivers all `batches`, several at once, until one is not answered; how many were. Nobody is
/// told anything but that a batch is stored.
async fn feed(url: &str, batches: &[Vec<String>], stored: &AtomicUsize) {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    let next = AtomicUsize::new(0);
    let send = async || {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(status) = deliver(&http, url, batch).await else {
                return;
            };
            assert_eq!(status, StatusCode::OK);
            stored.fetch_add(1, Ordering::Relaxed);
        }
    };
    let senders: [_; SENDERS] = std::array::from_fn(|_| send());
    let [one, two, three, four] = senders;
    tokio::join!(one, two, three, four);
}

/// An instance is fed, another one starts beside it under that load, both are fed the same in
/// opposite order, and the first is killed when they have met. `make soak` makes the first an older
/// one.
#[tokio::test]
async fn fed_the_same_in_opposite_order_lose_and_repeat_nothing_when_one_is_killed() {
    let first = environment::older_usher().unwrap_or_else(|| USHER.into());
    let mut luck = Luck::new();
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    let brokers = kafka.config.brokers.as_deref().unwrap();
    settings["kafka"] = json!({ "brokers": brokers, "topic": kafka.config.topic });
    settings["telemetry"]["log"] = json!("info");

    let signed = |numbers: Range<usize>| -> Vec<Vec<String>> {
        numbers.map(|n| batch(&konnect.signer, n)).collect()
    };
    let early = signed(BATCHES..BATCHES + EARLY_BATCHES);
    let forth = signed(0..BATCHES);
    let back: Vec<Vec<String>> = forth
        .iter()
        .rev()
        .map(|batch| batch.iter().rev().cloned().collect())
        .collect();
    let [alone, of_survivor, of_killed] = std::array::from_fn(|_| AtomicUsize::new(0));

    let mut home_of_killed = Installation::of(&first, &settings);
    let killed = home_of_killed.start().await;
    let url_of_killed = killed.url.clone();
    let mut home = Installation::new(&settings);
    // It migrates, where it is newer, under the other's load.
    let (survivor, ()) = tokio::join!(home.start(), feed(&url_of_killed, &early, &alone));

    // Late enough to have met the other, whose entries come towards its own.
    let kill_after = luck.rng.random_range(BATCHES / 4..BATCHES / 2);
    let kill = async {
        eventually("both are at work", PATIENCE, async || {
            of_killed.load(Ordering::Relaxed) >= kill_after
        })
        .await;
        killed.kill().await;
    };
    tokio::join!(
        feed(&survivor.url, &forth, &of_survivor),
        feed(&url_of_killed, &back, &of_killed),
        kill,
    );

    let lines = early.iter().chain(&forth).flatten();
    let all: BTreeSet<Uuid> = lines.map(|line| id_of(line)).collect();
    assert_eq!(alone.into_inner(), EARLY_BATCHES, "the first took it all");
    assert_eq!(
        of_survivor.into_inner(),
        BATCHES,
        "the survivor took it all"
    );
    let mut record = Record::of(&database).await;
    assert_eq!(record.event_ids().await, all);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(record.number(deadlocks).await, 0);
    let messages = record.published(&kafka).await;
    let published: BTreeSet<Uuid> = messages.iter().map(id).collect();
    assert_eq!(published, all);
    in_order(&record.places().await, &messages);
    tell(&format!(
        "{} beside this one killed (seed {}) after {} of {BATCHES} batches: {} events stored, {} published in {} messages",
        first.display(),
        luck.seed,
        of_killed.into_inner(),
        all.len(),
        published.len(),
        messages.len()
    ));
    survivor.kill().await;
    for home in [home, home_of_killed] {
        assert!(!home.log().contains("panicked"));
    }
    database.drop().await;
}

fn id(message: &Received) -> Uuid {
    message.id().parse().unwrap()
}

/// Fails where one person's events of one batch are not in the batch's order on the topic. A
/// repetition is harmless: the first copy is what has a place.
fn in_order(places: &BTreeMap<Uuid, (Uuid, i32)>, messages: &[Received]) {
    let mut seen = BTreeSet::new();
    let mut orders: BTreeMap<(&str, Uuid), Vec<(i32, i32)>> = BTreeMap::new();
    for message in messages.iter().filter(|message| seen.insert(id(message))) {
        let (batch, position) = places[&id(message)];
        let order = orders.entry((message.key.as_deref().unwrap(), batch));
        order.or_default().push((message.partition, position));
    }
    let longest = orders.values().map(Vec::len).max();
    assert!(longest > Some(5), "nobody has several events in a batch");
    for ((key, batch), order) in orders {
        assert!(order.is_sorted(), "{key} in {batch}: {order:?}");
        assert_eq!(
            order[0].0,
            order[order.len() - 1].0,
            "{key} on one partition"
        );
    }
}
