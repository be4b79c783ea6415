//! Signing keys while the clock of this instance is wrong, and while Konnect does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::StatusCode;
use usher::app::build_client;
use usher::clock::Clock;
use usher::event::Verdict;
use usher::intake::KeyRing;
use usher::journal::Journal;
use usher::lifecycle::Lifecycle;

use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::signer::{Entry, Signer};

const SOON: Duration = Duration::from_secs(20);
/// Within this a sender is answered, and a key that is served believed.
const PROMPT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_clock_that_jumps_neither_stops_key_fetches_nor_keeps_a_key_good() {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let lifecycle = Lifecycle::new();
    let signer = Signer::new(7);
    let url = signer.serve(&lifecycle).await;
    let days = Arc::new(AtomicI64::new(30));
    let offset = Arc::clone(&days);
    let clock = Clock::from_fn(move || {
        Clock::system().now() + TimeDelta::days(offset.load(Ordering::Relaxed))
    });
    let client = build_client(&config(&url).konnect).unwrap();
    let ring = KeyRing::new(client.clone(), journal.clone(), clock.clone());
    let verdict = async |ring: &KeyRing, signer: &Signer| {
        let line = signer.json(&Entry::numbered(1)).into();
        ring.verdicts(vec![line], clock.now()).await.unwrap()[0]
    };
    assert_eq!(verdict(&ring, &signer).await, Verdict::Verified);

    days.store(0, Ordering::Relaxed);
    let rotated = signer.stranger(8);
    rotated.serve_key();
    eventually("the set is fetched again", SOON, async || {
        let verdict = verdict(&ring, &rotated).await;
        assert_ne!(verdict, Verdict::Failed, "no set was asked for since");
        verdict == Verdict::Verified
    })
    .await;

    // Gone from the set for nine days by the database, whatever this instance thinks.
    let statement = "UPDATE signing_keys SET last_seen = now() - interval '9 days'";
    sqlx::query(statement)
        .execute(journal.pool())
        .await
        .unwrap();
    days.store(-9, Ordering::Relaxed);
    lifecycle.shut_down().await;
    let later = KeyRing::new(client, journal.clone(), clock.clone());
    later.load().await.unwrap();
    assert_eq!(verdict(&later, &signer).await, Verdict::KeyUnknown);
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_key_endpoint_that_hangs_holds_no_delivery_up() {
    let lifecycle = Lifecycle::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let never = Router::new().fallback(std::future::pending::<StatusCode>);
    let server = lifecycle.spawn("never", async move {
        axum::serve(listener, never).await.unwrap();
    });
    let app = TestApp::start(config(&url)).await;
    let signer = Signer::new(7);
    let deliveries = (0..40).map(async |number| {
        let delivery = app.delivery(signer.json(&Entry::numbered(number)));
        let started = Instant::now();
        let answer = delivery.send().await.unwrap();
        (answer.status(), started.elapsed())
    });
    for (status, took) in join_all(deliveries).await {
        assert_eq!(status, StatusCode::OK, "after {took:?}");
        assert!(took < PROMPT, "{took:?}");
    }

    // Another instance gets through.
    let journal = Journal::open(&app.database.url()).unwrap();
    let elsewhere = config(&signer.serve(&lifecycle).await).konnect;
    let client = build_client(&elsewhere).unwrap();
    let ring = KeyRing::new(client, journal.clone(), Clock::system());
    ring.refresh(Clock::system().now()).await.unwrap();
    eventually("its keys are taken", PROMPT, async || {
        app.rows("/api/v1/events?verification=verified").await.len() == 40
    })
    .await;
    journal.close().await;
    server.abort();
    app.finish().await;
}
