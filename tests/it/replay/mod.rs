//! Replay jobs against a local Konnect: through the module with short waits, and through the
//! binary.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod command;
mod jobs;

use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use konnect::Client;
use konnect_emulator::{DeliverySettings, Emulator};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use usher::backfill::{ReplayTimings, Replays, Window};
use usher::clock::Clock;
use usher::journal::LogSource;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(30);

/// Takes deliveries and keeps their lines; answers as it is told to.
#[derive(Clone)]
struct Receiver {
    lines: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<StatusCode>>,
    url: String,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            lines: Arc::default(),
            answer: Arc::new(Mutex::new(StatusCode::OK)),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let own = receiver.clone();
        let router = Router::new().fallback(move |body: Bytes| {
            let receiver = own.clone();
            async move { receiver.take(&body) }
        });
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn take(&self, body: &[u8]) -> StatusCode {
        let answer = *self.answer.lock().unwrap();
        if answer.is_success() {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let lines = text.lines().map(str::to_owned);
            self.lines.lock().unwrap().extend(lines);
        }
        answer
    }

    fn answer(&self, status: StatusCode) {
        *self.answer.lock().unwrap() = status;
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

/// A local Konnect with one portal whose entries go to a receiver.
struct Konnect {
    emulator: Emulator,
    portal: Uuid,
    destination: Uuid,
    receiver: Receiver,
    now: DateTime<Utc>,
}

impl Konnect {
    /// The webhook is bound after `entries` (minutes ago) have happened, so that they were missed.
    async fn with_missed(entries: &[i64]) -> Self {
        let receiver = Receiver::start().await;
        let emulator = Emulator::start().await.unwrap();
        emulator
            .set_delivery_settings(&DeliverySettings {
                content_encoding: "none".to_owned(),
                flush_every_ms: 5,
                retry_scale: 0.01,
                ..DeliverySettings::default()
            })
            .unwrap();
        let made = emulator
            .seed(&json!({
                "portals": [{"name": "Main"}],
                "destinations": [{
                    "name": "usher",
                    "endpoint": receiver.url,
                    "authorization": "Bearer x",
                    "log_format": "json",
                }],
            }))
            .unwrap();
        let portal: Uuid = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
        let now = Clock::system().now();
        for minutes in entries {
            let rt = (now - TimeDelta::minutes(*minutes)).timestamp_millis();
            let entry = json!({"rt": rt.to_string(), "principal_id": format!("missed-{minutes}")});
            let entry = entry.as_object().unwrap().clone();
            emulator.inject(Some(portal), &[entry]).unwrap();
        }
        let webhook = json!({
            "portal_id": portal,
            "audit_log_destination_id": made["destinations"][0]["id"],
            "enabled": true,
        });
        emulator.seed(&json!({"webhooks": [webhook]})).unwrap();
        let destination = made["destinations"][0]["id"].as_str().unwrap();
        Self {
            emulator,
            portal,
            destination: destination.parse().unwrap(),
            receiver,
            now,
        }
    }

    /// Sends the organisation's log to the receiver from now on; an entry before was missed.
    fn bind_organisation(&self) {
        let rt = (self.now - TimeDelta::minutes(60)).timestamp_millis();
        let entry = json!({ "rt": rt.to_string(), "principal_id": "missed-org" });
        let entry = entry.as_object().unwrap().clone();
        self.emulator.inject(None, &[entry]).unwrap();
        let webhook = json!({ "audit_log_destination_id": self.destination, "enabled": true });
        self.emulator
            .seed(&json!({ "webhooks": [webhook] }))
            .unwrap();
    }

    fn client(&self) -> Client {
        Client::builder(Url::parse(&self.emulator.url()).unwrap())
            .token(self.emulator.token().to_owned().into())
            .build()
            .unwrap()
    }

    /// Replays with waits of milliseconds.
    fn replays(&self) -> Replays {
        let pace = ReplayTimings {
            busy: Duration::from_millis(20),
            first_look: Duration::from_millis(5),
            look_at_most: Duration::from_millis(20),
            first_retry: Duration::from_millis(5),
            retry_at_most: Duration::from_millis(20),
            attempts: 4,
        };
        let portal = LogSource::Portal(self.portal);
        let never = CancellationToken::new();
        Replays::new(self.client(), portal, Clock::system(), pace, never)
    }

    /// A window of minutes before the start of the test.
    fn window(&self, from: i64, to: i64) -> Window {
        let ago = |minutes| self.now - TimeDelta::minutes(minutes);
        Window::new(ago(from), ago(to), self.now).unwrap()
    }

    /// How often the job was called, by method.
    fn calls(&self, method: &str) -> usize {
        let requests = self.emulator.requests();
        requests
            .iter()
            .filter(|request| request.method == method && request.path.ends_with("replay-job"))
            .count()
    }

    async fn usher(&self, arguments: &[&str]) -> Output {
        usher(&self.emulator.url(), self.emulator.token(), arguments).await
    }
}

async fn usher(base_url: &str, token: &str, arguments: &[&str]) -> Output {
    let home = TempDir::new().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .arg("replay")
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("USHER_KONNECT__BASE_URL", base_url)
        .env("USHER_KONNECT__TOKEN", token)
        .output();
    tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap()
}
