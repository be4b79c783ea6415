//! `/api/v1/quarantine`.

use axum::extract::Path;
use axum::http::StatusCode;
use chrono::DateTime;

use crate::api::Api;
use crate::api::access_log::AboutPeople;
use crate::api::document::{Missing, OfTheRecord, Refused};
use crate::api::page::{One, Page, Paging, Window};
use crate::api::render::{self, QuarantinedBody};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part, time_part};
use crate::journal::{QuarantineFilter, Quarantined, far_future};

/// Quarantined entries, newest first.
///
/// Each with the first 2,048 of its bytes.
#[utoipa::path(
    get,
    path = "/api/v1/quarantine",
    tag = "quarantine",
    params(Window, Paging),
    responses((status = 200, description = "A page of them", body = Page<QuarantinedBody>), Refused, OfTheRecord),
)]
pub(super) async fn list_quarantine(
    api: Api,
    mut parameters: Parameters,
) -> Result<AboutPeople<Page<QuarantinedBody>>, Problem> {
    let limit = parameters.limit()?;
    let after = parameters.after(|[time, id]: [String; 2]| Ok((part(&time)?, part(&id)?)))?;
    let (from, to) = parameters.window()?;
    let filter = QuarantineFilter {
        from: from.unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        reason: None,
        delivery_id: None,
        after,
    };
    let pager = parameters.finish()?;
    let rows = api.reading.quarantined(&filter, limit + 1).await?;
    let position = |row: &Quarantined| format!("{} {}", time_part(row.received_at), row.id);
    let render = |row: Quarantined| render::quarantined(&row);
    Ok(AboutPeople(pager.page(rows, limit, position, render)))
}

/// One row, with all its stored bytes.
#[utoipa::path(
    get,
    path = "/api/v1/quarantine/{id}",
    tag = "quarantine",
    params(("id" = Uuid, Path, description = "The row's id")),
    responses(
        (status = 200, description = "The row", body = One<QuarantinedBody>),
        Refused, Missing, OfTheRecord,
    ),
)]
pub(super) async fn get_quarantine(
    api: Api,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<AboutPeople<One<QuarantinedBody>>, Problem> {
    parameters.finish()?;
    let id = id
        .parse()
        .map_err(|_| bad_request("the id of a row is a UUID"))?;
    let row = api.reading.quarantined_row(id).await?;
    match row {
        Some(row) => Ok(AboutPeople(One {
            data: render::quarantined(&row),
        })),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no row with this id",
        )),
    }
}
