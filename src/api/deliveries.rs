//! `/api/v1/deliveries`.

use axum::Json;
use chrono::DateTime;

use crate::api::Api;
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Paging, Window};
use crate::api::render::{self, DeliveryBody};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, time_part};
use crate::journal::{Delivery, DeliveryFilter, far_future};

/// Deliveries newest first, by receipt.
#[utoipa::path(
    get,
    path = "/api/v1/deliveries",
    tag = "deliveries",
    params(Window, Paging),
    responses((status = 200, description = "A page of them", body = Page<DeliveryBody>), Refused, OfTheRecord),
)]
pub(super) async fn list_deliveries(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<DeliveryBody>>, Problem> {
    let limit = parameters.limit()?;
    let after = parameters.after(|[time, batch, place]: [String; 3]| {
        Ok((part(&time)?, part(&batch)?, part(&place)?))
    })?;
    let (from, to) = parameters.window()?;
    let filter = DeliveryFilter {
        from: from.unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        status_class: None,
        after,
    };
    let pager = parameters.finish()?;
    let rows = api.reading.deliveries(&filter, limit + 1).await?;
    let position = |row: &Delivery| {
        let time = time_part(row.batch_received_at);
        format!("{time} {} {}", row.batch, row.place)
    };
    Ok(Json(
        pager.page(rows, limit, position, |row| render::delivery(&row)),
    ))
}
