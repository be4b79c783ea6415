//! `/api/v1/directory/registrations`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::access_log::AboutPeople;
use crate::api::directory::{PersonBody, Scope, SeenBody, shown};
use crate::api::document::{OfTheRecord, Refused, StatusName};
use crate::api::page::{Page, Paging};
use crate::directory::{Owner, Registration, RegistrationFilter, Subject};
use crate::http::Problem;
use crate::http::parameters::Parameters;

/// An application's request for an API.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registration)]
pub(in crate::api) struct RegistrationBody {
    /// Its portal.
    portal_id: Uuid,
    /// Its id in Konnect.
    registration_id: Uuid,
    /// The application that asks.
    application_id: Uuid,
    /// The developer who owns the application; null where it is a team's.
    #[schema(required = true)]
    developer_id: Option<Uuid>,
    #[serde(flatten)]
    person: PersonBody,
    /// `approved`, `pending`, `revoked`, `rejected`, or a word that came later.
    status: String,
    /// What is asked for.
    api: RequestedBody,
    /// When it was asked for, as the API says.
    #[schema(required = true)]
    api_created_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    seen: SeenBody,
}

/// The API, or package of APIs, that is asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestedApi)]
struct RequestedBody {
    /// Its id in Konnect.
    id: Uuid,
    /// Its name.
    name: String,
    /// Its version, where it has one.
    #[schema(required = true)]
    version: Option<String>,
}

/// Who asked, of every registration of a page: by portal and application.
struct Askers {
    owners: BTreeMap<(Uuid, Uuid), Owner>,
    people: BTreeMap<(Uuid, Uuid), Subject>,
}

impl Askers {
    async fn of(api: &Api, rows: &[Registration]) -> Result<Self, Problem> {
        let applications: Vec<(Uuid, Uuid)> = rows.iter().map(application).collect();
        let owners = api.directory.owners_of(&applications).await?;
        let developers: Vec<(Uuid, Uuid)> = owners
            .iter()
            .filter_map(|((portal, _), owner)| Some((*portal, owner.developer()?.into())))
            .collect();
        let people = api.directory.subjects_of(&developers).await?;
        Ok(Self { owners, people })
    }

    fn render(&self, row: Registration) -> RegistrationBody {
        let (portal, application) = application(&row);
        let owner = self.owners.get(&(portal, application));
        let developer: Option<Uuid> = owner.and_then(|owner| owner.developer()).map(Into::into);
        let subject = developer.and_then(|id| self.people.get(&(portal, id)).cloned());
        RegistrationBody {
            portal_id: portal,
            registration_id: row.id.into(),
            application_id: application,
            developer_id: developer,
            person: subject.into(),
            status: row.status.to_string(),
            api: RequestedBody {
                id: row.api.id.into(),
                name: row.api.name,
                version: row.api.version,
            },
            api_created_at: row.created_at,
            seen: row.row_version.into(),
        }
    }
}

fn application(row: &Registration) -> (Uuid, Uuid) {
    (row.portal_id.into(), row.application_id.into())
}

/// Registrations, by portal and id.
#[utoipa::path(
    get,
    path = "/api/v1/directory/registrations",
    tag = "directory",
    params(
        ("status" = inline(Option<StatusName>), Query, description = "Only those of this status"),
        ("application_id" = Option<Uuid>, Query, description = "Only those of this application"),
        ("developer_id" = Option<Uuid>, Query,
            description = "Only those of applications that this developer owns"),
        Scope,
        Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<RegistrationBody>), Refused, OfTheRecord),
)]
pub(in crate::api) async fn list_registrations(
    api: Api,
    mut parameters: Parameters,
) -> Result<AboutPeople<Page<RegistrationBody>>, Problem> {
    let filter = RegistrationFilter {
        status: parameters.status()?,
        application_id: parameters.id("application_id")?,
        developer_id: parameters.id("developer_id")?,
    };
    let page = parameters.page_by_id()?;
    let pager = parameters.finish()?;
    let rows = api.directory.list_registrations(&filter, &page).await?;
    let askers = Askers::of(&api, &rows).await?;
    let position = |row: &Registration| format!("{} {}", row.portal_id, row.id);
    Ok(AboutPeople(pager.page(
        rows,
        shown(&page),
        position,
        |row| askers.render(row),
    )))
}
