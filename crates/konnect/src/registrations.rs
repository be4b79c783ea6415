//! Registrations of applications for APIs and the operations on them.
//!
//! A registration does not name its developer: that is the owner of its application.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::paging::{
    Identified, Listing, NewestFirst, Page, Pages, collect_lenient, collect_numbered, numbered_page,
};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, ValueFilter};
use crate::wire::ids::{ApiId, ApplicationId, DeveloperId, PortalId, RegistrationId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals/{portalId}/application-registrations";
const OF_APPLICATION: &str =
    "GET /v3/portals/{portalId}/applications/{applicationId}/registrations";
const CREATE: &str = "POST /v3/portals/{portalId}/applications/{applicationId}/registrations";
const GET: &str =
    "GET /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}";
const UPDATE: &str =
    "PATCH /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}";
const DELETE: &str =
    "DELETE /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}";
const SET_CONSUMER: &str = "PUT /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/consumer";
const UNSET_CONSUMER: &str = "DELETE /v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/consumer";

open_enum! {
    /// Whether an application may call an API.
    RegistrationStatus {
        /// May call the API.
        Approved = "approved",
        /// Waits for an answer.
        Pending = "pending",
        /// Was approved once, and is no longer.
        Revoked = "revoked",
        /// Was never let in.
        Rejected = "rejected",
    }
}

/// The API, or package of APIs, of a registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredApi {
    /// Id of the API.
    pub id: ApiId,
    /// Name of the API.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Version of the API, if it has one.
    #[serde(default)]
    pub version: Option<String>,
    /// `api` or `api_package`; older versions of the API do not say.
    #[serde(default)]
    pub entity_type: Option<String>,
}

/// The application of a registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredApplication {
    /// Id of the application.
    pub id: ApplicationId,
    /// Name of the application.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
}

/// The gateway consumer that a registration is mapped to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegistrationConsumer {
    /// Id of the consumer.
    pub id: Uuid,
    /// The operator's own id of the consumer.
    #[serde(default)]
    pub custom_id: Option<String>,
    /// Name of the consumer.
    #[serde(default)]
    pub username: Option<String>,
    /// Control plane that has the consumer.
    #[serde(default)]
    pub control_plane_id: Option<Uuid>,
}

/// A registration of an application for an API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Id of the registration.
    pub id: RegistrationId,
    /// Whether the application may call the API.
    pub status: RegistrationStatus,
    /// What is asked for.
    pub api: RegisteredApi,
    /// Who asks.
    pub application: RegisteredApplication,
    /// Gateway consumer, once it is mapped to one.
    #[serde(default)]
    pub consumer: Option<RegistrationConsumer>,
    /// When it was asked for.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Registration {
    type Id = RegistrationId;

    fn id(&self) -> RegistrationId {
        self.id
    }
}

/// Which registrations of a portal to list.
#[derive(Debug, Clone, Default)]
pub struct ListRegistrations {
    /// Only registrations of this status.
    pub status: Option<ValueFilter<RegistrationStatus>>,
    /// Only registrations of this developer's applications.
    pub developer_id: Option<ValueFilter<DeveloperId>>,
    /// Only registrations of applications of this name.
    pub application_name: Option<TextFilter>,
    /// Order: by `created_at`, `updated_at`, `developer_id` or `status`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// Which registrations of one application to list.
#[derive(Debug, Clone, Default)]
pub struct ListApplicationRegistrations {
    /// Only registrations of this status.
    pub status: Option<ValueFilter<RegistrationStatus>>,
    /// Order: by `created_at`, `updated_at` or `status`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A registration to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewRegistration {
    /// API to register for.
    pub api_id: ApiId,
    /// Status to begin with, approved or pending only; the API's choice if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RegistrationStatus>,
}

/// Registrations of a portal's applications.
#[derive(Debug, Clone, Copy)]
pub struct Registrations<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Registrations of the portal's applications.
    pub fn registrations(self) -> Registrations<'a> {
        Registrations {
            transport: self.transport,
            portal: self.id,
        }
    }
}

#[derive(Serialize)]
struct ConsumerBody {
    id: Uuid,
}

#[derive(Serialize)]
struct StatusBody<'a> {
    status: &'a RegistrationStatus,
}

impl<'a> Registrations<'a> {
    /// Lists all registrations of the portal that match (`list-registrations`).
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
        let request = Request::new(LIST, &[&self.portal])
            .sort(options.sort.as_ref())
            .filter("status", options.status.as_ref())
            .filter("developer_id", options.developer_id.as_ref())
            .filter("application_name", options.application_name.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Lists all registrations of one application, whatever their status
    /// (`list-registrations-by-application`).
    pub async fn of_application(
        &self,
        application: ApplicationId,
    ) -> Result<Vec<Registration>, Error> {
        let options = ListApplicationRegistrations::default();
        collect_numbered(OF_APPLICATION, |number| {
            self.page_of_application(application, &options, number)
        })
        .await
    }

    /// Lists all registrations of one application that match page by page, without those that
    /// cannot be read.
    pub fn pages_of_application(
        self,
        application: ApplicationId,
        options: &'a ListApplicationRegistrations,
    ) -> Pages<'a, Registration> {
        Pages::new(OF_APPLICATION, move |number| async move {
            self.page_of_application(application, options, number).await
        })
    }

    async fn page_of_application<T: DeserializeOwned>(
        &self,
        application: ApplicationId,
        options: &ListApplicationRegistrations,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(OF_APPLICATION, &[&self.portal, &application])
            .sort(options.sort.as_ref())
            .filter("status", options.status.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a registration (`get-application-registration`).
    pub async fn get(
        &self,
        application: ApplicationId,
        id: RegistrationId,
    ) -> Result<Registration, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &application, &id]))
            .await
    }

    /// Registers an application for an API (`create-application-registration`); 409 if it is
    /// registered already.
    pub async fn create(
        &self,
        application: ApplicationId,
        registration: &NewRegistration,
    ) -> Result<Registration, Error> {
        let request = Request::new(CREATE, &[&self.portal, &application]).json(registration)?;
        self.transport.fetch(request).await
    }

    /// Sets the status of a registration (`update-application-registration`), all that can be
    /// changed; setting the one it has changes nothing.
    pub async fn set_status(
        &self,
        application: ApplicationId,
        id: RegistrationId,
        status: &RegistrationStatus,
    ) -> Result<Registration, Error> {
        let request = Request::new(UPDATE, &[&self.portal, &application, &id])
            .json(&StatusBody { status })?;
        self.transport.fetch(request).await
    }

    /// Deletes a registration (`delete-application-registration`); 404 if there is none.
    pub async fn delete(
        &self,
        application: ApplicationId,
        id: RegistrationId,
    ) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &application, &id]))
            .await
    }

    /// Maps a registration to a gateway consumer (`update-application-registration-consumer`), in
    /// place of the one it was mapped to.
    pub async fn set_consumer(
        &self,
        application: ApplicationId,
        id: RegistrationId,
        consumer: Uuid,
    ) -> Result<(), Error> {
        let request = Request::new(SET_CONSUMER, &[&self.portal, &application, &id])
            .json(&ConsumerBody { id: consumer })?;
        self.transport.call(request).await
    }

    /// Ends the mapping to a gateway consumer (`delete-application-registration-consumer`); 404 if
    /// there is none.
    pub async fn unset_consumer(
        &self,
        application: ApplicationId,
        id: RegistrationId,
    ) -> Result<(), Error> {
        let request = Request::new(UNSET_CONSUMER, &[&self.portal, &application, &id]);
        self.transport.call(request).await
    }
}
