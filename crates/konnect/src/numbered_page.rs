//! How a resource asks for one page of a list with page numbers.

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::page::{NumberedBody, PAGE_SIZE, Page};
use crate::request::Request;
use crate::transport::Transport;

/// Attribute that lists are sorted by: what is added while a list is read then comes last.
pub(crate) const SORT: &str = "created_at";

/// Reads one page of a list with page numbers, the first of which is 1.
pub(crate) async fn numbered_page<T: DeserializeOwned>(
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
