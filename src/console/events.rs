//! Searching the events: the query of the page is the filter, the same as the API's and that of the
//! command that the page shows.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};

use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::session::Visitor;
use crate::console::{Console, filters};
use crate::event::{Kind, Verdict};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, time_part};
use crate::journal::{Outcome, Position, StoredEvent, journal_problem};

/// Events of a page if the request does not say it: fewer than the API's, since people read them.
const ROWS: i64 = 50;

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    layout: Layout,
    filter: Fields,
    rows: Vec<EventRow>,
    next: Option<String>,
    command: String,
    now: DateTime<Utc>,
}

/// The filter as the form shows it: one text a field, empty where nothing is asked for.
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, word: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == word);
        found.map_or("", |(_, value)| value)
    }
}

/// One line of the list.
struct EventRow {
    id: String,
    occurred_at: DateTime<Utc>,
    name: String,
    kind: &'static str,
    outcome: &'static str,
    verdict: &'static str,
    principal: String,
    src: String,
    is_ambiguous: bool,
}

impl EventRow {
    fn new(stored: &StoredEvent) -> Self {
        let event = stored.parse().ok();
        let member = |name: &str| {
            let event = event.as_ref()?;
            event.text(name).map(Cow::into_owned)
        };
        Self {
            id: stored.id.to_string(),
            occurred_at: event
                .as_ref()
                .map_or(stored.event_ts, |event| event.occurred_at),
            name: member("name").unwrap_or_default(),
            kind: event
                .as_ref()
                .map_or("unknown", |event| event.kind.as_str()),
            outcome: event
                .as_ref()
                .map_or("unknown", |event| Outcome::of(event).as_str()),
            verdict: stored.verdict.as_str(),
            principal: member("principal_id").unwrap_or_default(),
            src: member("src").unwrap_or_default(),
            is_ambiguous: event.as_ref().is_some_and(|event| event.ambiguous),
        }
    }
}

/// The search.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let filter = parameters.event_filter()?;
    let after = parameters.after(|[event_ts, id]: [String; 2]| {
        Ok(Position {
            event_ts: part(&event_ts)?,
            id: part(&id)?,
        })
    })?;
    let pager = parameters.finish()?;
    let found = console.reading.search_page(&filter, after, ROWS).await;
    let found = found.map_err(|error| journal_problem(&error))?;
    let next = found.next.map(|next| {
        let position = format!("{} {}", time_part(next.event_ts), next.id);
        pager.next(&position)
    });
    let rows: Vec<EventRow> = found.events.iter().map(EventRow::new).collect();
    let page = EventsPage {
        layout: Layout::of("Events", "/events", &visitor),
        command: filter.command("usher events"),
        filter: Fields(filter.as_words()),
        next,
        now: console.clock.now(),
        rows,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}
