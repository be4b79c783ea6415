//! `/api/v1/replay-jobs`: what was asked of Konnect, by whom, and what it brought.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::body;
use crate::api::by_hand::require_operator;
use crate::api::document::{Missing, OfOperators, OfTheRecord, Refused};
use crate::api::page::{One, Page, Paging};
use crate::backfill::{ReplayJobBody, ReplayRefused};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part, path_id, time_part};
use crate::http::tokens::Caller;
use crate::journal::{JobFilter, LogSource, ReplayJobRow, journal_problem};

/// How a body looks.
const FORM: &str = "{\"portal_id\": \"…\", \"from\": \"…\", \"to\": \"…\"}";

/// A replay job that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedReplayJob)]
pub(super) struct WantedBody {
    /// The portal; left out for the organisation's log.
    portal_id: Option<Uuid>,
    /// First time whose entries are wanted, at most seven days ago.
    from: DateTime<Utc>,
    /// Last time whose entries are wanted.
    to: DateTime<Utc>,
}

/// The replay jobs, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/replay-jobs",
    tag = "coverage",
    params(
        ("portal_id" = Option<Uuid>, Query, description = "Only those of this portal"),
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<ReplayJobBody>), Refused, OfTheRecord),
)]
pub(super) async fn list_replay_jobs(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<ReplayJobBody>>, Problem> {
    let portal: Option<Uuid> = parameters.read("portal_id", "the id of a portal")?;
    let limit = parameters.limit()?;
    let after = parameters
        .after(|[at, id]: [String; 2]| Ok((part::<DateTime<Utc>>(&at)?, part::<Uuid>(&id)?)))?;
    let pager = parameters.finish()?;
    let filter = JobFilter {
        source: portal.map(LogSource::Portal),
        after,
        ..JobFilter::default()
    };
    let jobs = api.reading.replay_jobs(&filter, limit + 1).await?;
    let position = |row: &ReplayJobRow| format!("{} {}", time_part(row.created_at), row.id);
    Ok(Json(pager.page(jobs, limit, position, |row| {
        ReplayJobBody::from(&row)
    })))
}

/// One replay job.
#[utoipa::path(
    get,
    path = "/api/v1/replay-jobs/{id}",
    tag = "coverage",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job", body = One<ReplayJobBody>),
        Refused, Missing, OfTheRecord,
    ),
)]
pub(super) async fn get_replay_job(
    api: Api,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<One<ReplayJobBody>>, Problem> {
    parameters.finish()?;
    let id = path_id(&id, "a replay job")?;
    let job = api.reading.replay_job(id).await?;
    let job =
        job.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no replay job has this id"))?;
    Ok(Json(One {
        data: ReplayJobBody::from(&job),
    }))
}

/// Wants a window to be sent again; usher asks Konnect for it once no other job of that log runs.
#[utoipa::path(
    post,
    path = "/api/v1/replay-jobs",
    tag = "coverage",
    request_body = WantedBody,
    responses(
        (status = 201, description = "The job", body = One<ReplayJobBody>),
        Refused, OfOperators, Missing, OfTheRecord,
    ),
)]
pub(super) async fn create_replay_job(
    api: Api,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<One<ReplayJobBody>>), Problem> {
    parameters.finish()?;
    require_operator(&caller)?;
    let body: WantedBody = body::read(&body, FORM)?;
    let source = body.portal_id.map_or(LogSource::Org, LogSource::Portal);
    let window = (body.from, body.to);
    let id = api.ids.next();
    let wanted = api
        .coverage
        .want_replay(id, source, window, caller.name())
        .await;
    let job = wanted.map_err(|error| match error {
        ReplayRefused::Window(error) => bad_request(format!("from, to: {error}")),
        error @ ReplayRefused::UnknownSource => {
            Problem::new(StatusCode::NOT_FOUND, error.to_string())
        }
        ReplayRefused::Journal(error) => journal_problem(&error),
    })?;
    let data = ReplayJobBody::from(&job);
    Ok((StatusCode::CREATED, Json(One { data })))
}
