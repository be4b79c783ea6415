//! The pages about quarantine: what could not be parsed, trusted or sent on, why, and how it
//! becomes an event after all.

mod one;
mod paths;
mod reasons;
mod release;

use askama::Template;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::quarantine::paths::Narrowed;
use crate::console::quarantine::reasons::REASONS;
use crate::console::raw_view::visible;
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::cut;
use crate::console::window::{command, told};
use crate::console::{Shared, done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, time_part};
use crate::journal::{QuarantineFilter, Quarantined, far_future};

pub(super) use paths::of_delivery;

/// Rows of a page.
const ROWS: i64 = 50;
/// Letters of the bytes that a line shows.
const GLIMPSE: usize = 80;

/// The pages about quarantine.
pub(super) fn pages() -> Router<Shared> {
    Router::new()
        .route("/quarantine", get(list))
        .route(
            "/quarantine/release",
            get(release::preview).post(release::all),
        )
        .route("/quarantine/{id}", get(one::show))
        .route("/quarantine/{id}/raw", get(one::raw))
        .route("/quarantine/{id}/release", post(release::one))
}

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    layout: Layout,
    notice: Option<done::Notice>,
    is_operator: bool,
    /// The reasons of the form, each with whether it is asked for.
    reasons: Vec<(String, bool)>,
    delivery: String,
    from: String,
    to: String,
    is_narrowed: bool,
    /// Where a release of all that match begins.
    release: String,
    rows: Vec<Row>,
    next: Option<String>,
    command: Option<String>,
}

/// One line of the list.
#[derive(Debug)]
struct Row {
    id: Uuid,
    received_at: DateTime<Utc>,
    reason: String,
    detail: String,
    bytes: u64,
    delivery_id: Option<Uuid>,
    glimpse: String,
}

impl Row {
    fn new(row: &Quarantined) -> Self {
        let text = String::from_utf8_lossy(&row.raw);
        Self {
            id: row.id,
            received_at: row.received_at,
            reason: row.reason.clone(),
            detail: visible(&row.detail),
            bytes: u64::try_from(row.raw_bytes).unwrap_or_default(),
            delivery_id: row.delivery_id,
            glimpse: visible(&cut(&text, GLIMPSE)),
        }
    }
}

/// The list.
async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let notice = done::notice(&mut parameters);
    let narrowed = Narrowed::read(&mut parameters)?;
    let after = parameters.after(|[time, id]: [String; 2]| Ok((part(&time)?, part(&id)?)))?;
    let pager = parameters.finish()?;
    let filter = QuarantineFilter {
        after,
        ..narrowed.listed()
    };
    let mut found = console.reading.quarantined(&filter, ROWS + 1).await?;
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_more = found.len() > rows;
    found.truncate(rows);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| pager.next(&format!("{} {}", time_part(last.received_at), last.id)));
    let page = QuarantinePage {
        layout: Layout::of("Quarantine", "/quarantine", &visitor),
        notice,
        is_operator: visitor.is_operator(),
        reasons: choices(narrowed.reason.as_deref()),
        delivery: narrowed
            .delivery_id
            .map_or_else(String::new, |id| id.to_string()),
        from: narrowed.from.map_or_else(String::new, told),
        to: narrowed.to.map_or_else(String::new, told),
        is_narrowed: narrowed != Narrowed::default(),
        release: narrowed.path("/quarantine/release"),
        rows: found.iter().map(Row::new).collect(),
        next,
        // Neither a reason nor a delivery has a flag there.
        command: (narrowed.reason.is_none() && narrowed.delivery_id.is_none())
            .then(|| command("usher quarantine", narrowed.from, narrowed.to)),
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}

/// The reasons of the form: those that usher has words for, and the one that is asked for.
fn choices(asked: Option<&str>) -> Vec<(String, bool)> {
    let known = REASONS.iter().map(|reason| (*reason).to_owned());
    let other = asked.filter(|asked| !REASONS.contains(asked));
    known
        .chain(other.map(str::to_owned))
        .map(|reason| {
            let is_asked = asked == Some(&*reason);
            (reason, is_asked)
        })
        .collect()
}

impl Narrowed {
    /// What the list shows of it.
    fn listed(&self) -> QuarantineFilter {
        QuarantineFilter {
            from: self.from.unwrap_or(DateTime::UNIX_EPOCH),
            to: self.to.unwrap_or_else(far_future),
            reason: self.reason.clone(),
            delivery_id: self.delivery_id,
            after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::choices;

    #[test]
    fn the_reason_that_is_asked_for_stays_in_the_form() {
        let chosen = |asked| {
            let choices = choices(asked);
            let chosen = choices.into_iter().filter(|(_, is_asked)| *is_asked);
            chosen.map(|(reason, _)| reason).collect::<Vec<_>>()
        };
        assert_eq!(chosen(Some("bad_json")), ["bad_json"]);
        assert_eq!(chosen(Some("of_later")), ["of_later"]);
        assert!(chosen(None).is_empty());
    }
}
