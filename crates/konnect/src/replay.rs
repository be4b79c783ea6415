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

/// The operation on a portal's job, on the organisation's, and on that by version 2 of the API.
type Routes = [&'static str; 3];

const GET: Routes = [
    "GET /v3/portals/{portalId}/audit-log-replay-job",
    "GET /v3/audit-log-replay-job",
    "GET /v2/audit-log-replay-job",
];
const PUT: Routes = [
    "PUT /v3/portals/{portalId}/audit-log-replay-job",
    "PUT /v3/audit-log-replay-job",
    "PUT /v2/audit-log-replay-job",
];

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
    whose: Whose,
}

#[derive(Debug, Clone, Copy)]
enum Whose {
    Portal(PortalId),
    Organisation,
    OrganisationV2,
}

impl<'a> PortalScope<'a> {
    /// Replay job of the portal.
    pub fn replay(self) -> Replay<'a> {
        Replay {
            transport: self.transport,
            whose: Whose::Portal(self.id),
        }
    }
}

impl Client {
    /// Replay job of the organisation in this region.
    pub fn org_replay(&self) -> Replay<'_> {
        Replay {
            transport: &self.transport,
            whose: Whose::Organisation,
        }
    }

    /// The same job by version 2 of the audit-log API; operationIds are those of version 3.
    pub fn org_replay_v2(&self) -> Replay<'_> {
        Replay {
            transport: &self.transport,
            whose: Whose::OrganisationV2,
        }
    }
}

impl Replay<'_> {
    /// Reads the job; its status is `unconfigured` before any was started
    /// (`get-portal-audit-log-replay-job`, `get-audit-log-replay-job`).
    pub async fn get(&self) -> Result<ReplayJob, Error> {
        self.transport.fetch(self.request(GET)).await
    }

    /// Asks for the entries of a window within the last seven days to be sent again
    /// (`update-portal-audit-log-replay-job`, `update-audit-log-replay-job`).
    ///
    /// The job replaces the one before; 409 while that one is running.
    pub async fn start(
        &self,
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
    ) -> Result<ReplayJob, Error> {
        let request = self.request(PUT);
        self.transport
            .fetch(request.json(&ReplayWindow { start_at, end_at })?)
            .await
    }

    fn request(&self, [of_portal, of_organisation, v2]: Routes) -> Request {
        match &self.whose {
            Whose::Portal(portal) => Request::new(of_portal, &[portal]),
            Whose::Organisation => Request::new(of_organisation, &[]),
            Whose::OrganisationV2 => Request::new(v2, &[]),
        }
    }
}
