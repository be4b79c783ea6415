//! Audit-log destinations, which the whole organisation shares, and the operations on them, all on
//! the global host.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::paging::{Cursor, CursorPage, Identified, Pages, collect_cursor, cursor_page};
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::filter::TextFilter;
use crate::wire::ids::DestinationId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::secret::{expose, expose_optional};

/// An operation of version 3 of the audit-log API, then the same of version 2.
type Pair = (&'static str, &'static str);

const LIST: Pair = (
    "GET /v3/audit-log-destinations",
    "GET /v2/audit-log-destinations",
);
const CREATE: Pair = (
    "POST /v3/audit-log-destinations",
    "POST /v2/audit-log-destinations",
);
const GET: Pair = (
    "GET /v3/audit-log-destinations/{auditLogDestinationId}",
    "GET /v2/audit-log-destinations/{auditLogDestinationId}",
);
const UPDATE: Pair = (
    "PATCH /v3/audit-log-destinations/{auditLogDestinationId}",
    "PATCH /v2/audit-log-destinations/{auditLogDestinationId}",
);
const DELETE: Pair = (
    "DELETE /v3/audit-log-destinations/{auditLogDestinationId}",
    "DELETE /v2/audit-log-destinations/{auditLogDestinationId}",
);

open_enum! {
    /// How audit-log entries are written.
    LogFormat {
        /// Common Event Format, one entry a line.
        Cef = "cef",
        /// A JSON object a line.
        Json = "json",
        /// A JSON object inside `{"event": …}`, one a line.
        Cps = "cps",
    }
}

/// Where audit-log entries are sent; its `Authorization` is never told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Id of the destination.
    pub id: DestinationId,
    /// Name of the destination.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// URL that entries are posted to.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub endpoint: String,
    /// How entries are written.
    #[serde(default)]
    pub log_format: Option<LogFormat>,
    /// Whether any TLS certificate is taken.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub skip_ssl_verification: bool,
    /// When the destination was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the destination was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Destination {
    type Id = DestinationId;

    fn id(&self) -> DestinationId {
        self.id
    }
}

/// Which destinations to list.
#[derive(Debug, Clone, Default)]
pub struct ListDestinations {
    /// Only destinations of this name; the API knows `Eq` and `Contains` here.
    pub name: Option<TextFilter>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A destination to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewDestination {
    /// Name of the destination.
    pub name: String,
    /// URL that entries are posted to.
    pub endpoint: String,
    /// Whole value of `Authorization` that Konnect sends, scheme included; not empty.
    #[serde(serialize_with = "expose")]
    pub authorization: SecretString,
    /// How entries are written.
    pub log_format: LogFormat,
    /// Whether any TLS certificate is taken.
    pub skip_ssl_verification: bool,
}

/// What to change of a destination; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DestinationUpdate {
    /// New name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// New value of `Authorization`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_optional"
    )]
    pub authorization: Option<SecretString>,
    /// New way to write entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Whether any TLS certificate is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_ssl_verification: Option<bool>,
}

/// Audit-log destinations of the organisation.
#[derive(Debug, Clone, Copy)]
pub struct Destinations<'a> {
    transport: &'a Transport,
    is_v2: bool,
}

impl Client {
    /// Audit-log destinations of the organisation, on the global host.
    pub fn destinations(&self) -> Destinations<'_> {
        Destinations {
            transport: &self.transport,
            is_v2: false,
        }
    }

    /// The same destinations by version 2 of the audit-log API, which Kong's own programs use;
    /// operationIds are those of version 3.
    pub fn destinations_v2(&self) -> Destinations<'_> {
        Destinations {
            transport: &self.transport,
            is_v2: true,
        }
    }
}

impl<'a> Destinations<'a> {
    fn route(&self, (v3, v2): Pair) -> &'static str {
        if self.is_v2 { v2 } else { v3 }
    }

    /// Lists all destinations that match (`get-audit-log-destinations`).
    pub async fn list(&self, options: &ListDestinations) -> Result<Vec<Destination>, Error> {
        collect_cursor(self.route(LIST), |cursor| self.list_page(options, cursor)).await
    }

    /// Lists all destinations that match page by page, without those that cannot be read.
    pub fn pages(self, options: &'a ListDestinations) -> Pages<'a, Destination> {
        Pages::by_cursor(self.route(LIST), move |cursor| async move {
            self.page(options, cursor).await
        })
    }

    /// Reads one page of the list, the first one without a cursor.
    pub async fn list_page(
        &self,
        options: &ListDestinations,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<Destination>, Error> {
        self.page(options, cursor).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListDestinations,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<T>, Error> {
        let request = Request::new(self.route(LIST), &[])
            .global()
            .filter("name", options.name.as_ref());
        cursor_page(self.transport, request, options.page_size, cursor).await
    }

    /// Reads a destination (`get-audit-log-destination`).
    pub async fn get(&self, id: DestinationId) -> Result<Destination, Error> {
        let request = Request::new(self.route(GET), &[&id]).global();
        self.transport.fetch(request).await
    }

    /// Creates a destination (`create-audit-log-destination`).
    pub async fn create(&self, destination: &NewDestination) -> Result<Destination, Error> {
        let request = Request::new(self.route(CREATE), &[]).global();
        self.transport.fetch(request.json(destination)?).await
    }

    /// Changes a destination (`update-audit-log-destination`); members of `update` that are none
    /// stay as they are.
    pub async fn update(
        &self,
        id: DestinationId,
        update: &DestinationUpdate,
    ) -> Result<Destination, Error> {
        let request = Request::new(self.route(UPDATE), &[&id]).global();
        self.transport.fetch(request.json(update)?).await
    }

    /// Deletes a destination (`delete-audit-log-destination`); 409 while a webhook uses it.
    pub async fn delete(&self, id: DestinationId) -> Result<(), Error> {
        let request = Request::new(self.route(DELETE), &[&id]).global();
        self.transport.call(request).await
    }
}
