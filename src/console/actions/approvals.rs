//! What rules left to a person, whoever waits longest first: approve or reject each, or many.

use askama::Template;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use crate::act::{Action, ActionFilter, ActionPosition, ActionState, Parked, Verb};
use crate::console::actions::bulk::effect;
use crate::console::actions::filter::{self, FilterForm};
use crate::console::actions::meanwhile::{Meanwhile, meanwhile};
use crate::console::actions::whom::{Names, Whom};
use crate::console::actions::{facts, vetoes};
use crate::console::layout::{self, Layout};
use crate::console::pause::PauseSwitch;
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Console, done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part, time_part};

/// Actions of a page: each has its facts.
const ROWS: usize = 25;
/// Facts of an action that a list shows; its page has them all.
const MOST_FACTS: usize = 20;

#[derive(Template)]
#[template(path = "approvals.html")]
struct ApprovalsPage {
    layout: Layout,
    visitor: Visitor,
    notice: Option<done::Notice>,
    pause: PauseSwitch,
    filter: FilterForm,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    back: String,
    command: String,
    now: DateTime<Utc>,
}

/// One parked action.
struct Row {
    id: String,
    deed: String,
    /// What approving and rejecting do, where the deed is to ask.
    answers: Option<(String, String)>,
    /// What approving does, for whoever does not see the row around the button.
    approve: String,
    reject: String,
    /// What else the deed says, such as the team.
    spec: Vec<(String, String)>,
    whom: Whom,
    rule: String,
    reason: String,
    facts: Vec<(String, String)>,
    portal: String,
    at: DateTime<Utc>,
    meanwhile: Option<Meanwhile>,
}

impl Row {
    fn new(parked: Parked, names: &Names) -> Self {
        let action = parked.action;
        let whom = names.whom(action.portal_id, action.target);
        let approve = told(Verb::Approve, &action);
        let reject = told(Verb::Reject, &action);
        let is_question = action.deed == "park";
        // A deed that asks gives the reason for which it waits.
        let mut spec = facts::deed(&parked.spec);
        spec.retain(|(path, _)| !(is_question && path == "reason"));
        Self {
            answers: is_question.then(|| (approve.clone(), reject.clone())),
            approve,
            reject,
            spec,
            meanwhile: meanwhile(&action, &parked.facts, &whom),
            id: action.id.to_string(),
            portal: names.portal(action.portal_id),
            facts: facts::lines(&parked.facts, MOST_FACTS),
            deed: action.deed,
            rule: action.rule,
            reason: action.reason.unwrap_or_default(),
            at: action.created_at,
            whom,
        }
    }
}

/// What doing `verb` to an action means, in words.
fn told(verb: Verb, action: &Action) -> String {
    effect(verb, action).replace('_', " ")
}

/// The list, or the vetoes.
pub(super) async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    uri: Uri,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let notice = done::notice(&mut parameters);
    match parameters.text("tab").as_deref() {
        None => parked(&console, visitor, &uri, (notice, parameters)).await,
        Some("vetoes") => vetoes::list(&console, visitor, &uri, (notice, parameters)).await,
        Some(_) => Err(bad_request("parameter tab: expected vetoes, or none")),
    }
}

async fn parked(
    console: &Console,
    visitor: Visitor,
    uri: &Uri,
    (notice, mut parameters): (Option<done::Notice>, Parameters),
) -> Result<Response, Problem> {
    let filter = filter::read(|name| match name {
        "state" => None,
        name => parameters.text(name),
    })?;
    let filter = ActionFilter {
        state: Some(ActionState::Parked),
        ..filter
    };
    let after = parameters.after(|[time, id]: [String; 2]| {
        Ok(ActionPosition {
            created_at: part(&time)?,
            id: part(&id)?,
        })
    })?;
    let pager = parameters.finish()?;
    let most = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut found = console.listed.parked(&filter, after, most).await?;
    let is_more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().filter(|_| is_more).map(|last| &last.action);
    let next = last.map(|last| pager.next(&format!("{} {}", time_part(last.created_at), last.id)));
    let targets = found
        .iter()
        .map(|parked| (parked.action.portal_id, parked.action.target.id()));
    let names = Names::of(console, targets.collect()).await?;
    let back = uri.to_string();
    let page = ApprovalsPage {
        layout: Layout::of("Approvals", "/approvals", &visitor),
        notice,
        pause: PauseSwitch::new(console, &back).await?,
        filter: FilterForm::new(console, &filter).await?,
        rows: found
            .into_iter()
            .map(|parked| Row::new(parked, &names))
            .collect(),
        next,
        is_first: after.is_none(),
        back,
        command: filter::command("usher actions", &filter),
        now: console.clock.now(),
        visitor,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?).into_response())
}
