//! `/api/v1/readers`.

use axum::Json;

use crate::api::Api;
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Paging};
use crate::api::render::{self, ReaderBody};
use crate::http::Problem;
use crate::http::parameters::Parameters;
use crate::journal::ReaderStatus;

/// The readers of the outbox by name, with the backlog of each.
#[utoipa::path(
    get,
    path = "/api/v1/readers",
    tag = "readers",
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<ReaderBody>), Refused, OfTheRecord),
)]
pub(super) async fn list_readers(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<ReaderBody>>, Problem> {
    let limit = parameters.limit()?;
    let after = parameters.cursor::<1>()?;
    let pager = parameters.finish()?;
    // There are few, so that all are read for every page.
    let mut readers = api.reading.readers().await?;
    if let Some([after]) = after {
        readers.retain(|row| row.reader > after);
    }
    let position = |row: &ReaderStatus| row.reader.clone();
    Ok(Json(pager.page(readers, limit, position, |row| {
        render::reader(&row)
    })))
}
