//! Operations on applications.

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::models::application::{Application, ListApplications, NewApplication};
use crate::models::ids::{ApplicationId, PortalId};
use crate::page::{Listing, Page, Pages, collect_lenient, collect_numbered};
use crate::request::Request;
use crate::resources::{SORT, numbered_page};
use crate::transport::Transport;

const LIST: &str = "GET /v3/portals/{portalId}/applications";
const CREATE: &str = "POST /v3/portals/{portalId}/applications";
const GET: &str = "GET /v3/portals/{portalId}/applications/{applicationId}";

/// Applications of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Applications<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) portal: PortalId,
}

impl<'a> Applications<'a> {
    /// Lists all applications that match.
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
        // Ids have no short form of the filter: their schema is an object of operators.
        let request = Request::new(LIST, &[self.portal.0])
            .query("sort", options.sort.as_deref().unwrap_or(SORT))
            .query_if("filter[developer_id][eq]", options.developer_id)
            .query_if("filter[team_id][eq]", options.team_id)
            .query_if("filter[name]", options.name.as_deref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads an application.
    pub async fn get(&self, id: ApplicationId) -> Result<Application, Error> {
        self.transport
            .fetch(Request::new(GET, &[self.portal.0, id.0]))
            .await
    }

    /// Creates an application for a developer or a team.
    pub async fn create(&self, application: &NewApplication) -> Result<Application, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[self.portal.0]).json(application)?)
            .await
    }
}
