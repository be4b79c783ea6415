//! Developers of a portal.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::models::ids::DeveloperId;
use crate::models::lenient;
use crate::models::open_enum::open_enum;
use crate::page::Identified;

open_enum! {
    /// Whether a developer may use the portal.
    DeveloperStatus {
        /// May sign in.
        Approved = "approved",
        /// Waits for an answer.
        Pending = "pending",
        /// Was approved once, and is no longer; issued credentials keep working.
        Revoked = "revoked",
        /// Was never let in.
        Rejected = "rejected",
    }
}

/// A developer of a portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Developer {
    /// Id of the developer.
    pub id: DeveloperId,
    /// E-mail address, unique in the portal.
    pub email: String,
    /// Name the developer gave.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub full_name: String,
    /// Whether the developer may use the portal.
    pub status: DeveloperStatus,
    /// Applications the developer has; only older versions of the API say so.
    #[serde(default, deserialize_with = "crate::page::count")]
    pub application_count: Option<u64>,
    /// When the developer signed up.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the developer was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Developer {
    type Id = DeveloperId;

    fn id(&self) -> DeveloperId {
        self.id
    }
}

/// Which developers to list.
#[derive(Debug, Clone, Default)]
pub struct ListDevelopers {
    /// Only developers of this status.
    pub status: Option<DeveloperStatus>,
    /// Only the developer of this e-mail address.
    pub email: Option<String>,
    /// Attribute to sort by; by creation if none.
    pub sort: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A developer to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewDeveloper {
    /// E-mail address, at most 255 characters.
    pub email: String,
    /// Name, at most 255 characters.
    pub full_name: String,
    /// Status to begin with; the API's choice if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DeveloperStatus>,
    /// Whether Konnect writes to the developer.
    pub send_invitation_email: bool,
}
