//! APIs of the organisation, which its portals publish, and the operations on them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::paging::{
    Identified, Listing, Page, Pages, collect_lenient, collect_numbered, numbered_page,
};
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, TimeFilter, ValueFilter};
use crate::wire::ids::{ApiId, PortalId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::patch::Patch;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/apis";
const CREATE: &str = "POST /v3/apis";
const GET: &str = "GET /v3/apis/{apiId}";
const UPDATE: &str = "PATCH /v3/apis/{apiId}";
const DELETE: &str = "DELETE /v3/apis/{apiId}";

open_enum! {
    /// In which language an API is specified.
    ApiSpecType {
        /// `OpenAPI` 2, once named Swagger.
        OpenApi2 = "oas2",
        /// `OpenAPI` 3.
        OpenApi3 = "oas3",
        /// `AsyncAPI`.
        AsyncApi = "asyncapi",
    }
}

/// The specification of an API's version, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSpecSummary {
    /// The language of the specification.
    #[serde(default, rename = "type")]
    pub kind: Option<ApiSpecType>,
}

/// A version of an API, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiVersionSummary {
    /// Id of the version.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// The version as it is called.
    #[serde(default)]
    pub version: Option<String>,
    /// Its specification, if it has one.
    #[serde(default)]
    pub spec: Option<ApiSpecSummary>,
    /// When the version was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the version was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A portal in which an API is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiPortal {
    /// Id of the portal.
    pub id: PortalId,
    /// Name of the portal.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Name of the portal that is shown to developers.
    #[serde(default)]
    pub display_name: Option<String>,
}

/// An API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Api {
    /// Id of the API.
    pub id: ApiId,
    /// Name, which together with the version is unique in the organisation.
    pub name: String,
    /// What the API is for; developers see it.
    #[serde(default)]
    pub description: Option<String>,
    /// Version, if the API has versions.
    #[serde(default)]
    pub version: Option<String>,
    /// The version that is shown, if there is one.
    #[serde(default)]
    pub current_version_summary: Option<ApiVersionSummary>,
    /// Name in the paths of portals.
    #[serde(default)]
    pub slug: Option<String>,
    /// Ids of specifications; the API has announced that it takes the member away.
    #[serde(
        default,
        rename = "api_spec_ids",
        deserialize_with = "lenient::or_default"
    )]
    pub spec_ids: Vec<Uuid>,
    /// Portals in which the API is published.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub portals: Vec<ApiPortal>,
    /// Labels of the API.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub labels: BTreeMap<String, String>,
    /// How the API is bound to what implements it, such as `gateway_entity_binding`.
    #[serde(default)]
    pub implementation_mode: Option<String>,
    /// What is said of the API: values by a key of the operator's choice.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub attributes: BTreeMap<String, Option<Vec<String>>>,
    /// When the API was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the API was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Api {
    type Id = ApiId;

    fn id(&self) -> ApiId {
        self.id
    }
}

/// Which APIs to list.
#[derive(Debug, Clone, Default)]
pub struct ListApis {
    /// Only APIs of these ids.
    pub id: Option<ValueFilter<ApiId>>,
    /// Only APIs of this name.
    pub name: Option<TextFilter>,
    /// Only APIs of this version.
    pub version: Option<TextFilter>,
    /// Only APIs with these values, each of the label of its key.
    pub labels: BTreeMap<String, TextFilter>,
    /// Only APIs with these values, each of the attribute of its key.
    pub attributes: BTreeMap<String, TextFilter>,
    /// Only APIs that are bound in this way to what implements them.
    pub implementation_mode: Option<TextFilter>,
    /// Only APIs that were made then.
    pub created_at: Option<TimeFilter>,
    /// Only APIs that were last changed then.
    pub updated_at: Option<TimeFilter>,
    /// Order: by `name`, `version`, `created_at` or `updated_at`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// An API to create.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewApi {
    /// Name, 1 to 255 characters; together with the version unique in the organisation.
    pub name: String,
    /// What the API is for; developers see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Version, 1 to 255 characters; the API has no versions if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Name in the paths of portals, of letters, digits, `_` and `-`; made of name and version if
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// Labels, at most 50.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What is said of the API: 1 to 20 values a key, each of 1 to 512 characters without `,`, `<`
    /// and `>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The specification as JSON or YAML, from which the first version is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_content: Option<String>,
}

/// What to change of an API; members that are none, empty or `Keep` stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ApiUpdate {
    /// New name, 1 to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the API is for.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub description: Patch<String>,
    /// New version, 1 to 255 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub version: Patch<String>,
    /// New name in the paths of portals.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub slug: Patch<String>,
    /// Labels to set, and those of none to remove; the others stay.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub labels: Patch<BTreeMap<String, Option<String>>>,
    /// Attributes to set, and those of none to remove; the others stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Option<Vec<String>>>,
    /// Whether to refuse the change (409) if operations of the API would be lost by it, where
    /// access control is enforced for each.
    #[serde(skip)]
    pub keep_operations: bool,
}

/// APIs of the organisation in the client's region.
#[derive(Debug, Clone, Copy)]
pub struct Apis<'a> {
    transport: &'a Transport,
}

impl Client {
    /// APIs of the organisation in this region.
    pub fn apis(&self) -> Apis<'_> {
        Apis {
            transport: &self.transport,
        }
    }
}

impl<'a> Apis<'a> {
    /// Lists all APIs that match (`list-apis`).
    pub async fn list(&self, options: &ListApis) -> Result<Vec<Api>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all APIs that match, without those that cannot be read (`list-apis`).
    pub async fn list_lenient(&self, options: &ListApis) -> Result<Listing<Api>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all APIs that match page by page, without those that cannot be read (`list-apis`).
    pub fn pages(self, options: &'a ListApis) -> Pages<'a, Api> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1 (`list-apis`).
    pub async fn list_page(&self, options: &ListApis, number: u32) -> Result<Page<Api>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListApis,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let mut request = Request::new(LIST, &[])
            .sort(options.sort.as_ref())
            .filter("id", options.id.as_ref())
            .filter("name", options.name.as_ref())
            .filter("version", options.version.as_ref())
            .filter("implementation_mode", options.implementation_mode.as_ref())
            .filter("created_at", options.created_at.as_ref())
            .filter("updated_at", options.updated_at.as_ref());
        for (member, filters) in [
            ("labels", &options.labels),
            ("attributes", &options.attributes),
        ] {
            for (key, filter) in filters {
                request = request.filter(&format!("{member}.{key}"), Some(filter));
            }
        }
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads an API (`fetch-api`).
    pub async fn get(&self, id: ApiId) -> Result<Api, Error> {
        self.transport.fetch(Request::new(GET, &[&id])).await
    }

    /// Creates an API (`create-api`). It is seen in no portal before it is published.
    pub async fn create(&self, api: &NewApi) -> Result<Api, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[]).json(api)?)
            .await
    }

    /// Changes an API (`update-api`); 409 if another has the new name and version.
    pub async fn update(&self, id: ApiId, update: &ApiUpdate) -> Result<Api, Error> {
        let request = Request::new(UPDATE, &[&id])
            .query_if("force", update.keep_operations.then_some(false))
            .json(update)?;
        self.transport.fetch(request).await
    }

    /// Deletes an API with its publications (`delete-api`).
    pub async fn delete(&self, id: ApiId) -> Result<(), Error> {
        self.transport.call(Request::new(DELETE, &[&id])).await
    }
}
