//! Developers of a portal and the operations on them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::paging::{
    Identified, Listing, NewestFirst, Page, Pages, collect_lenient, collect_numbered, numbered_page,
};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, ValueFilter};
use crate::wire::ids::{DeveloperId, PortalId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals/{portalId}/developers";
const CREATE: &str = "POST /v3/portals/{portalId}/developers";
const GET: &str = "GET /v3/portals/{portalId}/developers/{developerId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/developers/{developerId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/developers/{developerId}";

open_enum! {
    /// Whether a developer may use the portal.
    DeveloperStatus {
        /// May sign in.
        Approved = "approved",
        /// Waits for an answer.
        Pending = "pending",
        /// Was approved once, and is no longer; issued credentials keep working.
        Revoked = "revoked",
        /// Was never let in.
        Rejected = "rejected",
    }
}

/// A developer of a portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Developer {
    /// Id of the developer.
    pub id: DeveloperId,
    /// E-mail address, unique in the portal.
    pub email: String,
    /// Name the developer gave.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub full_name: String,
    /// Whether the developer may use the portal.
    pub status: DeveloperStatus,
    /// Applications the developer has; only older versions of the API say so.
    #[serde(default, deserialize_with = "lenient::count")]
    pub application_count: Option<u64>,
    /// When the developer signed up.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the developer was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Developer {
    type Id = DeveloperId;

    fn id(&self) -> DeveloperId {
        self.id
    }
}

/// Which developers to list.
#[derive(Debug, Clone, Default)]
pub struct ListDevelopers {
    /// Only developers of this status.
    pub status: Option<ValueFilter<DeveloperStatus>>,
    /// Only developers of this e-mail address.
    pub email: Option<TextFilter>,
    /// Only developers of this name.
    pub name: Option<TextFilter>,
    /// Order: by `created_at`, `updated_at`, `email`, `name` or `status`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A developer to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewDeveloper {
    /// E-mail address, at most 255 characters.
    pub email: String,
    /// Name, at most 255 characters.
    pub full_name: String,
    /// Status to begin with; the API's choice if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DeveloperStatus>,
    /// Whether Konnect writes to the developer.
    pub send_invitation_email: bool,
}

/// Developers of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Developers<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Developers of the portal.
    pub fn developers(self) -> Developers<'a> {
        Developers {
            transport: self.transport,
            portal: self.id,
        }
    }
}

#[derive(Serialize)]
struct StatusBody<'a> {
    status: &'a DeveloperStatus,
}

impl<'a> Developers<'a> {
    /// Lists all developers that match (`list-portal-developers`).
    pub async fn list(&self, options: &ListDevelopers) -> Result<Vec<Developer>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all developers that match, without those that cannot be read.
    pub async fn list_lenient(
        &self,
        options: &ListDevelopers,
    ) -> Result<Listing<Developer>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all developers that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListDevelopers) -> Pages<'a, Developer> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Lists all developers that match from the newest page on, without those that cannot be read;
    /// none where the API does not say how long the list is.
    pub async fn newest_first(
        self,
        options: &'a ListDevelopers,
    ) -> Result<Option<NewestFirst<'a, Developer>>, Error> {
        NewestFirst::begin(move |number| async move { self.page(options, number).await }).await
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: &ListDevelopers,
        number: u32,
    ) -> Result<Page<Developer>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListDevelopers,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal])
            .sort(options.sort.as_ref())
            .filter("status", options.status.as_ref())
            .filter("email", options.email.as_ref())
            .filter("name", options.name.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a developer (`get-developer`).
    pub async fn get(&self, id: DeveloperId) -> Result<Developer, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &id]))
            .await
    }

    /// Creates a developer (`create-developer`); 409 if the e-mail address is taken.
    pub async fn create(&self, developer: &NewDeveloper) -> Result<Developer, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(developer)?)
            .await
    }

    /// Sets the status of a developer (`update-developer`), all that can be changed; setting the
    /// one it has changes nothing.
    pub async fn set_status(
        &self,
        id: DeveloperId,
        status: &DeveloperStatus,
    ) -> Result<Developer, Error> {
        let request = Request::new(UPDATE, &[&self.portal, &id]).json(&StatusBody { status })?;
        self.transport.fetch(request).await
    }

    /// Deletes a developer and the applications it owns (`delete-developer`); 404 if there is none.
    pub async fn delete(&self, id: DeveloperId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &id]))
            .await
    }
}
