//! A failure of the journal as an HTTP client sees it.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use tracing::warn;

use crate::http::Problem;
use crate::http::parameters::bad_request;
use crate::journal::JournalError;

/// Says, in an answer, that the failure is the server's, so that another server may have an answer.
#[derive(Debug, Clone, Copy)]
pub struct AskElsewhere {
    /// Whether it may be asked once more there.
    pub once_more: bool,
}

/// A failure of the journal as a client sees it; the cause is logged here, once.
pub fn journal_problem(error: &JournalError) -> Problem {
    if let JournalError::TooManyPeople { .. } = error {
        return bad_request(format!("parameter person: {error}"));
    }
    warn!(
        error = error.chain(),
        "a client could not be shown the record"
    );
    if error.is_transient() {
        let busy = "the record is busy or does not answer, try again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy).with(RETRY_AFTER, "5");
        if error.is_of_server() {
            // A connection that was not free was waited for, and would be the next time.
            let once_more = !error.is_busy();
            problem.with_extension(AskElsewhere { once_more })
        } else {
            problem
        }
    } else {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the record could not be read",
        )
    }
}

/// `?` in a handler: the cause is logged here, once.
impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        journal_problem(&error)
    }
}
