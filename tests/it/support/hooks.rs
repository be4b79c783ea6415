//! A trusted sender: signs events as Standard Webhooks says, and what they look like.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use usher::clock::{Clock, Ids};
use usher::config::{Config, HooksConfig};
use uuid::Uuid;

use crate::support::app::TestApp;
use crate::support::konnect::PORTAL;

pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

/// Somebody with a key.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) name: &'static str,
    key: [u8; 32],
    /// Seconds that its clock is ahead.
    ahead: i64,
}

impl Sender {
    pub(crate) fn new(name: &'static str, key: u8) -> Self {
        Self {
            name,
            key: [key; 32],
            ahead: 0,
        }
    }

    /// The same with a clock that is ahead, or behind.
    pub(crate) fn ahead_by(self, seconds: i64) -> Self {
        Self {
            ahead: seconds,
            ..self
        }
    }

    /// As it is configured, with what it may do.
    pub(crate) fn entry(&self, limits: &Value) -> Value {
        let secret = format!("whsec_{}", STANDARD.encode(self.key));
        let mut entry = json!({ "name": self.name, "secret": secret });
        for (name, value) in limits.as_object().expect("limits") {
            entry[name] = value.clone();
        }
        entry
    }

    /// A signed request; the signature is over `body` as it is.
    pub(crate) fn request(&self, app: &TestApp, content_type: &str, body: &str) -> RequestBuilder {
        let id = Ids::new(Clock::system()).next().to_string();
        let timestamp = (Clock::system().now().timestamp() + self.ahead).to_string();
        let mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("a key")
            .chain_update(format!("{id}.{timestamp}.{body}"));
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        app.http
            .post(format!("{}/v1/events", app.url))
            .header("content-type", content_type)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(body.to_owned())
    }

    /// Tells of one event.
    pub(crate) async fn tell(&self, app: &TestApp, event: &Value) -> (StatusCode, Value) {
        let request = self.request(app, "application/cloudevents+json", &event.to_string());
        answer(request).await
    }

    /// Tells of several at once.
    pub(crate) async fn tell_all(&self, app: &TestApp, events: &[Value]) -> (StatusCode, Value) {
        let body = Value::from(events.to_vec()).to_string();
        answer(self.request(app, BATCH, &body)).await
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, body)
}

/// These senders, as a configuration has them.
pub(crate) fn with_senders(config: &mut Config, entries: &[Value]) {
    config.hooks = serde_json::from_value::<HooksConfig>(json!({ "senders": entries }))
        .expect("senders that can be");
}

/// Somebody joined, says an IAM system.
pub(crate) fn joined(id: &str, email: &str) -> Value {
    event(id, &json!({ "email": email, "department": "Partners" }))
}

/// An event with this data, at the tests' portal.
pub(crate) fn event(id: &str, data: &Value) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": "https://iam.example.com",
        "type": "com.example.user.joined",
        "data": { "portal_id": PORTAL },
    });
    for (name, value) in data.as_object().expect("data") {
        event["data"][name] = value.clone();
    }
    event
}

/// Another portal than that of the tests.
pub(crate) const ELSEWHERE: Uuid = Uuid::from_u128(0xa1);
