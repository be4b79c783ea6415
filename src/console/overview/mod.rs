//! The first page: what happened lately, what waits for a person, how every part is, and what a
//! fresh install needs next.

mod advice;
mod questions;
mod strips;
mod view;

pub(super) use questions::RecentCounts;

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use crate::console::chart::Chart;
use crate::console::choice::{self, Choice};
use crate::console::layout::{self, Layout};
use crate::console::overview::questions::{Answers, Read, Span};
use crate::console::overview::strips::Strips;
use crate::console::overview::view::{AlertRow, PartRow, PendingRow, ReaderRow, Tile};
use crate::console::pause::PauseSwitch;
use crate::console::reports::charts;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::Ago;
use crate::console::{Console, done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};

/// The spans that can be asked for, in days.
const SPANS: [(i64, &str); 3] = [(1, "24 hours"), (7, "7 days"), (30, "30 days")];

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    layout: Layout,
    notice: Option<done::Notice>,
    condition: &'static str,
    condition_told: &'static str,
    portals: Vec<Choice>,
    days: i64,
    spans: Vec<SpanLink>,
    next_steps: NextSteps,
    visitor: Visitor,
    pause: PauseSwitch,
    alerts: Read<Vec<AlertRow>>,
    events: Read<Chart>,
    coverage: Read<Strips>,
    asks_konnect: bool,
    tiles: Vec<Tile>,
    funnel_title: String,
    funnel: Read<Chart>,
    funnel_counted: Option<Ago>,
    pending: Read<Vec<PendingRow>>,
    parts: Vec<PartRow>,
    readers: Read<Vec<ReaderRow>>,
    reasons: Read<Vec<(String, String)>>,
}

/// The page for another span.
struct SpanLink {
    name: &'static str,
    href: String,
    is_shown: bool,
}

/// What a fresh install lacks.
struct NextSteps {
    /// Nothing was delivered yet; the path that Konnect is to send to.
    webhook: Option<String>,
    /// No portal was read yet.
    no_portal: bool,
    /// No rule is in force.
    no_rules: bool,
}

impl NextSteps {
    fn of(console: &Console, answers: &Answers) -> Self {
        if !console.portals().is_all() {
            // They are for whoever installs usher.
            return Self {
                webhook: None,
                no_portal: false,
                no_rules: false,
            };
        }
        let is_silent = matches!(answers.first_delivered, Ok(None));
        Self {
            webhook: is_silent.then(|| console.webhook_path.clone()),
            no_portal: answers.portals.as_ref().is_ok_and(Vec::is_empty),
            no_rules: console.rules.borrow().rules().is_empty(),
        }
    }

    fn is_any(&self) -> bool {
        self.webhook.is_some() || self.no_portal || self.no_rules
    }
}

pub(super) async fn show(
    Seen(console): Seen,
    State(recent): State<RecentCounts>,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let notice = done::notice(&mut parameters);
    let portal = parameters.read("portal_id", "a UUID")?;
    let expected = "1, 7 or 30";
    let days = parameters.read("days", expected)?.unwrap_or(1);
    if !SPANS.iter().any(|(known, _)| *known == days) {
        return Err(bad_request(format!("parameter days: expected {expected}")));
    }
    parameters.finish()?;
    let now = console.clock.now();
    let span = Span::of(days, now);
    let asked = questions::ask(&console, &recent, portal, span, now);
    let answers = Box::pin(asked).await;
    let (condition, parts) = console.health.shown();
    let spans = SPANS.map(|(known, name)| SpanLink {
        name,
        href: match portal {
            Some(portal) => format!("/?days={known}&portal_id={portal}"),
            None => format!("/?days={known}"),
        },
        is_shown: known == days,
    });
    let here = spans.iter().find(|span| span.is_shown);
    let back = here.map_or_else(|| "/".to_owned(), |span| span.href.clone());
    layout::render(&OverviewPage {
        layout: Layout::of("Overview", "/", &visitor),
        notice,
        condition: condition.as_str(),
        condition_told: view::condition(condition),
        portals: choice::portals(
            answers.portals.as_deref().unwrap_or_default(),
            portal.map(|portal| portal.to_string()).as_deref(),
        ),
        days,
        spans: spans.into(),
        next_steps: NextSteps::of(&console, &answers),
        tiles: view::tiles(&answers, span, (portal, visitor.sees_all()), now),
        coverage: answers.coverage.map(|known| {
            let portals = answers.portals.as_deref().unwrap_or_default();
            Strips::new(&console, &known, portals)
        }),
        asks_konnect: console.settings.asks_konnect,
        pause: PauseSwitch {
            paused: answers.paused.ok().flatten(),
            back,
        },
        alerts: answers.alerts.map(|open| view::alerts(&open, now)),
        events: answers
            .events
            .map(|counts| view::events(&counts, span, portal)),
        funnel_title: view::funnel_title(),
        funnel_counted: answers
            .funnel
            .as_ref()
            .ok()
            .map(|it| Ago { at: it.at, now }),
        funnel: answers.funnel.map(|it| charts::funnel(&it.answer.rows)),
        pending: answers.pending.map(|counts| view::pending(&counts, now)),
        // They tell of every portal.
        parts: if visitor.sees_all() {
            view::parts(parts)
        } else {
            Vec::new()
        },
        readers: answers.readers.map(|readers| view::readers(&readers, now)),
        reasons: answers.quarantine.map(|counts| view::reasons(&counts)),
        visitor,
    })
}
