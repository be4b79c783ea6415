//! Brokers that are away or slow, and publishers that must wait or end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use super::{PATIENCE, Scene, ids, kafka_readiness, login, trace};
use crate::support::eventually;
use crate::support::kafka::{Broker, TestKafka};

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
