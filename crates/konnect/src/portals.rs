//! Dev Portals and the operations on them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::paging::{Identified, Page, Pages, collect_numbered, numbered_page};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, ValueFilter};
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::patch::Patch;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals";
const CREATE: &str = "POST /v3/portals";
const GET: &str = "GET /v3/portals/{portalId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}";

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
    /// Strategy that new applications have unless they say otherwise.
    #[serde(default)]
    pub default_application_auth_strategy_id: Option<Uuid>,
    /// Whether an IP allow-list says who reaches the portal.
    #[serde(default)]
    pub sipr_enabled: Option<bool>,
    /// Whether notices to the portal's admins show who a developer is.
    #[serde(default)]
    pub notifications_developer_pii_visibility_enabled: Option<bool>,
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
    /// Only portals of these ids.
    pub id: Option<ValueFilter<PortalId>>,
    /// Only portals of this name.
    pub name: Option<TextFilter>,
    /// Only portals of this description.
    pub description: Option<TextFilter>,
    /// Only portals at which developers do, or do not, sign in.
    pub authentication_enabled: Option<bool>,
    /// Only portals in which teams and roles do, or do not, decide.
    pub rbac_enabled: Option<bool>,
    /// Only portals that show APIs like this unless they say otherwise.
    pub default_api_visibility: Option<ValueFilter<Visibility>>,
    /// Only portals that show pages like this unless they say otherwise.
    pub default_page_visibility: Option<ValueFilter<Visibility>>,
    /// Only portals with this strategy for new applications.
    pub default_application_auth_strategy_id: Option<ValueFilter<Uuid>>,
    /// Only portals that do, or do not, approve developers as they sign up.
    pub auto_approve_developers: Option<bool>,
    /// Only portals that do, or do not, approve registrations as they are asked for.
    pub auto_approve_applications: Option<bool>,
    /// Only portals of this host name that Konnect gave.
    pub default_domain: Option<TextFilter>,
    /// Only portals of this host name to link to.
    pub canonical_domain: Option<TextFilter>,
    /// Order: by `name`, `description`, `authentication_enabled`, `rbac_enabled`,
    /// `auto_approve_applications`, `auto_approve_developers`, `default_domain`,
    /// `canonical_domain`, `created_at` or `updated_at`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A portal to create. The API chooses what is none.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewPortal {
    /// Name, 1 to 255 characters, unique in the organisation.
    pub name: String,
    /// Name shown to developers, 1 to 255 characters; the name if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the portal is for, at most 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether developers sign in at all; they do if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_enabled: Option<bool>,
    /// Whether teams and roles decide what a developer may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rbac_enabled: Option<bool>,
    /// Whether an IP allow-list says who reaches the portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sipr_enabled: Option<bool>,
    /// Who sees APIs unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_api_visibility: Option<Visibility>,
    /// Who sees pages unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_page_visibility: Option<Visibility>,
    /// Strategy that new applications have unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_application_auth_strategy_id: Option<Uuid>,
    /// Whether developers are approved as they sign up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_approve_developers: Option<bool>,
    /// Whether registrations are approved as they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_approve_applications: Option<bool>,
    /// Labels, at most 50.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether notices to the portal's admins show who a developer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications_developer_pii_visibility_enabled: Option<bool>,
}

/// What to change of a portal; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PortalUpdate {
    /// New name, 1 to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New name shown to developers, 1 to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the portal is for, at most 512 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub description: Patch<String>,
    /// Whether developers sign in at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_enabled: Option<bool>,
    /// Whether teams and roles decide what a developer may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rbac_enabled: Option<bool>,
    /// Whether an IP allow-list says who reaches the portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sipr_enabled: Option<bool>,
    /// Who sees APIs unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_api_visibility: Option<Visibility>,
    /// Who sees pages unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_page_visibility: Option<Visibility>,
    /// Strategy that new applications have unless they say otherwise.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub default_application_auth_strategy_id: Patch<Uuid>,
    /// Whether developers are approved as they sign up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_approve_developers: Option<bool>,
    /// Whether registrations are approved as they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_approve_applications: Option<bool>,
    /// Labels to set, and those of none to remove; the others stay. Null removes all.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub labels: Patch<BTreeMap<String, Option<String>>>,
    /// Whether notices to the portal's admins show who a developer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications_developer_pii_visibility_enabled: Option<bool>,
}

/// Portals of the organisation in the client's region.
#[derive(Debug, Clone, Copy)]
pub struct Portals<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Portals of the organisation in this region.
    pub fn portals(&self) -> Portals<'_> {
        Portals {
            transport: &self.transport,
        }
    }
}

impl<'a> Portals<'a> {
    /// Lists all portals that match (`list-portals`).
    pub async fn list(&self, options: &ListPortals) -> Result<Vec<Portal>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all portals that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListPortals) -> Pages<'a, Portal> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: &ListPortals,
        number: u32,
    ) -> Result<Page<Portal>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListPortals,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[])
            .sort(options.sort.as_ref())
            .filter("id", options.id.as_ref())
            .filter("name", options.name.as_ref())
            .filter("description", options.description.as_ref())
            .query_if(
                "filter[authentication_enabled]",
                options.authentication_enabled,
            )
            .query_if("filter[rbac_enabled]", options.rbac_enabled)
            .filter(
                "default_api_visibility",
                options.default_api_visibility.as_ref(),
            )
            .filter(
                "default_page_visibility",
                options.default_page_visibility.as_ref(),
            )
            .filter(
                "default_application_auth_strategy_id",
                options.default_application_auth_strategy_id.as_ref(),
            )
            .query_if(
                "filter[auto_approve_developers]",
                options.auto_approve_developers,
            )
            .query_if(
                "filter[auto_approve_applications]",
                options.auto_approve_applications,
            )
            .filter("default_domain", options.default_domain.as_ref())
            .filter("canonical_domain", options.canonical_domain.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Creates a portal (`create-portal`).
    pub async fn create(&self, portal: &NewPortal) -> Result<Portal, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[]).json(portal)?)
            .await
    }
}

/// The operations on the portal itself.
impl PortalScope<'_> {
    /// Reads the portal (`get-portal`).
    pub async fn get(self) -> Result<Portal, Error> {
        self.transport.fetch(Request::new(GET, &[&self.id])).await
    }

    /// Changes the portal (`update-portal`); 409 if the new name is taken.
    pub async fn update(self, update: &PortalUpdate) -> Result<Portal, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.id]).json(update)?)
            .await
    }

    /// Deletes the portal with all it has (`delete-portal`). Unless it is forced, the API refuses
    /// while the portal shows APIs.
    pub async fn delete(self, force: bool) -> Result<(), Error> {
        let request = Request::new(DELETE, &[&self.id]).query_if("force", force.then_some(true));
        self.transport.call(request).await
    }
}
