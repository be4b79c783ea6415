//! The door: authorises, bounds, inflates, and answers once the record has committed.
//!
//! Konnect retries a connection error, 500 and 429, and nothing else: usher's own trouble is
//! answered with one of these, and every other status is final for the sender.

mod answer;
mod authorize;
mod bounds;
mod inflate;

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
use crate::intake::{Intake, MAX_ENTRIES, Received, Refused, has_too_many_entries};

/// What the door needs.
#[derive(Clone, Debug)]
pub struct Door {
    intake: Intake,
    accepted: Arc<Accepted>,
    max_body_bytes: usize,
    max_inflated_bytes: usize,
    clock: Clock,
    ids: Ids,
}

impl Door {
    /// A door into `intake` as `config` says.
    pub fn new(intake: Intake, config: &IngestConfig, clock: Clock, ids: Ids) -> Self {
        Self {
            intake,
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
struct Request {
    id: Uuid,
    received_at: DateTime<Utc>,
    peer: String,
    encoding: String,
}

impl Door {
    async fn take(&self, request: Request, body: Body) -> Answer {
        let (bytes, refused) = match bounds::read(body, self.max_body_bytes).await {
            BoundedBody::Whole(bytes) => (bytes, None),
            BoundedBody::TooLarge(start) => {
                let detail = format!("over {} bytes", self.max_body_bytes);
                let refused = Refused {
                    reason: "body_too_large",
                    detail,
                    raw: start,
                    status: 413,
                };
                return self.refuse(request, refused).await;
            }
            BoundedBody::TooSlow(start) | BoundedBody::Broken(start) => {
                let detail = "the body did not come to its end".to_owned();
                let refused = Refused {
                    reason: "body_incomplete",
                    detail,
                    raw: start,
                    status: 500,
                };
                return self.refuse(request, refused).await;
            }
        };
        let body_bytes = bytes.len();
        let Ok(inflated) = self.inflate(bytes.clone(), request.encoding.clone()).await else {
            return Answer::Trouble;
        };
        let (body, complete, refused) = match inflated {
            Inflated::Whole(body) => (body, true, refused),
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
        match self.intake.take(received, refused).await {
            Ok(taken) if !complete => Answer::BrokenOff { id, taken },
            Ok(taken) if taken.parsed == 0 && taken.received > 0 => {
                Answer::NothingParsed { id, taken }
            }
            Ok(taken) => Answer::Stored { id, taken },
            Err(error) => Answer::NotStored(error),
        }
    }

    /// Keeps what there is of a body aside, and answers with its refusal once that is committed.
    async fn refuse(&self, request: Request, refused: Refused) -> Answer {
        let (status, id) = (refused.status, request.id);
        let body_bytes = refused.raw.len();
        match self
            .intake
            .take(
                request.received(Vec::new(), body_bytes, true),
                Some(refused),
            )
            .await
        {
            Ok(_) if status == 413 => Answer::TooLarge { id },
            Ok(_) => Answer::Trouble,
            Err(error) => Answer::NotStored(error),
        }
    }

    async fn inflate(
        &self,
        bytes: Bytes,
        encoding: String,
    ) -> Result<Inflated, tokio::task::JoinError> {
        let bound = self.max_inflated_bytes;
        tokio::task::spawn_blocking(move || inflate(&bytes, &encoding, bound)).await
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
