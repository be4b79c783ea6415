//! Applications of a portal and the operations on them.

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
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, ValueFilter};
use crate::wire::ids::{ApplicationId, DeveloperId, PortalId, TeamId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals/{portalId}/applications";
const CREATE: &str = "POST /v3/portals/{portalId}/applications";
const GET: &str = "GET /v3/portals/{portalId}/applications/{applicationId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/applications/{applicationId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/applications/{applicationId}";
const DEVELOPERS: &str = "GET /v3/portals/{portalId}/applications/{applicationId}/developers";
const UNSCOPED: &str = "GET /v3/applications/{applicationId}";

open_enum! {
    /// What kind of owner an application has.
    OwnerType {
        /// A single developer.
        Developer = "developer",
        /// A team; its members share the application.
        Team = "team",
    }
}

/// Whose application it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationOwner {
    /// What kind of owner it is.
    #[serde(rename = "type")]
    pub kind: OwnerType,
    /// Id of the developer or team.
    pub id: Uuid,
}

impl ApplicationOwner {
    /// Id of the owner if it is a developer.
    pub fn developer(&self) -> Option<DeveloperId> {
        (self.kind == OwnerType::Developer).then_some(DeveloperId(self.id))
    }

    /// Id of the owner if it is a team.
    pub fn team(&self) -> Option<TeamId> {
        (self.kind == OwnerType::Team).then_some(TeamId(self.id))
    }
}

/// How an application proves itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthStrategy {
    /// Id of the strategy.
    pub id: Uuid,
    /// Name of the strategy.
    #[serde(default)]
    pub name: Option<String>,
    /// Kind of credentials, such as `key_auth` or `client_credentials`.
    #[serde(default)]
    pub credential_type: Option<String>,
    /// Headers or parameters that carry the key, where the kind is `key_auth`.
    #[serde(default)]
    pub key_names: Option<Vec<String>>,
    /// How long a key is good, where the kind is `key_auth`; for ever if none.
    #[serde(default)]
    pub ttl: Option<KeyLifetime>,
    /// Ways to ask for a token, where there is an identity provider.
    #[serde(default)]
    pub auth_methods: Option<Vec<String>>,
    /// Scopes that can be asked for, where there is an identity provider.
    #[serde(default)]
    pub available_scopes: Option<Vec<String>>,
}

open_enum! {
    /// Unit of how long a key is good.
    LifetimeUnit {
        /// Days.
        Days = "days",
        /// Weeks.
        Weeks = "weeks",
        /// Years.
        Years = "years",
    }
}

/// How long a key is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLifetime {
    /// How many of `unit`.
    pub value: u64,
    /// What `value` counts.
    pub unit: LifetimeUnit,
}

/// The provider that makes clients for an application at its identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcrProviderReference {
    /// Id of the provider.
    pub id: Uuid,
}

/// The portal that an application belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalReference {
    /// Id of the portal.
    pub id: PortalId,
}

/// An application, with whatever credentials it uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Id of the application.
    pub id: ApplicationId,
    /// Name of the application.
    pub name: String,
    /// What the application does.
    #[serde(default)]
    pub description: Option<String>,
    /// Whose it is; older versions of the API do not say.
    #[serde(default)]
    pub owner: Option<ApplicationOwner>,
    /// Client id, where the strategy has one.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Registrations the application has.
    #[serde(default, deserialize_with = "lenient::count")]
    pub registration_count: Option<u64>,
    /// How the application proves itself.
    #[serde(default)]
    pub auth_strategy: Option<AuthStrategy>,
    /// Labels of the application.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub labels: BTreeMap<String, Option<String>>,
    /// What made the application's client, where there is an identity provider.
    #[serde(default)]
    pub dcr_provider: Option<DcrProviderReference>,
    /// Scopes that the application was granted, where there is an identity provider.
    #[serde(default)]
    pub granted_scopes: Option<Vec<String>>,
    /// The portal the application belongs to.
    #[serde(default)]
    pub portal: Option<PortalReference>,
    /// When the application was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the application was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Application {
    type Id = ApplicationId;

    fn id(&self) -> ApplicationId {
        self.id
    }
}

/// Which applications to list.
#[derive(Debug, Clone, Default)]
pub struct ListApplications {
    /// Only applications of this developer.
    pub developer_id: Option<ValueFilter<DeveloperId>>,
    /// Only applications of this team.
    pub team_id: Option<ValueFilter<TeamId>>,
    /// Only applications of this name.
    pub name: Option<TextFilter>,
    /// Order: by `created_at`, `developer_id` or `name`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A developer who may use an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationDeveloper {
    /// Id of the developer.
    pub id: DeveloperId,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Name the developer gave.
    #[serde(default)]
    pub full_name: Option<String>,
}

impl Identified for ApplicationDeveloper {
    type Id = DeveloperId;

    fn id(&self) -> DeveloperId {
        self.id
    }
}

/// Which developers of an application to list.
#[derive(Debug, Clone, Default)]
pub struct ListApplicationDevelopers {
    /// Only developers of this id.
    pub id: Option<TextFilter>,
    /// Order: by `id`; the API's own if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// An application to create for a developer or a team.
#[derive(Debug, Clone, Serialize)]
pub struct NewApplication {
    /// Name, at most 255 characters.
    pub name: String,
    /// What the application does, at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Labels, at most 50.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Client id at the identity provider, at most 255 characters, if it is already known there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dcr_client_id: Option<String>,
    /// Client id, at most 255 characters, where the application brings its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How the application proves itself; the portal's default if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_strategy_id: Option<Uuid>,
    /// Whose application it is.
    pub owner: ApplicationOwner,
}

/// Applications of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Applications<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Applications of the portal.
    pub fn applications(self) -> Applications<'a> {
        Applications {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl Client {
    /// Reads an application of any portal (`get-application-unscoped`).
    pub async fn application(&self, id: ApplicationId) -> Result<Application, Error> {
        self.transport.fetch(Request::new(UNSCOPED, &[&id])).await
    }
}

#[derive(Serialize)]
struct OwnerBody<'a> {
    owner: &'a ApplicationOwner,
}

impl<'a> Applications<'a> {
    /// Lists all applications that match (`list-applications`).
    pub async fn list(&self, options: &ListApplications) -> Result<Vec<Application>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all applications that match, without those that cannot be read.
    pub async fn list_lenient(
        &self,
        options: &ListApplications,
    ) -> Result<Listing<Application>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all applications that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListApplications) -> Pages<'a, Application> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: &ListApplications,
        number: u32,
    ) -> Result<Page<Application>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListApplications,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal])
            .sort(options.sort.as_ref())
            .filter("developer_id", options.developer_id.as_ref())
            .filter("team_id", options.team_id.as_ref())
            .filter("name", options.name.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads an application (`get-application`).
    pub async fn get(&self, id: ApplicationId) -> Result<Application, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &id]))
            .await
    }

    /// Creates an application for a developer or a team (`create-application`).
    pub async fn create(&self, application: &NewApplication) -> Result<Application, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(application)?)
            .await
    }

    /// Hands an application to another owner (`update-application`), all that can be changed.
    pub async fn set_owner(
        &self,
        id: ApplicationId,
        owner: &ApplicationOwner,
    ) -> Result<Application, Error> {
        let request = Request::new(UPDATE, &[&self.portal, &id]).json(&OwnerBody { owner })?;
        self.transport.fetch(request).await
    }

    /// Deletes an application with its registrations and credentials (`delete-application`); 404 if
    /// there is none.
    pub async fn delete(&self, id: ApplicationId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &id]))
            .await
    }

    /// Lists all developers who may use an application (`list-developers-by-application`): its
    /// owner, or the members of the team that owns it.
    pub async fn developers(&self, id: ApplicationId) -> Result<Vec<ApplicationDeveloper>, Error> {
        let options = ListApplicationDevelopers::default();
        collect_numbered(DEVELOPERS, |number| {
            self.page_of_developers(id, &options, number)
        })
        .await
    }

    /// Lists all developers who may use an application and match page by page, without those that
    /// cannot be read.
    pub fn developer_pages(
        self,
        id: ApplicationId,
        options: &'a ListApplicationDevelopers,
    ) -> Pages<'a, ApplicationDeveloper> {
        Pages::new(DEVELOPERS, move |number| async move {
            self.page_of_developers(id, options, number).await
        })
    }

    async fn page_of_developers<T: DeserializeOwned>(
        &self,
        id: ApplicationId,
        options: &ListApplicationDevelopers,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(DEVELOPERS, &[&self.portal, &id])
            .query_if("sort", options.sort.as_ref())
            .filter("id", options.id.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }
}
