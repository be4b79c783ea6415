//! `/api/v1/directory/teams`.

use axum::Json;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::directory::{Scope, SeenBody, shown};
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Paging};
use crate::directory::Team;
use crate::http::Problem;
use crate::http::parameters::Parameters;

/// A team of developers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Team)]
pub(in crate::api) struct TeamBody {
    /// Its portal.
    portal_id: Uuid,
    /// Its id in Konnect.
    team_id: Uuid,
    /// Its name; need not be unique.
    name: String,
    /// Whether applications may belong to it.
    can_own_applications: bool,
    /// Creation as the API says.
    #[schema(required = true)]
    api_created_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    seen: SeenBody,
}

impl From<Team> for TeamBody {
    fn from(team: Team) -> Self {
        Self {
            portal_id: team.portal_id.into(),
            team_id: team.id.into(),
            name: team.name,
            can_own_applications: team.can_own_applications,
            api_created_at: team.created_at,
            seen: team.row_version.into(),
        }
    }
}

/// Teams, by portal and id.
#[utoipa::path(
    get,
    path = "/api/v1/directory/teams",
    tag = "directory",
    params(Scope, Paging),
    responses((status = 200, description = "A page of them", body = Page<TeamBody>), Refused, OfTheRecord),
)]
pub(in crate::api) async fn list_teams(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<TeamBody>>, Problem> {
    let page = parameters.page_by_id()?;
    let pager = parameters.finish()?;
    let rows = api.directory.list_teams(&page).await?;
    let position = |row: &Team| format!("{} {}", row.portal_id, row.id);
    Ok(Json(pager.page(rows, shown(&page), position, Into::into)))
}
