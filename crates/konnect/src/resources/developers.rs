//! Operations on developers.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::models::developer::{Developer, DeveloperStatus, ListDevelopers, NewDeveloper};
use crate::models::ids::{DeveloperId, PortalId};
use crate::newest::NewestFirst;
use crate::page::{Listing, Page, Pages, collect_lenient, collect_numbered};
use crate::request::Request;
use crate::resources::{SORT, numbered_page};
use crate::transport::Transport;

const LIST: &str = "GET /v3/portals/{portalId}/developers";
const CREATE: &str = "POST /v3/portals/{portalId}/developers";
const GET: &str = "GET /v3/portals/{portalId}/developers/{developerId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/developers/{developerId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/developers/{developerId}";

/// Developers of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Developers<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) portal: PortalId,
}

#[derive(Serialize)]
struct StatusBody<'a> {
    status: &'a DeveloperStatus,
}

impl<'a> Developers<'a> {
    /// Lists all developers that match.
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
        let request = Request::new(LIST, &[self.portal.0])
            .query("sort", options.sort.as_deref().unwrap_or(SORT))
            .query_if("filter[status]", options.status.as_ref())
            .query_if("filter[email]", options.email.as_deref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a developer.
    pub async fn get(&self, id: DeveloperId) -> Result<Developer, Error> {
        self.transport
            .fetch(Request::new(GET, &[self.portal.0, id.0]))
            .await
    }

    /// Creates a developer; 409 if the e-mail address is taken.
    pub async fn create(&self, developer: &NewDeveloper) -> Result<Developer, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[self.portal.0]).json(developer)?)
            .await
    }

    /// Sets the status of a developer; setting the one it has changes nothing.
    pub async fn set_status(
        &self,
        id: DeveloperId,
        status: &DeveloperStatus,
    ) -> Result<Developer, Error> {
        let request = Request::new(UPDATE, &[self.portal.0, id.0]).json(&StatusBody { status })?;
        self.transport.fetch(request).await
    }

    /// Deletes a developer and the applications it owns; 404 if there is none.
    pub async fn delete(&self, id: DeveloperId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[self.portal.0, id.0]))
            .await
    }
}
