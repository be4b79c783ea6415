//! The pages about events: the search, what comes in, and one event. The query of the search is the
//! filter, the same as the API's and that of the command that the page shows.

mod histogram;
mod one;
mod outcomes;
mod paths;
mod row;
mod signature;
mod tail;

use askama::Template;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::console::events::histogram::Histogram;
use crate::console::events::row::{EventRow, add_emails};
use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Shared, filters};
use crate::event::{Kind, Verdict};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, time_part};
use crate::journal::{EventFilter, Outcome, Position};

pub(super) use paths::of_batch;
pub(super) use tail::Tails;

/// Events of a page if the request does not say it: fewer than the API's, since people read them.
const ROWS: i64 = 50;

/// The pages about events.
pub(super) fn pages() -> Router<Shared> {
    Router::new()
        .route("/events", get(list))
        .route("/events/tail", get(tail::tail))
        .route("/events/{id}", get(one::show))
        .route("/events/{id}/raw", get(one::raw))
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    layout: Layout,
    filter: Fields,
    histogram: Option<Histogram>,
    presets: Vec<Preset>,
    /// Only events of this batch.
    batch: Option<Uuid>,
    /// The search that also shows what comes in.
    follow: String,
    /// Where what comes in is, if it is shown.
    tail: Option<String>,
    rows: Vec<EventRow>,
    next: Option<String>,
    /// How far a page went that is shorter than asked for, though more may follow.
    searched_to: Option<DateTime<Utc>>,
    command: Option<String>,
}

/// The filter as the form shows it: one text a field, empty where nothing is asked for.
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, word: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == word);
        found.map_or("", |(_, value)| value)
    }

    /// Whether the list is of reads, whose rows say something else.
    fn is_of_reads(&self) -> bool {
        self.get("kind") == Kind::Read.as_str()
    }

    /// Whether one of the fields is filled that stand behind a fold.
    fn has_more(&self) -> bool {
        let folded = ["portal_id", "principal_id", "src", "trace_id"];
        folded.into_iter().any(|word| !self.get(word).is_empty())
    }
}

/// A window that is asked for often.
struct Preset {
    name: &'static str,
    path: String,
}

impl Preset {
    /// The windows for the rest of a filter.
    fn all(filter: &EventFilter, now: DateTime<Utc>) -> Vec<Self> {
        // To the minute, so that the field reads well.
        let minute = now.timestamp().div_euclid(60) * 60;
        let now = DateTime::from_timestamp(minute, 0).unwrap_or(now);
        [
            ("Last hour", Some(TimeDelta::hours(1))),
            ("24 hours", Some(TimeDelta::hours(24))),
            ("7 days", Some(TimeDelta::days(7))),
            ("30 days", Some(TimeDelta::days(30))),
            ("Any time", None),
        ]
        .into_iter()
        .map(|(name, span)| {
            let from = span.and_then(|span| now.checked_sub_signed(span));
            let path = paths::between(filter, from, None);
            Self { name, path }
        })
        .collect()
    }
}

/// The search.
async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let mut filter = parameters.event_filter()?;
    let batch = parameters.read::<Uuid>("batch", "the id of a batch")?;
    filter.batches = batch.map(|batch| vec![batch]);
    let follows = parameters.text("follow").is_some();
    let after = parameters.after(|[event_ts, id]: [String; 2]| {
        Ok(Position {
            event_ts: part(&event_ts)?,
            id: part(&id)?,
        })
    })?;
    let pager = parameters.finish()?;
    let found = console.reading.search_page(&filter, after, ROWS).await?;
    let is_short = i64::try_from(found.events.len()).is_ok_and(|count| count < ROWS);
    let searched_to = found.next.filter(|_| is_short).map(|next| next.event_ts);
    let next = found.next.map(|next| {
        let position = format!("{} {}", time_part(next.event_ts), next.id);
        pager.next(&position)
    });
    let now = console.clock.now();
    // A later page is for reading on, and the bars stand on the first.
    let histogram = if after.is_none() {
        histogram::of(&console.reports, &filter, now).await
    } else {
        None
    };
    let mut rows: Vec<EventRow> = found.events.iter().map(EventRow::new).collect();
    add_emails(&console, &mut rows).await?;
    let page = EventsPage {
        layout: Layout::of("Events", "/events", &visitor),
        histogram,
        presets: Preset::all(&filter, now),
        follow: paths::search(&filter, &[("follow", "1")]),
        tail: follows.then(|| paths::tail(&filter)),
        // A batch has no word at the command line.
        command: batch.is_none().then(|| filter.command("usher events")),
        batch,
        filter: Fields(filter.as_words()),
        next,
        searched_to,
        rows,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}
