//! One replay job. The page loads itself again while the job goes on, without script.

use askama::Template;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};

use crate::console::coverage::logs;
use crate::console::layout::{self, Layout};
use crate::console::replay::Row;
use crate::console::scope::Portals;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::window::told;
use crate::console::{done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, path_id};

/// Has a browser load the page again.
const REFRESH: HeaderName = HeaderName::from_static("refresh");
/// After so many seconds.
const EVERY: &str = "5";
/// A job of which nothing came in so long is not watched by itself: a page that is left open would
/// keep a session alive.
const WATCHED: TimeDelta = TimeDelta::hours(13);

#[derive(Template)]
#[template(path = "replay_job.html")]
struct JobPage {
    layout: Layout,
    notice: Option<done::Notice>,
    job: Row,
    known: i64,
    asked_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    /// Whether it loads itself again.
    is_watched: bool,
    asks_konnect: bool,
    /// The stored events of its time.
    events: String,
    /// The coverage of its time.
    coverage: String,
    command: String,
}

pub(super) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let notice = done::notice(&mut parameters);
    let is_still = parameters.text("still").is_some();
    parameters.finish()?;
    let found = console
        .reading
        .replay_job(path_id(&id, "a replay job")?)
        .await?;
    let job = found.ok_or_else(no_job)?;
    let portals = Portals::load(&console).await?;
    let now = console.clock.now();
    let is_watched = !is_still && !job.state.is_over() && now - job.created_at < WATCHED;
    let portal = job.source.portal();
    let of_portal = portal.map_or_else(String::new, |id| format!("&portal_id={id}"));
    let window = format!("from={}&to={}{of_portal}", told(job.from), told(job.to));
    let page = JobPage {
        layout: Layout::of("Replay job", "/replay", &visitor),
        notice,
        known: job.before.known,
        asked_at: job.asked_at,
        completed_at: job.completed_at,
        ended_at: job.ended_at,
        is_watched,
        asks_konnect: console.settings.asks_konnect,
        events: format!("/events?{window}"),
        coverage: format!("/coverage?{window}"),
        command: format!("usher coverage jobs{}", logs::flag(job.source)),
        job: Row::new(&job, &portals),
    };
    let mut response = layout::render(&page)?.into_response();
    if is_watched {
        let headers = response.headers_mut();
        headers.insert(REFRESH, HeaderValue::from_static(EVERY));
    }
    Ok(response)
}

fn no_job() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no replay job has this id: see the list of replay jobs",
    )
}
