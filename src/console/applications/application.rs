//! The page of one application: whose it is, what it asks for, and all that happened.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::act::AskRefusal;
use crate::console::about::{About, Topic};
use crate::console::absent::{AbsentPage, Choice};
use crate::console::applications::OwnerLink;
use crate::console::ask::{AskForm, Button, buttons, refused};
use crate::console::confirm::{ConfirmPage, Part};
use crate::console::layout::{self, Layout};
use crate::console::objects::{self, RegistrationRow, Rows};
use crate::console::reads::AboutPeople;
use crate::console::scope::Portals;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::timeline::{Timeline, Wanted};
use crate::console::{Console, done, filters};
use crate::directory::{
    Application, ApplicationRecord, Gone, ListPage, OwnerRecord, Registration, RegistrationFilter,
};
use crate::http::Problem;
use crate::http::parameters::{Parameters, path_id};
use crate::report::Question;

/// Registrations that are read: of an application with more, the rest is not shown.
const MOST_REGISTRATIONS: i64 = 1_000;

/// Registrations with buttons: those beyond are asked for at the command line.
const MOST_LINES: usize = 50;

#[derive(Template)]
#[template(path = "application.html")]
struct ApplicationPage {
    layout: Layout,
    now: DateTime<Utc>,
    done: Option<done::Notice>,
    application: Facts,
    registrations: Rows<RegistrationRow>,
    deeds: Option<Deeds>,
    about: About,
    timeline: Timeline,
}

/// The form of an operator: one reason, and buttons for each registration.
struct Deeds {
    action: String,
    portal_id: Uuid,
    csrf: String,
    lines: Vec<DeedLine>,
}

/// A registration for which there is something to ask.
struct DeedLine {
    id: Uuid,
    api: String,
    status: String,
    buttons: Vec<Button>,
}

impl Deeds {
    /// What `visitor` may ask for; none for a reader, or where nothing can be asked for.
    fn new(
        visitor: &Visitor,
        application: &Application,
        registrations: &[Registration],
    ) -> Option<Self> {
        if !visitor.is_operator() || application.row_version.is_gone() {
            return None;
        }
        let lines = registrations.iter().map(|row| DeedLine {
            id: row.id.into(),
            api: row.api.name.clone(),
            buttons: buttons("registration", row.status.as_str()),
            status: row.status.to_string(),
        });
        let lines = lines.filter(|line| !line.buttons.is_empty());
        let deeds = Self {
            action: format!("/applications/{}/ask", application.id),
            portal_id: application.portal_id.into(),
            csrf: visitor.csrf.clone(),
            lines: lines.take(MOST_LINES).collect(),
        };
        Some(deeds).filter(|deeds| !deeds.lines.is_empty())
    }
}

/// What is known of the application itself.
struct Facts {
    id: Uuid,
    name: String,
    owner: OwnerLink,
    portal: String,
    created_at: DateTime<Utc>,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    gone_at: Option<DateTime<Utc>>,
    revision: i64,
}

impl Facts {
    fn new(record: &ApplicationRecord, portals: &Portals) -> Self {
        let application = &record.application;
        Self {
            id: application.id.into(),
            name: objects::name(application),
            owner: owner(record),
            portal: portals.name(application.portal_id),
            created_at: objects::created_at(application),
            first_at: application.row_version.first_at,
            last_at: application.row_version.last_at,
            gone_at: application.row_version.gone_at,
            revision: application.row_version.revision,
        }
    }
}

fn owner(record: &ApplicationRecord) -> OwnerLink {
    let portal = record.application.portal_id.into();
    match (&record.owner, record.application.owner) {
        (Some(OwnerRecord::Developer(developer, subject)), _) => {
            OwnerLink::of_person(Some(subject), portal, developer.id.into())
        }
        (Some(OwnerRecord::Team(team)), _) => OwnerLink::of_team(&team.name),
        // An owner whom no sweep has found.
        (None, Some(owner)) => OwnerLink {
            href: None,
            text: format!("{} {}", owner.kind(), owner.id()),
        },
        (None, None) => OwnerLink::default(),
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
    let id: Uuid = path_id(&id, "an application")?;
    let mut known = known(&console, id, portal).await?;
    let portals = Portals::load(&console).await?;
    if known.len() != 1 {
        return absent(&console, &visitor, (id, portal), (&known[..], &portals)).await;
    }
    let Some(record) = known.pop() else {
        return absent(&console, &visitor, (id, portal), (&[], &portals)).await;
    };
    let portal_id: Uuid = record.application.portal_id.into();
    let registrations = registrations(&console, &record.application).await?;
    let belongings = registrations
        .iter()
        .map(|row| (row.id.into(), format!("registration {}", row.api.name)));
    let topic = Topic {
        portal_id,
        id,
        belongings: belongings.collect(),
    };
    let question = Question {
        portal: Some(portal_id),
        application: Some(id),
        ..Question::default()
    };
    let here = format!("/applications/{id}?portal_id={portal_id}");
    let application = Facts::new(&record, &portals);
    let name = application.name.clone();
    let page = ApplicationPage {
        layout: Layout::of(name.clone(), "/applications", &visitor),
        now: console.clock.now(),
        done,
        application,
        registrations: Rows::of(&registrations, |row| RegistrationRow::new(row, Some(&name))),
        deeds: Deeds::new(&visitor, &record.application, &registrations),
        about: About::load(&console, &topic).await?,
        timeline: Timeline::load(&console, &question, (&wanted, &here, pager)).await?,
    };
    Ok(AboutPeople(1, layout::render(&page)?).into_response())
}

/// Asks for what the form of the page says, and leads back to it. What takes something away is
/// shown first.
pub(in crate::console) async fn ask(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<AskForm>, FormRejection>,
) -> Result<Response, Problem> {
    let form = AskForm::of(form)?;
    let id: Uuid = path_id(&id, "an application")?;
    if form.is_unconfirmed() {
        return confirm(&console, &visitor, id, &form).await;
    }
    form.send(&console, &visitor, form.target()?).await?;
    let page = format!("/applications/{id}?portal_id={}", form.portal_id);
    Ok(done::see(&page, "asked").into_response())
}

/// Shows what the application loses.
async fn confirm(
    console: &Console,
    visitor: &Visitor,
    id: Uuid,
    form: &AskForm,
) -> Result<Response, Problem> {
    visitor.person(Some(&form.reason))?;
    let portal: Uuid = path_id(&form.portal_id, "a portal")?;
    let target = form.target()?;
    let known = console
        .directory
        .find_registration(portal.into(), target.into());
    let known = known.await?;
    let known = known.filter(|known| !known.row_version.is_gone());
    let row = known.ok_or_else(|| refused(&AskRefusal::UnknownTarget("registration")))?;
    form.fits(target, ("registration", row.status.as_str()))?;
    let called = format!("registration for {}", row.api.name);
    let parts = vec![Part::of_registrations(vec![row])];
    let page = format!("/applications/{id}?portal_id={portal}");
    ConfirmPage::new(form, visitor, ("/applications", page), (called, parts)).respond()
}

/// Every application with this id, one a portal, with its owner.
async fn known(
    console: &Console,
    id: Uuid,
    portal: Option<Uuid>,
) -> Result<Vec<ApplicationRecord>, Problem> {
    let portals = console.directory.portals_of_application(id).await?;
    let mut known = Vec::new();
    for candidate in portals {
        if portal.is_none_or(|portal| portal == Uuid::from(candidate)) {
            let found = console.directory.application(candidate, id.into()).await;
            known.extend(found?);
        }
    }
    Ok(known)
}

/// What an application asks for, the oldest first.
async fn registrations(
    console: &Console,
    application: &Application,
) -> Result<Vec<Registration>, Problem> {
    let filter = RegistrationFilter {
        application_id: Some(application.id.into()),
        ..RegistrationFilter::default()
    };
    let page = ListPage {
        portal_id: Some(application.portal_id.into()),
        gone: Gone::Without,
        after: None,
        limit: MOST_REGISTRATIONS,
    };
    let mut found = console.directory.list_registrations(&filter, &page).await?;
    found.sort_by_key(|row| (row.requested_at(), Uuid::from(row.id)));
    Ok(found)
}

/// The page where no application, or more than one, has the id.
async fn absent(
    console: &Console,
    visitor: &Visitor,
    (id, portal): (Uuid, Option<Uuid>),
    (known, portals): (&[ApplicationRecord], &Portals),
) -> Result<Response, Problem> {
    let page = AbsentPage::new("application", "/applications", id, visitor);
    if !known.is_empty() {
        let choice = |row: &ApplicationRecord| Choice {
            portal_id: row.application.portal_id.into(),
            portal: portals.name(row.application.portal_id),
            state: if row.application.row_version.is_gone() {
                "gone".to_owned()
            } else {
                "there".to_owned()
            },
        };
        return page
            .of_several(known.iter().map(choice).collect())
            .respond();
    }
    let people = console.directory.portals_of(id.into()).await?;
    AbsentPage {
        is_of_portal: portal.is_some(),
        other: (!people.is_empty()).then(|| format!("/people/{id}")),
        ..page
    }
    .respond()
}
