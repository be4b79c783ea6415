//! `/api/v1/directory/memberships`.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::access_log::AboutPeople;
use crate::api::directory::{PersonBody, Scope, SeenBody, shown};
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Paging};
use crate::directory::{Membership, MembershipFilter};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part};

/// That a developer is, or was, in a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub(in crate::api) struct MembershipBody {
    /// The portal.
    portal_id: Uuid,
    /// The team.
    team_id: Uuid,
    /// The member.
    developer_id: Uuid,
    #[serde(flatten)]
    person: PersonBody,
    #[serde(flatten)]
    seen: SeenBody,
}

/// Who is in which team, by portal, team and developer. Those that ended are gone.
#[utoipa::path(
    get,
    path = "/api/v1/directory/memberships",
    tag = "directory",
    params(
        ("team_id" = Option<Uuid>, Query, description = "Only those of this team"),
        ("developer_id" = Option<Uuid>, Query, description = "Only those of this developer"),
        Scope,
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<MembershipBody>), Refused, OfTheRecord),
)]
pub(in crate::api) async fn list_memberships(
    api: Api,
    mut parameters: Parameters,
) -> Result<AboutPeople<Page<MembershipBody>>, Problem> {
    let filter = MembershipFilter {
        team_id: parameters.id("team_id")?,
        developer_id: parameters.id("developer_id")?,
    };
    let page = parameters.list_page(|[portal, team, developer]: [String; 3]| {
        Ok((part(&portal)?, part(&team)?, part(&developer)?))
    })?;
    let pager = parameters.finish()?;
    let rows = api.directory.list_memberships(&filter, &page).await?;
    let key = |row: &Membership| (row.portal_id.into(), row.developer_id.into());
    let people: Vec<(Uuid, Uuid)> = rows.iter().map(key).collect();
    let people = api.directory.subjects_of(&people).await?;
    let position =
        |row: &Membership| format!("{} {} {}", row.portal_id, row.team_id, row.developer_id);
    // Somebody may be in several teams of a page.
    let render = |row: Membership| MembershipBody {
        portal_id: row.portal_id.into(),
        team_id: row.team_id.into(),
        developer_id: row.developer_id.into(),
        person: people.get(&key(&row)).cloned().into(),
        seen: row.row_version.into(),
    };
    Ok(AboutPeople(pager.page(
        rows,
        shown(&page),
        position,
        render,
    )))
}
