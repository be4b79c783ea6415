//! What operators do over HTTP: approve, reject, retry and cancel actions, pause and resume all of
//! them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::act::{ActionDetail, Intervened, Paused, Person, Queue, Verb};
use crate::api::Api;
use crate::api::document::{Conflicting, Missing, OfOperators, OfTheRecord, Refused};
use crate::api::page::One;
use crate::api::render::{self, PauseBody};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, path_id};
use crate::http::tokens::Caller;

/// What a request may contain; an empty body says nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Why)]
pub(super) struct WhyBody {
    /// Why, for those who read it later: one line.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    reason: Option<String>,
}

/// One action with its attempts and what people did about it.
#[utoipa::path(
    get,
    path = "/api/v1/actions/{id}",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The action's id")),
    responses(
        (status = 200, description = "The action", body = One<ActionDetail>),
        Refused, Missing, OfTheRecord,
    ),
)]
pub(super) async fn get_action(
    api: Api,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<One<ActionDetail>>, Problem> {
    parameters.finish()?;
    let found = detail(&api.listed, path_id(&id, "an action")?).await?;
    Ok(Json(One { data: found }))
}

/// Does to one action what the path's last part says; answers with the action that replaces it.
#[utoipa::path(
    post,
    path = "/api/v1/actions/{id}/{verb}",
    tag = "actions",
    params(
        ("id" = Uuid, Path, description = "The action's id"),
        ("verb" = inline(Verb), Path, description = "What is to be done about it"),
    ),
    request_body = Option<WhyBody>,
    responses(
        (status = 200, description = "The action that stands for it from now on", body = One<ActionDetail>),
        Refused, OfOperators, Missing, Conflicting, OfTheRecord,
    ),
)]
pub(super) async fn intervene(
    api: Api,
    Path((id, verb)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<One<ActionDetail>>, Problem> {
    parameters.finish()?;
    let verb: Verb = verb.parse().map_err(|_| nothing_here())?;
    let person = operator(&caller, &body)?;
    let id = path_id(&id, "an action")?;
    let done = api.actions.intervene(id, verb, &person).await?;
    match done {
        Intervened::Done(id) => {
            let found = detail(&api.actions, id).await?;
            Ok(Json(One { data: found }))
        }
        Intervened::Unknown => Err(no_action()),
        refused => Err(Problem::new(StatusCode::CONFLICT, refused.refusal(verb))),
    }
}

/// Whether a person paused all actions.
#[utoipa::path(
    get,
    path = "/api/v1/actions/pause",
    tag = "actions",
    responses((status = 200, description = "Whether they are paused", body = One<PauseBody>), Refused, OfTheRecord),
)]
pub(super) async fn get_pause(
    api: Api,
    parameters: Parameters,
) -> Result<Json<One<PauseBody>>, Problem> {
    parameters.finish()?;
    let paused = api.actions.paused().await?;
    Ok(pause(paused.as_ref()))
}

/// Lets no action be carried out any more; if they are paused already, nothing changes.
#[utoipa::path(
    post,
    path = "/api/v1/actions/pause",
    tag = "actions",
    request_body = Option<WhyBody>,
    responses((status = 200, description = "Whether they are paused", body = One<PauseBody>), Refused, OfOperators, OfTheRecord),
)]
pub(super) async fn pause_actions(
    api: Api,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<One<PauseBody>>, Problem> {
    parameters.finish()?;
    let person = operator(&caller, &body)?;
    let (paused, _) = api.actions.pause_all(&person).await?;
    Ok(pause(Some(&paused)))
}

/// Lets actions be carried out again.
#[utoipa::path(
    post,
    path = "/api/v1/actions/resume",
    tag = "actions",
    request_body = Option<WhyBody>,
    responses((status = 200, description = "Whether they are paused", body = One<PauseBody>), Refused, OfOperators, OfTheRecord),
)]
pub(super) async fn resume_actions(
    api: Api,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<One<PauseBody>>, Problem> {
    parameters.finish()?;
    let person = operator(&caller, &body)?;
    api.actions.resume_all(&person).await?;
    Ok(pause(None))
}

fn pause(paused: Option<&Paused>) -> Json<One<PauseBody>> {
    Json(One {
        data: render::pause(paused),
    })
}

/// The caller as a person who may act.
pub(super) fn operator(caller: &Caller, body: &Bytes) -> Result<Person, Problem> {
    require_operator(caller)?;
    let why = why(body).ok_or_else(|| bad_request("the body is {\"reason\": \"…\"}, or empty"))?;
    Person::new(caller.name(), why.reason.as_deref())
        .map_err(|error| bad_request(format!("reason: {error}")))
}

/// Refuses a caller who may only read.
pub(super) fn require_operator(caller: &Caller) -> Result<(), Problem> {
    if caller.is_operator() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "this token may only read: it takes one with role operator",
    ))
}

/// The content of a request; none where it cannot be read. Serde would take a list for an object
/// too.
fn why(body: &[u8]) -> Option<WhyBody> {
    if body.is_empty() {
        return Some(WhyBody::default());
    }
    match serde_json::from_slice(body).ok()? {
        Value::Null => Some(WhyBody::default()),
        object @ Value::Object(_) => serde_json::from_value(object).ok(),
        _ => None,
    }
}

/// One action, whole.
pub(super) async fn detail(actions: &Queue, id: Uuid) -> Result<ActionDetail, Problem> {
    let found = actions.detail(id).await;
    found?.ok_or_else(no_action)
}

fn no_action() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no action with this id")
}

fn nothing_here() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "nothing is served at this path")
}
