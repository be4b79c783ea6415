//! Deliveries of an outage: each is spooled before its answer, and stored once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::spool::{Scene, files};

fn deliveries(rows: &[Value]) -> BTreeSet<String> {
    let id = |row: &Value| row["delivery_id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

#[tokio::test]
async fn keeps_deliveries_while_the_database_is_away_and_stores_each_once() {
    let scene = Scene::start().await;
    assert_eq!(
        fs::metadata(scene.dir()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let (status, answer) = scene.app.deliver(&[scene.entry(0)]).await;
    assert_eq!((status, &answer["stored"]), (StatusCode::OK, &1.into()));

    scene.app.database.refuse().await;
    // The first one meets the outage itself, whatever usher knows of it by then.
    let mut ids = BTreeSet::from([scene.spool(1).await]);
    scene.take_the_database_away().await;
    for number in 2..6 {
        let started = Instant::now();
        ids.insert(scene.spool(number).await);
        assert!(started.elapsed() < Duration::from_secs(2), "{number}");
    }
    assert_eq!(ids.len(), 5);
    let names: BTreeSet<String> = ids.iter().map(|id| format!("{id}.request")).collect();
    assert_eq!(
        BTreeSet::from_iter(files(&scene.dir(), "request")),
        names,
        "a file for each delivery before its answer"
    );
    assert_eq!(files(&scene.dir(), "tmp").len(), 0);
    scene.spool_is("degraded", "5 requests").await;
    let (status, readiness) = scene.readiness().await;
    assert_eq!(
        (status, &readiness["status"]),
        (StatusCode::OK, &"degraded".into())
    );

    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    assert_eq!(files(&scene.dir(), "request").len(), 0);
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!(events.len(), 6);
    assert!(deliveries(&events).is_superset(&ids));
    for event in &events {
        assert_eq!(event["verification"], "verified");
        assert_eq!(event["copies"], 1);
    }
    scene.app.finish().await;
}

#[tokio::test]
async fn a_repeat_of_the_sender_is_one_event_and_two_deliveries() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let ids = [scene.spool(1).await, scene.spool(1).await];
    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!((events.len(), &events[0]["copies"]), (1, &2.into()));
    let rows = scene.app.rows("/api/v1/deliveries?limit=2").await;
    for id in ids {
        assert!(
            rows.iter().any(|row| row["delivery_id"] == id.as_str()),
            "{rows:?}"
        );
    }
    scene.app.finish().await;
}

#[tokio::test]
async fn answers_in_time_when_the_database_hangs() {
    let scene = Scene::start().await;
    let options: PgConnectOptions = scene.app.database.url().parse().unwrap();
    let mut blocker = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE batches IN ACCESS EXCLUSIVE MODE")
        .execute(&mut blocker)
        .await
        .unwrap();
    let started = Instant::now();
    let id = scene.spool(1).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    blocker.close().await.unwrap();
    scene.spool_is("ok", "").await;
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["delivery_id"], &events[0]["copies"]),
        (&id.into(), &1.into())
    );
    scene.app.finish().await;
}
