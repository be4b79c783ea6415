//! Operations on audit-log destinations, all on the global host.

use crate::error::Error;
use crate::models::destination::{
    Destination, DestinationUpdate, ListDestinations, NewDestination,
};
use crate::models::ids::DestinationId;
use crate::page::{Cursor, CursorBody, CursorPage, PAGE_SIZE, collect_cursor};
use crate::request::Request;
use crate::transport::Transport;

const LIST: &str = "GET /v3/audit-log-destinations";
const CREATE: &str = "POST /v3/audit-log-destinations";
const GET: &str = "GET /v3/audit-log-destinations/{auditLogDestinationId}";
const UPDATE: &str = "PATCH /v3/audit-log-destinations/{auditLogDestinationId}";
const DELETE: &str = "DELETE /v3/audit-log-destinations/{auditLogDestinationId}";

/// Audit-log destinations of the organisation.
#[derive(Debug, Clone, Copy)]
pub struct Destinations<'a> {
    pub(crate) transport: &'a Transport,
}

impl Destinations<'_> {
    /// Lists all destinations that match.
    pub async fn list(&self, options: &ListDestinations) -> Result<Vec<Destination>, Error> {
        collect_cursor(LIST, |cursor| self.list_page(options, cursor)).await
    }

    /// Reads one page of the list, the first one without a cursor.
    pub async fn list_page(
        &self,
        options: &ListDestinations,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<Destination>, Error> {
        let request = Request::new(LIST, &[])
            .global()
            .query("page[size]", options.page_size.unwrap_or(PAGE_SIZE))
            .query_if("filter[name][eq]", options.name.as_deref())
            .with_query(|query| {
                if let Some(cursor) = cursor {
                    cursor.apply(query);
                }
            });
        Ok(self
            .transport
            .fetch::<CursorBody<Destination>>(request)
            .await?
            .into())
    }

    /// Reads a destination.
    pub async fn get(&self, id: DestinationId) -> Result<Destination, Error> {
        self.transport
            .fetch(Request::new(GET, &[id.0]).global())
            .await
    }

    /// Creates a destination.
    pub async fn create(&self, destination: &NewDestination) -> Result<Destination, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[]).global().json(destination)?)
            .await
    }

    /// Changes a destination; members of `update` that are none stay as they are.
    pub async fn update(
        &self,
        id: DestinationId,
        update: &DestinationUpdate,
    ) -> Result<Destination, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[id.0]).global().json(update)?)
            .await
    }

    /// Deletes a destination; 409 while a webhook uses it.
    pub async fn delete(&self, id: DestinationId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[id.0]).global())
            .await
    }
}
