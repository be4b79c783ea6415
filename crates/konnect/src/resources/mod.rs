//! The operations of each resource: path, query and body, and nothing of how they are sent.

pub(crate) mod applications;
pub(crate) mod audit_logs;
pub(crate) mod destinations;
pub(crate) mod developers;
pub(crate) mod jwks;
pub(crate) mod portals;
pub(crate) mod registrations;
pub(crate) mod replay;
pub(crate) mod teams;
pub(crate) mod webhook;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::page::{NumberedBody, PAGE_SIZE, Page};
use crate::request::Request;
use crate::transport::Transport;

/// Attribute that lists are sorted by: what is added while a list is read then comes last.
const SORT: &str = "created_at";

/// Reads one page of a list with page numbers, the first of which is 1.
async fn numbered_page<T: DeserializeOwned>(
    transport: &Transport,
    request: Request,
    size: Option<u32>,
    number: u32,
) -> Result<Page<T>, Error> {
    let request = request
        .query("page[size]", size.unwrap_or(PAGE_SIZE))
        .query("page[number]", number);
    Ok(transport.fetch::<NumberedBody<T>>(request).await?.into())
}
