//! `/api/v1/actions`.

use axum::Json;

use crate::act::{Action, ActionFilter, ActionPosition, ActionState};
use crate::api::Api;
use crate::api::document::{DeedName, OfTheRecord, Refused};
use crate::api::page::{Page, Paging};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part, time_part};
use crate::rules::Deed;

const STATES: &str = "planned, running, done, refused, parked, failed, cancelled or shadow";

impl Parameters {
    /// The word for a deed.
    fn deed(&mut self) -> Result<Option<String>, Problem> {
        match self.text("deed") {
            Some(deed) if !Deed::NAMES.contains(&deed.as_str()) => {
                let expected = Deed::NAMES.join(", ");
                Err(bad_request(format!(
                    "parameter deed: expected one of {expected}"
                )))
            }
            deed => Ok(deed),
        }
    }
}

/// Actions newest first, by the time they were decided.
#[utoipa::path(
    get,
    path = "/api/v1/actions",
    tag = "actions",
    params(
        ("state" = inline(Option<ActionState>), Query, description = "Only those in this state"),
        ("rule" = Option<String>, Query, description = "Only those of this rule"),
        ("deed" = inline(Option<DeedName>), Query, description = "Only those of this deed"),
        ("portal_id" = Option<Uuid>, Query, description = "Only those of this portal"),
        ("target_id" = Option<Uuid>, Query, description = "Only those done to whatever has this id"),
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<Action>), Refused, OfTheRecord),
)]
pub(super) async fn list_actions(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<Action>>, Problem> {
    let filter = ActionFilter {
        state: parameters.read::<ActionState>("state", STATES)?,
        rule: parameters.text("rule"),
        deed: parameters.deed()?,
        portal_id: parameters.read("portal_id", "a UUID")?,
        target_id: parameters.read("target_id", "a UUID")?,
    };
    let limit = parameters.limit()?;
    let after = parameters.after(|[time, id]: [String; 2]| {
        Ok(ActionPosition {
            created_at: part(&time)?,
            id: part(&id)?,
        })
    })?;
    let pager = parameters.finish()?;
    let rows = api.listed.list(&filter, after, limit + 1).await?;
    let position = |row: &Action| format!("{} {}", time_part(row.created_at), row.id);
    Ok(Json(pager.page(rows, limit, position, |row| row)))
}
