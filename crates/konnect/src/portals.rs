//! Dev Portals and the operations on them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::numbered_page::{SORT, numbered_page};
use crate::page::{Identified, Page, collect_numbered};
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;

const LIST: &str = "GET /v3/portals";
const GET: &str = "GET /v3/portals/{portalId}";

open_enum! {
    /// Who sees an API or a page of a portal unless it says otherwise.
    Visibility {
        /// Everybody.
        Public = "public",
        /// Developers who are signed in.
        Private = "private",
    }
}

/// A Dev Portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portal {
    /// Id of the portal.
    pub id: PortalId,
    /// Name, unique in the organisation.
    pub name: String,
    /// Name shown to developers.
    #[serde(default)]
    pub display_name: Option<String>,
    /// What the portal is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether developers sign in at all.
    #[serde(default)]
    pub authentication_enabled: Option<bool>,
    /// Whether teams and roles decide what a developer may do.
    #[serde(default)]
    pub rbac_enabled: Option<bool>,
    /// Whether developers are approved as they sign up.
    #[serde(default)]
    pub auto_approve_developers: Option<bool>,
    /// Whether registrations are approved as they are asked for.
    #[serde(default)]
    pub auto_approve_applications: Option<bool>,
    /// Who sees APIs unless they say otherwise.
    #[serde(default)]
    pub default_api_visibility: Option<Visibility>,
    /// Who sees pages unless they say otherwise.
    #[serde(default)]
    pub default_page_visibility: Option<Visibility>,
    /// Host name that Konnect gave the portal.
    #[serde(default)]
    pub default_domain: Option<String>,
    /// Host name to link to: the custom domain if there is one.
    #[serde(default)]
    pub canonical_domain: Option<String>,
    /// Labels of the portal.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub labels: BTreeMap<String, String>,
    /// When the portal was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the portal was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Portal {
    type Id = PortalId;

    fn id(&self) -> PortalId {
        self.id
    }
}

/// Which portals to list.
#[derive(Debug, Clone, Default)]
pub struct ListPortals {
    /// Only the portal of this name.
    pub name: Option<String>,
    /// Attribute to sort by; by creation if none.
    pub sort: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// Portals of the organisation in the client's region.
#[derive(Debug, Clone, Copy)]
pub struct Portals<'a> {
    pub(crate) transport: &'a Transport,
}

impl Portals<'_> {
    /// Lists all portals that match.
    pub async fn list(&self, options: &ListPortals) -> Result<Vec<Portal>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: &ListPortals,
        number: u32,
    ) -> Result<Page<Portal>, Error> {
        let request = Request::new(LIST, &[])
            .query("sort", options.sort.as_deref().unwrap_or(SORT))
            .query_if("filter[name]", options.name.as_deref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a portal.
    pub async fn get(&self, id: PortalId) -> Result<Portal, Error> {
        self.transport.fetch(Request::new(GET, &[id.0])).await
    }
}
