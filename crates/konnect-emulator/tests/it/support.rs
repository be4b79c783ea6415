//! What the tests share: an emulator with a client, and a receiver of deliveries.

use std::{
    collections::VecDeque,
    io::Read as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use flate2::read::GzDecoder;
use konnect_emulator::Emulator;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// An emulator and a client of it.
pub(crate) struct Konnect {
    pub(crate) emulator: Emulator,
    pub(crate) client: reqwest::Client,
}

impl Konnect {
    /// Starts an emulator whose waits are short.
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let konnect = Self { emulator, client };
        let (status, _) = konnect
            .call(
                "PUT",
                "/emulator/delivery",
                json!({"flush_every_ms": 5, "retry_scale": 0.01}),
            )
            .await;
        assert_eq!(status, 200);
        konnect
    }

    /// Starts an emulator with one portal and returns the portal's id.
    pub(crate) async fn with_portal(options: Value) -> (Self, String) {
        let konnect = Self::start().await;
        let mut portal = json!({"name": "Main"});
        portal
            .as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let made = konnect
            .emulator
            .seed(&json!({"portals": [portal]}))
            .unwrap();
        let id = made["portals"][0]["id"].as_str().unwrap().to_owned();
        (konnect, id)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(
                method.parse().unwrap(),
                format!("{}{path}", self.emulator.url()),
            )
            .bearer_auth(self.emulator.token())
    }

    /// Sends a call; a null body is none.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends a call and returns its body, whose status must be this one.
    pub(crate) async fn expect(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let (answered, shown) = self.call(method, path, body).await;
        assert_eq!(answered, status, "{method} {path}: {shown}");
        shown
    }

    /// Points a webhook (of a portal, or of the organisation) at a receiver and returns the
    /// destination's id.
    pub(crate) async fn subscribe(
        &self,
        webhook: &str,
        receiver: &Receiver,
        log_format: &str,
    ) -> String {
        let destination = json!({
            "name": "receiver", "endpoint": receiver.url, "authorization": "Splunk s3cret", "log_format": log_format,
        });
        let made = self
            .expect(201, "POST", "/v3/audit-log-destinations", destination)
            .await;
        let id = made["id"].as_str().unwrap().to_owned();
        let bind = json!({"audit_log_destination_id": id, "enabled": true});
        self.expect(200, "PATCH", webhook, bind).await;
        id
    }

    /// Checks an entry's signature against the published keys.
    pub(crate) async fn verifies(&self, signed: &[u8], signature: &str) -> bool {
        let response = self
            .client
            .get(format!(
                "{}/v2/audit-log-webhook/jwks.json",
                self.emulator.url()
            ))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let jwks: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(signature.len(), 86);
        let bytes: [u8; 64] = URL_SAFE_NO_PAD
            .decode(signature)
            .unwrap()
            .try_into()
            .unwrap();
        jwks["keys"].as_array().unwrap().iter().any(|key| {
            assert_eq!(
                (&key["kty"], &key["crv"], &key["alg"]),
                (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
            );
            let x: [u8; 32] = URL_SAFE_NO_PAD
                .decode(key["x"].as_str().unwrap())
                .unwrap()
                .try_into()
                .unwrap();
            VerifyingKey::from_bytes(&x)
                .unwrap()
                .verify_strict(signed, &Signature::from_bytes(&bytes))
                .is_ok()
        })
    }
}

/// Splits an entry into the bytes that are signed and the signature, by the documented rules.
pub(crate) fn cut_signature(line: &str, format: &str) -> (String, String) {
    let line = match format {
        "cps" => line
            .strip_prefix("{\"event\":")
            .unwrap()
            .strip_suffix('}')
            .unwrap(),
        _ => line,
    };
    if format == "cef" {
        let (signed, signature) = line.rsplit_once(" sig=").unwrap();
        return (signed.to_owned(), signature.to_owned());
    }
    let (signed, rest) = line.rsplit_once(",\"sig\":\"").unwrap();
    (
        format!("{signed}}}"),
        rest.strip_suffix("\"}").unwrap().to_owned(),
    )
}

/// One request that the receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) lines: Vec<String>,
    pub(crate) text: String,
}

#[derive(Clone, Default)]
struct Desk {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
}

/// An HTTP server that keeps what it gets and answers as told, 202 otherwise.
pub(crate) struct Receiver {
    pub(crate) url: String,
    desk: Desk,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let desk = Desk::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/audit-logs", listener.local_addr().unwrap());
        let service = Router::new().fallback(receive).with_state(desk.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, service).await });
        Self { url, desk }
    }

    /// Answers the next requests with these statuses and this `Retry-After`, empty for none.
    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = (u16, &'static str)>) {
        self.desk.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.desk.received.lock().unwrap().clone()
    }

    /// Returns all entries in the order they came.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.received()
            .into_iter()
            .flat_map(|request| request.lines)
            .collect()
    }

    /// Waits until this many entries came.
    pub(crate) async fn wait_for_lines(&self, count: usize) -> Vec<String> {
        wait_until("entries arrive", async || self.lines().len() >= count).await;
        self.lines()
    }
}

async fn receive(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let mut text = String::new();
    if headers.contains_key("content-encoding") {
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(&body).unwrap());
    }
    let lines = text.lines().map(str::to_owned).collect();
    desk.received.lock().unwrap().push(Received {
        headers,
        lines,
        text,
    });
    let (status, retry_after) = desk
        .answers
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or((202, ""));
    let status = StatusCode::from_u16(status).unwrap();
    if retry_after.is_empty() {
        return status.into_response();
    }
    (status, [("retry-after", retry_after)]).into_response()
}

/// Polls a condition until it holds.
pub(crate) async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
