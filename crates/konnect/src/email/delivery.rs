//! How a portal's e-mails are delivered: the older form of its e-mail configuration, which the API
//! deprecates.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::patch::Patch;

const GET: &str = "GET /v3/portals/{portalId}/email-delivery";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/email-delivery";
const DELETE: &str = "DELETE /v3/portals/{portalId}/email-delivery";

/// How a portal's e-mails are delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailDelivery {
    /// Whether the addresses below are used.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// Address that e-mails come from; Konnect's own if none.
    #[serde(default)]
    pub from_email: Option<String>,
    /// Address that answers go to.
    #[serde(default)]
    pub reply_to_email: Option<String>,
    /// When the delivery was set up.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the delivery was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// What to set up or change of the delivery; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailDeliveryUpdate {
    /// Whether the addresses below are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Address that e-mails come from.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub from_email: Patch<String>,
    /// Address that answers go to.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub reply_to_email: Patch<String>,
}

/// The one e-mail delivery of a portal. The API deprecates it in favour of the configuration:
/// [`EmailConfigResource`](super::EmailConfigResource).
#[derive(Debug, Clone, Copy)]
pub struct EmailDeliveryResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// E-mail delivery of the portal, which the API deprecates in favour of
    /// [`email_config`](Self::email_config).
    pub fn email_delivery(self) -> EmailDeliveryResource<'a> {
        EmailDeliveryResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl EmailDeliveryResource<'_> {
    /// Reads the delivery (`get-email-delivery`); none if it was never set up, or if there is no
    /// such portal.
    pub async fn get(&self) -> Result<Option<EmailDelivery>, Error> {
        self.transport
            .fetch_if_found(Request::new(GET, &[&self.portal]))
            .await
    }

    /// Sets the delivery up, or changes it (`update-email-delivery`).
    pub async fn update(&self, update: &EmailDeliveryUpdate) -> Result<EmailDelivery, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal]).json(update)?)
            .await
    }

    /// Removes the delivery (`delete-email-delivery`); 404 if it was never set up.
    pub async fn delete(&self) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal]))
            .await
    }
}
