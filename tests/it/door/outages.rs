//! A database that is away or takes no writes, and a restart.

use std::time::Duration;

use reqwest::StatusCode;
use usher::lifecycle::Lifecycle;

use crate::door::{FAST, counts, with_signer};
use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::signer::Entry;

#[tokio::test]
async fn asks_the_sender_to_wait_while_the_database_is_away() {
    let (app, signer) = with_signer(|_| {}).await;
    let line = signer.json(&Entry::numbered(1));
    app.database.refuse().await;
    let started = std::time::Instant::now();
    let response = app.delivery(line.clone()).send().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "30");
    eventually("readiness says so", FAST, async || {
        let answer = app
            .http
            .get(format!("{}/readyz", app.url))
            .send()
            .await
            .unwrap();
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    app.database.allow().await;
    eventually("deliveries are taken again", FAST, async || {
        app.delivery(line.clone()).send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_database_that_takes_no_writes_counts_as_away() {
    let (app, signer) = with_signer(|_| {}).await;
    let line = signer.json(&Entry::numbered(1));
    app.database.set_read_only(true).await;
    eventually("readiness says so", FAST, async || {
        let answer = app
            .http
            .get(format!("{}/readyz", app.url))
            .send()
            .await
            .unwrap();
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let response = app.delivery(line.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    app.database.set_read_only(false).await;
    eventually("deliveries are taken again", FAST, async || {
        app.delivery(line.clone()).send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn loses_nothing_over_a_restart() {
    let (app, signer) = with_signer(|_| {}).await;
    let lines: Vec<String> = (0..50).map(|n| signer.json(&Entry::numbered(n))).collect();
    assert_eq!(app.deliver(&lines).await.0, StatusCode::OK);
    let database = app.stop().await;
    let app = TestApp::start_on(config(&signer.serve(&Lifecycle::new()).await), database).await;
    assert_eq!(counts(&app.deliver(&lines).await.1), [50, 0, 50, 0]);
    app.finish().await;
}
