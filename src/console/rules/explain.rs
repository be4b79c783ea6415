//! What the rules in force decide about one person now, and why.

use std::sync::Arc;

use askama::Template;
use axum::response::IntoResponse;
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::rules::explained::{ConditionView, ExplainedView, path};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Console, filters};
use crate::http::Problem;
use crate::http::parameters::Parameters;
use crate::journal::JournalError;
use crate::react;

/// Portals in which an address is searched for.
const PORTALS: usize = 100;
/// People of one address or id that are listed.
const CANDIDATES: usize = 50;

#[derive(Template)]
#[template(path = "rules_explain.html")]
struct ExplainPage {
    layout: Layout,
    person: String,
    portal_id: String,
    rule: Option<String>,
    /// Why nothing is explained.
    absent: Option<&'static str>,
    candidates: Vec<Candidate>,
    explained: Option<ExplainedView>,
    command: String,
}

/// Somebody who may be meant.
struct Candidate {
    developer_id: String,
    portal_id: String,
    path: String,
}

impl Candidate {
    fn new(who: (Uuid, Uuid)) -> Self {
        Self {
            portal_id: who.0.to_string(),
            developer_id: who.1.to_string(),
            path: path(who, None),
        }
    }
}

/// Whom somebody asks about.
enum Asked {
    Id(Uuid),
    Address(String),
}

impl Asked {
    fn read(person: &str) -> Self {
        match person.parse() {
            Ok(id) => Self::Id(id),
            Err(_) => Self::Address(person.to_owned()),
        }
    }

    /// The people who may be meant, each with the portal.
    async fn find(
        &self,
        console: &Console,
        portal: Option<Uuid>,
    ) -> Result<Vec<(Uuid, Uuid)>, JournalError> {
        let directory = &console.directory;
        let mut found = Vec::new();
        match (self, portal) {
            (Self::Id(id), Some(portal)) => found.push((portal, *id)),
            (Self::Id(id), None) => {
                let portals = directory.portals_of((*id).into()).await?;
                found.extend(portals.into_iter().map(|portal| (portal.0, *id)));
            }
            (Self::Address(address), portal) => {
                let portals = if let Some(portal) = portal {
                    vec![portal]
                } else {
                    let all = directory.portals().await?;
                    all.iter().map(|portal| portal.id.0).take(PORTALS).collect()
                };
                for portal in portals {
                    let ids = directory.find_developers_by_email(portal.into(), address);
                    found.extend(ids.await?.into_iter().map(|id| (portal, id.0)));
                }
            }
        }
        found.truncate(CANDIDATES);
        Ok(found)
    }

    /// Why nobody is found.
    async fn absence(&self, console: &Console) -> Result<&'static str, JournalError> {
        let Self::Id(id) = self else {
            return Ok(
                "Nobody has this address, as far as usher's sweeps have found. Addresses of people \
                 who are gone or were forgotten are not searched.",
            );
        };
        Ok(if console.directory.is_custom_subject(*id).await? {
            "Under this id usher keeps what a trusted sender reported about somebody. Once a \
             developer has that address, ask by the developer's own id."
        } else {
            "The directory knows no developer of this id here: a sweep must have found them first."
        })
    }
}

/// The page of an explanation; without a person, its form.
pub(in crate::console) async fn explain(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let id: Option<Uuid> = parameters.read("developer_id", "a UUID")?;
    let person = parameters.text("person");
    let portal: Option<Uuid> = parameters.read("portal_id", "a UUID")?;
    let rule = parameters.text("rule");
    parameters.finish()?;
    let person = id.map(|id| id.to_string()).or(person).unwrap_or_default();
    let person = person.trim().to_owned();
    let mut page = ExplainPage {
        layout: Layout::of("Explain", "/rules", &visitor),
        portal_id: portal.map(|id| id.to_string()).unwrap_or_default(),
        absent: None,
        candidates: Vec::new(),
        explained: None,
        command: "usher rules explain --developer ID".to_owned(),
        person,
        rule,
    };
    if !page.person.is_empty() {
        let found = fill(&mut page, &console, portal).await;
        found?;
    }
    let people = page.candidates.len() + usize::from(page.explained.is_some());
    Ok(AboutPeople(people, layout::render(&page)?))
}

/// Finds who is meant, and explains the rules for them if it is one person.
async fn fill(
    page: &mut ExplainPage,
    console: &Console,
    portal: Option<Uuid>,
) -> Result<(), JournalError> {
    let asked = Asked::read(&page.person);
    let found = asked.find(console, portal).await?;
    if let [only] = *found {
        let rules = Arc::clone(&console.rules.borrow());
        let rooms = (&console.reading, &console.directory, &console.listed);
        let (portal, developer) = only;
        let who = (portal.into(), developer.into());
        let explained = react::explain(rooms, &rules, who, console.clock.now());
        let explained = Box::pin(explained).await?;
        page.explained = explained.map(|all| {
            let seen = console.rules_seen(&rules);
            let is_seen = |name: &str| seen.iter().any(|rule| rule.name == name);
            ExplainedView::new(all, page.rule.as_deref(), is_seen)
        });
        page.command = format!("usher rules explain --developer {developer} --portal {portal}");
    }
    match &page.explained {
        Some(_) => {}
        None if found.len() > 1 => {
            page.candidates = found.into_iter().map(Candidate::new).collect();
        }
        None => page.absent = Some(asked.absence(console).await?),
    }
    Ok(())
}
