//! Mappings of an identity provider's groups to teams of the portal, one group and one team each,
//! and the operations on them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::identity::identity_providers::IdentityProviderId;
use crate::paging::{Cursor, CursorPage, Identified, Pages, collect_cursor, cursor_page};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{PortalId, TeamId, ids};
use crate::wire::lenient;

const LIST: &str = "GET /v3/portals/{portalId}/identity-providers/{id}/team-group-mappings";
const CREATE: &str = "POST /v3/portals/{portalId}/identity-providers/{id}/team-group-mappings";
const GET: &str =
    "GET /v3/portals/{portalId}/identity-providers/{id}/team-group-mappings/{mappingId}";
const DELETE: &str =
    "DELETE /v3/portals/{portalId}/identity-providers/{id}/team-group-mappings/{mappingId}";

ids! {
    /// Id of a mapping of an identity provider's group to a team.
    GroupMappingId,
}

/// That who is in a group of the identity provider is in a team of the portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupMapping {
    /// Id of the mapping.
    pub id: GroupMappingId,
    /// The team.
    pub team_id: TeamId,
    /// Name of the group as the identity provider has it.
    pub group: String,
    /// When the mapping was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the mapping was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for GroupMapping {
    type Id = GroupMappingId;

    fn id(&self) -> GroupMappingId {
        self.id
    }
}

/// Which mappings to list.
#[derive(Debug, Clone, Default)]
pub struct ListGroupMappings {
    /// Only mappings to this team.
    pub team: Option<TeamId>,
    /// Only mappings of the group of this name.
    pub group: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A mapping to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewGroupMapping {
    /// The team; of the same portal.
    pub team_id: TeamId,
    /// Name of the group as the identity provider has it.
    pub group: String,
}

/// Mappings of one identity provider.
#[derive(Debug, Clone, Copy)]
pub struct GroupMappings<'a> {
    transport: &'a Transport,
    portal: PortalId,
    provider: IdentityProviderId,
}

impl<'a> PortalScope<'a> {
    /// Mappings of an identity provider's groups to teams of the portal.
    pub fn group_mappings(self, provider: IdentityProviderId) -> GroupMappings<'a> {
        GroupMappings {
            transport: self.transport,
            portal: self.id,
            provider,
        }
    }
}

impl<'a> GroupMappings<'a> {
    /// Lists all mappings that match (`list-portal-idp-team-group-mappings`).
    pub async fn list(&self, options: &ListGroupMappings) -> Result<Vec<GroupMapping>, Error> {
        collect_cursor(LIST, |cursor| self.list_page(options, cursor)).await
    }

    /// Lists all mappings that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListGroupMappings) -> Pages<'a, GroupMapping> {
        Pages::by_cursor(LIST, move |cursor| async move {
            self.page(options, cursor).await
        })
    }

    /// Reads one page of the list, the first one without a cursor.
    pub async fn list_page(
        &self,
        options: &ListGroupMappings,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<GroupMapping>, Error> {
        self.page(options, cursor).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListGroupMappings,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<T>, Error> {
        let request = Request::new(LIST, &[&self.portal, &self.provider])
            .query_if("filter[team_id][eq]", options.team)
            .query_if("filter[group][eq]", options.group.as_deref());
        cursor_page(self.transport, request, options.page_size, cursor).await
    }

    /// Creates a mapping (`create-portal-idp-team-group-mapping`); 409 if there is the same one.
    pub async fn create(&self, mapping: &NewGroupMapping) -> Result<GroupMapping, Error> {
        let request = Request::new(CREATE, &[&self.portal, &self.provider]).json(mapping)?;
        self.transport.fetch(request).await
    }

    /// Reads a mapping (`get-portal-idp-team-group-mapping`).
    pub async fn get(&self, id: GroupMappingId) -> Result<GroupMapping, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &self.provider, &id]))
            .await
    }

    /// Deletes a mapping (`delete-portal-idp-team-group-mapping`).
    pub async fn delete(&self, id: GroupMappingId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &self.provider, &id]))
            .await
    }
}
