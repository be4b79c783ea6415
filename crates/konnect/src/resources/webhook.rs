//! Operations on the audit-log webhook of a portal, or of the organisation in a region.

use crate::error::Error;
use crate::models::ids::PortalId;
use crate::models::webhook::{Webhook, WebhookStatus, WebhookUpdate};
use crate::request::Request;
use crate::transport::Transport;

/// The operation on a portal's webhook, then the same on the organisation's.
type Pair = (&'static str, &'static str);

const GET: Pair = (
    "GET /v3/portals/{portalId}/audit-log-webhook",
    "GET /v3/audit-log-webhook",
);
const UPDATE: Pair = (
    "PATCH /v3/portals/{portalId}/audit-log-webhook",
    "PATCH /v3/audit-log-webhook",
);
const DELETE: Pair = (
    "DELETE /v3/portals/{portalId}/audit-log-webhook",
    "DELETE /v3/audit-log-webhook",
);
const STATUS: Pair = (
    "GET /v3/portals/{portalId}/audit-log-webhook/status",
    "GET /v3/audit-log-webhook/status",
);

/// The one audit-log webhook of a portal, or of the organisation in a region.
#[derive(Debug, Clone, Copy)]
pub struct WebhookResource<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) portal: Option<PortalId>,
}

impl WebhookResource<'_> {
    /// Reads the webhook; none if nothing was ever configured, or if there is no such portal.
    pub async fn get(&self) -> Result<Option<Webhook>, Error> {
        match self.transport.fetch(self.request(GET)).await {
            Ok(webhook) => Ok(Some(webhook)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes the webhook; members of `update` that are none stay as they are.
    pub async fn update(&self, update: &WebhookUpdate) -> Result<Webhook, Error> {
        self.transport
            .fetch(self.request(UPDATE).json(update)?)
            .await
    }

    /// Turns the webhook off and forgets its destination.
    pub async fn delete(&self) -> Result<(), Error> {
        self.transport.call(self.request(DELETE)).await
    }

    /// Reads how the webhook fares.
    pub async fn status(&self) -> Result<WebhookStatus, Error> {
        self.transport.fetch(self.request(STATUS)).await
    }

    fn request(&self, (of_portal, of_organisation): Pair) -> Request {
        match &self.portal {
            Some(portal) => Request::new(of_portal, &[portal.0]),
            None => Request::new(of_organisation, &[]),
        }
    }
}
