//! Which time of each log is covered, which is not and why, and the form by which an operator
//! acknowledges a loss.

pub(in crate::console) mod band;
pub(in crate::console) mod logs;
mod loss;
pub(in crate::console) mod rows;
pub(in crate::console) mod words;

use askama::Template;
use axum::Router;
use axum::http::Uri;
use axum::response::Html;
use axum::routing::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::backfill::{REACH, SourceCoverage, Stretch};
use crate::console::chart::Chart;
use crate::console::coverage::rows::{Head, Rows};
use crate::console::coverage::words::Word;
use crate::console::layout::{self, Layout};
use crate::console::scope::Portals;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::window::{command, told};
use crate::console::{Console, Shared, done, filters};
use crate::http::Problem;
use crate::http::parameters::Parameters;
use crate::journal::LogSource;

/// Logs of a page, the worst first.
const MOST_LOGS: usize = 30;
/// Windows that are asked for often: name and hours.
const PRESETS: [(&str, i64); 3] = [("24 hours", 24), ("7 days", 7 * 24), ("30 days", 30 * 24)];

/// The pages about coverage.
pub(super) fn pages() -> Router<Shared> {
    Router::new()
        .route("/coverage", get(list))
        .route("/coverage/acknowledge", post(loss::acknowledge))
}

#[derive(Template)]
#[template(path = "coverage.html")]
struct CoveragePage {
    layout: Layout,
    visitor: Visitor,
    notice: Option<done::Notice>,
    /// Portals to choose from: id, name, and whether it is chosen.
    portals: Vec<(Uuid, String, bool)>,
    from: String,
    to: String,
    presets: Vec<Preset>,
    is_narrowed: bool,
    asks_konnect: bool,
    logs: Vec<Log>,
    more_logs: usize,
    back: String,
    command: String,
}

/// A window that is asked for often.
struct Preset {
    name: &'static str,
    href: String,
}

impl Preset {
    fn all(now: DateTime<Utc>, portal: Option<Uuid>) -> Vec<Self> {
        // To the minute, so that the field reads well.
        let minute = now.timestamp().div_euclid(60) * 60;
        let now = DateTime::from_timestamp(minute, 0).unwrap_or(now);
        let preset = |(name, hours)| {
            let from = told(now - TimeDelta::hours(hours));
            let of_portal = portal.map(|id| format!("&portal_id={id}"));
            Self {
                name,
                href: format!("/coverage?from={from}{}", of_portal.unwrap_or_default()),
            }
        };
        PRESETS.into_iter().map(preset).collect()
    }
}

/// One log.
struct Log {
    head: Head,
    /// The id of its heading.
    anchor: String,
    portal: String,
    webhook: Word,
    webhook_detail: String,
    polled_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    chart: Chart,
    /// What of the window is not covered.
    listed: Rows,
    /// Losses beyond the window that nobody has taken note of.
    others: Rows,
    acknowledge: String,
}

impl Log {
    fn new(
        console: &Console,
        known: &SourceCoverage,
        name: String,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Self {
        let to = to.unwrap_or(known.now);
        let window = (from.unwrap_or_else(|| to - REACH), to);
        let shown = known.within(window);
        let source = known.status.source;
        let is_beyond = |part: &Stretch| part.from < window.0 || part.to > window.1;
        Self {
            anchor: format!("log-{source}"),
            portal: logs::field(source),
            webhook: words::webhook(known.status.state),
            webhook_detail: known.status.detail.clone(),
            polled_at: known.status.polled_at,
            last_attempt_at: known.status.last_attempt_at,
            since: known.status.since,
            now: known.now,
            chart: band::of(&shown, &name, window).draw(band::NOTHING),
            listed: Rows::of(&shown, |_| true),
            others: Rows::of(known, |part| part.is_open_loss() && is_beyond(part)),
            acknowledge: format!(
                "usher coverage acknowledge{} --from T --to T --reason \"…\"",
                logs::flag(source)
            ),
            head: Head::new(console, known, name),
        }
    }

    /// The lists of it: heading and rows.
    fn lists(&self) -> impl Iterator<Item = (&'static str, &Rows)> {
        let lists = [
            ("Not covered", &self.listed),
            ("Losses beyond this time", &self.others),
        ];
        lists
            .into_iter()
            .filter(|(_, listed)| !listed.rows.is_empty())
    }

    /// Whether one of its rows waits for somebody to take note of it.
    fn has_open_loss(&self) -> bool {
        let mut rows = self.listed.rows.iter().chain(&self.others.rows);
        rows.any(|row| row.open_loss.is_some())
    }
}

async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    uri: Uri,
    mut parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let notice = done::notice(&mut parameters);
    let portal = parameters.read::<Uuid>("portal_id", "the id of a portal")?;
    let (from, to) = parameters.window()?;
    parameters.finish()?;
    let portals = Portals::load(&console).await?;
    let known = logs::known(&console, portal.map(LogSource::Portal)).await?;
    let log = |known: &SourceCoverage| {
        let name = logs::name(&portals, known.status.source);
        Log::new(&console, known, name, (from, to))
    };
    let flag = portal.map_or_else(String::new, |id| logs::flag(LogSource::Portal(id)));
    let same = match (from, to) {
        (None, None) => "usher coverage --from 7d".to_owned(),
        _ => command("usher coverage", from, to),
    };
    layout::render(&CoveragePage {
        layout: Layout::of("Coverage", "/coverage", &visitor),
        notice,
        portals: portals.choices(portal),
        presets: Preset::all(console.clock.now(), portal),
        is_narrowed: portal.is_some(),
        asks_konnect: console.settings.asks_konnect,
        logs: known.iter().take(MOST_LOGS).map(log).collect(),
        more_logs: known.len().saturating_sub(MOST_LOGS),
        from: from.map_or_else(String::new, told),
        to: to.map_or_else(String::new, told),
        back: uri.to_string(),
        command: same + &flag,
        visitor,
    })
}
