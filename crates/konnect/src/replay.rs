//! Replay jobs, which send the entries of the last seven days again, and the operations on the one
//! of a portal, or of the organisation in a region.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;

const GET_PORTAL: &str = "GET /v3/portals/{portalId}/audit-log-replay-job";
const GET_ORGANISATION: &str = "GET /v3/audit-log-replay-job";
const PUT_PORTAL: &str = "PUT /v3/portals/{portalId}/audit-log-replay-job";
const PUT_ORGANISATION: &str = "PUT /v3/audit-log-replay-job";

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
struct ReplayWindow {
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
}

/// The one replay job of a portal, or of the organisation in a region.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    transport: &'a Transport,
    portal: Option<PortalId>,
}

impl<'a> PortalScope<'a> {
    /// Replay job of the portal.
    pub fn replay(self) -> Replay<'a> {
        Replay {
            transport: self.transport,
            portal: Some(self.id),
        }
    }
}

impl Client {
    /// Replay job of the organisation in this region.
    pub fn org_replay(&self) -> Replay<'_> {
        Replay {
            transport: &self.transport,
            portal: None,
        }
    }
}

impl Replay<'_> {
    /// Reads the job; its status is `unconfigured` before any was started.
    pub async fn get(&self) -> Result<ReplayJob, Error> {
        let request = match &self.portal {
            Some(portal) => Request::new(GET_PORTAL, &[portal]),
            None => Request::new(GET_ORGANISATION, &[]),
        };
        self.transport.fetch(request).await
    }

    /// Asks for the entries of a window within the last seven days to be sent again.
    ///
    /// The job replaces the one before; 409 while that one is running.
    pub async fn start(
        &self,
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
    ) -> Result<ReplayJob, Error> {
        let request = match &self.portal {
            Some(portal) => Request::new(PUT_PORTAL, &[portal]),
            None => Request::new(PUT_ORGANISATION, &[]),
        };
        self.transport
            .fetch(request.json(&ReplayWindow { start_at, end_at })?)
            .await
    }
}
