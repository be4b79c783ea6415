//! Why a window was not pulled.

use std::time::Duration;

use crate::journal::JournalError;

/// Why a window was not pulled. What was stored before stays stored.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// 401: Konnect does not know the token.
    #[error("konnect does not accept the token (401): it is wrong, expired or revoked")]
    TokenRefused,
    /// 403: the token lacks a role.
    #[error(
        "the token may not read the organisation's audit logs (403): it needs the role Audit Log Admin"
    )]
    Forbidden,
    /// 404: nothing answers there.
    #[error("there is no pull api at this konnect.base_url (404): is it the host of a region?")]
    NotThere,
    /// Konnect does not take the window as it was asked for.
    #[error("konnect refused the window: {reason}")]
    Refused {
        /// The reason that Konnect gave.
        reason: String,
    },
    /// Konnect could not be reached, or failed itself, too often.
    #[error("konnect gave no useful answer in {attempts} attempts: {reason}")]
    Unreachable {
        /// Failures in a row.
        attempts: u32,
        /// The last of them.
        reason: String,
    },
    /// The call failed in a way that a repetition does not repair.
    #[error("the audit logs could not be pulled: {0}")]
    Call(konnect::Error),
    /// The pages lead in a circle.
    #[error("konnect named a page twice as the next one, so the window has no end")]
    Circle,
    /// All of the window became older than seven days before it was pulled.
    #[error("the window became older than 7 days before it was pulled")]
    TooLate,
    /// What was pulled could not be stored.
    #[error("could not store what was pulled: {}", .0.plain())]
    Journal(#[from] JournalError),
    /// The process was asked to stop.
    #[error("stopped before the window was pulled")]
    Stopped,
}

impl PullError {
    /// The error for a question about usher's health: without what others wrote, which may contain
    /// addresses.
    pub fn plain(&self) -> String {
        match self {
            Self::Refused { .. } => "konnect refused the window, see the log".to_owned(),
            Self::Unreachable { attempts, .. } => {
                format!("konnect gave no useful answer in {attempts} attempts, see the log")
            }
            Self::Call(_) => "the audit logs could not be pulled, see the log".to_owned(),
            Self::TokenRefused
            | Self::Forbidden
            | Self::NotThere
            | Self::Circle
            | Self::TooLate
            | Self::Journal(_)
            | Self::Stopped => self.to_string(),
        }
    }

    /// The error for a call that is not worth repeating.
    pub(super) fn of(error: konnect::Error) -> Self {
        match error.status() {
            Some(401) => Self::TokenRefused,
            Some(403) => Self::Forbidden,
            Some(404) => Self::NotThere,
            Some(400 | 422) => Self::Refused {
                reason: error.to_string(),
            },
            _ => Self::Call(error),
        }
    }
}

/// A call that failed and is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retry {
    /// The error of Konnect, or of the connection to it.
    pub(super) reason: String,
    /// When it is repeated.
    pub(super) wait: Duration,
}
