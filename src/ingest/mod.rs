//! The ingest endpoint: authorises, bounds, inflates, and answers once the journal has committed.
//!
//! Konnect retries after a connection error, 500 and 429, and after nothing else. So usher's own
//! errors are answered with one of these, and every other status is final for the sender.

mod answer;
mod authorize;
mod bounds;
pub mod custom_events;
mod spool;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::config::{IngestConfig, Secret};
use crate::event::delivery::{self, Inflated, inflate};
use crate::http::{Connection, Problem};
use crate::ingest::answer::Answer;
use crate::ingest::authorize::Accepted;
use crate::ingest::bounds::{Body as BoundedBody, BudgetShare, MemoryBudget};
use crate::intake::{
    CheckError, Intake, IntakeError, MAX_ENTRIES, REASON_BODY_INCOMPLETE,
    REASON_BODY_INFLATES_TOO_FAR, REASON_BODY_TOO_LARGE, REASON_TOO_MANY_ENTRIES, Received,
    Refusals, Refused, has_too_many_entries,
};
use crate::lifecycle::Lifecycle;

pub use spool::{
    Spool, SpoolError, SpoolInventory, drain_until_stopped, probe_until_stopped, spool_inventory,
};

/// A body of at most so many bytes is inflated in the task that reads it: passing it to another
/// thread takes longer.
const INFLATED_AT_ONCE: usize = 64 * 1024;
/// A delivery goes to the spool when the journal needs longer, so that it is answered within 10 s.
const STORE_WITHIN: Duration = Duration::from_secs(6);
/// In the answer to an empty body: for how many milliseconds its `Authorization` has not been used
/// to deliver. Absent where that did not happen since usher was started.
pub const USED_AGO_HEADER: &str = "x-usher-authorization-used-ms";

/// What the ingest endpoint needs.
#[derive(Clone, Debug)]
pub struct IngestState {
    intake: Intake,
    spool: Option<Spool>,
    accepted: Arc<Accepted>,
    max_body_bytes: usize,
    max_inflated_bytes: usize,
    clock: Clock,
    ids: Ids,
    budget: MemoryBudget,
    refusals: Refusals,
    lifecycle: Lifecycle,
}

impl IngestState {
    /// An ingest endpoint that passes bodies to `intake` as `config` says, and to `spool` while the
    /// database is away.
    pub fn new(
        intake: Intake,
        spool: Option<Spool>,
        config: &IngestConfig,
        clock: Clock,
        ids: Ids,
        lifecycle: Lifecycle,
    ) -> Self {
        Self {
            intake,
            spool,
            accepted: Arc::new(Accepted::new(&config.authorization)),
            max_body_bytes: config.max_body_bytes,
            max_inflated_bytes: config.max_inflated_bytes,
            clock,
            ids,
            budget: MemoryBudget::new(),
            refusals: Refusals::default(),
            lifecycle,
        }
    }

    /// Deliveries of authorised senders that were not taken.
    pub fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Accepts these values from now on, and no others.
    pub fn accept(&self, authorization: &[Secret]) {
        self.accepted.replace(authorization);
    }
}

/// `POST {path}`: the webhook of Konnect's audit logs.
pub fn router(path: &str, state: IngestState) -> Router {
    Router::new()
        .route(
            path,
            post(post_delivery).fallback(Problem::method_not_allowed),
        )
        .with_state(state)
}

async fn post_delivery(
    State(state): State<IngestState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(value) = state.accepted.find(headers.get(header::AUTHORIZATION)) else {
        return answer::send(Answer::Unauthorized);
    };
    let received_at = state.clock.now();
    // Whoever sends nothing only asks, as `usher setup --rotate` does.
    let only_asks = body.is_end_stream();
    let used_at = value.used_at();
    if !only_asks {
        value.note_use(received_at);
    }
    let delivery = state.refusals.delivery();
    let request = Request {
        id: state.ids.next(),
        received_at,
        peer: peer.ip().to_string(),
        encoding: answer::declared_encoding(&headers),
    };
    let answer = state.take_to_the_end(request, body).await;
    let too_slow = matches!(answer, Answer::TooSlow { .. });
    let mut response = answer::send(answer);
    delivery.answered(response.status().as_u16());
    if let Some(used_at) = used_at.filter(|_| only_asks) {
        let ago = (received_at - used_at).num_milliseconds().max(0);
        response
            .headers_mut()
            .insert(USED_AGO_HEADER, HeaderValue::from(ago));
    }
    if too_slow {
        connection.cut().await;
    }
    response
}

/// What is known of a request before its body is read.
#[derive(Debug, Clone)]
struct Request {
    id: Uuid,
    received_at: DateTime<Utc>,
    peer: String,
    encoding: String,
}

impl IngestState {
    /// Takes a delivery in a task of its own. A sender that hangs up meanwhile neither cuts a
    /// commit nor loses what arrived.
    async fn take_to_the_end(self, request: Request, body: Body) -> Answer {
        let (done, answer) = oneshot::channel();
        let lifecycle = self.lifecycle.clone();
        lifecycle.spawn("delivery", async move {
            // Nobody receives the answer once the sender is gone. The journal has it.
            drop(done.send(self.take(request, body).await));
        });
        answer.await.unwrap_or(Answer::Trouble)
    }

    async fn take(&self, request: Request, body: Body) -> Answer {
        let mut held = self.budget.body();
        let bytes = match bounds::read(body, self.max_body_bytes, &mut held).await {
            BoundedBody::Whole(bytes) => bytes,
            BoundedBody::NoRoom => return Answer::NoRoom,
            BoundedBody::TooLarge(start) => {
                let detail = format!("over {} bytes", self.max_body_bytes);
                let refused = Refused {
                    reason: REASON_BODY_TOO_LARGE,
                    detail,
                    raw: start.into(),
                    status: 413,
                };
                let kept = self.refuse(request, refused).await;
                return kept.unwrap_or_else(Answer::NotStored);
            }
            BoundedBody::TooSlow(start) => return self.cut_off(request, start, 408).await,
            BoundedBody::Broken(start) => return self.cut_off(request, start, 500).await,
        };
        self.store_or_keep(request, bytes).await
    }

    /// Stores a delivery, or spools it when the database does not answer.
    async fn store_or_keep(&self, request: Request, body: Bytes) -> Answer {
        let Some(spool) = &self.spool else {
            let stored = self.store(request, body).await;
            return stored.unwrap_or_else(Answer::NotStored);
        };
        if !spool.record_is_away() {
            let stored = self.store(request.clone(), body.clone());
            match timeout(STORE_WITHIN, stored).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(cause)) if !is_transient(&cause) => return Answer::NotStored(cause),
                // Whether it was committed may be unclear. The drain tries again under the same id.
                Ok(Err(_)) | Err(_) => spool.note_record_away(),
            }
        }
        let id = request.id;
        match spool.keep(request, body).await {
            Ok(()) => Answer::Spooled { id },
            Err(cause) => Answer::SpoolRefused(cause),
        }
    }

    /// Inflates and stores a whole body; returns after the commit. It is idempotent for the same
    /// request.
    async fn store(&self, request: Request, bytes: Bytes) -> Result<Answer, IntakeError> {
        let body_bytes = bytes.len();
        let (inflated, _held_inflated) = self.inflate(&bytes, &request.encoding).await?;
        let (body, complete, refused) = match inflated {
            Inflated::Whole(body) => (body, true, None),
            Inflated::NoRoom => return Ok(Answer::NoRoom),
            Inflated::BrokenOff(start) => {
                let detail = "gzip breaks off; its complete lines are stored".to_owned();
                let refused = Refused {
                    reason: REASON_BODY_INCOMPLETE,
                    detail,
                    raw: bytes.clone(),
                    status: 500,
                };
                (start, false, Some(refused))
            }
            Inflated::TooLarge => {
                let detail = format!("inflates to over {} bytes", self.max_inflated_bytes);
                let refused = Refused {
                    reason: REASON_BODY_INFLATES_TOO_FAR,
                    detail,
                    raw: bytes,
                    status: 413,
                };
                return self.refuse(request, refused).await;
            }
        };
        if has_too_many_entries(&body) {
            let detail = format!("more than {MAX_ENTRIES} entries");
            let refused = Refused {
                reason: REASON_TOO_MANY_ENTRIES,
                detail,
                raw: bytes,
                status: 413,
            };
            return self.refuse(request, refused).await;
        }
        let received = request.received(body, body_bytes, complete);
        let id = received.id;
        let taken = self.intake.take(received, refused).await?;
        Ok(match taken {
            taken if !complete => Answer::BrokenOff { id, taken },
            taken if taken.parsed == 0 && taken.received > 0 => Answer::NothingParsed { id, taken },
            taken => Answer::Stored { id, taken },
        })
    }

    /// Inflates once the budget allows it. The bytes stay reserved as long as the returned value
    /// lives.
    async fn inflate(
        &self,
        bytes: &Bytes,
        encoding: &str,
    ) -> Result<(Inflated, BudgetShare), IntakeError> {
        let max = self.max_inflated_bytes;
        let likely_bytes = delivery::likely_bytes(bytes, max);
        let attempt = self.inflate_in(bytes, encoding, likely_bytes).await?;
        match attempt {
            // Its size is more than it says. It starts again when the budget allows the most that
            // it can be: two that wait for each other half-way would both be refused.
            (Inflated::NoRoom, held) if likely_bytes < max => {
                drop(held);
                self.inflate_in(bytes, encoding, max).await
            }
            attempt => Ok(attempt),
        }
    }

    async fn inflate_in(
        &self,
        bytes: &Bytes,
        encoding: &str,
        likely_bytes: usize,
    ) -> Result<(Inflated, BudgetShare), IntakeError> {
        let mut held = self.budget.inflated();
        if !held.wait_for(likely_bytes).await {
            return Ok((Inflated::NoRoom, held));
        }
        let max = self.max_inflated_bytes;
        if likely_bytes <= INFLATED_AT_ONCE {
            match inflate(bytes, encoding, max, |bytes| bytes <= INFLATED_AT_ONCE) {
                // It is larger than it says.
                Inflated::NoRoom => {}
                inflated => return Ok((inflated, held)),
            }
        }
        let (bytes, encoding) = (bytes.clone(), encoding.to_owned());
        let inflating = tokio::task::spawn_blocking(move || {
            let inflated = inflate(&bytes, &encoding, max, |bytes| held.grow_to(bytes));
            (inflated, held)
        });
        inflating.await.map_err(|_| IntakeError::Check(CheckError))
    }

    /// Quarantines what there is of a body, and answers with its refusal once that is committed.
    async fn refuse(&self, request: Request, refused: Refused) -> Result<Answer, IntakeError> {
        let (status, id) = (refused.status, request.id);
        let body_bytes = refused.raw.len();
        let received = request.received(Bytes::new(), body_bytes, true);
        self.intake.take(received, Some(refused)).await?;
        Ok(match status {
            413 => Answer::TooLarge { id },
            _ => Answer::Trouble,
        })
    }

    /// Stores the start of a body that did not end.
    async fn cut_off(&self, request: Request, start: Vec<u8>, status: u16) -> Answer {
        let id = request.id;
        let refused = Refused {
            reason: REASON_BODY_INCOMPLETE,
            detail: "the body did not come to its end".to_owned(),
            raw: start.into(),
            status,
        };
        match self.refuse(request, refused).await {
            // A sender that is too slow loses the connection, whether the start was stored or not.
            Err(error) if status == 408 => {
                warn!(
                    error = &error as &dyn Error,
                    "the start of a body could not be stored"
                );
                Answer::TooSlow { id }
            }
            Ok(_) if status == 408 => Answer::TooSlow { id },
            kept => kept.unwrap_or_else(Answer::NotStored),
        }
    }
}

impl Request {
    fn received(self, body: Bytes, body_bytes: usize, complete: bool) -> Received {
        Received {
            id: self.id,
            received_at: self.received_at,
            peer: self.peer,
            encoding: self.encoding,
            body_bytes,
            body,
            complete,
        }
    }
}

/// The error decides whether a retry helps. A new kind of error must decide here.
fn is_transient(cause: &IntakeError) -> bool {
    match cause {
        IntakeError::Journal(journal) => journal.is_transient(),
        IntakeError::Check(_) => false,
    }
}
