//! Operations on the replay job of a portal, or of the organisation in a region.

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::models::ids::PortalId;
use crate::models::replay::{ReplayJob, ReplayWindow};
use crate::request::Request;
use crate::transport::Transport;

const GET_PORTAL: &str = "GET /v3/portals/{portalId}/audit-log-replay-job";
const GET_ORGANISATION: &str = "GET /v3/audit-log-replay-job";
const PUT_PORTAL: &str = "PUT /v3/portals/{portalId}/audit-log-replay-job";
const PUT_ORGANISATION: &str = "PUT /v3/audit-log-replay-job";

/// The one replay job of a portal, or of the organisation in a region.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) portal: Option<PortalId>,
}

impl Replay<'_> {
    /// Reads the job; its status is `unconfigured` before any was started.
    pub async fn get(&self) -> Result<ReplayJob, Error> {
        let request = match &self.portal {
            Some(portal) => Request::new(GET_PORTAL, &[portal.0]),
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
            Some(portal) => Request::new(PUT_PORTAL, &[portal.0]),
            None => Request::new(PUT_ORGANISATION, &[]),
        };
        self.transport
            .fetch(request.json(&ReplayWindow { start_at, end_at })?)
            .await
    }
}
