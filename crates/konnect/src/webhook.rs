//! The audit-log webhook of a portal, or of the organisation in a region: how it fares, and the
//! operations on it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{DestinationId, PortalId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;

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

open_enum! {
    /// What became of the last delivery.
    DeliveryState {
        /// None was tried yet, or the last one was taken.
        Active = "active",
        /// The last one failed.
        Inactive = "inactive",
        /// The webhook has no destination.
        Unconfigured = "unconfigured",
    }
}

/// Whether, and where, entries are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Whether entries are sent.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// Destination, none once the webhook was deleted.
    #[serde(default, deserialize_with = "lenient::id")]
    pub audit_log_destination_id: Option<DestinationId>,
}

/// What to change of a webhook; members that are none stay as they are.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct WebhookUpdate {
    /// Whether entries are sent; that needs a destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// New destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_log_destination_id: Option<DestinationId>,
}

/// How a webhook fares.
#[expect(
    clippy::struct_field_names,
    reason = "members are named as the API names them"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookStatus {
    /// What became of the last delivery.
    #[serde(default)]
    pub webhook_status: Option<DeliveryState>,
    /// Whether entries are sent.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub webhook_enabled: bool,
    /// When a delivery was last tried.
    #[serde(default, deserialize_with = "lenient::time")]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// Status the receiver answered with.
    #[serde(default, deserialize_with = "lenient::count")]
    pub last_response_code: Option<u64>,
    /// What the receiver answered.
    #[serde(default)]
    pub last_response_message: Option<String>,
}

/// The one audit-log webhook of a portal, or of the organisation in a region.
#[derive(Debug, Clone, Copy)]
pub struct WebhookResource<'a> {
    transport: &'a Transport,
    portal: Option<PortalId>,
}

impl<'a> PortalScope<'a> {
    /// Audit-log webhook of the portal.
    pub fn webhook(self) -> WebhookResource<'a> {
        WebhookResource {
            transport: self.transport,
            portal: Some(self.id),
        }
    }
}

impl Client {
    /// Audit-log webhook of the organisation in this region.
    pub fn org_webhook(&self) -> WebhookResource<'_> {
        WebhookResource {
            transport: &self.transport,
            portal: None,
        }
    }
}

impl WebhookResource<'_> {
    /// Reads the webhook (`get-portal-audit-log-webhook`, `get-audit-logs-webhook`); none if
    /// nothing was ever configured, or if there is no such portal.
    pub async fn get(&self) -> Result<Option<Webhook>, Error> {
        self.transport.fetch_if_found(self.request(GET)).await
    }

    /// Changes the webhook (`update-portal-audit-log-webhook`, `update-audit-logs-webhook`);
    /// members of `update` that are none stay as they are.
    pub async fn update(&self, update: &WebhookUpdate) -> Result<Webhook, Error> {
        self.transport
            .fetch(self.request(UPDATE).json(update)?)
            .await
    }

    /// Turns the webhook off and forgets its destination (`delete-portal-audit-log-webhook`,
    /// `delete-audit-logs-webhook`); 404 if it has none.
    pub async fn delete(&self) -> Result<(), Error> {
        self.transport.call(self.request(DELETE)).await
    }

    /// Reads how the webhook fares (`get-portal-audit-log-webhook-status`,
    /// `get-audit-logs-webhook-status`).
    pub async fn status(&self) -> Result<WebhookStatus, Error> {
        self.transport.fetch(self.request(STATUS)).await
    }

    fn request(&self, (of_portal, of_organisation): Pair) -> Request {
        match &self.portal {
            Some(portal) => Request::new(of_portal, &[portal]),
            None => Request::new(of_organisation, &[]),
        }
    }
}
