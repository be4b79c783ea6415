//! Why a sweep failed.

use std::time::Duration;

use crate::journal::JournalError;
use crate::telemetry;

/// A sweep that failed. Shows neither tokens nor bodies.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The management API did not answer as it should.
    #[error("could not read the management api")]
    Api(#[from] konnect::Error),
    /// What was read could not be stored.
    #[error("could not store what was read")]
    Store(#[from] JournalError),
    /// The portal is not found, which may pass.
    #[error("the portal is not found, and counts as gone if that stays so for ten minutes")]
    PortalMissing,
    /// The portal does not exist any more.
    #[error("the portal does not exist any more")]
    PortalGone,
}

impl ObserveError {
    /// Whether the token is refused: only a person can help.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Api(error) => error.is_unauthorized(),
            Self::Store(_) | Self::PortalMissing | Self::PortalGone => false,
        }
    }

    /// How long the API asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            Self::Store(_) | Self::PortalMissing | Self::PortalGone => None,
        }
    }

    /// How long the API asks all callers with this token to wait.
    pub(super) fn rate_limit(&self) -> Option<Duration> {
        match self {
            Self::Api(error) if error.is_rate_limited() => error.retry_after(),
            _ => None,
        }
    }

    /// The error for people who ask about usher's state: its causes may contain addresses and names
    /// of hosts.
    pub fn plain(&self) -> String {
        match self {
            Self::Api(error) if error.status() == Some(401) => {
                format!("Konnect refuses the token: {error}")
            }
            Self::Api(error) => format!("{self}: {error}"),
            Self::Store(error) => format!("{self}: {}", error.plain()),
            Self::PortalMissing | Self::PortalGone => self.to_string(),
        }
    }

    /// The error with its causes on one line.
    pub fn chain(&self) -> String {
        telemetry::chain(self)
    }
}
