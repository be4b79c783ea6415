//! The vetoes in force, and lifting one.

use askama::Template;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::act::Veto;
use crate::console::actions::fields::Fields;
use crate::console::actions::whom::{Names, Whom};
use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::sign_in::Wanted;
use crate::console::{Console, done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part};

/// Vetoes of a page.
const ROWS: usize = 50;
/// Where they are.
const PATH: &str = "/approvals?tab=vetoes";

#[derive(Template)]
#[template(path = "vetoes.html")]
struct VetoesPage {
    layout: Layout,
    visitor: Visitor,
    notice: Option<done::Notice>,
    rows: Vec<Row>,
    next: Option<String>,
    back: String,
    now: DateTime<Utc>,
}

struct Row {
    id: String,
    deed: String,
    team: Option<String>,
    whom: Whom,
    portal: String,
    by: String,
    reason: String,
    action: String,
    at: DateTime<Utc>,
}

impl Row {
    fn new(veto: Veto, names: &Names) -> Self {
        Self {
            id: veto.id.to_string(),
            whom: names.whom(veto.portal_id, veto.target),
            portal: names.portal(veto.portal_id),
            deed: veto.deed,
            team: veto.team,
            by: veto.by,
            reason: veto.reason.unwrap_or_default(),
            action: veto.action.to_string(),
            at: veto.at,
        }
    }
}

/// The vetoes in force, the newest first.
pub(super) async fn list(
    console: &Console,
    visitor: Visitor,
    uri: &Uri,
    (notice, mut parameters): (Option<done::Notice>, Parameters),
) -> Result<Response, Problem> {
    let after = parameters.after(|[id]: [String; 1]| part::<Uuid>(&id))?;
    let pager = parameters.finish()?;
    let most = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut found = console.listed.vetoes(after, most).await?;
    let is_more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().filter(|_| is_more);
    let next = last.map(|last| pager.next(&last.id.to_string()));
    let targets = found.iter().map(|veto| (veto.portal_id, veto.target.id()));
    let names = Names::of(console, targets.collect()).await?;
    let page = VetoesPage {
        layout: Layout::of("Vetoes", "/approvals", &visitor),
        notice,
        rows: found
            .into_iter()
            .map(|veto| Row::new(veto, &names))
            .collect(),
        next,
        back: uri.to_string(),
        now: console.clock.now(),
        visitor,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?).into_response())
}

/// Lifts a veto.
pub(super) async fn lift(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Redirect, Problem> {
    let person = visitor.person(fields.text("reason"))?;
    let id: Uuid = id.parse().map_err(|_| not_in_force())?;
    let lifted = console.actions.lift_veto(id, &person).await?;
    lifted.ok_or_else(not_in_force)?;
    let back = fields.text("back").unwrap_or(PATH);
    Ok(done::see(&Wanted::own(back), "lifted"))
}

fn not_in_force() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no veto with this id is in force: somebody lifted it already, or it never was",
    )
}
