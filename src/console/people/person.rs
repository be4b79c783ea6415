//! The page of one person: who they are, what is theirs, and all that happened.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

use crate::console::about::{About, Topic};
use crate::console::absent::{AbsentPage, Choice};
use crate::console::layout::{self, Layout};
use crate::console::objects::{ApplicationRow, RegistrationRow, Rows, name};
use crate::console::people::deeds::{Deeds, Join};
use crate::console::reads::AboutPeople;
use crate::console::scope::Portals;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::timeline::{Timeline, Wanted};
use crate::console::{Console, done, filters};
use crate::directory::{Application, Developer, DeveloperRecord, Registration, RegistrationCount};
use crate::http::Problem;
use crate::http::parameters::{Parameters, path_id};
use crate::journal::journal_problem;
use crate::report::Question;

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    layout: Layout,
    now: DateTime<Utc>,
    done: Option<done::Notice>,
    person: Person,
    teams: Rows<TeamName>,
    applications: Rows<ApplicationRow>,
    registrations: Rows<RegistrationRow>,
    deeds: Option<Deeds>,
    about: About,
    timeline: Timeline,
}

/// Who somebody is.
struct Person {
    id: Uuid,
    /// How the page calls them.
    name: String,
    email: String,
    full_name: String,
    is_forgotten: bool,
    status: String,
    portal: String,
    since: DateTime<Utc>,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    gone_at: Option<DateTime<Utc>>,
    revision: i64,
    events_href: String,
    applications_href: String,
    explain_href: String,
    explain: String,
}

/// A team that they are in.
struct TeamName {
    id: Uuid,
    name: String,
}

impl Person {
    fn new(record: &DeveloperRecord, portals: &Portals) -> Self {
        let developer = &record.developer;
        let (id, portal_id): (Uuid, Uuid) = (developer.id.into(), developer.portal_id.into());
        let subject = &record.subject;
        let email = subject.email.clone().unwrap_or_default();
        let full_name = subject.full_name.clone().unwrap_or_default();
        let named = [&full_name, &email];
        let named = named.into_iter().find(|text| !text.trim().is_empty());
        Self {
            id,
            name: named.map_or_else(|| "A person without a name".to_owned(), String::clone),
            is_forgotten: subject.is_forgotten(),
            email,
            full_name,
            status: developer.status.to_string(),
            portal: portals.name(portal_id),
            since: developer.signed_up_at(),
            first_at: developer.row_version.first_at,
            last_at: developer.row_version.last_at,
            gone_at: developer.row_version.gone_at,
            revision: developer.row_version.revision,
            events_href: format!("/events?principal_id={id}"),
            applications_href: format!("/applications?owner_id={id}&portal_id={portal_id}"),
            explain_href: format!("/rules/explain?developer_id={id}&portal_id={portal_id}"),
            explain: format!("usher rules explain --developer {id} --portal {portal_id}"),
        }
    }
}

/// The page.
pub(in crate::console) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let done = done::notice(&mut parameters);
    let portal: Option<Uuid> = parameters.read("portal_id", "a UUID")?;
    let wanted = Wanted::read(&mut parameters)?;
    let pager = parameters.finish()?;
    let id: Uuid = path_id(&id, "a developer")?;
    let known = known(&console, id, portal).await?;
    let portals = Portals::load(&console).await?;
    let [developer] = &known[..] else {
        return absent(&console, &visitor, (id, portal), (&known[..], &portals)).await;
    };
    let Some(record) = record(&console, developer).await? else {
        return absent(&console, &visitor, (id, portal), (&[], &portals)).await;
    };
    let portal_id: Uuid = developer.portal_id.into();
    let registrations = console
        .directory
        .registrations_of(developer.portal_id, developer.id)
        .await?;
    let counts = counts(&registrations);
    let count = |row: &Application| counts.get(&row.id.into()).copied().unwrap_or_default();
    let names = names(&record.applications);
    let registration = |row: &Registration| {
        let application = names.get(&row.application_id.into()).map(String::as_str);
        RegistrationRow::new(row, application)
    };
    let topic = Topic {
        portal_id,
        id,
        belongings: belongings(&names, &registrations),
    };
    let question = Question {
        portal: Some(portal_id),
        developer: Some(id),
        ..Question::default()
    };
    let here = format!("/people/{id}?portal_id={portal_id}");
    let person = Person::new(&record, &portals);
    let page = PersonPage {
        layout: Layout::of(person.name.clone(), "/people", &visitor),
        now: console.clock.now(),
        done,
        person,
        teams: Rows::of(&record.teams, |team| TeamName {
            id: team.id.into(),
            name: team.name.clone(),
        }),
        applications: Rows::of(&record.applications, |row| {
            ApplicationRow::new(row, count(row))
        }),
        registrations: Rows::of(&registrations, registration),
        deeds: Deeds::load(&console, &visitor, &record).await?,
        about: About::load(&console, &topic).await?,
        timeline: Timeline::load(&console, &question, (&wanted, &here, pager)).await?,
    };
    Ok(AboutPeople(1, layout::render(&page)?).into_response())
}

/// Everybody with this id, one a portal.
async fn known(
    console: &Console,
    id: Uuid,
    portal: Option<Uuid>,
) -> Result<Vec<Developer>, Problem> {
    let portals = console.directory.portals_of(id.into()).await?;
    let mut known = Vec::new();
    for candidate in portals {
        if portal.is_none_or(|portal| portal == Uuid::from(candidate)) {
            let found = console.directory.find_developer(candidate, id.into()).await;
            known.extend(found?);
        }
    }
    Ok(known)
}

async fn record(
    console: &Console,
    developer: &Developer,
) -> Result<Option<DeveloperRecord>, Problem> {
    let record = console
        .directory
        .developer(developer.portal_id, developer.id);
    record.await.map_err(|error| journal_problem(&error))
}

/// The page where nobody, or more than one, has the id.
async fn absent(
    console: &Console,
    visitor: &Visitor,
    (id, portal): (Uuid, Option<Uuid>),
    (known, portals): (&[Developer], &Portals),
) -> Result<Response, Problem> {
    let page = AbsentPage::new("developer", "/people", id, visitor);
    if !known.is_empty() {
        let choice = |row: &Developer| Choice {
            portal_id: row.portal_id.into(),
            portal: portals.name(row.portal_id),
            state: if row.row_version.is_gone() {
                "gone".to_owned()
            } else {
                row.status.to_string()
            },
        };
        return page
            .of_several(known.iter().map(choice).collect())
            .respond();
    }
    let is_told = console.directory.is_custom_subject(id).await;
    let applications = console.directory.portals_of_application(id).await?;
    AbsentPage {
        is_of_portal: portal.is_some(),
        is_told: is_told?,
        other: (!applications.is_empty()).then(|| format!("/applications/{id}")),
        ..page
    }
    .respond()
}

/// How many registrations each application has.
fn counts(registrations: &[Registration]) -> BTreeMap<Uuid, RegistrationCount> {
    let mut counts: BTreeMap<Uuid, RegistrationCount> = BTreeMap::new();
    for row in registrations {
        let count = counts.entry(row.application_id.into()).or_default();
        count.all += 1;
        count.pending += i64::from(row.status.as_str() == "pending");
    }
    counts
}

fn names(applications: &[Application]) -> BTreeMap<Uuid, String> {
    let names = applications.iter();
    names.map(|row| (row.id.into(), name(row))).collect()
}

/// What belongs to somebody, each in words.
fn belongings(
    applications: &BTreeMap<Uuid, String>,
    registrations: &[Registration],
) -> BTreeMap<Uuid, String> {
    let told = |name: &String| format!("application {name}");
    let applications = applications.iter().map(|(id, name)| (*id, told(name)));
    let registrations = registrations.iter();
    applications
        .chain(registrations.map(|row| (row.id.into(), format!("registration {}", row.api.name))))
        .collect()
}
