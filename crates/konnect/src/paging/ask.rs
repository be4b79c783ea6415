//! How a resource asks for one page of a list.

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::paging::cursor::Cursor;
use crate::paging::page::{CursorBody, CursorPage, NumberedBody, Page};
use crate::request::Request;
use crate::transport::Transport;

/// Entries asked for on one page; Konnect documents no maximum.
const PAGE_SIZE: u32 = 100;

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

/// Reads one page of a list with cursors, the first one without a cursor.
pub(crate) async fn cursor_page<T: DeserializeOwned>(
    transport: &Transport,
    request: Request,
    size: Option<u32>,
    cursor: Option<Cursor>,
) -> Result<CursorPage<T>, Error> {
    let request = request.query("page[size]", size.unwrap_or(PAGE_SIZE));
    let request = request.with_query(|query| {
        if let Some(cursor) = cursor {
            cursor.apply(query);
        }
    });
    Ok(transport.fetch::<CursorBody<T>>(request).await?.into())
}
