//! What can go wrong with an attempt, and the one remedy for each kind of trouble. No I/O.

use std::sync::Arc;
use std::time::Duration;

use konnect::Error as ApiError;

use crate::act::notify::NoticeError;
use crate::journal::JournalError;

/// `Retry-After` is honoured up to this time; a longer one is taken for a mistake of a gateway.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Why an attempt did not come to an end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// A call failed.
    #[error("{0}")]
    Api(#[source] ApiError),
    /// A call about a person failed, and its answer may name them.
    #[error("the call failed{}", status_of(.0))]
    Personal(#[source] ApiError),
    /// A notice did not reach its receiver.
    #[error("{0}")]
    Notice(#[source] NoticeError),
    /// The object itself is not there.
    #[error("the {0} is gone")]
    Gone(&'static str),
    /// The API accepted a write and answered with something else.
    #[error("the api answered with status {0} of the object after the write")]
    Contradiction(String),
    /// Another action makes the same thing.
    #[error("{0} is being made by another action")]
    Busy(&'static str),
    /// The attempt took too long as a whole.
    #[error("the attempt took too long")]
    TooSlow,
    /// The deed cannot be done to a target of this kind.
    #[error("this cannot be done to a {0}")]
    WrongTarget(&'static str),
    /// Another worker took the action over.
    #[error("another worker has the action")]
    LeaseLost,
    /// The database did not do its part.
    #[error("{0}")]
    Store(#[from] Arc<JournalError>),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What to do about trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Try again a number of times, after this time at the earliest.
    Retry(Option<Duration>),
    /// The API or the network is in trouble: try again until that ends, after this time at the
    /// earliest.
    Outlast(Option<Duration>),
    /// The action failed.
    GiveUp,
    /// The token is refused: no action can be done.
    Pause,
    /// The call is forbidden: the token may be refused for everything, or lack a role for this.
    Hold,
    /// Leave the action alone: its lease ends by itself.
    LetGo,
}

impl Trouble {
    /// Trouble of a call that reads `object`: 404 says that it is not there.
    pub(super) fn on_read(object: &'static str) -> impl Fn(ApiError) -> Self {
        move |error| {
            if error.is_not_found() {
                Self::Gone(object)
            } else {
                Self::Api(error)
            }
        }
    }

    /// The remedy and the class, a stable word for the record.
    pub(super) fn judge(&self) -> (Remedy, &'static str) {
        match self {
            Self::Api(error) | Self::Personal(error) => judge_api(error),
            Self::Notice(error) => {
                let asked = error.retry_after().map(|wait| wait.min(MAX_RETRY_AFTER));
                let remedy = if error.may_pass() {
                    Remedy::Outlast(asked)
                } else {
                    Remedy::GiveUp
                };
                (remedy, error.class())
            }
            Self::Gone(_) => (Remedy::Retry(None), "gone"),
            Self::Contradiction(_) => (Remedy::Retry(None), "contradiction"),
            Self::Busy(_) => (Remedy::Outlast(None), "busy"),
            Self::TooSlow => (Remedy::Outlast(None), "timeout"),
            Self::WrongTarget(_) => (Remedy::GiveUp, "wrong_target"),
            Self::LeaseLost => (Remedy::LetGo, "lease_lost"),
            Self::Store(_) => (Remedy::LetGo, "database"),
        }
    }

    /// The error of the call, where one failed.
    pub(super) fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) | Self::Personal(error) => Some(error),
            Self::Notice(_)
            | Self::Gone(_)
            | Self::Contradiction(_)
            | Self::Busy(_)
            | Self::TooSlow
            | Self::WrongTarget(_)
            | Self::LeaseLost
            | Self::Store(_) => None,
        }
    }
}

fn status_of(error: &ApiError) -> String {
    error
        .status()
        .map(|status| format!(" with status {status}"))
        .unwrap_or_default()
}

fn judge_api(error: &ApiError) -> (Remedy, &'static str) {
    let asked = error.retry_after().map(|wait| wait.min(MAX_RETRY_AFTER));
    let later = Remedy::Outlast(asked);
    match (error, error.status()) {
        (ApiError::Timeout { .. }, _) => (later, "timeout"),
        (ApiError::Transport { .. }, _) => (later, "connection"),
        // A write whose answer cannot be read was done all the same: the next read shows it.
        (ApiError::Decode { .. } | ApiError::TooLarge { .. } | ApiError::Paging { .. }, _) => {
            (later, "unreadable_answer")
        }
        (_, Some(401)) => (Remedy::Pause, "unauthorized"),
        (_, Some(403)) => (Remedy::Hold, "forbidden"),
        (_, Some(429)) => (later, "rate_limited"),
        // The object was read a moment ago: Konnect is not consistent yet.
        (_, Some(404)) => (Remedy::Retry(asked), "not_found_yet"),
        (_, Some(409)) => (Remedy::Retry(asked), "conflict"),
        (_, Some(400)) => (Remedy::GiveUp, "bad_request"),
        (_, Some(500..)) => (later, "server_error"),
        _ if error.is_transient() => (later, "server_error"),
        _ => (Remedy::GiveUp, "refused"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use konnect::Error as ApiError;

    use super::{Remedy, Trouble};

    fn answered(status: u16, retry_after: Option<Duration>) -> Trouble {
        Trouble::Api(ApiError::Api {
            route: "PATCH /v3/x",
            status,
            problem: None,
            message: String::new(),
            retry_after,
            trace: None,
        })
    }

    #[test]
    fn every_answer_has_its_remedy() {
        let (again, later) = (Remedy::Retry(None), Remedy::Outlast(None));
        let table = [
            (400, Remedy::GiveUp, "bad_request"),
            (401, Remedy::Pause, "unauthorized"),
            (403, Remedy::Hold, "forbidden"),
            (404, again, "not_found_yet"),
            (405, Remedy::GiveUp, "refused"),
            (409, again, "conflict"),
            (415, Remedy::GiveUp, "refused"),
            (429, later, "rate_limited"),
            (500, later, "server_error"),
            (501, later, "server_error"),
            (503, later, "server_error"),
        ];
        for (status, remedy, class) in table {
            assert_eq!(answered(status, None).judge(), (remedy, class), "{status}");
        }
        let unreadable = ApiError::Decode {
            route: "PATCH /v3/x",
            message: String::new(),
        };
        assert_eq!(
            Trouble::Api(unreadable).judge(),
            (later, "unreadable_answer")
        );
    }

    #[test]
    fn retry_after_is_honoured_within_reason() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(
            answered(429, seconds(7)).judge().0,
            Remedy::Outlast(seconds(7))
        );
        assert_eq!(
            answered(503, seconds(7)).judge().0,
            Remedy::Outlast(seconds(7))
        );
        assert_eq!(
            answered(429, seconds(1_000_000)).judge().0,
            Remedy::Outlast(seconds(3600))
        );
    }
}
