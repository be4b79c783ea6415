//! What an operator may ask for on the page of a person.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::act::AskRefusal;
use crate::console::ask::{AskForm, Button, buttons, refused};
use crate::console::confirm::{ConfirmPage, Part};
use crate::console::objects::name;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Console, done};
use crate::directory::{DeveloperRecord, Team};
use crate::http::Problem;
use crate::http::parameters::path_id;

/// Teams to choose from: with more, a name is typed.
const MOST_TEAMS: usize = 200;

/// The forms of a page.
pub(super) struct Deeds {
    pub(super) action: String,
    pub(super) portal_id: Uuid,
    pub(super) csrf: String,
    pub(super) buttons: Vec<Button>,
    pub(super) join: Join,
    pub(super) leave: Vec<TeamChoice>,
    /// Whether they were turned away, which usher cannot undo.
    pub(super) is_over: bool,
}

/// How a team to join is chosen.
pub(super) enum Join {
    /// There is none.
    Nothing,
    /// From a list.
    Choose(Vec<TeamChoice>),
    /// By its name or id, since a list would be too long.
    Type,
}

/// A team of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TeamChoice {
    pub(super) id: Uuid,
    pub(super) name: String,
}

impl From<&Team> for TeamChoice {
    fn from(team: &Team) -> Self {
        Self {
            id: team.id.into(),
            name: team.name.clone(),
        }
    }
}

impl Deeds {
    /// What `visitor` may ask for; none for a reader, or about somebody who is gone.
    pub(super) async fn load(
        console: &Console,
        visitor: &Visitor,
        record: &DeveloperRecord,
    ) -> Result<Option<Self>, Problem> {
        let developer = &record.developer;
        if !visitor.is_operator() || developer.row_version.is_gone() {
            return Ok(None);
        }
        let status = developer.status.as_str();
        // Whoever was turned away is given nothing more.
        let is_over = matches!(status, "revoked" | "rejected");
        let join = if is_over {
            Join::Nothing
        } else {
            let teams = console.directory.teams(developer.portal_id).await;
            join(&teams?, &record.teams)
        };
        let leave = record.teams.iter().take(MOST_TEAMS).map(TeamChoice::from);
        let deeds = Self {
            action: format!("/people/{}/ask", developer.id),
            portal_id: developer.portal_id.into(),
            csrf: visitor.csrf.clone(),
            buttons: buttons("developer", status),
            join,
            leave: leave.collect(),
            is_over,
        };
        Ok(Some(deeds).filter(|deeds| !deeds.is_empty()))
    }

    fn is_empty(&self) -> bool {
        let nothing = matches!(self.join, Join::Nothing);
        nothing && self.buttons.is_empty() && self.leave.is_empty() && !self.is_over
    }
}

/// How somebody who is in `theirs` chooses one of all `teams`.
fn join(teams: &[Team], theirs: &[Team]) -> Join {
    let theirs: BTreeSet<Uuid> = theirs.iter().map(|team| team.id.into()).collect();
    let others = teams
        .iter()
        .filter(|team| !theirs.contains(&team.id.into()));
    let others: Vec<TeamChoice> = others.take(MOST_TEAMS + 1).map(TeamChoice::from).collect();
    match others.len() {
        0 => Join::Nothing,
        1..=MOST_TEAMS => Join::Choose(others),
        _ => Join::Type,
    }
}

/// Asks for what a form of the page says, and leads back to it. What takes something away is shown
/// first.
pub(in crate::console) async fn ask(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<AskForm>, FormRejection>,
) -> Result<Response, Problem> {
    let form = AskForm::of(form)?;
    let id: Uuid = path_id(&id, "a developer")?;
    if form.is_unconfirmed() {
        return confirm(&console, &visitor, id, &form).await;
    }
    form.send(&console, &visitor, id).await?;
    let page = format!("/people/{id}?portal_id={}", form.portal_id);
    Ok(done::see(&page, "asked").into_response())
}

/// Shows what somebody loses.
async fn confirm(
    console: &Console,
    visitor: &Visitor,
    id: Uuid,
    form: &AskForm,
) -> Result<Response, Problem> {
    visitor.person(Some(&form.reason))?;
    let portal: Uuid = path_id(&form.portal_id, "a portal")?;
    let known = console
        .directory
        .developer(portal.into(), id.into())
        .await?;
    let known = known.filter(|known| !known.developer.row_version.is_gone());
    let record = known.ok_or_else(|| refused(&AskRefusal::UnknownTarget("developer")))?;
    form.fits(id, ("developer", record.developer.status.as_str()))?;
    let registrations = console
        .directory
        .registrations_of(portal.into(), id.into())
        .await?;
    let parts = vec![
        Part::of_registrations(registrations),
        Part::of("Applications", &record.applications, name),
        Part::of("Teams", &record.teams, |team| team.name.clone()),
    ];
    let called = record.subject.email.or(record.subject.full_name);
    let called = called.unwrap_or_else(|| format!("developer {id}"));
    let page = ("/people", format!("/people/{id}?portal_id={portal}"));
    ConfirmPage::new(form, visitor, page, (called, parts)).respond()
}
