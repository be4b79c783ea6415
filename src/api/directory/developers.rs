//! `/api/v1/directory/developers`: all of them, those of an address, and one with their teams and
//! applications.

use axum::extract::Path;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::access_log::AboutPeople;
use crate::api::directory::applications::ApplicationBody;
use crate::api::directory::teams::TeamBody;
use crate::api::directory::{PersonBody, Scope, SeenBody, shown};
use crate::api::document::{Conflicting, Missing, OfTheRecord, Refused, StatusName};
use crate::api::page::{One, Page, Paging};
use crate::directory::{Developer, DeveloperFilter, DeveloperRecord, Subject};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, part_text, path_id, text_part};

/// A developer of a portal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Developer)]
pub(in crate::api) struct DeveloperBody {
    /// Their portal.
    portal_id: Uuid,
    /// Their id in Konnect.
    developer_id: Uuid,
    #[serde(flatten)]
    person: PersonBody,
    /// `approved`, `pending`, `revoked`, `rejected`, or a word that came later.
    status: String,
    /// Sign-up as the API says.
    #[schema(required = true)]
    api_created_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    seen: SeenBody,
}

/// A developer with their teams and applications.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeveloperDetail)]
pub(in crate::api) struct DetailBody {
    #[serde(flatten)]
    developer: DeveloperBody,
    /// The teams that they are in, by name.
    teams: Vec<TeamBody>,
    /// The applications that they own themselves, oldest first.
    applications: Vec<ApplicationBody>,
}

impl DeveloperBody {
    fn new(developer: &Developer, subject: Option<Subject>) -> Self {
        Self {
            portal_id: developer.portal_id.into(),
            developer_id: developer.id.into(),
            person: subject.into(),
            status: developer.status.to_string(),
            api_created_at: developer.created_at,
            seen: developer.row_version.into(),
        }
    }
}

impl From<DeveloperRecord> for DetailBody {
    fn from(record: DeveloperRecord) -> Self {
        let owner = Some(record.subject);
        let applications = record.applications.into_iter();
        Self {
            applications: applications
                .map(|application| ApplicationBody::new(application, owner.clone()))
                .collect(),
            developer: DeveloperBody::new(&record.developer, owner),
            teams: record.teams.into_iter().map(Into::into).collect(),
        }
    }
}

/// Developers, by portal and id.
///
/// With `email` those whose address begins with it, by portal, address and id.
#[utoipa::path(
    get,
    path = "/api/v1/directory/developers",
    tag = "directory",
    params(
        ("email" = Option<String>, Query,
            description = "Only those whose address begins with this; the case of ASCII letters does not count"),
        ("status" = inline(Option<StatusName>), Query, description = "Only those of this status"),
        Scope,
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<DeveloperBody>), Refused, OfTheRecord),
)]
pub(in crate::api) async fn list_developers(
    api: Api,
    mut parameters: Parameters,
) -> Result<AboutPeople<Page<DeveloperBody>>, Problem> {
    let filter = DeveloperFilter {
        status: parameters.status()?,
    };
    let by_id = |row: &Developer| format!("{} {}", row.portal_id, row.id);
    let Some(email) = parameters.text("email") else {
        let page = parameters.page_by_id()?;
        let pager = parameters.finish()?;
        let rows = api.directory.list_developers(&filter, &page).await?;
        let people = people(&api, rows).await?;
        let position = |(row, _): &(Developer, Option<Subject>)| by_id(row);
        let render = |(row, subject)| DeveloperBody::new(&row, subject);
        return Ok(AboutPeople(pager.page(
            people,
            shown(&page),
            position,
            render,
        )));
    };
    let page = parameters.list_page(|[portal, id, address]: [String; 3]| {
        Ok((part(&portal)?, part_text(&address)?, part(&id)?))
    })?;
    let pager = parameters.finish()?;
    let rows = api
        .directory
        .list_developers_by_email(&email, &filter, &page)
        .await?;
    let people = people(&api, rows).await?;
    let position = |(row, subject): &(Developer, Option<Subject>)| {
        let address = subject
            .as_ref()
            .and_then(|subject| subject.email.as_deref());
        let address = address.unwrap_or_default().to_ascii_lowercase();
        format!("{} {}", by_id(row), text_part(&address))
    };
    let render = |(row, subject)| DeveloperBody::new(&row, subject);
    Ok(AboutPeople(pager.page(
        people,
        shown(&page),
        position,
        render,
    )))
}

/// Developers with e-mail and name.
async fn people(
    api: &Api,
    developers: Vec<Developer>,
) -> Result<Vec<(Developer, Option<Subject>)>, Problem> {
    let key = |row: &Developer| (row.portal_id.into(), row.id.into());
    let keys: Vec<(Uuid, Uuid)> = developers.iter().map(key).collect();
    let mut subjects = api.directory.subjects_of(&keys).await?;
    let with_subject = |row: Developer| {
        let subject = subjects.remove(&key(&row));
        (row, subject)
    };
    Ok(developers.into_iter().map(with_subject).collect())
}

/// One developer, with their teams and applications.
///
/// Found also when they are gone; of their teams and applications only those that are not gone.
#[utoipa::path(
    get,
    path = "/api/v1/directory/developers/{id}",
    tag = "directory",
    params(
        ("id" = Uuid, Path, description = "The developer's id in Konnect"),
        ("portal_id" = Option<Uuid>, Query,
            description = "Their portal; needed only where the id is in several"),
    ),
    responses(
        (status = 200, description = "The developer", body = One<DetailBody>),
        Refused, Missing, Conflicting, OfTheRecord,
    ),
)]
pub(in crate::api) async fn get_developer(
    api: Api,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<AboutPeople<One<DetailBody>>, Problem> {
    let portal: Option<Uuid> = parameters.id("portal_id")?;
    parameters.finish()?;
    let id: Uuid = path_id(&id, "a developer")?;
    let portals = api.directory.portals_of(id.into()).await?;
    let mut found = Vec::new();
    for known in portals {
        if portal.is_none_or(|portal| portal == Uuid::from(known)) {
            let record = api.directory.developer(known, id.into()).await;
            found.extend(record?);
        }
    }
    if found.len() > 1 {
        let detail = "this id is in several portals: say which by portal_id";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no developer with this id");
    let record = found.pop().ok_or_else(missing)?;
    Ok(AboutPeople(One {
        data: record.into(),
    }))
}
