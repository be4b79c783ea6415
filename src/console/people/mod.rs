//! People as the directory knows them: a list by address or by id, and a page for each.

mod deeds;
mod person;

use askama::Template;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::scope::{Portals, Scope, last_shown};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::short;
use crate::console::{Console, filters};
use crate::directory::{Developer, DeveloperFilter, Subject};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part, part_text, text_part};

pub(super) use deeds::ask;
pub(super) use person::show;

/// The words for a status of a developer, those that wait first.
const STATUSES: [&str; 4] = ["pending", "approved", "revoked", "rejected"];

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    layout: Layout,
    filter: Filter,
    portals: Portals,
    rows: Vec<PersonRow>,
    next: Option<String>,
}

/// What is asked for; an empty text is nothing.
struct Filter {
    email: String,
    status: String,
    scope: Scope,
}

impl Filter {
    fn read(parameters: &mut Parameters) -> Result<Self, Problem> {
        let scope = Scope::read(parameters)?;
        let status = parameters.text("status").unwrap_or_default();
        if !status.is_empty() && !STATUSES.contains(&status.as_str()) {
            let expected = STATUSES.join(", ");
            return Err(bad_request(format!(
                "parameter status: expected one of {expected}"
            )));
        }
        let email = parameters.text("email").unwrap_or_default();
        Ok(Self {
            email: email.trim().to_owned(),
            status,
            scope,
        })
    }

    fn is_asked(&self) -> bool {
        !self.email.is_empty() || !self.status.is_empty() || self.scope.is_asked()
    }

    fn of_developers(&self) -> DeveloperFilter {
        DeveloperFilter {
            status: Some(self.status.clone()).filter(|status| !status.is_empty()),
        }
    }
}

/// One line of the list.
struct PersonRow {
    href: String,
    email: String,
    full_name: String,
    short_id: String,
    status: String,
    portal: String,
    since: DateTime<Utc>,
    gone_at: Option<DateTime<Utc>>,
}

impl PersonRow {
    fn new((developer, subject): (Developer, Subject), portals: &Portals) -> Self {
        Self {
            href: format!("/people/{}?portal_id={}", developer.id, developer.portal_id),
            email: subject.email.unwrap_or_default(),
            full_name: subject.full_name.unwrap_or_default(),
            short_id: short(developer.id),
            status: developer.status.to_string(),
            portal: portals.name(developer.portal_id),
            since: developer.signed_up_at(),
            gone_at: developer.row_version.gone_at,
        }
    }
}

/// A page of people, and path and query of the next one.
type Found = (Vec<(Developer, Subject)>, Option<String>);

/// The list.
pub(super) async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter::read(&mut parameters)?;
    let (people, next) = if filter.email.is_empty() {
        by_id(&console, &filter, parameters).await?
    } else {
        by_address(&console, &filter, parameters).await?
    };
    let portals = Portals::load(&console).await?;
    let rows = people.into_iter();
    let page = PeoplePage {
        layout: Layout::of("People", "/people", &visitor),
        rows: rows.map(|row| PersonRow::new(row, &portals)).collect(),
        filter,
        portals,
        next,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}

/// Everybody, forgotten people too.
async fn by_id(
    console: &Console,
    filter: &Filter,
    mut parameters: Parameters,
) -> Result<Found, Problem> {
    let after = parameters.after(|[portal, id]: [String; 2]| Ok((part(&portal)?, part(&id)?)))?;
    let pager = parameters.finish()?;
    let page = filter.scope.page(after);
    let wanted = filter.of_developers();
    let found = console.directory.list_developers(&wanted, &page);
    let mut rows = found.await?;
    let next = last_shown(&mut rows).map(|row| format!("{} {}", row.portal_id, row.id));
    let people = with_subjects(console, rows).await?;
    Ok((people, next.map(|position| pager.next(&position))))
}

/// Those whose address begins with what is asked for.
async fn by_address(
    console: &Console,
    filter: &Filter,
    mut parameters: Parameters,
) -> Result<Found, Problem> {
    let after = parameters.after(|[portal, id, address]: [String; 3]| {
        Ok((part(&portal)?, part_text(&address)?, part(&id)?))
    })?;
    let pager = parameters.finish()?;
    let page = filter.scope.page(after);
    let wanted = filter.of_developers();
    let found = console
        .directory
        .list_developers_by_email(&filter.email, &wanted, &page);
    let rows = found.await?;
    let mut people = with_subjects(console, rows).await?;
    let next = last_shown(&mut people).map(|(row, subject)| {
        let address = subject.email.as_deref().unwrap_or_default();
        let address = text_part(&address.to_ascii_lowercase());
        format!("{} {} {address}", row.portal_id, row.id)
    });
    Ok((people, next.map(|position| pager.next(&position))))
}

/// Developers with e-mail and name; those of a forgotten person are empty.
async fn with_subjects(
    console: &Console,
    developers: Vec<Developer>,
) -> Result<Vec<(Developer, Subject)>, Problem> {
    let key = |row: &Developer| (row.portal_id.into(), row.id.into());
    let keys: Vec<(Uuid, Uuid)> = developers.iter().map(key).collect();
    let mut subjects = console.directory.subjects_of(&keys).await?;
    let with_subject = |row: Developer| {
        let subject = subjects.remove(&key(&row)).unwrap_or_default();
        (row, subject)
    };
    Ok(developers.into_iter().map(with_subject).collect())
}
