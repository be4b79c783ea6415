//! What the ingest endpoint answers, and what it counts and logs of each answer.

use std::error::Error;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use serde::Serialize;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use crate::http::Problem;
use crate::ingest::spool::KeepError;
use crate::intake::{IntakeError, Taken};
use crate::telemetry::metrics as names;

/// The end of one delivery.
pub(super) enum Answer {
    /// Committed.
    Stored { id: Uuid, taken: Taken },
    /// On disk, and stored later.
    Spooled { id: Uuid },
    /// Quarantined whole: not one line parses.
    NothingParsed { id: Uuid, taken: Taken },
    /// Its complete lines are committed. The sender must try again.
    BrokenOff { id: Uuid, taken: Taken },
    /// Quarantined up to the bound.
    TooLarge { id: Uuid },
    /// The header is not one of the accepted values.
    Unauthorized,
    /// Nothing was stored, and the reason is on our side.
    NotStored(IntakeError),
    /// The database is away, and the spool does not take it either.
    SpoolRefused(KeepError),
    /// The body did not come to its end.
    Trouble,
    /// The memory budget is used up.
    NoRoom,
    /// The sender is too slow. It loses the connection: Konnect repeats after that, and after no
    /// 4xx.
    TooSlow { id: Uuid },
}

#[derive(Serialize)]
struct AnswerBody {
    delivery_id: Uuid,
    received: Option<usize>,
    stored: Option<usize>,
    duplicates: Option<usize>,
    quarantined: Option<usize>,
}

/// Counts, logs and renders the answer.
pub(super) fn send(answer: Answer) -> Response {
    let response = match answer {
        Answer::Stored { id, taken } => {
            log(id, taken);
            body(StatusCode::OK, id, Some(taken))
        }
        Answer::Spooled { id } => {
            info!(delivery.id = %id, "delivery spooled");
            body(StatusCode::ACCEPTED, id, None)
        }
        Answer::NothingParsed { id, taken } => {
            warn!(delivery.id = %id, entries = taken.received, "not one entry could be read");
            body(StatusCode::BAD_REQUEST, id, Some(taken))
        }
        Answer::BrokenOff { id, taken } => {
            warn!(delivery.id = %id, stored = taken.stored, "the body broke off");
            body(StatusCode::INTERNAL_SERVER_ERROR, id, Some(taken))
        }
        Answer::TooLarge { id } => {
            warn!(delivery.id = %id, "a body over the bound was quarantined");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is over the bound")
                .into_response()
        }
        Answer::Unauthorized => Problem::new(
            StatusCode::UNAUTHORIZED,
            "the authorization is not accepted here",
        )
        .with(header::WWW_AUTHENTICATE, "Bearer")
        .into_response(),
        Answer::NotStored(cause) => not_stored(&cause),
        Answer::SpoolRefused(cause) => {
            warn!(
                error = &cause as &dyn Error,
                "a delivery could be neither stored nor spooled, the sender is asked to wait"
            );
            Problem::wait("neither the record nor the spool can take it, try again").into_response()
        }
        Answer::NoRoom => {
            warn!("the memory budget is used up, the sender is asked to wait");
            Problem::wait("too much is being taken in, try again").into_response()
        }
        Answer::TooSlow { id } => {
            warn!(delivery.id = %id, "a sender too slow loses its connection");
            Problem::too_slow().into_response()
        }
        Answer::Trouble => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the delivery did not come to its end",
        )
        .into_response(),
    };
    counter!(names::DELIVERIES, "status" => response.status().as_u16().to_string()).increment(1);
    response
}

/// The error decides whether a retry helps. A new kind of error must decide here.
fn not_stored(cause: &IntakeError) -> Response {
    match cause {
        IntakeError::Journal(journal) if journal.is_transient() => {
            warn!(
                error = journal.chain(),
                "a delivery could not be stored, the sender is asked to wait"
            );
            Problem::wait("the record does not answer, try again").into_response()
        }
        IntakeError::Journal(_) | IntakeError::Check(_) => {
            error!(
                error = cause as &dyn Error,
                "a delivery could not be stored"
            );
            Problem::record_refused().into_response()
        }
    }
}

/// Not at `info`: the journal has every delivery, and a line for each costs much when each has one
/// entry.
fn log(id: Uuid, taken: Taken) {
    debug!(
        delivery.id = %id,
        received = taken.received,
        stored = taken.stored,
        duplicates = taken.duplicates,
        quarantined = taken.quarantined,
        "delivery stored"
    );
}

/// Counts are null while they are not known.
fn body(status: StatusCode, delivery_id: Uuid, taken: Option<Taken>) -> Response {
    let body = AnswerBody {
        delivery_id,
        received: taken.map(|taken| taken.received),
        stored: taken.map(|taken| taken.stored),
        duplicates: taken.map(|taken| taken.duplicates),
        quarantined: taken.map(|taken| taken.quarantined),
    };
    (status, Json(body)).into_response()
}

/// `Content-Encoding` as declared, for the journal. It is bounded, since a sender chooses it.
pub(super) fn declared_encoding(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().chars().take(64).collect()
}
