//! Registrations of applications for APIs.
//!
//! A registration does not name its developer: that is the owner of its application.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::models::ids::{ApiId, ApplicationId, DeveloperId, RegistrationId};
use crate::models::lenient;
use crate::models::open_enum::open_enum;
use crate::page::Identified;

open_enum! {
    /// Whether an application may call an API.
    RegistrationStatus {
        /// May call the API.
        Approved = "approved",
        /// Waits for an answer.
        Pending = "pending",
        /// Was approved once, and is no longer.
        Revoked = "revoked",
        /// Was never let in.
        Rejected = "rejected",
    }
}

/// The API, or package of APIs, of a registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredApi {
    /// Id of the API.
    pub id: ApiId,
    /// Name of the API.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Version of the API, if it has one.
    #[serde(default)]
    pub version: Option<String>,
    /// `api` or `api_package`; older versions of the API do not say.
    #[serde(default)]
    pub entity_type: Option<String>,
}

/// The application of a registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredApplication {
    /// Id of the application.
    pub id: ApplicationId,
    /// Name of the application.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
}

/// The gateway consumer that a registration is mapped to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegistrationConsumer {
    /// Id of the consumer.
    pub id: Uuid,
    /// The operator's own id of the consumer.
    #[serde(default)]
    pub custom_id: Option<String>,
    /// Name of the consumer.
    #[serde(default)]
    pub username: Option<String>,
    /// Control plane that has the consumer.
    #[serde(default)]
    pub control_plane_id: Option<Uuid>,
}

/// A registration of an application for an API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Id of the registration.
    pub id: RegistrationId,
    /// Whether the application may call the API.
    pub status: RegistrationStatus,
    /// What is asked for.
    pub api: RegisteredApi,
    /// Who asks.
    pub application: RegisteredApplication,
    /// Gateway consumer, once it is mapped to one.
    #[serde(default)]
    pub consumer: Option<RegistrationConsumer>,
    /// When it was asked for.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Registration {
    type Id = RegistrationId;

    fn id(&self) -> RegistrationId {
        self.id
    }
}

/// Which registrations of a portal to list.
#[derive(Debug, Clone, Default)]
pub struct ListRegistrations {
    /// Only registrations of this status.
    pub status: Option<RegistrationStatus>,
    /// Only registrations of this developer's applications.
    pub developer_id: Option<DeveloperId>,
    /// Only registrations of applications of this name.
    pub application_name: Option<String>,
    /// Attribute to sort by; by creation if none.
    pub sort: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A registration to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewRegistration {
    /// API to register for.
    pub api_id: ApiId,
    /// Status to begin with, approved or pending only; the API's choice if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RegistrationStatus>,
}
