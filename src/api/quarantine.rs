//! `/api/v1/quarantine`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::Api;
use crate::api::page::{Page, Parameters, journal_problem, part};
use crate::api::render;
use crate::http::Problem;
use crate::journal::{QuarantineFilter, Quarantined, far_future};

/// What was kept aside, newest first.
pub(super) async fn list_quarantine(
    State(api): State<Api>,
    mut parameters: Parameters,
) -> Result<Json<Page<Value>>, Problem> {
    let limit = parameters.limit()?;
    let after = match parameters.cursor::<2>()? {
        Some([time, id]) => Some((part(&time)?, part(&id)?)),
        None => None,
    };
    let (from, to) = parameters.window()?;
    let filter = QuarantineFilter {
        from: from.unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        after,
    };
    let pager = parameters.finish()?;
    let rows = api
        .reading
        .quarantined(&filter, limit + 1)
        .await
        .map_err(|error| journal_problem(&error))?;
    let position = |row: &Quarantined| {
        format!(
            "{} {}",
            row.received_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            row.id
        )
    };
    Ok(Json(pager.page(rows, limit, position, |row| {
        render::quarantined(&row)
    })))
}

/// One row, with all the bytes that were kept.
pub(super) async fn get_quarantine(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let row = api
        .reading
        .quarantined_row(id)
        .await
        .map_err(|error| journal_problem(&error))?;
    match row {
        Some(row) => Ok(Json(json!({ "data": render::quarantined(&row) }))),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no row with this id",
        )),
    }
}
