//! The list of actions: what was decided and done, the newest first.

use askama::Template;
use axum::http::Uri;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};

use crate::act::{Action, ActionPosition};
use crate::console::actions::filter::{self, FilterForm};
use crate::console::actions::whom::{Names, Whom};
use crate::console::layout::{self, Layout};
use crate::console::pause::PauseSwitch;
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, time_part};

/// Actions of a page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "actions.html")]
struct ActionsPage {
    layout: Layout,
    visitor: Visitor,
    notice: Option<done::Notice>,
    pause: PauseSwitch,
    filter: FilterForm,
    rows: Vec<Row>,
    next: Option<String>,
    back: String,
    command: String,
    now: DateTime<Utc>,
}

/// One line of the list.
struct Row {
    id: String,
    state: &'static str,
    deed: String,
    whom: Whom,
    rule: String,
    reason: String,
    attempts: i64,
    portal: String,
    at: DateTime<Utc>,
}

impl Row {
    fn new(action: Action, names: &Names) -> Self {
        Self {
            id: action.id.to_string(),
            state: action.state.as_str(),
            whom: names.whom(action.portal_id, action.target),
            portal: names.portal(action.portal_id),
            deed: action.deed,
            rule: action.rule,
            reason: action.reason.unwrap_or_default(),
            attempts: action.attempts.into(),
            at: action.created_at,
        }
    }
}

/// The list.
pub(super) async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    uri: Uri,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let notice = done::notice(&mut parameters);
    let filter = filter::read(|name| parameters.text(name))?;
    let after = parameters.after(|[time, id]: [String; 2]| {
        Ok(ActionPosition {
            created_at: part(&time)?,
            id: part(&id)?,
        })
    })?;
    let pager = parameters.finish()?;
    let most = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut found = console.listed.list(&filter, after, most).await?;
    let is_more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().filter(|_| is_more);
    let next = last.map(|last| pager.next(&format!("{} {}", time_part(last.created_at), last.id)));
    let targets = found
        .iter()
        .map(|action| (action.portal_id, action.target.id()));
    let names = Names::of(&console, targets.collect()).await?;
    let back = uri.to_string();
    let page = ActionsPage {
        layout: Layout::of("Actions", "/actions", &visitor),
        notice,
        pause: PauseSwitch::new(&console, &back).await?,
        filter: FilterForm::new(&console, &filter).await?,
        rows: found
            .into_iter()
            .map(|action| Row::new(action, &names))
            .collect(),
        next,
        back,
        command: filter::command("usher actions", &filter),
        now: console.clock.now(),
        visitor,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}
