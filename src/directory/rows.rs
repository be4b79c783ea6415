//! Rows as they are stored, and how they become objects. Private to this module.

use chrono::{DateTime, Utc};
use konnect::{
    ApiId, ApplicationId, DeveloperId, DeveloperStatus, PortalId, RegistrationId,
    RegistrationStatus, TeamId,
};
use uuid::Uuid;

use crate::directory::objects::{
    Api, Application, Developer, Membership, Owner, Portal, Registration, RowVersion, Team,
};

pub(super) struct PortalRow {
    pub portal_id: Uuid,
    pub name: String,
    pub auto_approve_developers: bool,
    pub auto_approve_applications: bool,
    pub api_created_at: Option<DateTime<Utc>>,
    pub api_updated_at: Option<DateTime<Utc>>,
    pub look: i64,
    pub revision: i64,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub gone_at: Option<DateTime<Utc>>,
}

pub(super) struct DeveloperRow {
    pub portal_id: Uuid,
    pub developer_id: Uuid,
    pub status: String,
    pub api_created_at: Option<DateTime<Utc>>,
    pub api_updated_at: Option<DateTime<Utc>>,
    pub look: i64,
    pub revision: i64,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub gone_at: Option<DateTime<Utc>>,
}

pub(super) struct TeamRow {
    pub portal_id: Uuid,
    pub team_id: Uuid,
    pub name: String,
    pub can_own_applications: bool,
    pub api_created_at: Option<DateTime<Utc>>,
    pub api_updated_at: Option<DateTime<Utc>>,
    pub look: i64,
    pub revision: i64,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub gone_at: Option<DateTime<Utc>>,
}

pub(super) struct MembershipRow {
    pub portal_id: Uuid,
    pub team_id: Uuid,
    pub developer_id: Uuid,
    pub look: i64,
    pub revision: i64,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub gone_at: Option<DateTime<Utc>>,
}

pub(super) struct ApplicationRow {
    pub portal_id: Uuid,
    pub application_id: Uuid,
    pub name: String,
    pub owner_type: Option<String>,
    pub owner_id: Option<Uuid>,
    pub api_created_at: Option<DateTime<Utc>>,
    pub api_updated_at: Option<DateTime<Utc>>,
    pub look: i64,
    pub revision: i64,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub gone_at: Option<DateTime<Utc>>,
}

pub(super) struct RegistrationRow {
    pub portal_id: Uuid,
    pub registration_id: Uuid,
    pub application_id: Uuid,
    pub status: String,
    pub api_id: Uuid,
    pub api_name: String,
    pub api_version: Option<String>,
    pub api_entity_type: Option<String>,
    pub api_created_at: Option<DateTime<Utc>>,
    pub api_updated_at: Option<DateTime<Utc>>,
    pub look: i64,
    pub revision: i64,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub gone_at: Option<DateTime<Utc>>,
}

/// The row version of a row.
macro_rules! seen {
    ($row:expr) => {
        RowVersion {
            sweep: $row.look,
            revision: $row.revision,
            first_at: $row.first_seen_at,
            last_at: $row.last_seen_at,
            gone_at: $row.gone_at,
        }
    };
}

impl From<PortalRow> for Portal {
    fn from(row: PortalRow) -> Self {
        Self {
            row_version: seen!(row),
            id: PortalId(row.portal_id),
            name: row.name,
            auto_approve_developers: row.auto_approve_developers,
            auto_approve_applications: row.auto_approve_applications,
            created_at: row.api_created_at,
            updated_at: row.api_updated_at,
        }
    }
}

impl From<DeveloperRow> for Developer {
    fn from(row: DeveloperRow) -> Self {
        Self {
            row_version: seen!(row),
            portal_id: PortalId(row.portal_id),
            id: DeveloperId(row.developer_id),
            status: DeveloperStatus::from(row.status.as_str()),
            created_at: row.api_created_at,
            updated_at: row.api_updated_at,
        }
    }
}

impl From<TeamRow> for Team {
    fn from(row: TeamRow) -> Self {
        Self {
            row_version: seen!(row),
            portal_id: PortalId(row.portal_id),
            id: TeamId(row.team_id),
            name: row.name,
            can_own_applications: row.can_own_applications,
            created_at: row.api_created_at,
            updated_at: row.api_updated_at,
        }
    }
}

impl From<MembershipRow> for Membership {
    fn from(row: MembershipRow) -> Self {
        Self {
            row_version: seen!(row),
            portal_id: PortalId(row.portal_id),
            team_id: TeamId(row.team_id),
            developer_id: DeveloperId(row.developer_id),
        }
    }
}

impl From<ApplicationRow> for Application {
    fn from(row: ApplicationRow) -> Self {
        Self {
            row_version: seen!(row),
            portal_id: PortalId(row.portal_id),
            id: ApplicationId(row.application_id),
            name: row.name,
            owner: Owner::from_stored(row.owner_type.as_deref(), row.owner_id),
            created_at: row.api_created_at,
            updated_at: row.api_updated_at,
        }
    }
}

impl From<RegistrationRow> for Registration {
    fn from(row: RegistrationRow) -> Self {
        Self {
            row_version: seen!(row),
            portal_id: PortalId(row.portal_id),
            id: RegistrationId(row.registration_id),
            application_id: ApplicationId(row.application_id),
            status: RegistrationStatus::from(row.status.as_str()),
            api: Api {
                id: ApiId(row.api_id),
                name: row.api_name,
                version: row.api_version,
                entity_type: row.api_entity_type,
            },
            created_at: row.api_created_at,
            updated_at: row.api_updated_at,
        }
    }
}
