//! `/api/v1/events`.

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::Api;
use crate::api::access_log::AboutPeople;
use crate::api::document::{EventBody, EventWords, Missing, OfTheRecord, Refused};
use crate::api::page::{One, Page, Paging};
use crate::api::render;
use crate::event::EventId;
use crate::http::Problem;
use crate::http::parameters::{DEFAULT_LIMIT, Parameters, part, path_id, time_part};
use crate::journal::Position;

/// Events newest first, by `event_ts`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(EventWords, Paging),
    responses((status = 200, description = "A page of them", body = Page<EventBody>), Refused, OfTheRecord),
)]
pub(super) async fn list_events(
    api: Api,
    mut parameters: Parameters,
) -> Result<AboutPeople<Page<Box<RawValue>>>, Problem> {
    let filter = parameters.event_filter()?;
    let limit = parameters.limit()?;
    let after = parameters.after(|[event_ts, id]: [String; 2]| {
        Ok(Position {
            event_ts: part(&event_ts)?,
            id: part(&id)?,
        })
    })?;
    let pager = parameters.finish()?;
    let found = api.reading.search_page(&filter, after, limit).await?;
    let next = found.next;
    let next = next.map(|next| format!("{} {}", time_part(next.event_ts), next.id));
    // Written one by one: as trees in memory a page of hostile entries takes many times their
    // bytes.
    let page = pager.page_to(found.events, next, |row| render::event_text(&row));
    let command = match limit {
        DEFAULT_LIMIT => filter.command("usher events"),
        limit => format!("{} --limit {limit}", filter.command("usher events")),
    };
    Ok(AboutPeople(page.told_as(command)))
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
    api: Api,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<AboutPeople<One<Value>>, Problem> {
    parameters.finish()?;
    let id: EventId = path_id(&id, "an event")?;
    let event = api.reading.event(id).await?;
    match event {
        Some(event) => Ok(AboutPeople(One {
            data: render::event(&event),
        })),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no event with this id",
        )),
    }
}
