//! `/api/v1/directory/applications`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::access_log::AboutPeople;
use crate::api::directory::{PersonBody, Scope, SeenBody, shown};
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Paging};
use crate::directory::{Application, ApplicationFilter, Owner, Subject};
use crate::http::Problem;
use crate::http::parameters::Parameters;

/// An application.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Application)]
pub(in crate::api) struct ApplicationBody {
    /// Its portal.
    portal_id: Uuid,
    /// Its id in Konnect.
    application_id: Uuid,
    /// Its name.
    name: String,
    /// Its owner; null where the API names none.
    #[schema(required = true)]
    owner: Option<OwnerBody>,
    /// The developer who owns it; null where it is a team's.
    #[schema(required = true)]
    developer_id: Option<Uuid>,
    #[serde(flatten)]
    person: PersonBody,
    /// Creation as the API says.
    #[schema(required = true)]
    api_created_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    seen: SeenBody,
}

/// The owner of an application.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Owner)]
struct OwnerBody {
    /// `developer` or `team`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the developer or team.
    id: Uuid,
}

impl ApplicationBody {
    /// An application; `subject` is its owner, where that is a developer.
    pub(super) fn new(application: Application, subject: Option<Subject>) -> Self {
        let owner = application.owner;
        Self {
            portal_id: application.portal_id.into(),
            application_id: application.id.into(),
            name: application.name,
            owner: owner.map(|owner| OwnerBody {
                kind: owner.kind(),
                id: owner.id(),
            }),
            developer_id: owner.and_then(Owner::developer).map(Into::into),
            person: subject.into(),
            api_created_at: application.created_at,
            seen: application.row_version.into(),
        }
    }
}

/// Applications, by portal and id.
#[utoipa::path(
    get,
    path = "/api/v1/directory/applications",
    tag = "directory",
    params(
        ("owner_id" = Option<Uuid>, Query, description = "Only those that this developer or team owns"),
        Scope,
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<ApplicationBody>), Refused, OfTheRecord),
)]
pub(in crate::api) async fn list_applications(
    api: Api,
    mut parameters: Parameters,
) -> Result<AboutPeople<Page<ApplicationBody>>, Problem> {
    let filter = ApplicationFilter {
        owner_id: parameters.id("owner_id")?,
        ..ApplicationFilter::default()
    };
    let page = parameters.page_by_id()?;
    let pager = parameters.finish()?;
    let rows = api.directory.list_applications(&filter, &page).await?;
    let owner = |row: &Application| {
        let owner = row.owner.and_then(Owner::developer)?;
        Some((row.portal_id.into(), owner.into()))
    };
    let owners: Vec<(Uuid, Uuid)> = rows.iter().filter_map(owner).collect();
    let people = api.directory.subjects_of(&owners).await?;
    let position = |row: &Application| format!("{} {}", row.portal_id, row.id);
    let render = |row: Application| {
        let subject = owner(&row).and_then(|owner| people.get(&owner).cloned());
        ApplicationBody::new(row, subject)
    };
    Ok(AboutPeople(pager.page(
        rows,
        shown(&page),
        position,
        render,
    )))
}
