//! Audit-log destinations, which the whole organisation shares.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::models::ids::DestinationId;
use crate::models::lenient;
use crate::models::open_enum::open_enum;
use crate::page::Identified;

open_enum! {
    /// How audit-log entries are written.
    LogFormat {
        /// Common Event Format, one entry a line.
        Cef = "cef",
        /// A JSON object a line.
        Json = "json",
        /// A JSON object inside `{"event": …}`, one a line.
        Cps = "cps",
    }
}

/// Where audit-log entries are sent; its `Authorization` is never told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Id of the destination.
    pub id: DestinationId,
    /// Name of the destination.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// URL that entries are posted to.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub endpoint: String,
    /// How entries are written.
    #[serde(default)]
    pub log_format: Option<LogFormat>,
    /// Whether any TLS certificate is taken.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub skip_ssl_verification: bool,
    /// When the destination was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the destination was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Destination {
    type Id = DestinationId;

    fn id(&self) -> DestinationId {
        self.id
    }
}

/// Which destinations to list.
#[derive(Debug, Clone, Default)]
pub struct ListDestinations {
    /// Only the destination of this name.
    pub name: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A destination to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewDestination {
    /// Name of the destination.
    pub name: String,
    /// URL that entries are posted to.
    pub endpoint: String,
    /// Whole value of `Authorization` that Konnect sends, scheme included; not empty.
    #[serde(serialize_with = "expose")]
    pub authorization: SecretString,
    /// How entries are written.
    pub log_format: LogFormat,
    /// Whether any TLS certificate is taken.
    pub skip_ssl_verification: bool,
}

/// What to change of a destination; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DestinationUpdate {
    /// New name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// New value of `Authorization`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_optional"
    )]
    pub authorization: Option<SecretString>,
    /// New way to write entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Whether any TLS certificate is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_ssl_verification: Option<bool>,
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[expect(clippy::ref_option, reason = "serde passes the member by reference")]
fn expose_optional<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(serializer)
}
