//! The same done to many actions: first they are shown, then it is done to those that were shown,
//! or to none.

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::act::{Action, ActionFilter, ActionState, Intervened, Person, Queue, Verb};
use crate::console::actions::fields::Fields;
use crate::console::actions::whom::Names;
use crate::console::actions::{filter, frozen, label, lets};
use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::sign_in::Wanted;
use crate::console::{Console, done, filters};
use crate::http::Problem;
use crate::http::parameters::{bad_request, path_id};
use crate::journal::journal_problem;

/// Actions at once, at most: a person looks through so many, and they are done in one request.
const MOST: usize = 500;

/// What a form asks for.
#[derive(Debug)]
struct Bulk {
    verb: Verb,
    choice: Choice,
    reason: String,
    /// The list that it came from.
    back: String,
}

#[derive(Debug)]
enum Choice {
    /// Those whose boxes are ticked.
    These(Vec<Uuid>),
    /// All that match.
    Matching(ActionFilter),
}

/// The actions that a choice means now.
#[derive(Debug)]
struct Chosen {
    /// Those that the verb can be done to, oldest first.
    actions: Vec<Action>,
    /// How many were chosen besides.
    left_out: usize,
    /// Whether more match.
    is_cut: bool,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct PreviewPage {
    layout: Layout,
    visitor: Visitor,
    page: &'static str,
    bulk: Bulk,
    lines: Vec<Line>,
    left_out: usize,
    is_cut: bool,
    token: String,
}

#[derive(Template)]
#[template(path = "bulk_changed.html")]
struct ChangedPage {
    layout: Layout,
    visitor: Visitor,
    page: &'static str,
    bulk: Bulk,
}

#[derive(Template)]
#[template(path = "bulk_result.html")]
struct ResultPage {
    layout: Layout,
    bulk: Bulk,
    count: usize,
    lines: Vec<Line>,
}

/// One of them, in few letters: a page may have hundreds.
struct Line {
    id: String,
    deed: String,
    whom: String,
    /// Why it was left as it is.
    refusal: String,
}

impl Bulk {
    fn read(fields: &Fields, page: &str) -> Result<Self, Problem> {
        let verb = fields.text("verb").and_then(|word| word.parse().ok());
        let verb: Verb = verb
            .ok_or_else(|| bad_request("field verb: expected approve, reject, retry or cancel"))?;
        let choice = if fields.text("all").is_some() {
            let filter = filter::read(|name| fields.text(name).map(str::to_owned))?;
            Choice::Matching(startable(filter, verb)?)
        } else {
            let ids = fields.all("id").map(|id| path_id(id, "an action"));
            let ids: BTreeSet<Uuid> = ids.collect::<Result<_, _>>()?;
            Choice::These(ids.into_iter().collect())
        };
        if let Choice::These(ids) = &choice
            && !(1..=MOST).contains(&ids.len())
        {
            return Err(bad_request(format!(
                "choose 1 to {MOST} actions by their boxes, or all that match the filter: go back"
            )));
        }
        Ok(Self {
            verb,
            choice,
            reason: fields.text("reason").unwrap_or_default().to_owned(),
            back: Wanted::own(fields.text("back").unwrap_or(page)),
        })
    }

    /// What is done, as the text of a button.
    fn title(&self) -> &'static str {
        label(self.verb)
    }

    /// The class of that button.
    fn class(&self) -> &'static str {
        if lets(self.verb) { "primary" } else { "danger" }
    }

    /// The fields of the next form that ask for the same.
    fn hidden(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("verb", self.verb.to_string()), ("back", self.back.clone())];
        match &self.choice {
            Choice::These(ids) => fields.extend(ids.iter().map(|id| ("id", id.to_string()))),
            Choice::Matching(filter) => {
                fields.push(("all", "1".to_owned()));
                fields.extend(filter::words(filter));
            }
        }
        fields
    }

    /// The filter as it was frozen; nothing where actions were chosen one by one.
    fn frozen(&self) -> Vec<(&'static str, String)> {
        match &self.choice {
            Choice::These(_) => Vec::new(),
            Choice::Matching(filter) => filter::words(filter),
        }
    }

    async fn choose(&self, queue: &Queue) -> Result<Chosen, Problem> {
        let found = match &self.choice {
            Choice::These(ids) => queue.by_ids(ids).await,
            Choice::Matching(filter) => {
                let most = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
                queue.oldest(filter, most).await
            }
        };
        let mut actions = found?;
        let is_cut = actions.len() > MOST;
        actions.truncate(MOST);
        let chosen = match &self.choice {
            Choice::These(ids) => ids.len(),
            Choice::Matching(_) => actions.len(),
        };
        actions.retain(|action| self.verb.starting_states().contains(&action.state));
        Ok(Chosen {
            left_out: chosen.saturating_sub(actions.len()),
            actions,
            is_cut,
        })
    }
}

/// The filter with a state from which the verb can be done: where none is asked for, what the verb
/// is for.
fn startable(filter: ActionFilter, verb: Verb) -> Result<ActionFilter, Problem> {
    let starting = verb.starting_states();
    match filter.state {
        Some(state) if !starting.contains(&state) => {
            Err(bad_request(Intervened::WrongState(state).refusal(verb)))
        }
        Some(_) => Ok(filter),
        None => Ok(ActionFilter {
            state: starting.first().copied(),
            ..filter
        }),
    }
}

/// The list that a form belongs to, by the path it is sent to.
fn page_of(uri: &Uri) -> &'static str {
    if uri.path().starts_with("/approvals") {
        "/approvals"
    } else {
        "/actions"
    }
}

/// Shows what would be done.
pub(super) async fn preview(
    Seen(console): Seen,
    visitor: Visitor,
    uri: Uri,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    visitor.person(None)?;
    let page = page_of(&uri);
    let bulk = Bulk::read(&fields, page)?;
    let chosen = bulk.choose(&console.actions).await?;
    let names = names_of(&console, &chosen.actions).await?;
    let lines = chosen.actions.iter();
    let lines: Vec<Line> = lines
        .map(|action| Line {
            deed: effect(bulk.verb, action),
            ..Line::new(action, &names, String::new())
        })
        .collect();
    let page = PreviewPage {
        layout: Layout::of(format!("{} many", bulk.title()), page, &visitor),
        token: frozen::token(&visitor.csrf, bulk.verb, &chosen.actions),
        left_out: chosen.left_out,
        is_cut: chosen.is_cut,
        page,
        bulk,
        lines,
        visitor,
    };
    Ok(AboutPeople(page.lines.len(), layout::render(&page)?))
}

/// Does it to those that were shown, or to none if they are not the same any more.
pub(super) async fn confirm(
    Seen(console): Seen,
    visitor: Visitor,
    uri: Uri,
    fields: Fields,
) -> Result<Response, Problem> {
    let person = visitor.person(fields.text("reason"))?;
    let page = page_of(&uri);
    let bulk = Bulk::read(&fields, page)?;
    let shown = fields.text("token").unwrap_or_default();
    let chosen = bulk.choose(&console.actions).await?;
    if !frozen::fits(shown, &visitor.csrf, bulk.verb, &chosen.actions) {
        let page = ChangedPage {
            layout: Layout::of("The set has changed", page, &visitor),
            page,
            bulk,
            visitor,
        };
        return Ok((StatusCode::CONFLICT, layout::render(&page)?).into_response());
    }
    let refused = do_all(&console, bulk.verb, &chosen.actions, &person).await?;
    if chosen.actions.is_empty() {
        return Ok(done::see(&bulk.back, "nothing").into_response());
    }
    if refused.is_empty() {
        return Ok(done::see_count(&bulk.back, "bulk", chosen.actions.len()).into_response());
    }
    let names = names_of(&console, &chosen.actions).await?;
    let lines = refused.into_iter();
    let lines: Vec<Line> = lines
        .map(|(action, refusal)| Line::new(action, &names, refusal))
        .collect();
    let page = ResultPage {
        layout: Layout::of("Done for some", page, &visitor),
        count: chosen.actions.len() - lines.len(),
        bulk,
        lines,
    };
    Ok(AboutPeople(page.lines.len(), layout::render(&page)?).into_response())
}

/// Does it to one action after the other; returns those that were left as they are, each with why.
async fn do_all<'a>(
    console: &Console,
    verb: Verb,
    actions: &'a [Action],
    person: &Person,
) -> Result<Vec<(&'a Action, String)>, Problem> {
    let mut refused = Vec::new();
    for (place, action) in actions.iter().enumerate() {
        match console.actions.intervene(action.id, verb, person).await {
            Ok(Intervened::Done(_)) => {}
            Ok(Intervened::WrongState(ActionState::Cancelled)) if !lets(verb) => {
                // It was cancelled with the one before it, which it waited for.
            }
            Ok(other) => refused.push((action, other.refusal(verb))),
            Err(error) => {
                let problem = journal_problem(&error);
                if place == 0 {
                    return Err(problem);
                }
                // What was done is done, and the rest would fare no better now.
                let rest = actions.iter().skip(place);
                let away = "the record did not answer: try it again in a moment";
                refused.extend(rest.map(|action| (action, away.to_owned())));
                break;
            }
        }
    }
    console.actions.wake();
    Ok(refused)
}

/// What doing `verb` to an action means, in the words for deeds.
pub(super) fn effect(verb: Verb, action: &Action) -> String {
    if let Some(answer) = verb.answer(&action.deed, action.target) {
        return answer.name().to_owned();
    }
    match verb {
        // A person's attention was all that was asked for.
        Verb::Approve if action.deed == "park" => "close".to_owned(),
        Verb::Approve | Verb::Retry => action.deed.clone(),
        Verb::Reject | Verb::Cancel => format!("not {}", action.deed),
    }
}

async fn names_of(console: &Console, actions: &[Action]) -> Result<Names, Problem> {
    let targets = actions
        .iter()
        .map(|action| (action.portal_id, action.target.id()));
    Names::of(console, targets.collect()).await
}

impl Line {
    fn new(action: &Action, names: &Names, refusal: String) -> Self {
        Self {
            id: action.id.to_string(),
            deed: action.deed.clone(),
            whom: names.whom(action.portal_id, action.target).brief(),
            refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Bulk, Choice};
    use crate::console::actions::fields::Fields;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn read(pairs: &[(&str, &str)]) -> Option<Bulk> {
        Bulk::read(&Fields::of(pairs), "/actions").ok()
    }

    #[test]
    fn what_a_form_asks_for_reads_back_from_its_own_fields() {
        for given in [
            &[
                ("verb", "approve"),
                ("id", ID),
                ("back", "/approvals?rule=a"),
            ][..],
            &[
                ("verb", "retry"),
                ("all", "1"),
                ("rule", "a"),
                ("state", ""),
            ],
            &[
                ("verb", "cancel"),
                ("all", "1"),
                ("state", "parked"),
                ("id", ID),
            ],
        ] {
            let first = read(given).unwrap().hidden();
            let fields: Vec<_> = first
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            assert_eq!(read(&fields).unwrap().hidden(), first);
        }
    }

    #[test]
    fn a_verb_that_says_no_state_means_its_own() {
        let bulk = read(&[("verb", "retry"), ("all", "1")]).unwrap();
        assert_eq!(bulk.frozen(), [("state", "failed".to_owned())]);
        assert!(matches!(bulk.choice, Choice::Matching(_)));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let ids: Vec<String> = (0..501).map(|id| Uuid::from_u128(id).to_string()).collect();
        let many: Vec<_> = ids.iter().map(|id| ("id", id.as_str())).collect();
        for given in [
            &[("id", ID)][..],
            &[("verb", "dance"), ("id", ID)],
            &[("verb", "approve")],
            &[("verb", "approve"), ("id", "1")],
            &[("verb", "approve"), ("all", "1"), ("state", "done")],
            &[&[("verb", "approve")][..], &many].concat()[..],
        ] {
            assert!(read(given).is_none(), "{:?}", given.first());
        }
    }

    #[test]
    fn nobody_is_led_elsewhere() {
        let away = read(&[("verb", "approve"), ("id", ID), ("back", "//evil")]).unwrap();
        assert_eq!(away.back, "/");
    }
}
