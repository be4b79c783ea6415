//! Teams of a portal and their members.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::models::ids::{DeveloperId, TeamId};
use crate::models::lenient;
use crate::page::Identified;

/// A team of a portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// Id of the team.
    pub id: TeamId,
    /// Name of the team.
    pub name: String,
    /// What the team is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether applications may belong to the team.
    #[serde(default)]
    pub can_own_applications: Option<bool>,
    /// When the team was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the team was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Team {
    type Id = TeamId;

    fn id(&self) -> TeamId {
        self.id
    }
}

/// Which teams to list.
#[derive(Debug, Clone, Default)]
pub struct ListTeams {
    /// Only the team of this name.
    pub name: Option<String>,
    /// Only teams that may, or may not, own applications.
    pub can_own_applications: Option<bool>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A team to create.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewTeam {
    /// Name, 1 to 250 characters.
    pub name: String,
    /// What the team is for, 1 to 250 characters; the API refuses an empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether applications may belong to the team; not if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_own_applications: Option<bool>,
}

/// A developer as the list of a team's members shows them: with `active` in place of a status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamMember {
    /// Id of the developer.
    pub id: DeveloperId,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Name the developer gave.
    #[serde(default)]
    pub full_name: Option<String>,
    /// Whether the developer may sign in.
    #[serde(default)]
    pub active: Option<bool>,
    /// When the developer signed up.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the developer was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for TeamMember {
    type Id = DeveloperId;

    fn id(&self) -> DeveloperId {
        self.id
    }
}

/// Which members of a team to list.
#[derive(Debug, Clone, Default)]
pub struct ListTeamMembers {
    /// Only the member of this e-mail address.
    pub email: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// What came of adding a developer to a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The developer was added by this call.
    Added,
    /// The developer had been a member before (409).
    AlreadyMember,
}
