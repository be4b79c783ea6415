//! Operations on registrations.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::models::ids::{ApplicationId, PortalId, RegistrationId};
use crate::models::registration::{
    ListRegistrations, NewRegistration, Registration, RegistrationStatus,
};
use crate::newest::NewestFirst;
use crate::page::{Listing, Page, Pages, collect_lenient, collect_numbered};
use crate::request::Request;
use crate::resources::{SORT, numbered_page};
use crate::transport::Transport;

const LIST: &str = "GET /v3/portals/{portalId}/application-registrations";
const OF_APPLICATION: &str =
    "GET /v3/portals/{portalId}/applications/{applicationId}/registrations";
const CREATE: &str = "POST /v3/portals/{portalId}/applications/{applicationId}/registrations";
const GET: &str =
    "GET /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}";
const UPDATE: &str =
    "PATCH /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}";

/// Registrations of a portal's applications.
#[derive(Debug, Clone, Copy)]
pub struct Registrations<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) portal: PortalId,
}

#[derive(Serialize)]
struct StatusBody<'a> {
    status: &'a RegistrationStatus,
}

impl<'a> Registrations<'a> {
    /// Lists all registrations of the portal that match.
    pub async fn list(&self, options: &ListRegistrations) -> Result<Vec<Registration>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all registrations that match, without those that cannot be read.
    pub async fn list_lenient(
        &self,
        options: &ListRegistrations,
    ) -> Result<Listing<Registration>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all registrations that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListRegistrations) -> Pages<'a, Registration> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Lists all registrations that match from the newest page on, without those that cannot be
    /// read; none where the API does not say how long the list is.
    pub async fn newest_first(
        self,
        options: &'a ListRegistrations,
    ) -> Result<Option<NewestFirst<'a, Registration>>, Error> {
        NewestFirst::begin(move |number| async move { self.page(options, number).await }).await
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: &ListRegistrations,
        number: u32,
    ) -> Result<Page<Registration>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListRegistrations,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[self.portal.0])
            .query("sort", options.sort.as_deref().unwrap_or(SORT))
            .query_if("filter[status]", options.status.as_ref())
            .query_if("filter[developer_id][eq]", options.developer_id)
            .query_if(
                "filter[application_name]",
                options.application_name.as_deref(),
            );
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Lists all registrations of one application, whatever their status.
    pub async fn of_application(
        &self,
        application: ApplicationId,
    ) -> Result<Vec<Registration>, Error> {
        collect_numbered(OF_APPLICATION, |number| {
            let request =
                Request::new(OF_APPLICATION, &[self.portal.0, application.0]).query("sort", SORT);
            numbered_page(self.transport, request, None, number)
        })
        .await
    }

    /// Reads a registration.
    pub async fn get(
        &self,
        application: ApplicationId,
        id: RegistrationId,
    ) -> Result<Registration, Error> {
        self.transport
            .fetch(Request::new(GET, &[self.portal.0, application.0, id.0]))
            .await
    }

    /// Registers an application for an API; 409 if it is registered already.
    pub async fn create(
        &self,
        application: ApplicationId,
        registration: &NewRegistration,
    ) -> Result<Registration, Error> {
        let request = Request::new(CREATE, &[self.portal.0, application.0]).json(registration)?;
        self.transport.fetch(request).await
    }

    /// Sets the status of a registration; setting the one it has changes nothing.
    pub async fn set_status(
        &self,
        application: ApplicationId,
        id: RegistrationId,
        status: &RegistrationStatus,
    ) -> Result<Registration, Error> {
        let request = Request::new(UPDATE, &[self.portal.0, application.0, id.0])
            .json(&StatusBody { status })?;
        self.transport.fetch(request).await
    }
}
