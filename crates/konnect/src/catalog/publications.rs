//! Publications: which API is seen in which portal, and how, and the operations on them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::paging::{
    Identified, Listing, Page, Pages, collect_lenient, collect_numbered, numbered_page,
};
use crate::portals::Visibility;
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, ValueFilter};
use crate::wire::ids::{ApiId, AuthStrategyId, PortalId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::patch::Patch;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/api-publications";
const GET: &str = "GET /v3/apis/{apiId}/publications/{portalId}";
const PUBLISH: &str = "PUT /v3/apis/{apiId}/publications/{portalId}";
const UNPUBLISH: &str = "DELETE /v3/apis/{apiId}/publications/{portalId}";

open_enum! {
    /// What is published.
    EntityType {
        /// A single API.
        Api = "api",
        /// A package of operations of several APIs.
        ApiPackage = "api_package",
    }
}

/// How an API is published in a portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiPublication {
    /// Whether registrations for the API are approved as they are asked for; if not, the portal
    /// decides.
    #[serde(default)]
    pub auto_approve_registrations: Option<bool>,
    /// Strategies by which applications authenticate; none if they need not.
    #[serde(default)]
    pub auth_strategy_ids: Option<Vec<AuthStrategyId>>,
    /// Who sees the API.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// What was not done as asked for, in words.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub warnings: Vec<String>,
    /// When the API was published.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the publication was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A publication as the list shows it: with its API and its portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPublication {
    /// Id of the API, or of the package.
    pub api_id: ApiId,
    /// Id of the portal.
    pub portal_id: PortalId,
    /// What is published.
    #[serde(default)]
    pub entity_type: Option<EntityType>,
    /// Whether registrations for the API are approved as they are asked for; if not, the portal
    /// decides.
    #[serde(default)]
    pub auto_approve_registrations: Option<bool>,
    /// Strategies by which applications authenticate; none if they need not.
    #[serde(default)]
    pub auth_strategy_ids: Option<Vec<AuthStrategyId>>,
    /// Who sees the API.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// What was not done as asked for, in words.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub warnings: Vec<String>,
    /// When the API was published.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the publication was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for ListedPublication {
    type Id = (ApiId, PortalId);

    fn id(&self) -> (ApiId, PortalId) {
        (self.api_id, self.portal_id)
    }
}

/// Which publications to list.
#[derive(Debug, Clone, Default)]
pub struct ListApiPublications {
    /// Only publications in these portals.
    pub portal_id: Option<ValueFilter<PortalId>>,
    /// Only publications in portals of this name.
    pub portal_name: Option<TextFilter>,
    /// Only publications of these APIs.
    pub api_id: Option<ValueFilter<ApiId>>,
    /// Only publications of APIs of this name.
    pub api_name: Option<TextFilter>,
    /// Only publications with these strategies.
    pub auth_strategy_id: Option<ValueFilter<AuthStrategyId>>,
    /// Only publications of this.
    pub entity_type: Option<ValueFilter<EntityType>>,
    /// Order: by `portal_id`, `portal_name`, `api_id`, `api_name`, `created_at` or
    /// `updated_at`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// How to publish an API. What is left out is as the portal has it by default, also where the API
/// was published otherwise before.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PublicationSettings {
    /// Whether registrations for the API are approved as they are asked for; if not, or if none,
    /// the portal decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_approve_registrations: Option<bool>,
    /// The one strategy by which applications authenticate. It is the portal's if it is kept, and
    /// applications need not authenticate if it is null.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub auth_strategy_ids: Patch<Vec<AuthStrategyId>>,
    /// Who sees the API; the portal's default if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// Publications of the organisation's APIs in its portals.
#[derive(Debug, Clone, Copy)]
pub struct ApiPublications<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Publications of the organisation's APIs in this region.
    pub fn api_publications(&self) -> ApiPublications<'_> {
        ApiPublications {
            transport: &self.transport,
        }
    }
}

impl<'a> ApiPublications<'a> {
    /// Lists all publications that match (`list-api-publications`).
    pub async fn list(
        &self,
        options: &ListApiPublications,
    ) -> Result<Vec<ListedPublication>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all publications that match, without those that cannot be read
    /// (`list-api-publications`).
    pub async fn list_lenient(
        &self,
        options: &ListApiPublications,
    ) -> Result<Listing<ListedPublication>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all publications that match page by page, without those that cannot be read
    /// (`list-api-publications`).
    pub fn pages(self, options: &'a ListApiPublications) -> Pages<'a, ListedPublication> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1 (`list-api-publications`).
    pub async fn list_page(
        &self,
        options: &ListApiPublications,
        number: u32,
    ) -> Result<Page<ListedPublication>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListApiPublications,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[])
            .sort(options.sort.as_ref())
            .filter("portal_id", options.portal_id.as_ref())
            .filter("portal_name", options.portal_name.as_ref())
            .filter("api_id", options.api_id.as_ref())
            .filter("api_name", options.api_name.as_ref())
            .filter("auth_strategy_id", options.auth_strategy_id.as_ref())
            .filter("entity_type", options.entity_type.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads how an API is published in a portal (`fetch-publication`); 404 if it is not.
    pub async fn get(&self, api: ApiId, portal: PortalId) -> Result<ApiPublication, Error> {
        self.transport
            .fetch(Request::new(GET, &[&api, &portal]))
            .await
    }

    /// Publishes an API in a portal, or publishes it otherwise (`publish-api-to-portal`); 404 if
    /// there is no such API or portal.
    pub async fn publish(
        &self,
        api: ApiId,
        portal: PortalId,
        settings: &PublicationSettings,
    ) -> Result<ApiPublication, Error> {
        self.transport
            .fetch(Request::new(PUBLISH, &[&api, &portal]).json(settings)?)
            .await
    }

    /// Takes an API out of a portal (`delete-publication`); 404 if it is not in there.
    pub async fn unpublish(&self, api: ApiId, portal: PortalId) -> Result<(), Error> {
        self.transport
            .call(Request::new(UNPUBLISH, &[&api, &portal]))
            .await
    }
}
