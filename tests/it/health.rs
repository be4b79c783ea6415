//! What `/readyz` tells, and whom.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use url::Url;
use usher::clock::Clock;
use usher::config::Secret;

use crate::support::app::{CONSOLE_TOKEN, TestApp, config, serve};
use crate::support::database::TestDatabase;
use crate::support::eventually;

const SOON: Duration = Duration::from_secs(20);

async fn parts(http: &Client, url: &str, token: Option<&str>) -> Value {
    let request = http.get(format!("{url}/readyz"));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["parts"].clone()
}

#[tokio::test]
async fn readiness_tells_no_stranger_why_and_nobody_an_address_a_user_or_a_host() {
    let database = TestDatabase::create().await;
    let mut unknown_user = Url::parse(&database.url()).unwrap();
    unknown_user.set_username("stranger").unwrap();
    let mut unknown_database = Url::parse(&database.url()).unwrap();
    unknown_database.set_path("/storehouse");
    for (url, why) in [
        (unknown_user.as_str(), "the database does not let usher in"),
        (
            unknown_database.as_str(),
            "the database of this name does not exist",
        ),
        (
            "postgres://stranger@127.0.0.1:9/storehouse",
            "the database does not answer: connection refused",
        ),
        (
            "postgres://stranger@storehouse.invalid/storehouse",
            "the database does not answer",
        ),
    ] {
        let mut config = config("http://127.0.0.1:9");
        config.database.url = Some(Secret::new(url.to_owned()));
        let usher = serve(config, Clock::system(), None).await;
        let http = Client::builder().build().unwrap();
        eventually("it is told why", SOON, async || {
            let told = parts(&http, &usher.url, Some(CONSOLE_TOKEN)).await;
            let database = told["database"].clone();
            assert_eq!(database["status"], "down");
            let detail = database["detail"].as_str().unwrap().to_lowercase();
            for name in ["stranger", "storehouse", "127.0.0.1"] {
                assert!(!detail.contains(name), "{detail}");
            }
            detail == why
        })
        .await;
        for token in [None, Some("console-tokem")] {
            assert_eq!(
                parts(&http, &usher.url, token).await,
                json!({ "database": { "status": "down" } })
            );
        }
        usher.end.cancel();
    }
    database.drop().await;
}

#[tokio::test]
async fn readiness_tells_of_a_clock_that_differs_from_the_databases() {
    let database = TestDatabase::create().await;
    let mut config = config("http://127.0.0.1:9");
    config.database.url = Some(Secret::new(database.url()));
    let ahead_s = Arc::new(AtomicI64::new(90));
    let offset = Arc::clone(&ahead_s);
    let clock = Clock::from_fn(move || {
        Clock::system().now() + TimeDelta::seconds(offset.load(Ordering::Relaxed))
    });
    let usher = serve(config, clock, None).await;
    let http = Client::builder().build().unwrap();
    for (seconds, status, told) in [
        (90, "degraded", "s ahead of the clock of the database"),
        (30, "ok", ""),
        (-7200, "degraded", "s behind the clock of the database"),
    ] {
        ahead_s.store(seconds, Ordering::Relaxed);
        eventually("the clock is told", SOON, async || {
            let clock = &parts(&http, &usher.url, Some(CONSOLE_TOKEN)).await["clock"];
            clock["status"] == status && clock["detail"].as_str().unwrap().ends_with(told)
        })
        .await;
    }
    usher.end.cancel();
    usher.lifecycle.stopping().cancelled().await;
    usher.lifecycle.shut_down().await;
    database.drop().await;
}

/// Has `reader` owe a batch since 14 minutes, which somebody works on for as long as it stays.
async fn owe(database: &TestDatabase, reader: &str, lane: &str) {
    let statement = format!(
        "INSERT INTO outbox (
            reader, batch, lane, first_event_ts, last_event_ts, created_at, owed_at, claimed_until
        )
        SELECT '{reader}', gen_random_uuid(), '{lane}', past, past, past, past, now() + '1 hour'
        FROM (SELECT now() - interval '14 min 5 s' AS past) AS times"
    );
    database.execute(&statement).await;
}

#[tokio::test]
async fn readiness_tells_who_is_behind_with_what_is_live() {
    let mut config = config("http://127.0.0.1:9");
    config.konnect.token = Some(Secret::new("kpat_test".to_owned()));
    let usher = TestApp::start(config).await;
    let part = async |name: &str| {
        let told = parts(&usher.http, &usher.url, Some(CONSOLE_TOKEN)).await;
        told[name].clone()
    };
    let is_ok = json!({ "status": "ok", "detail": "" });
    eventually("react is told", SOON, async || part("react").await == is_ok).await;
    // What a sweep found in bulk may be old.
    owe(&usher.database, "react", "bulk").await;
    owe(&usher.database, "report", "live").await;
    let counts_lag = json!({ "status": "degraded", "detail": "counts lag by 14 min" });
    eventually("counts lag", SOON, async || {
        part("report").await == counts_lag
    })
    .await;
    assert_eq!(part("react").await, is_ok);
    owe(&usher.database, "react", "live").await;
    let newcomers_wait = json!({ "status": "degraded", "detail": "14 min behind: newcomers wait" });
    eventually("newcomers wait", SOON, async || {
        part("react").await == newcomers_wait
    })
    .await;
    let readyz = format!("{}/readyz", usher.url);
    let answer = usher.http.get(readyz).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "degraded");
    usher
        .database
        .execute("DELETE FROM outbox WHERE lane = 'live'")
        .await;
    eventually("nobody is behind", SOON, async || {
        part("react").await == is_ok && part("report").await == is_ok
    })
    .await;
    usher.finish().await;
}
