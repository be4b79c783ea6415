//! What a trusted sender is answered, and what is counted and logged of it.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use serde::Serialize;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::http::Problem;
use crate::journal::{CustomRequestCounts, JournalError};
use crate::telemetry::metrics as names;

/// Stored. What follows from it is decided later.
pub(super) const TAKEN_IN: StatusCode = StatusCode::ACCEPTED;

/// Why nothing of a request was stored.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A header is missing or stale, or no key made the signature.
    Unauthorized(&'static str),
    /// Over a bound.
    TooLarge(String),
    /// A body that could not be read.
    Unsupported(&'static str),
    /// An event is malformed.
    Malformed(String),
    /// The sender may not send this.
    NotAllowed(String),
    /// The body did not arrive in time.
    TooSlow,
    /// The body did not end.
    Broken,
    /// The body budget is used up.
    NoRoom,
    /// The reason is on our side.
    NotStored(JournalError),
}

#[derive(Serialize)]
struct AnswerBody {
    delivery_id: Uuid,
    received: usize,
    stored: usize,
    duplicates: usize,
    differing: usize,
}

/// Counts, logs and renders the answer.
pub(super) fn send(id: Uuid, outcome: Result<CustomRequestCounts, Refusal>) -> Response {
    let response = match outcome {
        Ok(told) => {
            let body = AnswerBody {
                delivery_id: id,
                received: told.received,
                stored: told.stored,
                duplicates: told.duplicates,
                differing: told.differing,
            };
            (TAKEN_IN, Json(body)).into_response()
        }
        Err(refusal) => refused(id, refusal),
    };
    counter!(names::HOOKS, "status" => response.status().as_u16().to_string()).increment(1);
    response
}

/// Logs what was stored.
pub(super) fn log(id: Uuid, sender: &str, told: &CustomRequestCounts) {
    info!(
        delivery.id = %id,
        sender,
        received = told.received,
        stored = told.stored,
        duplicates = told.duplicates,
        "custom events stored"
    );
    if told.differing > 0 {
        warn!(
            delivery.id = %id,
            sender,
            differing = told.differing,
            "a source and id came again with other content, which is not stored"
        );
    }
}

fn refused(id: Uuid, refusal: Refusal) -> Response {
    let (status, detail) = match refusal {
        Refusal::Unauthorized(detail) => {
            info!(delivery.id = %id, detail, "custom events of an unknown sender refused");
            return Problem::new(StatusCode::UNAUTHORIZED, detail)
                .with(header::WWW_AUTHENTICATE, "Webhook-Signature")
                .into_response();
        }
        Refusal::TooLarge(detail) => (StatusCode::PAYLOAD_TOO_LARGE, detail),
        Refusal::Unsupported(detail) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, detail.to_owned()),
        Refusal::Malformed(detail) => (StatusCode::BAD_REQUEST, detail),
        Refusal::NotAllowed(detail) => (StatusCode::FORBIDDEN, detail),
        Refusal::TooSlow => return Problem::too_slow().into_response(),
        Refusal::Broken => {
            let detail = "the body did not come to its end".to_owned();
            (StatusCode::BAD_REQUEST, detail)
        }
        Refusal::NoRoom => {
            return Problem::wait("too much is being taken in, try again").into_response();
        }
        Refusal::NotStored(cause) => return not_stored(id, &cause),
    };
    info!(delivery.id = %id, status = status.as_u16(), detail, "custom events refused");
    Problem::new(status, detail).into_response()
}

fn not_stored(id: Uuid, cause: &JournalError) -> Response {
    if cause.is_transient() {
        warn!(
            delivery.id = %id,
            error = cause.chain(),
            "custom events could not be stored, the sender is asked to wait"
        );
        return Problem::wait("the record does not answer, try again").into_response();
    }
    error!(delivery.id = %id, error = cause.chain(), "custom events could not be stored");
    Problem::record_refused().into_response()
}
