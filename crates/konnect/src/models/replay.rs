//! Replay jobs, which send the entries of the last seven days again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::models::lenient;
use crate::models::open_enum::open_enum;

open_enum! {
    /// How far a replay job is.
    ReplayStatus {
        /// No job was ever asked for.
        Unconfigured = "unconfigured",
        /// The job was taken in.
        Accepted = "accepted",
        /// The job waits for its turn.
        Pending = "pending",
        /// Entries are being sent; another job is refused with 409.
        Running = "running",
        /// All entries were sent.
        Completed = "completed",
        /// The job was given up.
        Failed = "failed",
    }
}

impl ReplayStatus {
    /// Whether nothing more will come of the job: completed or failed.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// The one replay job of a portal, or of the organisation in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayJob {
    /// How far the job is; `unconfigured` if the API does not say.
    #[serde(default = "ReplayJob::never_asked_for")]
    pub status: ReplayStatus,
    /// First time whose entries are sent; none before any job.
    #[serde(default, deserialize_with = "lenient::time")]
    pub start_at: Option<DateTime<Utc>>,
    /// Last time whose entries are sent; none before any job.
    #[serde(default, deserialize_with = "lenient::time")]
    pub end_at: Option<DateTime<Utc>>,
    /// When the status last changed; none before any job.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl ReplayJob {
    fn never_asked_for() -> ReplayStatus {
        ReplayStatus::Unconfigured
    }
}

/// The window of a job to start.
#[derive(Debug, Serialize)]
pub(crate) struct ReplayWindow {
    pub(crate) start_at: DateTime<Utc>,
    pub(crate) end_at: DateTime<Utc>,
}
