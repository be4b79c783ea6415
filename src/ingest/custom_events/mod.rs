//! `POST /v1/events`: trusted senders besides Konnect, such as IAM systems and home-grown portals.
//!
//! The signature identifies the sender. It is checked over the body's own bytes before these are
//! parsed. All events of a request are stored or none, since one answer stands for all of them.

mod answer;
mod body;
mod body_budget;
mod cloud_event;
mod signature;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hmac::Mac;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::config::{HookSender, HooksConfig};
use crate::event::{CustomEvent, Signal};
use crate::http::Problem;
use crate::ingest::custom_events::answer::Refusal;
use crate::ingest::custom_events::body_budget::BodyBudget;
use crate::ingest::custom_events::signature::{Claim, keyed};
use crate::journal::{
    CustomRequestCounts, Journal, JournalError, NewCustomEvent, NewCustomRequest, RequestRecord,
};

/// Events of one request: one transaction.
const MAX_EVENTS: usize = 1_000;
/// Bytes of one event, as many as the `CloudEvents` specification asks every receiver to take.
const MAX_EVENT_BYTES: usize = 64 * 1024;
/// After this a sender is asked to wait, instead of being kept waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Faults of a batch that one answer lists.
const TOLD_FAULTS: usize = 10;

const SINGLE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const EITHER: &str = "application/json";

/// The state of the endpoint for trusted senders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CustomEventsState {
    senders: Arc<[HookSender]>,
    journal: Journal,
    clock: Clock,
    ids: Ids,
    budget: BodyBudget,
}

impl CustomEventsState {
    /// An endpoint for the senders of `config`; none where there are none.
    pub fn new(config: &HooksConfig, journal: Journal, clock: Clock, ids: Ids) -> Option<Self> {
        if config.senders.is_empty() {
            return None;
        }
        Some(Self {
            senders: config.senders.clone().into(),
            journal,
            clock,
            ids,
            budget: BodyBudget::default(),
        })
    }
}

/// `POST /v1/events`.
pub fn router(hooks: CustomEventsState) -> Router {
    Router::new()
        .route(
            "/v1/events",
            post(post_events).fallback(Problem::method_not_allowed),
        )
        .with_state(hooks)
}

async fn post_events(
    State(hooks): State<CustomEventsState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let id = hooks.ids.next();
    answer::send(id, hooks.take(id, peer, &headers, body).await)
}

/// The form in which a request's events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Single,
    Batch,
    Either,
}

impl CustomEventsState {
    async fn take(
        &self,
        id: Uuid,
        peer: SocketAddr,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<CustomRequestCounts, Refusal> {
        let received_at = self.clock.now();
        // A request that is wrong by its headers is refused before its body is read.
        let claim = Claim::read(headers, received_at).map_err(Refusal::Unauthorized)?;
        let (bytes, _room) = body::read(body, peer.ip(), &self.budget).await?;
        let mode = mode(headers);
        let body_bytes = bytes.len();
        let this = self.clone();
        let reading =
            tokio::task::spawn_blocking(move || this.read(&claim, mode, &bytes, received_at));
        let (sender, events) = reading.await.map_err(|_| Refusal::Broken)??;
        if events.is_empty() {
            return Ok(CustomRequestCounts::default());
        }
        let told = NewCustomRequest {
            request: RequestRecord {
                id,
                received_at,
                peer: peer.ip().to_string(),
                encoding: String::new(),
                body_bytes,
                inflated_bytes: body_bytes,
                status: answer::TAKEN_IN.as_u16(),
                received: 0,
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            },
            sender,
            events,
        };
        let taken = timeout(ANSWER_WITHIN, self.journal.append_custom(&told))
            .await
            .unwrap_or_else(|_| Err(JournalError::busy()));
        let taken = taken.map_err(Refusal::NotStored)?;
        answer::log(id, &told.sender, &taken);
        Ok(taken)
    }

    /// Checks the signature, then reads the events. The first fault refuses all.
    fn read(
        &self,
        claim: &Claim,
        mode: Result<Mode, Refusal>,
        bytes: &Bytes,
        received_at: DateTime<Utc>,
    ) -> Result<(String, Vec<NewCustomEvent>), Refusal> {
        let sender = claim.signer(&self.senders, bytes).ok_or({
            Refusal::Unauthorized("no sender's key made any of the signatures over this body")
        })?;
        let (events, is_batch) = split(mode?, bytes)?;
        if events.len() > MAX_EVENTS {
            return Err(Refusal::TooLarge(format!(
                "expected at most {MAX_EVENTS} events"
            )));
        }
        let mut read = Vec::with_capacity(events.len());
        let mut faults = Vec::new();
        for (index, raw) in events.iter().enumerate() {
            let place = |member: &str| place(is_batch.then_some(index), member);
            if raw.get().len() > MAX_EVENT_BYTES {
                let detail = format!("{}: over {MAX_EVENT_BYTES} bytes", place(""));
                return Err(Refusal::TooLarge(detail));
            }
            let value: Value = serde_json::from_str(raw.get()).map_err(|_| {
                Refusal::Malformed(format!("{}: no JSON that can be read", place("")))
            })?;
            let content = content(sender, &value);
            match cloud_event::read(value, &sender.name, received_at) {
                Ok(event) => read.push(self.new_custom(event, content)),
                Err(fault) => faults.push(format!("{}: {}", place(fault.place), fault.expected)),
            }
        }
        if !faults.is_empty() {
            return Err(Refusal::Malformed(some(&faults)));
        }
        may(sender, &read, is_batch)?;
        Ok((sender.name.clone(), read))
    }

    fn new_custom(&self, event: CustomEvent, content: [u8; 32]) -> NewCustomEvent {
        NewCustomEvent {
            key: Sha256::digest(Signal::key_of_custom(
                &event.sender,
                &event.source,
                &event.id,
            ))
            .into(),
            content,
            subject: self.ids.next(),
            told: self.ids.next(),
            event,
        }
    }
}

/// Shows whether a repetition has the same content. It is keyed, since custom events contain
/// addresses, and a plain hash of an address can be guessed.
fn content(sender: &HookSender, value: &Value) -> [u8; 32] {
    let mac = keyed(sender.secret.key()).chain_update(value.to_string());
    mac.finalize().into_bytes().into()
}

/// What the headers say about the body.
fn mode(headers: &HeaderMap) -> Result<Mode, Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.contains_key("ce-specversion") {
        return Err(Refusal::Unsupported(
            "expected the event in the body: headers are not signed, so binary mode is not taken",
        ));
    }
    let coding = text(header::CONTENT_ENCODING).unwrap_or("identity");
    if !coding.trim().eq_ignore_ascii_case("identity") {
        return Err(Refusal::Unsupported(
            "expected a body without content-encoding",
        ));
    }
    let content = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = content.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        SINGLE => Ok(Mode::Single),
        BATCH => Ok(Mode::Batch),
        EITHER => Ok(Mode::Either),
        _ => Err(Refusal::Unsupported(
            "expected application/cloudevents+json, application/cloudevents-batch+json or application/json",
        )),
    }
}

/// The events of a body, and whether they arrived as a batch.
fn split(mode: Mode, bytes: &[u8]) -> Result<(Vec<Box<RawValue>>, bool), Refusal> {
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    let broken = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        Refusal::Malformed(format!("the body is no JSON: line {line}, column {column}"))
    };
    match (mode, is_list) {
        (Mode::Single, true) => Err(Refusal::Malformed(format!(
            "expected one event, this is a list: send it as {BATCH}"
        ))),
        (Mode::Batch, false) => Err(Refusal::Malformed("expected a list of events".to_owned())),
        (Mode::Batch | Mode::Either, true) => {
            Ok((serde_json::from_slice(bytes).map_err(broken)?, true))
        }
        (Mode::Single | Mode::Either, false) => {
            Ok((vec![serde_json::from_slice(bytes).map_err(broken)?], false))
        }
    }
}

/// Refuses what this sender may not send.
fn may(sender: &HookSender, events: &[NewCustomEvent], is_batch: bool) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    for (index, new) in events.iter().enumerate() {
        let place = |member: &str| place(is_batch.then_some(index), member);
        if !sender.may_send(&new.event.event_type) {
            faults.push(format!("{}: not one of this sender's types", place("type")));
        }
        if !sender.may_speak_of(new.event.portal_id) {
            let portal = place("data.portal_id");
            faults.push(format!("{portal}: not one of this sender's portals"));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotAllowed(some(&faults)))
}

/// Where something is wrong, as a path from the body's root.
fn place(index: Option<usize>, member: &str) -> String {
    match (index, member) {
        (Some(index), "") => format!("event [{index}]"),
        (Some(index), member) => format!("[{index}].{member}"),
        (None, "") => "the event".to_owned(),
        (None, member) => member.to_owned(),
    }
}

/// The first of them, and how many more there are.
fn some(faults: &[String]) -> String {
    let text = faults[..faults.len().min(TOLD_FAULTS)].join("; ");
    match faults.len().saturating_sub(TOLD_FAULTS) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}
