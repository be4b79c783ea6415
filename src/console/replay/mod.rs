//! Replay jobs: the list, the form by which an operator asks for one, and one of them, watched.

mod one;
mod start;

use askama::Template;
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::console::choice::{self, Choice};
use crate::console::coverage::logs;
use crate::console::coverage::words::{self, Word};
use crate::console::layout::{self, Layout};
use crate::console::replay::start::Typed;
use crate::console::scope::Portals;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::length;
use crate::console::{Console, Shared, done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, part, time_part};
use crate::journal::{JobFilter, LogSource, ReplayJobRow, SourceStatus};

/// Jobs of a page.
const ROWS: usize = 50;

/// The pages about replay jobs.
pub(super) fn pages() -> Router<Shared> {
    Router::new()
        .route("/replay", get(list).post(start::start))
        .route("/replay/{id}", get(one::show))
}

#[derive(Template)]
#[template(path = "replay.html")]
struct ReplayPage {
    layout: Layout,
    visitor: Visitor,
    notice: Option<done::Notice>,
    asks_konnect: bool,
    /// The logs of the form.
    logs: Vec<Choice>,
    typed: Typed,
    /// What is wrong with what was typed.
    mistake: Option<String>,
    /// The name of the only log whose jobs are listed.
    only: Option<String>,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    command: String,
}

/// One line of the list, and the beginning of the page of one job.
struct Row {
    id: Uuid,
    log: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    length: String,
    origin: String,
    state: Word,
    is_over: bool,
    konnect: String,
    new: i64,
    repeated: i64,
    detail: String,
    created_at: DateTime<Utc>,
}

impl Row {
    fn new(job: &ReplayJobRow, portals: &Portals) -> Self {
        Self {
            id: job.id,
            log: logs::name(portals, job.source),
            from: job.from,
            to: job.to,
            length: length(job.to - job.from),
            origin: words::origin(job),
            state: words::job(job.state),
            is_over: job.state.is_over(),
            konnect: job.konnect_status.clone(),
            new: job.new_entries,
            repeated: job.repeated_entries,
            detail: job.detail.clone(),
            created_at: job.created_at,
        }
    }
}

/// What a list shows.
struct Wanted {
    notice: Option<done::Notice>,
    typed: Typed,
    mistake: Option<String>,
    portal: Option<Uuid>,
    after: Option<(DateTime<Utc>, Uuid)>,
}

impl ReplayPage {
    /// The page, and where the list ends if more follows.
    async fn load(
        console: &Console,
        visitor: Visitor,
        wanted: Wanted,
    ) -> Result<(Self, Option<String>), Problem> {
        let portals = Portals::load(console).await?;
        let sources = console.reading.coverage_sources().await?;
        let filter = JobFilter {
            source: wanted.portal.map(LogSource::Portal),
            after: wanted.after,
            ..JobFilter::default()
        };
        let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
        let mut jobs = console.reading.replay_jobs(&filter, limit).await?;
        let is_more = jobs.len() > ROWS;
        jobs.truncate(ROWS);
        let last = jobs.last().filter(|_| is_more);
        let end = last.map(|last| format!("{} {}", time_part(last.created_at), last.id));
        let asked = wanted.typed.portal_id.as_str();
        let log = |status: &SourceStatus| {
            let name = logs::name(&portals, status.source);
            (logs::field(status.source), name)
        };
        let page = Self {
            layout: Layout::of("Replay", "/replay", &visitor),
            notice: wanted.notice,
            asks_konnect: console.settings.asks_konnect,
            logs: choice::of(sources.iter().map(log), Some(asked)),
            command: wanted.typed.command(),
            typed: wanted.typed,
            mistake: wanted.mistake,
            only: wanted.portal.map(|id| portals.name(id)),
            rows: jobs.iter().map(|job| Row::new(job, &portals)).collect(),
            next: None,
            is_first: wanted.after.is_none(),
            visitor,
        };
        Ok((page, end))
    }
}

async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let notice = done::notice(&mut parameters);
    let portal = parameters.read::<Uuid>("portal_id", "the id of a portal")?;
    let typed = Typed {
        portal_id: portal.map_or_else(String::new, |id| id.to_string()),
        from: parameters.text("from").unwrap_or_default(),
        to: parameters.text("to").unwrap_or_default(),
    };
    let after = parameters.after(|[at, id]: [String; 2]| Ok((part(&at)?, part(&id)?)))?;
    let pager = parameters.finish()?;
    let wanted = Wanted {
        notice,
        typed,
        mistake: None,
        portal,
        after,
    };
    let (page, end) = ReplayPage::load(&console, visitor, wanted).await?;
    layout::render(&ReplayPage {
        next: end.map(|end| pager.next(&end)),
        ..page
    })
}
