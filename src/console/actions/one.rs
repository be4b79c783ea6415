//! One action, whole, and what a person does about it.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::act::{ActionDetail, ActionState, Attempt, Intervened, Intervention, Verb};
use crate::console::actions::fields::Fields;
use crate::console::actions::whom::{Names, Whom};
use crate::console::actions::{facts, label, lets};
use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::sign_in::Wanted;
use crate::console::{done, filters};
use crate::http::Problem;
use crate::http::parameters::Parameters;

/// Lines of JSON that the page shows; the API answers with all.
const MOST_LINES: usize = 200;
/// Causes and attempts that the page shows, the last ones.
const MOST_ENTRIES: usize = 100;

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage {
    layout: Layout,
    visitor: Visitor,
    notice: Option<done::Notice>,
    id: Uuid,
    portal_id: Uuid,
    target_id: Uuid,
    state: ActionState,
    rule: String,
    deed: String,
    spec: Vec<(String, String)>,
    whom: Whom,
    portal: String,
    signal: String,
    reason: String,
    report: Vec<(String, String)>,
    facts: Vec<(String, String)>,
    causes: Vec<Uuid>,
    more_causes: usize,
    attempts: Vec<Attempt>,
    more_attempts: usize,
    by_hand: Vec<Intervention>,
    waits_for: Option<Uuid>,
    next_attempt_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl ActionPage {
    fn new(
        detail: ActionDetail,
        names: &Names,
        (visitor, notice, now): (Visitor, Option<done::Notice>, DateTime<Utc>),
    ) -> Self {
        let action = detail.action;
        let (mut causes, mut attempts) = (action.causes, detail.history);
        let more_causes = causes.len().saturating_sub(MOST_ENTRIES);
        causes.drain(..more_causes);
        let more_attempts = attempts.len().saturating_sub(MOST_ENTRIES);
        attempts.drain(..more_attempts);
        let report = action.report.as_ref();
        Self {
            layout: Layout::of("Action", "/actions", &visitor),
            visitor,
            notice,
            id: action.id,
            portal_id: action.portal_id,
            target_id: action.target.id(),
            state: action.state,
            whom: names.whom(action.portal_id, action.target),
            portal: names.portal(action.portal_id),
            report: report.map_or_else(Vec::new, |report| facts::lines(report, MOST_LINES)),
            spec: facts::deed(&detail.spec),
            facts: facts::lines(&detail.facts, MOST_LINES),
            rule: action.rule,
            deed: action.deed,
            signal: detail.signal,
            reason: action.reason.unwrap_or_default(),
            causes,
            more_causes,
            attempts,
            more_attempts,
            by_hand: detail.by_hand,
            waits_for: detail.waits_for,
            next_attempt_at: detail.next_attempt_at,
            created_at: action.created_at,
            updated_at: action.updated_at,
            now,
        }
    }

    /// What a person can do about it in its state.
    fn verbs(&self) -> Vec<Verb> {
        let verbs = Verb::ALL.into_iter();
        verbs
            .filter(|verb| verb.starting_states().contains(&self.state))
            .collect()
    }

    /// The buttons for them: the verb, its text and its class.
    fn buttons(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let button = |verb: Verb| {
            let class = if lets(verb) { "primary" } else { "danger" };
            (verb.as_str(), label(verb), class)
        };
        self.verbs().into_iter().map(button).collect()
    }

    /// The first of them.
    fn first_verb(&self) -> &'static str {
        self.verbs().first().map_or("", |verb| verb.as_str())
    }
}

/// One action.
pub(super) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let notice = done::notice(&mut parameters);
    parameters.finish()?;
    let id: Uuid = id.parse().map_err(|_| no_action())?;
    let found = console.listed.detail(id).await?;
    let detail = found.ok_or_else(no_action)?;
    let target = (detail.action.portal_id, detail.action.target.id());
    let names = Names::of(&console, vec![target]).await?;
    let page = ActionPage::new(detail, &names, (visitor, notice, console.clock.now()));
    Ok(AboutPeople(1, layout::render(&page)?))
}

/// Does to one action what the path's last part says.
pub(super) async fn intervene(
    Seen(console): Seen,
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    fields: Fields,
) -> Result<Redirect, Problem> {
    let verb: Verb = verb
        .parse()
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "nothing is served at this path"))?;
    let person = visitor.person(fields.text("reason"))?;
    let id: Uuid = id.parse().map_err(|_| no_action())?;
    let outcome = console.actions.intervene(id, verb, &person).await;
    match outcome? {
        Intervened::Done(successor) => {
            console.actions.wake();
            // A list stays where it was; from the page of the action it goes on to what stands for
            // it now.
            Ok(match fields.text("back") {
                Some(back) => done::see_action(&Wanted::own(back), done_word(verb), successor),
                None => done::see(&format!("/actions/{successor}"), done_word(verb)),
            })
        }
        Intervened::Unknown => Err(no_action()),
        refused => Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "Nothing was done: {}. Somebody may have been faster: go back and load the page \
                 again to see how it stands.",
                refused.refusal(verb)
            ),
        )),
    }
}

fn done_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Approve => "approved",
        Verb::Reject => "rejected",
        Verb::Retry => "retried",
        Verb::Cancel => "cancelled",
    }
}

fn no_action() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no action with this id: retention may have deleted it, see the list of actions",
    )
}
