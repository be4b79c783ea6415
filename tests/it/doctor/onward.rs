//! Faults of Kafka, and of whatever hangs.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use usher::lifecycle::Lifecycle;

use crate::doctor::{World, assert_only, lines};
use crate::support::kafka::{Broker, TestKafka};

#[tokio::test]
async fn each_fault_of_kafka_is_told_by_its_own_line() {
    let mut world = World::new().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let section =
        |kafka: &TestKafka| json!({ "brokers": kafka.config.brokers, "topic": kafka.config.topic });
    world.settings["kafka"] = section(&kafka);
    let healthy = world.healthy().await;
    for name in ["kafka", "kafka-topic", "kafka-size"] {
        assert_eq!(healthy[name].0, "ok", "{:?}", healthy[name]);
    }

    let mut settings = world.settings.clone();
    settings["kafka"]["topic"] = json!("usher-it-nowhere");
    let ran = world.run(&settings).await;
    let expected = ("kafka-topic", "warning", "no topic usher-it-nowhere");
    assert_only("a topic that is missing", &healthy, &ran, expected);

    let small = TestKafka::with_small_topic(16 * 1024).await;
    settings["kafka"] = section(&small);
    let ran = world.run(&settings).await;
    let expected = ("kafka-size", "warning", "takes 16384 bytes at once");
    assert_only("a topic that takes too little", &healthy, &ran, expected);

    settings["kafka"]["brokers"] = json!("127.0.0.1:9");
    let ran = world.run(&settings).await;
    let expected = ("kafka", "failed", "could not list the topics");
    assert_only("brokers that are away", &healthy, &ran, expected);
    world.end().await;
}

/// Whoever accepts connections and never says anything is given up in time, and the rest is told.
#[tokio::test]
async fn what_hangs_is_over_in_ten_seconds() {
    let world = World::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let listening = Lifecycle::new().spawn("silent", async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
            // None of them is dropped.
            assert!(!held.is_empty());
        }
    });
    let mut settings = world.settings.clone();
    settings["database"] = json!({
        "url": format!("postgres://usher@{address}/usher"),
        "read_url": format!("postgres://usher@{address}/usher"),
    });
    settings["konnect"]["base_url"] = json!(format!("http://{address}"));
    settings["kafka"] = json!({ "brokers": address.to_string() });
    settings["http"] = json!({ "listen": address });
    let began = Instant::now();
    let ran = world.run(&settings).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let lines = lines(&ran);
    for (name, status) in [
        ("database", "failed"),
        ("konnect", "failed"),
        ("kafka", "failed"),
        ("serve", "warning"),
        ("migrations", "skipped"),
        ("konnect-token", "skipped"),
        ("kafka-topic", "skipped"),
        ("rules", "ok"),
        ("spool", "ok"),
    ] {
        assert_eq!(lines[name].0, status, "{name}: {}", lines[name].1);
    }
    listening.abort();
    world.end().await;
}
