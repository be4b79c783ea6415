//! Why a notice did not reach its receiver. Names hosts and files, never a URL.

use std::time::Duration;

/// What went wrong, each with one answer to whether it may pass.
#[derive(Debug, thiserror::Error)]
pub(in crate::act) enum NoticeError {
    /// The content of a file is no URL.
    #[error("the content of {0} is no http or https url")]
    Url(String),
    /// A file with the URL or the secret cannot be read.
    #[error("could not read {path}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content of a file is no secret.
    #[error("the content of {0} is not whsec_ and the base64 of 24 to 64 bytes")]
    Secret(String),
    /// Neither the rule nor the configuration has a secret to sign with.
    #[error("nothing to sign with: the rule names no secret, and notify.secret is not set")]
    Unsigned,
    /// The name of the host was not found.
    #[error("could not resolve {0}")]
    Resolve(String),
    /// The host is inside a network that outsiders must not reach through usher.
    #[error("{0} has an address that is not public; notify.allow_private may allow it")]
    Private(String),
    /// The receiver redirects the notice.
    #[error("{host} answered {status}: redirects are not followed")]
    Redirected {
        /// The receiver.
        host: String,
        /// Its answer.
        status: u16,
    },
    /// The receiver refuses it.
    #[error("{host} answered {status}")]
    Answered {
        /// The receiver.
        host: String,
        /// Its answer.
        status: u16,
        /// When it may be tried again.
        retry_after: Option<Duration>,
    },
    /// The receiver cannot be reached.
    #[error("could not reach {0}")]
    Connection(String),
    /// The receiver took too long.
    #[error("{0} did not answer in time")]
    Timeout(String),
}

/// The status by which a receiver says that it is gone for good.
const GONE: u16 = 410;

impl NoticeError {
    /// Whether another attempt may help.
    pub(in crate::act) fn may_pass(&self) -> bool {
        match self {
            // A file may be corrected, and a receiver that refuses today may be in deployment.
            Self::File { .. }
            | Self::Secret(_)
            | Self::Resolve(_)
            | Self::Connection(_)
            | Self::Timeout(_) => true,
            Self::Answered { status, .. } => *status != GONE,
            Self::Url(_) | Self::Unsigned | Self::Private(_) | Self::Redirected { .. } => false,
        }
    }

    /// When the receiver asks to be tried again.
    pub(in crate::act) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The status of the answer, where there was one.
    pub(in crate::act) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } | Self::Redirected { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// A stable word for the record.
    pub(in crate::act) fn class(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::File { .. } | Self::Secret(_) | Self::Unsigned => "set_up",
            Self::Resolve(_) => "unresolved",
            Self::Private(_) => "private_address",
            Self::Redirected { .. } => "redirected",
            Self::Answered { .. } => "receiver_refused",
            Self::Connection(_) => "connection",
            Self::Timeout(_) => "timeout",
        }
    }
}
