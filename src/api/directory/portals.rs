//! `/api/v1/directory/portals`.

use axum::Json;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::directory::{Scope, SeenBody, shown};
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Paging};
use crate::directory::Portal;
use crate::http::Problem;
use crate::http::parameters::{Parameters, part};

/// A portal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Portal)]
pub(in crate::api) struct PortalBody {
    /// Its id in Konnect.
    portal_id: Uuid,
    /// Its name.
    name: String,
    /// Whether developers are approved as they sign up.
    auto_approve_developers: bool,
    /// Whether registrations are approved as they are asked for.
    auto_approve_applications: bool,
    /// Creation as the API says.
    #[schema(required = true)]
    api_created_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    seen: SeenBody,
}

impl From<Portal> for PortalBody {
    fn from(portal: Portal) -> Self {
        Self {
            portal_id: portal.id.into(),
            name: portal.name,
            auto_approve_developers: portal.auto_approve_developers,
            auto_approve_applications: portal.auto_approve_applications,
            api_created_at: portal.created_at,
            seen: portal.row_version.into(),
        }
    }
}

/// Portals, by id.
#[utoipa::path(
    get,
    path = "/api/v1/directory/portals",
    tag = "directory",
    params(Scope, Paging),
    responses((status = 200, description = "A page of them", body = Page<PortalBody>), Refused, OfTheRecord),
)]
pub(in crate::api) async fn list_portals(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<PortalBody>>, Problem> {
    let page = parameters.list_page(|[id]: [String; 1]| part(&id))?;
    let pager = parameters.finish()?;
    let rows = api.directory.list_portals(&page).await?;
    let position = |row: &Portal| row.id.to_string();
    Ok(Json(pager.page(rows, shown(&page), position, Into::into)))
}
