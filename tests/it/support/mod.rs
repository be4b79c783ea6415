//! What the integration tests share: a database of their own each, a running usher, a signer.

pub mod app;
pub mod browser;
pub mod database;
pub mod environment;
pub mod guide;
pub mod hooks;
pub mod kafka;
pub mod konnect;
pub mod luck;
pub mod network;
pub mod pgbouncer;
pub mod process;
pub mod receiver;
pub mod record;
pub mod replica;
pub mod scene;
pub mod sender;
pub mod signer;
pub mod stage;
pub mod visitor;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use usher::http::health::{Health, router};
use usher::journal::{Journal, ReaderName};
use usher::lifecycle::Lifecycle;

/// How many batches `reader` owes; none where there is no such reader.
pub async fn owed_batches(journal: &Journal, reader: ReaderName) -> i64 {
    let readers = journal.readers().await.expect("the database answers");
    let found = readers.iter().find(|it| it.reader == reader.to_string());
    found.map_or(0, |it| it.batches)
}

/// Asks `condition` until it holds; fails after `deadline` with what was waited for.
pub async fn eventually(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// What `/readyz` says of each part, with its status code.
pub async fn readiness(health: &Health) -> (StatusCode, Value) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/readyz", listener.local_addr().expect("bound"));
    let done = CancellationToken::new();
    let until = done.clone();
    let app = router(health.clone(), |_| true);
    let served = Lifecycle::new().spawn("readyz", async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async move { until.cancelled().await })
            .await
            .expect("the server ends in order");
    });
    let answer = reqwest::get(url).await.expect("an answer");
    let status = answer.status();
    let body: Value = answer.json().await.expect("JSON");
    done.cancel();
    served.await.expect("the server ends in order");
    (status, body["parts"].clone())
}
