//! Groups of the identity provider for each team of a portal: the mappings of the one provider that
//! a portal could have before it could have several.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::paging::{Identified, Page, Pages, collect_numbered, numbered_page};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{PortalId, TeamId};
use crate::wire::lenient;

const LIST: &str = "GET /v3/portals/{portalId}/identity-provider/team-group-mappings";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/identity-provider/team-group-mappings";

/// The groups whose members are in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamGroups {
    /// The team.
    pub team_id: TeamId,
    /// Names of the groups as the identity provider has them.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub groups: Vec<String>,
}

impl Identified for TeamGroups {
    type Id = TeamId;

    fn id(&self) -> TeamId {
        self.team_id
    }
}

/// How to list the groups of teams.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListTeamGroups {
    /// Entries a page.
    pub page_size: Option<u32>,
}

#[derive(Serialize)]
struct UpdateBody<'a> {
    data: &'a [TeamGroups],
}

#[derive(Deserialize)]
struct UpdateAnswer {
    #[serde(default, deserialize_with = "lenient::or_default")]
    data: Vec<TeamGroups>,
}

/// Groups of the identity provider for each team of a portal. The API calls these operations beta.
#[derive(Debug, Clone, Copy)]
pub struct TeamGroupsResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Groups of the identity provider for each team of the portal.
    pub fn team_groups(self) -> TeamGroupsResource<'a> {
        TeamGroupsResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl<'a> TeamGroupsResource<'a> {
    /// Lists the groups of all teams that have some (`list-portal-team-group-mappings`); 400 while
    /// the portal has no identity provider.
    pub async fn list(&self, options: ListTeamGroups) -> Result<Vec<TeamGroups>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists the groups of all teams that have some page by page, without those that cannot be
    /// read.
    pub fn pages(self, options: ListTeamGroups) -> Pages<'a, TeamGroups> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: ListTeamGroups,
        number: u32,
    ) -> Result<Page<TeamGroups>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: ListTeamGroups,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal]);
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Replaces all groups of the teams that are given (`update-portal-team-group-mappings`). No
    /// groups remove a team's; other teams keep theirs. 400 while the portal has no identity
    /// provider, or if there is no such team. What the API answers is the first page of the list.
    pub async fn update(&self, teams: &[TeamGroups]) -> Result<Vec<TeamGroups>, Error> {
        let request = Request::new(UPDATE, &[&self.portal]).json(&UpdateBody { data: teams })?;
        let answer: UpdateAnswer = self.transport.fetch(request).await?;
        Ok(answer.data)
    }
}
