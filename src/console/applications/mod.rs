//! Applications as the directory knows them: a list, and a page for each.

mod application;

use askama::Template;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::scope::{Portals, Scope, last_shown};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::short;
use crate::console::{Console, filters, objects};
use crate::directory::{Application, ApplicationFilter, Owner, RegistrationCount, Subject};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part};

pub(super) use application::{ask, show};

#[derive(Template)]
#[template(path = "applications.html")]
struct ApplicationsPage {
    layout: Layout,
    filter: Filter,
    portals: Portals,
    rows: Vec<Line>,
    next: Option<String>,
}

/// What is asked for; an empty text is nothing.
struct Filter {
    name: String,
    owner_id: Option<Uuid>,
    scope: Scope,
}

impl Filter {
    fn read(parameters: &mut Parameters) -> Result<Self, Problem> {
        let name = parameters.text("name").unwrap_or_default();
        Ok(Self {
            name: name.trim().to_owned(),
            owner_id: parameters.read("owner_id", "a UUID")?,
            scope: Scope::read(parameters)?,
        })
    }

    fn is_asked(&self) -> bool {
        !self.name.is_empty() || self.owner_id.is_some() || self.scope.is_asked()
    }

    fn of_applications(&self) -> ApplicationFilter {
        ApplicationFilter {
            owner_id: self.owner_id,
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
        }
    }
}

/// One line of the list.
struct Line {
    href: String,
    name: String,
    owner: OwnerLink,
    count: String,
    portal: String,
    created_at: DateTime<Utc>,
    gone_at: Option<DateTime<Utc>>,
}

/// Whose an application is.
#[derive(Debug, Default)]
struct OwnerLink {
    /// The page of a developer; a team has none.
    href: Option<String>,
    text: String,
}

/// The owners of some applications, by portal and id.
struct Owners {
    people: BTreeMap<(Uuid, Uuid), Subject>,
    teams: BTreeMap<(Uuid, Uuid), String>,
}

impl Owners {
    async fn load(console: &Console, applications: &[Application]) -> Result<Self, Problem> {
        let mut people = Vec::new();
        let mut teams = Vec::new();
        for row in applications {
            let key = |owner: Owner| (row.portal_id.into(), owner.id());
            match row.owner {
                Some(owner @ Owner::Developer(_)) => people.push(key(owner)),
                Some(owner @ Owner::Team(_)) => teams.push(key(owner)),
                None => {}
            }
        }
        let people = console.directory.subjects_of(&people).await;
        let teams = console.directory.team_names(&teams).await;
        Ok(Self {
            people: people?,
            teams: teams?,
        })
    }

    fn link(&self, application: &Application) -> OwnerLink {
        let Some(owner) = application.owner else {
            return OwnerLink::default();
        };
        let (portal, id): (Uuid, Uuid) = (application.portal_id.into(), owner.id());
        match owner {
            Owner::Developer(_) => OwnerLink::of_person(self.people.get(&(portal, id)), portal, id),
            Owner::Team(_) => {
                let name = self.teams.get(&(portal, id)).cloned();
                OwnerLink::of_team(&name.unwrap_or_else(|| short(id)))
            }
        }
    }
}

impl OwnerLink {
    fn of_person(subject: Option<&Subject>, portal: Uuid, id: Uuid) -> Self {
        let email = subject.and_then(|subject| subject.email.clone());
        Self {
            href: Some(format!("/people/{id}?portal_id={portal}")),
            text: email.unwrap_or_else(|| format!("no address, {}", short(id))),
        }
    }

    fn of_team(name: &str) -> Self {
        Self {
            href: None,
            text: format!("team {name}"),
        }
    }
}

impl Line {
    fn new(
        application: &Application,
        owner: OwnerLink,
        (count, portals): (RegistrationCount, &Portals),
    ) -> Self {
        Self {
            href: objects::href(application),
            name: objects::name(application),
            owner,
            count: objects::told(count),
            portal: portals.name(application.portal_id),
            created_at: objects::created_at(application),
            gone_at: application.row_version.gone_at,
        }
    }
}

/// The list.
pub(super) async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter::read(&mut parameters)?;
    let after = parameters.after(|[portal, id]: [String; 2]| Ok((part(&portal)?, part(&id)?)))?;
    let pager = parameters.finish()?;
    let page = filter.scope.page(after);
    let wanted = filter.of_applications();
    let mut found = console.directory.list_applications(&wanted, &page).await?;
    let next = last_shown(&mut found).map(|row| format!("{} {}", row.portal_id, row.id));
    let portals = Portals::load(&console).await?;
    let owners = Owners::load(&console, &found).await?;
    let key = |row: &Application| (row.portal_id.into(), row.id.into());
    let keys: Vec<(Uuid, Uuid)> = found.iter().map(key).collect();
    let counts = console.directory.count_registrations(&keys).await?;
    let line = |row: &Application| {
        let count = counts.get(&key(row)).copied().unwrap_or_default();
        Line::new(row, owners.link(row), (count, &portals))
    };
    let rows = found.iter().map(line).collect();
    let page = ApplicationsPage {
        layout: Layout::of("Applications", "/applications", &visitor),
        rows,
        filter,
        next: next.map(|position| pager.next(&position)),
        portals,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}
