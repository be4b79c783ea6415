//! `/api/v1/quarantine`.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::console::api::Api;
use crate::console::api::deliveries::far_future;
use crate::console::api::page::{Page, Parameters, journal_problem, part};
use crate::http::Problem;
use crate::journal::{QuarantineFilter, Quarantined};

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
    let filter = QuarantineFilter {
        from: parameters.time("from")?.unwrap_or(DateTime::UNIX_EPOCH),
        to: parameters.time("to")?.unwrap_or_else(far_future),
        after,
    };
    let pager = parameters.finish()?;
    let rows = api
        .journal
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
    Ok(Json(pager.page(rows, limit, position, |row| render(&row))))
}

/// The bytes are shown as text where they are text, and in base64 always.
fn render(row: &Quarantined) -> Value {
    json!({
        "id": row.id,
        "received_at": row.received_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "delivery_id": row.delivery_id,
        "event_id": row.event_id,
        "reason": row.reason,
        "detail": row.detail,
        "raw": String::from_utf8_lossy(&row.raw),
        "raw_base64": STANDARD.encode(&row.raw),
        "raw_bytes": row.raw_bytes,
    })
}
