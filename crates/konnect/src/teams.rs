//! Teams of a portal, their members, and the operations on both.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::paging::{
    Identified, Listing, Page, Pages, collect_lenient, collect_numbered, numbered_page,
};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::TextFilter;
use crate::wire::ids::{DeveloperId, PortalId, TeamId};
use crate::wire::lenient;
use crate::wire::patch::Patch;

const LIST: &str = "GET /v3/portals/{portalId}/teams";
const CREATE: &str = "POST /v3/portals/{portalId}/teams";
const GET: &str = "GET /v3/portals/{portalId}/teams/{teamId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/teams/{teamId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/teams/{teamId}";
const MEMBERS: &str = "GET /v3/portals/{portalId}/teams/{teamId}/developers";
const ADD: &str = "POST /v3/portals/{portalId}/teams/{teamId}/developers";
const REMOVE: &str = "DELETE /v3/portals/{portalId}/teams/{teamId}/developers/{developerId}";
const OF_DEVELOPER: &str = "GET /v3/portals/{portalId}/developers/{developerId}/teams";

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
    /// Only teams of this name.
    pub name: Option<TextFilter>,
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

/// What to change of a team; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TeamUpdate {
    /// New name, 1 to 250 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the team is for, 1 to 250 characters; the API refuses an empty one. The documents do
    /// not allow null, which Kong's Terraform provider sends for none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub description: Patch<String>,
    /// Whether applications may belong to the team.
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
    /// Only members of this e-mail address.
    pub email: Option<TextFilter>,
    /// Only members of this name.
    pub full_name: Option<TextFilter>,
    /// Only members whose attributes are these.
    pub attributes: Option<TextFilter>,
    /// Only members who may, or may not, sign in.
    pub active: Option<bool>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// Which teams of a developer to list.
#[derive(Debug, Clone, Default)]
pub struct ListTeamsOfDeveloper {
    /// Only teams that may, or may not, own applications.
    pub can_own_applications: Option<bool>,
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

/// Teams of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Teams<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Teams of the portal.
    pub fn teams(self) -> Teams<'a> {
        Teams {
            transport: self.transport,
            portal: self.id,
        }
    }
}

#[derive(Serialize)]
struct MemberBody {
    id: DeveloperId,
}

impl<'a> Teams<'a> {
    /// Lists all teams that match (`list-portal-teams`).
    pub async fn list(&self, options: &ListTeams) -> Result<Vec<Team>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all teams that match, without those that cannot be read.
    pub async fn list_lenient(&self, options: &ListTeams) -> Result<Listing<Team>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all teams that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListTeams) -> Pages<'a, Team> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(&self, options: &ListTeams, number: u32) -> Result<Page<Team>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListTeams,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal])
            .filter("name", options.name.as_ref())
            .query_if("filter[can_own_applications]", options.can_own_applications);
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a team (`get-portal-team`).
    pub async fn get(&self, id: TeamId) -> Result<Team, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &id]))
            .await
    }

    /// Creates a team (`create-portal-team`). The documents name no conflict of names.
    pub async fn create(&self, team: &NewTeam) -> Result<Team, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(team)?)
            .await
    }

    /// Changes a team (`update-portal-team`).
    pub async fn update(&self, id: TeamId, update: &TeamUpdate) -> Result<Team, Error> {
        let request = Request::new(UPDATE, &[&self.portal, &id]).json(update)?;
        self.transport.fetch(request).await
    }

    /// Deletes a team with its roles (`delete-portal-team`); its members stay. 404 if there is no
    /// such team.
    pub async fn delete(&self, id: TeamId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &id]))
            .await
    }

    /// Lists all members of a team (`list-portal-team-developers`).
    pub async fn members(&self, team: TeamId) -> Result<Vec<TeamMember>, Error> {
        let options = ListTeamMembers::default();
        collect_numbered(MEMBERS, |number| self.members_page(team, &options, number)).await
    }

    /// Lists all members of a team, without those that cannot be read.
    pub async fn members_lenient(&self, team: TeamId) -> Result<Listing<TeamMember>, Error> {
        let options = ListTeamMembers::default();
        collect_lenient(MEMBERS, |number| {
            self.page_of_members(team, &options, number)
        })
        .await
    }

    /// Lists all members of a team page by page, without those that cannot be read.
    pub fn member_pages(self, team: TeamId, options: &'a ListTeamMembers) -> Pages<'a, TeamMember> {
        Pages::new(MEMBERS, move |number| async move {
            self.page_of_members(team, options, number).await
        })
    }

    /// Reads one page of a team's members, from 1.
    pub async fn members_page(
        &self,
        team: TeamId,
        options: &ListTeamMembers,
        number: u32,
    ) -> Result<Page<TeamMember>, Error> {
        self.page_of_members(team, options, number).await
    }

    async fn page_of_members<T: DeserializeOwned>(
        &self,
        team: TeamId,
        options: &ListTeamMembers,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(MEMBERS, &[&self.portal, &team])
            .filter("email", options.email.as_ref())
            .filter("full_name", options.full_name.as_ref())
            .filter("attributes", options.attributes.as_ref())
            .query_if("filter[active]", options.active);
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Lists all teams a developer is a member of (`list-portal-developer-teams`).
    pub async fn of_developer(&self, developer: DeveloperId) -> Result<Vec<Team>, Error> {
        let options = ListTeamsOfDeveloper::default();
        collect_numbered(OF_DEVELOPER, |number| {
            self.page_of_developer(developer, &options, number)
        })
        .await
    }

    /// Lists all teams of a developer that match page by page, without those that cannot be read.
    pub fn pages_of_developer(
        self,
        developer: DeveloperId,
        options: &'a ListTeamsOfDeveloper,
    ) -> Pages<'a, Team> {
        Pages::new(OF_DEVELOPER, move |number| async move {
            self.page_of_developer(developer, options, number).await
        })
    }

    async fn page_of_developer<T: DeserializeOwned>(
        &self,
        developer: DeveloperId,
        options: &ListTeamsOfDeveloper,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(OF_DEVELOPER, &[&self.portal, &developer])
            .query_if("filter[can_own_applications]", options.can_own_applications);
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Adds a developer to a team (`add-developer-to-portal-team`); having been a member before is
    /// no error.
    pub async fn add_member(
        &self,
        team: TeamId,
        developer: DeveloperId,
    ) -> Result<Membership, Error> {
        let request =
            Request::new(ADD, &[&self.portal, &team]).json(&MemberBody { id: developer })?;
        match self.transport.call(request).await {
            Ok(()) => Ok(Membership::Added),
            Err(error) if error.is_conflict() => Ok(Membership::AlreadyMember),
            Err(error) => Err(error),
        }
    }

    /// Removes a developer from a team (`remove-developer-from-portal-team`); 404 if it is no
    /// member, or if there is no such team.
    pub async fn remove_member(&self, team: TeamId, developer: DeveloperId) -> Result<(), Error> {
        self.transport
            .call(Request::new(REMOVE, &[&self.portal, &team, &developer]))
            .await
    }
}
