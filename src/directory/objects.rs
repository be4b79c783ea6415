//! The objects of the directory as other modules use them. Personal data is only in a [`Subject`].

use std::fmt;

use chrono::{DateTime, Utc};
use konnect::{
    ApiId, ApplicationId, ApplicationOwner, DeveloperId, DeveloperStatus, OwnerType, PortalId,
    RegistrationId, RegistrationStatus, TeamId,
};
use uuid::Uuid;

use crate::directory::subjects::Subject;
use crate::event::{EventId, own_event_id};

/// The revision of an object that no sweep has found before.
pub(super) const FIRST_REVISION: i64 = 1;

/// The name of an object: with its revision it is the identity of an event.
pub(super) fn object_name(kind: &str, id: impl fmt::Display) -> String {
    format!("{kind}:{id}")
}

/// Which sweep last wrote an object, when, and how often it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowVersion {
    /// Number of the sweep that last wrote it.
    pub(super) sweep: i64,
    /// Grows by one with every difference, across disappearance and return too.
    pub revision: i64,
    /// When a sweep first found it.
    pub first_at: DateTime<Utc>,
    /// When a sweep last wrote it: a sweep that found it unchanged need not have.
    pub last_at: DateTime<Utc>,
    /// When its absence was certain; none while it is there.
    pub gone_at: Option<DateTime<Utc>>,
}

impl RowVersion {
    /// Whether it is no longer there.
    pub fn is_gone(&self) -> bool {
        self.gone_at.is_some()
    }

    /// The event that reported the object when it was found, if that was a difference.
    fn first_report(&self, kind: &str, id: impl fmt::Display) -> EventId {
        own_event_id(self.first_at, &object_name(kind, id), FIRST_REVISION)
    }
}

/// A portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portal {
    /// Id in Konnect.
    pub id: PortalId,
    /// Its name.
    pub name: String,
    /// Whether developers are approved as they sign up.
    pub auto_approve_developers: bool,
    /// Whether registrations are approved as they are asked for.
    pub auto_approve_applications: bool,
    /// Creation as the API says.
    pub created_at: Option<DateTime<Utc>>,
    /// Last change as the API says.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its row version.
    pub row_version: RowVersion,
}

/// A developer, without e-mail and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Developer {
    /// The portal.
    pub portal_id: PortalId,
    /// Id in Konnect.
    pub id: DeveloperId,
    /// Whether they may use the portal.
    pub status: DeveloperStatus,
    /// Sign-up as the API says.
    pub created_at: Option<DateTime<Utc>>,
    /// Last change as the API says.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its row version.
    pub row_version: RowVersion,
}

impl Developer {
    /// The event that reported them when a sweep first found them; there need not be one.
    pub fn reported_by(&self) -> EventId {
        self.row_version.first_report("developer", self.id)
    }

    /// When they signed up: as the API says, else when a sweep first found them.
    pub fn signed_up_at(&self) -> DateTime<Utc> {
        self.created_at.unwrap_or(self.row_version.first_at)
    }
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// The portal.
    pub portal_id: PortalId,
    /// Id in Konnect.
    pub id: TeamId,
    /// Its name; need not be unique.
    pub name: String,
    /// Whether applications may belong to it.
    pub can_own_applications: bool,
    /// Creation as the API says.
    pub created_at: Option<DateTime<Utc>>,
    /// Last change as the API says.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its row version.
    pub row_version: RowVersion,
}

/// That a developer is, or was, in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The portal.
    pub portal_id: PortalId,
    /// The team.
    pub team_id: TeamId,
    /// The member.
    pub developer_id: DeveloperId,
    /// Its row version; [`RowVersion::is_gone`] once the membership ended.
    pub row_version: RowVersion,
}

/// The owner of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// One developer.
    Developer(DeveloperId),
    /// All members of a team.
    Team(TeamId),
}

impl Owner {
    /// `developer` or `team`, the API's own words.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Developer(_) => "developer",
            Self::Team(_) => "team",
        }
    }

    /// Id of the developer or team.
    pub fn id(self) -> Uuid {
        match self {
            Self::Developer(id) => id.0,
            Self::Team(id) => id.0,
        }
    }

    /// The developer, if it is one.
    pub fn developer(self) -> Option<DeveloperId> {
        match self {
            Self::Developer(id) => Some(id),
            Self::Team(_) => None,
        }
    }

    /// Reads the API's form; none for an unknown kind of owner.
    pub(super) fn from_api(owner: &ApplicationOwner) -> Option<Self> {
        match owner.kind {
            OwnerType::Developer => Some(Self::Developer(DeveloperId(owner.id))),
            OwnerType::Team => Some(Self::Team(TeamId(owner.id))),
            OwnerType::Other(_) => None,
        }
    }

    /// Reads the stored form.
    pub(super) fn from_stored(kind: Option<&str>, id: Option<Uuid>) -> Option<Self> {
        match (kind?, id?) {
            ("developer", id) => Some(Self::Developer(DeveloperId(id))),
            ("team", id) => Some(Self::Team(TeamId(id))),
            _ => None,
        }
    }
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The portal.
    pub portal_id: PortalId,
    /// Id in Konnect.
    pub id: ApplicationId,
    /// Its owner; older versions of the API do not say.
    pub name: String,
    /// Whose it is; older versions of the API do not say.
    pub owner: Option<Owner>,
    /// Creation as the API says.
    pub created_at: Option<DateTime<Utc>>,
    /// Last change as the API says.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its row version.
    pub row_version: RowVersion,
}

/// The API, or package of APIs, that a registration is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Id in Konnect.
    pub id: ApiId,
    /// Its name.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// `api` or `api_package`, where the API says.
    pub entity_type: Option<String>,
}

/// An application's request for an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The portal.
    pub portal_id: PortalId,
    /// Id in Konnect.
    pub id: RegistrationId,
    /// The application that asks.
    pub application_id: ApplicationId,
    /// Whether the application may call the API.
    pub status: RegistrationStatus,
    /// What is asked for.
    pub api: Api,
    /// When it was asked for, as the API says.
    pub created_at: Option<DateTime<Utc>>,
    /// Last change as the API says.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its row version.
    pub row_version: RowVersion,
}

impl Registration {
    /// The event that reported it when a sweep first found it; there need not be one.
    pub fn reported_by(&self) -> EventId {
        self.row_version.first_report("registration", self.id)
    }

    /// When it was asked for: as the API says, else when a sweep first found it.
    pub fn requested_at(&self) -> DateTime<Utc> {
        self.created_at.unwrap_or(self.row_version.first_at)
    }
}

/// A developer with related objects; nothing in the lists is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeveloperRecord {
    /// The developer.
    pub developer: Developer,
    /// E-mail and name; empty once forgotten.
    pub subject: Subject,
    /// The teams they are in, by name.
    pub teams: Vec<Team>,
    /// The applications they own themselves, oldest first.
    pub applications: Vec<Application>,
}

/// The owner of an application, where the directory has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerRecord {
    /// A developer with e-mail and name.
    Developer(Developer, Subject),
    /// A team.
    Team(Team),
}

/// An application with its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationRecord {
    /// The application.
    pub application: Application,
    /// Its owner, where the directory has them.
    pub owner: Option<OwnerRecord>,
}

/// A registration with its application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRecord {
    /// The registration.
    pub registration: Registration,
    /// Its application, where the directory has it.
    pub application: Option<ApplicationRecord>,
}
