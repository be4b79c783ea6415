//! The organisation's audit-log webhook in a region by version 2 of the audit-log API, which has
//! the members of the destination in the webhook itself, and the operations on it.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::destinations::LogFormat;
use crate::error::Error;
use crate::request::Request;
use crate::transport::Transport;
use crate::webhook::WebhookStatus;
use crate::wire::lenient;
use crate::wire::secret::expose_optional;

const GET: &str = "GET /v2/audit-log-webhook";
const UPDATE: &str = "PATCH /v2/audit-log-webhook";
const STATUS: &str = "GET /v2/audit-log-webhook/status";

/// The endpoint of a webhook that nobody has configured.
const UNCONFIGURED: &str = "unconfigured";

/// Whether, where and how entries are sent; its `Authorization` is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookV2 {
    /// URL that entries are posted to; the word `unconfigured` where there is none.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub endpoint: String,
    /// Whether entries are sent.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// How entries are written.
    #[serde(default)]
    pub log_format: Option<LogFormat>,
    /// Whether any TLS certificate is taken.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub skip_ssl_verification: bool,
    /// When the webhook was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl WebhookV2 {
    /// Whether entries have somewhere to go.
    pub fn is_configured(&self) -> bool {
        !self.endpoint.is_empty() && self.endpoint != UNCONFIGURED
    }
}

/// What to change of a webhook; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WebhookV2Update {
    /// New URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// New value of `Authorization`, scheme included.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_optional"
    )]
    pub authorization: Option<SecretString>,
    /// Whether entries are sent; that needs an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// New way to write entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Whether any TLS certificate is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_ssl_verification: Option<bool>,
}

/// The organisation's audit-log webhook in a region by version 2 of the audit-log API.
#[derive(Debug, Clone, Copy)]
pub struct WebhookV2Resource<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Audit-log webhook of the organisation in this region by version 2 of the audit-log API;
    /// [`Client::org_webhook`] is the newer one.
    pub fn org_webhook_v2(&self) -> WebhookV2Resource<'_> {
        WebhookV2Resource {
            transport: &self.transport,
        }
    }
}

impl WebhookV2Resource<'_> {
    /// Reads the webhook (`get-audit-log-webhook`), also where none is configured.
    pub async fn get(&self) -> Result<WebhookV2, Error> {
        self.transport.fetch(Request::new(GET, &[])).await
    }

    /// Changes the webhook (`update-audit-log-webhook`); members of `update` that are none stay as
    /// they are.
    pub async fn update(&self, update: &WebhookV2Update) -> Result<WebhookV2, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[]).json(update)?)
            .await
    }

    /// Reads how the webhook fares (`get-audit-log-webhook-status`).
    pub async fn status(&self) -> Result<WebhookStatus, Error> {
        self.transport.fetch(Request::new(STATUS, &[])).await
    }
}
