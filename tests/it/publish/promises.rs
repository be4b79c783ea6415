//! Every promise that holds on both brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use usher::clock::Ids;
use usher::journal::{Lease, ReaderName};

use super::{PATIENCE, PORTAL, Scene, ids, login, trace};
use crate::support::eventually;
use crate::support::kafka::{Broker, Received};

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
    assert!(scene.journal.take_lease(&killed).await.expect("an answer"));
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

/// Every promise that holds on both brokers, once in each module.
macro_rules! on_each_broker {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $name() {
                crate::publish::promises::$name(crate::support::kafka::Broker::InProcess).await;
            })*
        }
        mod real {
            $(#[tokio::test]
            async fn $name() {
                crate::publish::promises::$name(crate::support::kafka::Broker::Real).await;
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
