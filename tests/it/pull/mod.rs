//! The organisation's log by the pull API: windows against a local Konnect and against scripted
//! pages, the follower, and the command.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod command;
mod follower;
mod scripted;
mod windows;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{Client, RetryPolicy};
use konnect_emulator::Emulator;
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use url::Url;
use usher::backfill::{PullTimings, Puller, Window};
use usher::clock::Clock;
use usher::journal::Journal;

/// Who did what is in the log.
const ADMIN: &str = "00000000-0000-4000-8000-0000000000ad";

/// Waits of milliseconds, and pages of ten.
const QUICK: PullTimings = PullTimings {
    first_retry: Duration::from_millis(5),
    retry_at_most: Duration::from_millis(20),
    attempts: 4,
    page_size: 10,
};

/// An organisation's log, and the journal that it is pulled into.
struct Scene {
    emulator: Emulator,
    journal: Journal,
    now: DateTime<Utc>,
}

impl Scene {
    async fn new(pool: PgPool) -> Self {
        Self {
            emulator: Emulator::start().await.unwrap(),
            journal: Journal::from_pool(pool),
            now: Clock::system().now(),
        }
    }

    fn ago(&self, seconds: i64) -> DateTime<Utc> {
        self.now - TimeDelta::seconds(seconds)
    }

    /// Makes `entries` happen in the organisation.
    fn happen(&self, entries: impl IntoIterator<Item = Value>) {
        let entries: Vec<Map<String, Value>> = entries
            .into_iter()
            .map(|entry| entry.as_object().unwrap().clone())
            .collect();
        self.emulator.inject(None, &entries).unwrap();
    }

    fn client(&self) -> Client {
        client(&self.emulator.url(), self.emulator.token())
    }

    fn puller(&self) -> Puller {
        puller(self.client(), &self.journal)
    }

    /// The last `minutes`, without the calls of the test itself, which are in the log as well.
    fn window(&self, minutes: i64) -> Window {
        let (from, to) = (self.ago(minutes * 60), self.ago(1));
        Window::new(from, to, self.now).unwrap()
    }

    async fn number(&self, question: &'static str) -> i64 {
        let number = sqlx::query_scalar(question);
        number.fetch_one(self.journal.pool()).await.unwrap()
    }

    async fn run(&self, statement: &'static str) {
        let done = sqlx::query(statement).execute(self.journal.pool());
        done.await.unwrap();
    }
}

fn client(url: &str, token: &str) -> Client {
    Client::builder(Url::parse(url).unwrap())
        .token(token.to_owned().into())
        // What repeats is usher.
        .retries(RetryPolicy::none())
        .build()
        .unwrap()
}

fn puller(client: Client, journal: &Journal) -> Puller {
    let never = CancellationToken::new();
    Puller::new(client, journal.clone(), Clock::system(), QUICK, never)
}

/// A call of the API, as the webhook would bring it but for what the emulator adds.
fn access(at: DateTime<Utc>, trace: u64) -> Value {
    json!({
        "rt": at.timestamp_millis().to_string(), "trace_id": trace, "src": "127.0.0.6",
        "principal_id": ADMIN, "name": "Ingress", "event_class_id": "KongGateway", "severity": 1,
        "act": "PATCH", "request": "/v3/portals", "query": "{}", "status": 200,
    })
}

/// A check of a permission.
fn authorization(at: DateTime<Utc>, trace: u64, resource: &str) -> Value {
    json!({
        "rt": at.timestamp_millis().to_string(), "trace_id": trace, "src": "127.0.0.6",
        "principal_id": ADMIN, "name": format!("Authz.{resource}"), "event_class_id": "konnect",
        "severity": 1, "action": "edit", "granted": true,
    })
}

/// A log-in.
fn authentication(at: DateTime<Utc>, trace: u64) -> Value {
    json!({
        "rt": at.timestamp_millis().to_string(), "trace_id": trace, "src": "127.0.0.6",
        "principal_id": ADMIN, "name": "AUTHENTICATION_OUTCOME_SUCCESS",
        "event_class_id": "AUTHENTICATION_TYPE_PAT", "severity": 0, "success": "true",
        "request": "/api/v1/authenticate",
    })
}
