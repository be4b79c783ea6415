//! Reading from a replica: what it says and when that was, what it cuts off, and what it is away
//! for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use usher::clock::Clock;
use usher::config::Secret;
use usher::lifecycle::{Lifecycle, pause};

use super::{NOBODY, logins};
use crate::support::app::{AUTHORIZATION, CONSOLE_TOKEN, Serving, config, serve};
use crate::support::eventually;
use crate::support::replica::Replicated;

const SOON: Duration = Duration::from_secs(20);

/// An usher that reads from a replica.
struct Reading {
    servers: Replicated,
    usher: Serving,
    http: Client,
}

impl Reading {
    async fn start() -> Self {
        let servers = Replicated::start().await;
        let mut config = config(NOBODY);
        config.database.url = Some(Secret::new(servers.primary_url.clone()));
        config.database.read_url = Some(Secret::new(servers.replica_url.clone()));
        let this = Self {
            servers,
            usher: serve(config, Clock::system(), None).await,
            http: Client::builder().timeout(SOON).build().unwrap(),
        };
        eventually("both answer", SOON, async || {
            let ready = this.ready().await;
            ready["parts"]["replica"]["status"] == "ok"
                && ready["parts"]["database"]["status"] == "ok"
        })
        .await;
        this
    }

    async fn ready(&self) -> Value {
        let request = self.http.get(format!("{}/readyz", self.usher.url));
        let answer = request.bearer_auth(CONSOLE_TOKEN).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn deliver(&self, lines: &[String]) {
        let request = self.http.post(format!("{}/audit-logs", self.usher.url));
        let request = request
            .header("Authorization", AUTHORIZATION)
            .body(lines.join("\n"));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }

    /// How many rows there are, and when that was so.
    async fn get(&self, path: &str) -> (usize, DateTime<Utc>) {
        let request = self.http.get(format!("{}{path}", self.usher.url));
        let answer = request.bearer_auth(CONSOLE_TOKEN).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        let as_of = body["meta"]["as_of"].as_str().unwrap().parse().unwrap();
        (body["data"].as_array().unwrap().len(), as_of)
    }

    async fn end(self) {
        self.usher.end.cancel();
        self.usher.lifecycle.shut_down().await;
    }
}

#[tokio::test]
async fn a_replica_answers_and_says_of_when_it_is() {
    let reading = Reading::start().await;
    let (primary, replica) = (&reading.servers.primary, &reading.servers.replica);
    reading.deliver(&logins(0..3)).await;
    eventually("the replica has them", SOON, async || {
        reading.get("/api/v1/events").await.0 == 3
    })
    .await;
    sqlx::query("SELECT pg_wal_replay_pause()")
        .execute(replica)
        .await
        .unwrap();
    reading.deliver(&logins(3..5)).await;
    let of_primary: DateTime<Utc> = sqlx::query_scalar("SELECT max(created_at) FROM batches")
        .fetch_one(primary)
        .await
        .unwrap();
    for path in ["/api/v1/events", "/api/v1/reports/activity"] {
        let (_, as_of) = reading.get(path).await;
        assert!(as_of < of_primary, "{path}: {as_of} {of_primary}");
    }
    assert_eq!(
        reading.get("/api/v1/events").await.0,
        3,
        "the replica stands still"
    );
    sqlx::query("SELECT pg_wal_replay_resume()")
        .execute(replica)
        .await
        .unwrap();
    eventually("it goes on", SOON, async || {
        let (rows, as_of) = reading.get("/api/v1/events").await;
        rows == 5 && as_of >= of_primary
    })
    .await;
    reading.end().await;
}

#[tokio::test]
async fn what_a_replica_cuts_off_is_asked_once_more_and_then_at_the_primary() {
    let reading = Reading::start().await;
    let primary = reading.servers.primary.clone();
    reading.deliver(&logins(0..3)).await;
    eventually("the replica has them", SOON, async || {
        reading.get("/api/v1/events").await.0 == 3
    })
    .await;
    for statement in [
        "CREATE OR REPLACE FUNCTION usher_outcome(success boolean, granted boolean, status integer)
            RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
            $$ BEGIN PERFORM pg_sleep(0.3); RETURN 'success'; END $$",
        "CREATE TABLE churn (number integer)",
    ] {
        sqlx::query(statement).execute(&primary).await.unwrap();
    }
    eventually("the replica has these too", SOON, async || {
        let there = sqlx::query_scalar::<_, bool>("SELECT to_regclass('churn') IS NOT NULL");
        there.fetch_one(&reading.servers.replica).await.unwrap()
    })
    .await;
    let churning = Lifecycle::new();
    let stop = churning.stopping();
    let pool = primary.clone();
    churning.spawn("churn", async move {
        while !pause(Duration::from_millis(20), &stop).await {
            for statement in [
                "INSERT INTO churn SELECT generate_series(1, 100)",
                "DELETE FROM churn",
                "VACUUM churn",
            ] {
                sqlx::query(statement).execute(&pool).await.unwrap();
            }
        }
    });
    let conflicts = async || {
        sqlx::query_scalar::<_, i64>(
            "SELECT sum(confl_snapshot)::bigint FROM pg_stat_database_conflicts",
        )
        .fetch_one(&reading.servers.replica)
        .await
        .unwrap()
    };
    let before = conflicts().await;
    let asked_at = Clock::system().now();
    let (rows, as_of) = reading.get("/api/v1/events?outcome=success").await;
    assert_eq!(rows, 3);
    assert!(
        as_of >= asked_at,
        "the primary answered: {as_of} {asked_at}"
    );
    eventually("the replica cut off both", SOON, async || {
        conflicts().await >= before + 2
    })
    .await;
    churning.shut_down().await;
    reading.end().await;
}

#[tokio::test]
async fn while_a_replica_is_away_the_primary_answers() {
    let mut reading = Reading::start().await;
    reading.deliver(&logins(0..3)).await;
    reading.servers.lose_replica().await;
    // From the first moment on.
    assert_eq!(reading.get("/api/v1/events").await.0, 3);
    eventually("it is told", SOON, async || {
        let ready = reading.ready().await;
        ready["parts"]["replica"]["status"] == "degraded" && ready["status"] == "degraded"
    })
    .await;
    let asked_at = std::time::Instant::now();
    assert_eq!(reading.get("/api/v1/events").await.0, 3);
    assert!(asked_at.elapsed() < Duration::from_secs(1));
    reading.end().await;
}
