//! `POST /api/v1/actions`: an operator asks for a deed without a rule.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::act::{ActionDetail, Ask, AskRefusal, Asked, Person};
use crate::api::Api;
use crate::api::body;
use crate::api::by_hand::{detail, require_operator};
use crate::api::document::{
    AskedDeedName, Conflicting, Missing, OfOperators, OfTheRecord, Refused,
};
use crate::api::page::One;
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::http::tokens::Caller;

/// How a body looks.
const FORM: &str = "{\"portal_id\": \"…\", \"deed\": \"…\", \"target_id\": \"…\"}";

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Ask)]
pub(super) struct AskBody {
    /// The portal of the developer or registration.
    portal_id: Uuid,
    /// The word for the deed.
    #[schema(value_type = AskedDeedName)]
    deed: String,
    /// The id of the developer or registration in Konnect.
    target_id: Uuid,
    /// The team, by its name or its id, where the deed is about one.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    team: Option<String>,
    /// Why, for those who read it later: one line.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    reason: Option<String>,
}

/// Asks for a deed without a rule; answers with the action that does it.
///
/// It goes through the same queue as the deeds of rules: its target is read by id right before the
/// write, and a pause and a refused token hold it. No rule's limit and no rule's condition do.
#[utoipa::path(
    post,
    path = "/api/v1/actions",
    tag = "actions",
    request_body = AskBody,
    responses(
        (status = 201, description = "The new action", body = One<ActionDetail>),
        (status = 200, description = "The action for the same that is open", body = One<ActionDetail>),
        Refused, OfOperators, Missing, Conflicting, OfTheRecord,
    ),
)]
pub(super) async fn create_action(
    api: Api,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<One<ActionDetail>>), Problem> {
    parameters.finish()?;
    require_operator(&caller)?;
    let body: AskBody = body::read(&body, FORM)?;
    let person = Person::new(caller.name(), body.reason.as_deref())
        .map_err(|error| bad_request(format!("reason: {error}")))?;
    let team = body.team.as_deref();
    let ask = Ask::new(body.portal_id, &body.deed, body.target_id, team)
        .map_err(|error| bad_request(error.to_string()))?;
    let asked = api.actions.ask(&api.directory, &ask, &person).await;
    let (status, id) = match asked? {
        Asked::New(id) => (StatusCode::CREATED, id),
        Asked::Open(id) => (StatusCode::OK, id),
        Asked::Refused(why) => return Err(refused(&why)),
    };
    let data = detail(&api.actions, id).await?;
    Ok((status, Json(One { data })))
}

fn refused(why: &AskRefusal) -> Problem {
    let status = match why {
        AskRefusal::UnknownPortal | AskRefusal::UnknownTarget(_) | AskRefusal::UnknownTeam => {
            StatusCode::NOT_FOUND
        }
        AskRefusal::ManyTeams(_) | AskRefusal::WrongStatus { .. } => StatusCode::CONFLICT,
    };
    Problem::new(status, why.to_string())
}
