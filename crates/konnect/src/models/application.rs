//! Applications of a portal.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::models::ids::{ApplicationId, DeveloperId, PortalId, TeamId};
use crate::models::lenient;
use crate::models::open_enum::open_enum;
use crate::page::Identified;

open_enum! {
    /// What kind of owner an application has.
    OwnerType {
        /// A single developer.
        Developer = "developer",
        /// A team; its members share the application.
        Team = "team",
    }
}

/// Whose application it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationOwner {
    /// What kind of owner it is.
    #[serde(rename = "type")]
    pub kind: OwnerType,
    /// Id of the developer or team.
    pub id: Uuid,
}

impl ApplicationOwner {
    /// Id of the owner if it is a developer.
    pub fn developer(&self) -> Option<DeveloperId> {
        (self.kind == OwnerType::Developer).then_some(DeveloperId(self.id))
    }

    /// Id of the owner if it is a team.
    pub fn team(&self) -> Option<TeamId> {
        (self.kind == OwnerType::Team).then_some(TeamId(self.id))
    }
}

/// How an application proves itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthStrategy {
    /// Id of the strategy.
    pub id: Uuid,
    /// Name of the strategy.
    #[serde(default)]
    pub name: Option<String>,
    /// Kind of credentials, such as `key_auth` or `client_credentials`.
    #[serde(default)]
    pub credential_type: Option<String>,
}

/// The portal that an application belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalReference {
    /// Id of the portal.
    pub id: PortalId,
}

/// An application, with whatever credentials it uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Id of the application.
    pub id: ApplicationId,
    /// Name of the application.
    pub name: String,
    /// What the application does.
    #[serde(default)]
    pub description: Option<String>,
    /// Whose it is; older versions of the API do not say.
    #[serde(default)]
    pub owner: Option<ApplicationOwner>,
    /// Client id, where the strategy has one.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Registrations the application has.
    #[serde(default, deserialize_with = "crate::page::count")]
    pub registration_count: Option<u64>,
    /// How the application proves itself.
    #[serde(default)]
    pub auth_strategy: Option<AuthStrategy>,
    /// Labels of the application.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub labels: BTreeMap<String, Option<String>>,
    /// The portal the application belongs to.
    #[serde(default)]
    pub portal: Option<PortalReference>,
    /// When the application was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the application was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Application {
    type Id = ApplicationId;

    fn id(&self) -> ApplicationId {
        self.id
    }
}

/// Which applications to list.
#[derive(Debug, Clone, Default)]
pub struct ListApplications {
    /// Only applications of this developer.
    pub developer_id: Option<DeveloperId>,
    /// Only applications of this team.
    pub team_id: Option<TeamId>,
    /// Only applications of this name.
    pub name: Option<String>,
    /// Attribute to sort by; by creation if none.
    pub sort: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// An application to create for a developer or a team.
#[derive(Debug, Clone, Serialize)]
pub struct NewApplication {
    /// Name, at most 255 characters.
    pub name: String,
    /// What the application does, at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How the application proves itself; the portal's default if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_strategy_id: Option<Uuid>,
    /// Whose application it is.
    pub owner: ApplicationOwner,
}
