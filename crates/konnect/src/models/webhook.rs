//! Audit-log webhooks, of a portal or of the organisation in a region, and how they fare.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::models::ids::DestinationId;
use crate::models::lenient;
use crate::models::open_enum::open_enum;

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
    #[serde(default, deserialize_with = "crate::page::count")]
    pub last_response_code: Option<u64>,
    /// What the receiver answered.
    #[serde(default)]
    pub last_response_message: Option<String>,
}
