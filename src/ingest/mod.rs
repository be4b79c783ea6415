//! The door: authorises, bounds, inflates, and answers once the record has committed.
//!
//! Konnect retries a connection error, 500 and 429, and nothing else: usher's own trouble is
//! answered with one of these, and every other status is final for the sender.

mod answer;
mod authorize;
mod bounds;
mod inflate;
mod spool;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::config::IngestConfig;
use crate::http::Problem;
use crate::ingest::answer::Answer;
use crate::ingest::authorize::Accepted;
use crate::ingest::bounds::Body as BoundedBody;
use crate::ingest::inflate::{Inflated, inflate};
use crate::intake::{
    CheckError, Intake, IntakeError, MAX_ENTRIES, Received, Refused, has_too_many_entries,
};

pub use spool::{Spool, SpoolError, drain_until_stopped, probe_until_stopped};

/// What the door needs.
#[derive(Clone, Debug)]
pub struct Door {
    intake: Intake,
    spool: Option<Spool>,
    accepted: Arc<Accepted>,
    max_body_bytes: usize,
    max_inflated_bytes: usize,
    clock: Clock,
    ids: Ids,
}

impl Door {
    /// A door into `intake` as `config` says, with `spool` for the time when the record is away.
    pub fn new(
        intake: Intake,
        spool: Option<Spool>,
        config: &IngestConfig,
        clock: Clock,
        ids: Ids,
    ) -> Self {
        Self {
            intake,
            spool,
            accepted: Arc::new(Accepted::new(&config.authorization)),
            max_body_bytes: config.max_body_bytes,
            max_inflated_bytes: config.max_inflated_bytes,
            clock,
            ids,
        }
    }
}

/// `POST {path}`: the webhook of Konnect's audit logs.
pub fn router(path: &str, door: Door) -> Router {
    Router::new()
        .route(
            path,
            post(post_delivery).fallback(Problem::method_not_allowed),
        )
        .with_state(door)
}

async fn post_delivery(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !door.accepted.accepts(headers.get(header::AUTHORIZATION)) {
        return answer::send(Answer::Unauthorized);
    }
    let request = Request {
        id: door.ids.next(),
        received_at: door.clock.now(),
        peer: peer.ip().to_string(),
        encoding: answer::declared_encoding(&headers),
    };
    answer::send(door.take(request, body).await)
}

/// What is known of a request before its body is read.
#[derive(Debug, Clone)]
struct Request {
    id: Uuid,
    received_at: DateTime<Utc>,
    peer: String,
    encoding: String,
}

impl Door {
    async fn take(&self, request: Request, body: Body) -> Answer {
        let bytes = match bounds::read(body, self.max_body_bytes).await {
            BoundedBody::Whole(bytes) => bytes,
            BoundedBody::TooLarge(start) => {
                let detail = format!("over {} bytes", self.max_body_bytes);
                let refused = Refused {
                    reason: "body_too_large",
                    detail,
                    raw: start,
                    status: 413,
                };
                let kept = self.refuse(request, refused).await;
                return kept.unwrap_or_else(Answer::NotStored);
            }
            BoundedBody::TooSlow(start) | BoundedBody::Broken(start) => {
                let detail = "the body did not come to its end".to_owned();
                let refused = Refused {
                    reason: "body_incomplete",
                    detail,
                    raw: start,
                    status: 500,
                };
                let kept = self.refuse(request, refused).await;
                return kept.unwrap_or_else(Answer::NotStored);
            }
        };
        self.store_or_keep(request, bytes).await
    }

    /// Inflates and stores a whole body; returns after the commit. Doing it again with the same
    /// request takes place once.
    async fn store(&self, request: Request, bytes: Bytes) -> Result<Answer, IntakeError> {
        let body_bytes = bytes.len();
        let inflated = self
            .inflate(bytes.clone(), request.encoding.clone())
            .await?;
        let (body, complete, refused) = match inflated {
            Inflated::Whole(body) => (body, true, None),
            Inflated::BrokenOff(start) => {
                let detail = "gzip breaks off; its complete lines are stored".to_owned();
                let raw = bytes.to_vec();
                let refused = Refused {
                    reason: "body_incomplete",
                    detail,
                    raw,
                    status: 500,
                };
                (start, false, Some(refused))
            }
            Inflated::TooLarge => {
                let detail = format!("inflates to over {} bytes", self.max_inflated_bytes);
                let raw = bytes.to_vec();
                let refused = Refused {
                    reason: "body_inflates_too_far",
                    detail,
                    raw,
                    status: 413,
                };
                return self.refuse(request, refused).await;
            }
        };
        if has_too_many_entries(&body) {
            let detail = format!("more than {MAX_ENTRIES} entries");
            let raw = bytes.to_vec();
            let refused = Refused {
                reason: "too_many_entries",
                detail,
                raw,
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

    /// Keeps what there is of a body aside, and answers with its refusal once that is committed.
    async fn refuse(&self, request: Request, refused: Refused) -> Result<Answer, IntakeError> {
        let (status, id) = (refused.status, request.id);
        let body_bytes = refused.raw.len();
        let received = request.received(Vec::new(), body_bytes, true);
        self.intake.take(received, Some(refused)).await?;
        Ok(match status {
            413 => Answer::TooLarge { id },
            _ => Answer::Trouble,
        })
    }

    async fn inflate(&self, bytes: Bytes, encoding: String) -> Result<Inflated, IntakeError> {
        let bound = self.max_inflated_bytes;
        let inflating = tokio::task::spawn_blocking(move || inflate(&bytes, &encoding, bound));
        inflating.await.map_err(|_| IntakeError::Check(CheckError))
    }
}

impl Request {
    fn received(self, body: Vec<u8>, body_bytes: usize, complete: bool) -> Received {
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
