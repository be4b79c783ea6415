//! `/api/v1/events`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::SecondsFormat;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::Api;
use crate::api::document::{EventBody, Missing, OfTheRecord, Refused};
use crate::api::page::{One, Page, Paging, Parameters, Window, bad_request, journal_problem, part};
use crate::api::render;
use crate::event::{EventId, Kind, Verdict};
use crate::http::Problem;
use crate::journal::{EventFilter, Position, StoredEvent};

/// Events newest first, by `event_ts`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(
        ("portal_id" = Option<String>, Query, description = "Only those of this portal"),
        ("principal_id" = Option<String>, Query, description = "Only those of whoever this is"),
        ("name" = Option<String>, Query, description = "Only those of this name"),
        ("kind" = inline(Option<Kind>), Query, description = "Only those of this kind"),
        ("trace_id" = Option<String>, Query, description = "Only those of this request"),
        ("verification" = inline(Option<Verdict>), Query, description = "Only those of this verdict"),
        ("q" = Option<String>, Query, description = "Only those in whose text this is"),
        Window,
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<EventBody>), Refused, OfTheRecord),
)]
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
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    tag = "events",
    params(("id" = Uuid, Path, description = "The event's id")),
    responses(
        (status = 200, description = "The event", body = One<EventBody>),
        Refused, Missing, OfTheRecord,
    ),
)]
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
