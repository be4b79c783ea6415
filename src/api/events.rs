//! `/api/v1/events`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::SecondsFormat;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::Api;
use crate::api::page::{Page, Parameters, bad_request, journal_problem, part};
use crate::api::render;
use crate::event::{EventId, Kind, Verdict};
use crate::http::Problem;
use crate::journal::{EventFilter, Position, StoredEvent};

/// Events newest first, by `event_ts`.
pub(super) async fn list_events(
    State(api): State<Api>,
    mut parameters: Parameters,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let (from, to) = parameters.window()?;
    let filter = EventFilter {
        portal_id: parameters.text("portal_id"),
        principal_id: parameters.text("principal_id"),
        name: parameters.text("name"),
        kind: parameters
            .read::<Kind>("kind", KINDS)?
            .map(|kind| kind.as_str().to_owned()),
        trace_id: parameters.text("trace_id"),
        verification: parameters.read::<Verdict>("verification", VERDICTS)?,
        from,
        to,
        q: parameters.text("q"),
        batches: None,
    };
    let limit = parameters.limit()?;
    let after = match parameters.cursor::<2>()? {
        Some([event_ts, id]) => Some(Position {
            event_ts: part(&event_ts)?,
            id: part(&id)?,
        }),
        None => None,
    };
    let pager = parameters.finish()?;
    let found = api
        .reading
        .search_page(&filter, after, limit)
        .await
        .map_err(|error| journal_problem(&error))?;
    let position = |row: &StoredEvent| {
        format!(
            "{} {}",
            row.event_ts.to_rfc3339_opts(SecondsFormat::Micros, true),
            row.id
        )
    };
    // Written out one by one: as trees in memory a page of hostile entries takes many times their bytes.
    Ok(Json(pager.page_of(
        found.events,
        found.more,
        position,
        |row| render::event_text(&row),
    )))
}

/// One event by its id.
pub(super) async fn get_event(
    State(api): State<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let id: EventId = id
        .parse()
        .map_err(|_| bad_request("an event id is a UUID"))?;
    let event = api
        .reading
        .event(id)
        .await
        .map_err(|error| journal_problem(&error))?;
    match event {
        Some(event) => Ok(Json(json!({ "data": render::event(&event) }))),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no event with this id",
        )),
    }
}

const KINDS: &str = "authentication, authorization, access, observation, action, custom or unknown";
const VERDICTS: &str = "verified, failed, key_unknown, unsigned or not_applicable";
