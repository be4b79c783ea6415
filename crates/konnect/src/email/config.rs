//! Whom a portal's e-mails come from, and the operations on that configuration.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::patch::Patch;

const GET: &str = "GET /v3/portals/{portalId}/email-config";
const CREATE: &str = "POST /v3/portals/{portalId}/email-config";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/email-config";
const DELETE: &str = "DELETE /v3/portals/{portalId}/email-config";

/// Whom a portal's e-mails come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailConfig {
    /// Id of the configuration; no operation takes it.
    #[serde(default, deserialize_with = "lenient::id")]
    pub id: Option<Uuid>,
    /// Domain that e-mails are sent from; Konnect's own if none.
    #[serde(default)]
    pub domain_name: Option<String>,
    /// Name that e-mails come from.
    #[serde(default)]
    pub from_name: Option<String>,
    /// Address that e-mails come from.
    #[serde(default)]
    pub from_email: Option<String>,
    /// Address that answers go to; e-mails have no `Reply-To` if none.
    #[serde(default)]
    pub reply_to_email: Option<String>,
    /// When the configuration was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the configuration was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A configuration to create. The API requires none of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewEmailConfig {
    /// Domain to send e-mails from, one of [`EmailDomain`](super::EmailDomain); Konnect's own if
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    /// Name that e-mails come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// Address that e-mails come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_email: Option<String>,
    /// Address that answers go to; e-mails have no `Reply-To` if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to_email: Option<String>,
}

/// What to change of a configuration; members that are `Keep` stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailConfigUpdate {
    /// Domain to send e-mails from; null for Konnect's own.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub domain_name: Patch<String>,
    /// Name that e-mails come from.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub from_name: Patch<String>,
    /// Address that e-mails come from.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub from_email: Patch<String>,
    /// Address that answers go to; null for no `Reply-To`.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub reply_to_email: Patch<String>,
}

/// The one e-mail configuration of a portal.
#[derive(Debug, Clone, Copy)]
pub struct EmailConfigResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// E-mail configuration of the portal.
    pub fn email_config(self) -> EmailConfigResource<'a> {
        EmailConfigResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl EmailConfigResource<'_> {
    /// Reads the configuration (`get-email-config`); none if there is none, or no such portal.
    pub async fn get(&self) -> Result<Option<EmailConfig>, Error> {
        self.transport
            .fetch_if_found(Request::new(GET, &[&self.portal]))
            .await
    }

    /// Creates the configuration (`create-portal-email-config`); 409 if there is one.
    pub async fn create(&self, config: &NewEmailConfig) -> Result<EmailConfig, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(config)?)
            .await
    }

    /// Changes the configuration (`update-portal-email-config`); 404 if there is none.
    pub async fn update(&self, update: &EmailConfigUpdate) -> Result<EmailConfig, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal]).json(update)?)
            .await
    }

    /// Deletes the configuration (`delete-portal-email-config`); 404 if there is none.
    pub async fn delete(&self) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal]))
            .await
    }
}
