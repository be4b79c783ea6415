//! Roles that a portal's teams can have, and the operations on the roles of a team.
//!
//! A role lets the members of a team see or use one API, or what else an entity is, once the
//! portal's `rbac_enabled` is on.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::paging::{Identified, Page, Pages, collect_numbered, numbered_page};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{PortalId, RoleId, TeamId};
use crate::wire::open_enum::open_enum;

const CATALOGUE: &str = "GET /v3/portal-roles";
const LIST: &str = "GET /v3/portals/{portalId}/teams/{teamId}/assigned-roles";
const ASSIGN: &str = "POST /v3/portals/{portalId}/teams/{teamId}/assigned-roles";
const REMOVE: &str = "DELETE /v3/portals/{portalId}/teams/{teamId}/assigned-roles/{roleId}";

open_enum! {
    /// Region that an entity is in.
    EntityRegion {
        /// United States.
        Us = "us",
        /// Europe.
        Eu = "eu",
        /// Australia.
        Au = "au",
        /// Middle East.
        Me = "me",
        /// India.
        In = "in",
        /// Singapore.
        Sg = "sg",
        /// All regions.
        Any = "*",
    }
}

/// The roles that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleCatalogue {
    /// Roles on services, which are APIs too.
    pub services: EntityRoles,
}

/// The roles on one type of entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRoles {
    /// The type's name, which [`NewRole::entity_type_name`] takes: `Services`.
    pub name: String,
    /// Roles by the API's short name: `apiviewer`, `apiconsumer`. What is no role is left out.
    #[serde(default, deserialize_with = "readable_roles")]
    pub roles: BTreeMap<String, RoleDescription>,
}

/// What a role is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDescription {
    /// The role's name, which [`NewRole::role_name`] takes: `API Viewer`, `API Consumer`.
    pub name: String,
    /// What the role allows.
    #[serde(default)]
    pub description: Option<String>,
}

/// A role that a team has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedRole {
    /// Id of the assignment.
    pub id: RoleId,
    /// Name of the role.
    pub role_name: String,
    /// Id of the entity, such as an API.
    pub entity_id: Uuid,
    /// Type of the entity.
    #[serde(default)]
    pub entity_type_name: Option<String>,
    /// Region of the entity.
    #[serde(default)]
    pub entity_region: Option<EntityRegion>,
}

impl Identified for AssignedRole {
    type Id = RoleId;

    fn id(&self) -> RoleId {
        self.id
    }
}

/// A role to assign to a team; the API requires every member.
#[derive(Debug, Clone, Serialize)]
pub struct NewRole {
    /// Name of the role, as the catalogue has it.
    pub role_name: String,
    /// Id of the entity, such as an API.
    pub entity_id: Uuid,
    /// Type of the entity, as the catalogue has it.
    pub entity_type_name: String,
    /// Region of the entity.
    pub entity_region: EntityRegion,
}

/// Roles of a portal's teams.
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Roles of the portal's teams.
    pub fn roles(self) -> Roles<'a> {
        Roles {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl Client {
    /// Reads which roles the teams of any portal can have (`list-portal-roles`).
    pub async fn portal_roles(&self) -> Result<RoleCatalogue, Error> {
        self.transport.fetch(Request::new(CATALOGUE, &[])).await
    }
}

impl<'a> Roles<'a> {
    /// Lists all roles of a team (`list-portal-team-roles`).
    pub async fn list(&self, team: TeamId) -> Result<Vec<AssignedRole>, Error> {
        collect_numbered(LIST, |number| self.page(team, None, number)).await
    }

    /// Lists all roles of a team page by page, without those that cannot be read; `page_size` is
    /// how many there are on a page.
    pub fn pages(self, team: TeamId, page_size: Option<u32>) -> Pages<'a, AssignedRole> {
        Pages::new(LIST, move |number| async move {
            self.page(team, page_size, number).await
        })
    }

    async fn page<T: DeserializeOwned>(
        &self,
        team: TeamId,
        size: Option<u32>,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal, &team]);
        numbered_page(self.transport, request, size, number).await
    }

    /// Assigns a role to a team (`assign-role-to-portal-teams`); 409 if the team has it already.
    pub async fn assign(&self, team: TeamId, role: &NewRole) -> Result<AssignedRole, Error> {
        let request = Request::new(ASSIGN, &[&self.portal, &team]).json(role)?;
        self.transport.fetch(request).await
    }

    /// Takes a role from a team (`remove-role-from-portal-team`); 404 if the team has it not.
    pub async fn remove(&self, team: TeamId, role: RoleId) -> Result<(), Error> {
        self.transport
            .call(Request::new(REMOVE, &[&self.portal, &team, &role]))
            .await
    }
}

fn readable_roles<'de, D>(deserializer: D) -> Result<BTreeMap<String, RoleDescription>, D::Error>
where
    D: Deserializer<'de>,
{
    let members = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?;
    Ok(members
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, role)| Some((name, serde_json::from_value(role).ok()?)))
        .collect())
}
