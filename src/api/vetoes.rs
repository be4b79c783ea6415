//! `/api/v1/vetoes`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use uuid::Uuid;

use crate::act::Veto;
use crate::api::Api;
use crate::api::by_hand::{WhyBody, operator};
use crate::api::document::{Missing, OfOperators, OfTheRecord, Refused};
use crate::api::page::{One, Page, Paging};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, path_id};
use crate::http::tokens::Caller;

/// The vetoes in force, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/vetoes",
    tag = "vetoes",
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<Veto>), Refused, OfTheRecord),
)]
pub(super) async fn list_vetoes(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<Veto>>, Problem> {
    let limit = parameters.limit()?;
    let after = parameters.after(|[id]: [String; 1]| part::<Uuid>(&id))?;
    let pager = parameters.finish()?;
    let rows = api.listed.vetoes(after, limit + 1).await?;
    let position = |row: &Veto| row.id.to_string();
    Ok(Json(pager.page(rows, limit, position, |row| row)))
}

/// Lifts a veto; answers with what it was.
#[utoipa::path(
    post,
    path = "/api/v1/vetoes/{id}/lift",
    tag = "vetoes",
    params(("id" = Uuid, Path, description = "The veto's id")),
    request_body = Option<WhyBody>,
    responses(
        (status = 200, description = "The veto that was", body = One<Veto>),
        Refused, OfOperators, Missing, OfTheRecord,
    ),
)]
pub(super) async fn lift_veto(
    api: Api,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<One<Veto>>, Problem> {
    parameters.finish()?;
    let person = operator(&caller, &body)?;
    let id = path_id(&id, "a veto")?;
    let lifted = api.actions.lift_veto(id, &person).await?;
    let lifted = lifted
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no veto with this id is in force"))?;
    Ok(Json(One { data: lifted }))
}
