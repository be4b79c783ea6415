//! Rules tried on the past: those in force, or a text that somebody pasted, with what it would do
//! otherwise. Writes nothing. One at a time in this process, and not for long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::error;
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::rules::source::{Finding, Source};
use crate::console::rules::tally::{About, Tally};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::window::moment;
use crate::console::{Console, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::journal::JournalError;
use crate::react::{Backtest, BacktestWindow};
use crate::rules::{Mistake, RuleSet, load};

/// A back-test is cut off after so long; what it found until then is shown.
const WITHIN: Duration = Duration::from_secs(20);
/// Rules that are listed with what they would have done.
const RULES: usize = 100;
/// Reasons and deeds that are listed of each.
const OF_RULE: usize = 8;
/// Warnings of a text.
const WARNINGS: usize = 20;
/// Where the window begins if nothing is typed.
const AGO: &str = "7d";

/// The right to run a back-test, which one request at a time has. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::console) struct BacktestPlace(Arc<Semaphore>);

impl Default for BacktestPlace {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// What was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Typed {
    from: String,
    to: String,
    portal_id: String,
    /// Other rules; empty for those in force.
    text: String,
    /// Whether what rules leave alone is listed too.
    skipped: String,
}

#[derive(Template)]
#[template(path = "rules_test.html")]
struct TestPage {
    layout: Layout,
    csrf: String,
    typed: Typed,
    /// What is wrong with a field.
    mistake: Option<String>,
    /// The text with its mistakes.
    source: Option<Source>,
    warnings: Vec<Finding>,
    result: Option<ResultView>,
    has_rules: bool,
    command: String,
}

/// What a back-test found.
struct ResultView {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    events: Option<u64>,
    /// Whether other rules than those in force were tried.
    is_other: bool,
    rules: Vec<(String, RuleView)>,
    rules_left: usize,
    more: Vec<(String, u64)>,
    less: Vec<(String, u64)>,
    emails: BTreeMap<(Uuid, Uuid), String>,
    tally: Tally,
}

/// One rule.
struct RuleView {
    mode: &'static str,
    act: u64,
    unchanged: u64,
    skip: u64,
    deeds: Vec<(String, u64)>,
    reasons: Vec<(String, u64)>,
}

impl ResultView {
    /// Whether some differences are counted and not listed.
    fn has_more_differences(&self) -> bool {
        u64::try_from(self.tally.differences.len()).is_ok_and(|listed| listed < self.tally.differ)
    }

    /// What somebody is called: by their address, where one is stored.
    fn who(&self, about: &About) -> Option<String> {
        let developer = about.developer_id?;
        let email = self.emails.get(&(about.portal_id, developer));
        Some(email.cloned().unwrap_or_else(|| developer.to_string()))
    }
}

/// A window and a portal that can be tried.
struct Asked {
    window: BacktestWindow,
    portal: Option<Uuid>,
    with_skipped: bool,
}

impl Typed {
    fn read(&self, now: DateTime<Utc>) -> Result<Asked, String> {
        let from = moment("from", &self.from, AGO, now)?;
        let to = moment("before", &self.to, "0s", now)?;
        let window = BacktestWindow::new(from, to, now).map_err(|error| error.to_string())?;
        let portal = match self.portal_id.trim() {
            "" => None,
            id => Some(
                id.parse()
                    .map_err(|_| "portal: expected a UUID".to_owned())?,
            ),
        };
        Ok(Asked {
            window,
            portal,
            with_skipped: !self.skipped.is_empty(),
        })
    }
}

/// The form.
pub(in crate::console) async fn test(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let mut field = |name: &str| parameters.text(name).unwrap_or_default();
    let typed = Typed {
        from: field("from"),
        to: field("to"),
        portal_id: field("portal_id"),
        ..Typed::default()
    };
    parameters.finish()?;
    layout::render(&TestPage::new(&console, &visitor, typed))
}

/// Tries what was typed, and shows what that would have done.
pub(in crate::console) async fn run_test(
    Seen(console): Seen,
    State(place): State<BacktestPlace>,
    visitor: Visitor,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<impl IntoResponse, Problem> {
    let unreadable = |_| bad_request("the form cannot be read: load the page again");
    let Form(typed) = form.map_err(unreadable)?;
    let mut page = TestPage::new(&console, &visitor, typed);
    let asked = match page.typed.read(console.clock.now()) {
        Ok(asked) => asked,
        Err(mistake) => {
            page.mistake = Some(mistake);
            return Ok((
                StatusCode::BAD_REQUEST,
                AboutPeople(0, layout::render(&page)?),
            ));
        }
    };
    let Ok(_place) = place.0.try_acquire() else {
        let busy = "somebody runs a back-test just now, and one runs at a time: go back by your \
                    browser, and try again in 20 seconds";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy);
        return Err(problem.with(header::RETRY_AFTER, "20"));
    };
    let in_force = Arc::clone(&console.rules.borrow());
    let pasted = match page.pasted().await? {
        Ok(pasted) => pasted,
        Err(mistakes) => {
            page.source = Some(Source::new(&page.typed.text, &mistakes, None));
            let html = layout::render(&page)?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, AboutPeople(0, html)));
        }
    };
    if let Some(pasted) = &pasted {
        let warnings = pasted.warnings().iter().take(WARNINGS);
        page.warnings = warnings.map(Finding::new).collect();
    }
    let sets: Vec<&RuleSet> = match &pasted {
        Some(pasted) => vec![&*in_force, pasted],
        None => vec![&*in_force],
    };
    let result = Box::pin(run(&console, &sets, &asked)).await?;
    let people = result.tally.rows.len() + result.tally.differences.len();
    page.result = Some(result);
    Ok((StatusCode::OK, AboutPeople(people, layout::render(&page)?)))
}

/// Tries the sets until the end of the window or of the time that there is.
async fn run(
    console: &Console,
    sets: &[&RuleSet],
    asked: &Asked,
) -> Result<ResultView, JournalError> {
    let mut tally = Tally::new(asked.portal, asked.with_skipped);
    let rooms = (&console.directory, &console.listed);
    let principal = console.settings.own_principal;
    let backtest = Backtest::new(&console.reading, rooms, principal, asked.window);
    let running = Box::pin(backtest.run(sets, |tried| tally.take(&tried)));
    let events = match timeout(WITHIN, running).await {
        Ok(events) => Some(events?),
        Err(_) => None,
    };
    let subjects = console.directory.subjects_of(&tally.people()).await?;
    let emails = subjects.into_iter();
    let emails = emails.filter_map(|(who, subject)| Some((who, subject.email?)));
    Ok(ResultView {
        from: asked.window.from(),
        to: asked.window.to(),
        events,
        is_other: sets.len() > 1,
        rules_left: tally.by_rule.len().saturating_sub(RULES),
        rules: rules_of(&tally),
        more: most(&tally.more, RULES),
        less: most(&tally.less, RULES),
        emails: emails.collect(),
        tally,
    })
}

/// The rules that would do most, first.
fn rules_of(tally: &Tally) -> Vec<(String, RuleView)> {
    let mut rules: Vec<_> = tally.by_rule.iter().collect();
    rules.sort_by_key(|(_, rule)| std::cmp::Reverse((rule.act, rule.unchanged)));
    let view = rules.into_iter().take(RULES).map(|(name, rule)| {
        let view = RuleView {
            mode: rule.mode,
            act: rule.act,
            unchanged: rule.unchanged,
            skip: rule.skip,
            deeds: most(&rule.deeds, OF_RULE),
            reasons: most(&rule.reasons, OF_RULE),
        };
        (name.clone(), view)
    });
    view.collect()
}

/// The most frequent, first.
fn most(counts: &BTreeMap<String, u64>, wanted: usize) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts
        .iter()
        .map(|(name, count)| (name.clone(), *count))
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(wanted);
    counts
}

impl TestPage {
    fn new(console: &Console, visitor: &Visitor, typed: Typed) -> Self {
        let has_text = !typed.text.trim().is_empty();
        let or = |typed: &str, default: &str| match typed.trim() {
            "" => default.to_owned(),
            typed => typed.chars().filter(|c| !c.is_control()).take(40).collect(),
        };
        let against = if has_text {
            " --against new-rules.yaml"
        } else {
            ""
        };
        let (from, to) = (or(&typed.from, AGO), or(&typed.to, "0s"));
        Self {
            layout: Layout::of("Back-test", "/rules", visitor),
            csrf: visitor.csrf.clone(),
            command: format!("usher rules test --from {from} --to {to}{against}"),
            has_rules: !console.rules_seen(&console.rules.borrow()).is_empty(),
            typed,
            mistake: None,
            source: None,
            warnings: Vec::new(),
            result: None,
        }
    }

    /// The rules of the text; none where it is empty.
    async fn pasted(&self) -> Result<Result<Option<RuleSet>, Vec<Mistake>>, Problem> {
        if self.typed.text.trim().is_empty() {
            return Ok(Ok(None));
        }
        let text = self.typed.text.clone();
        // A thousand conditions take long enough to compile that others would wait.
        match spawn_blocking(move || load(&text, "text")).await {
            Ok(loaded) => Ok(loaded.map(Some)),
            Err(failure) => {
                error!(
                    error = &failure as &dyn std::error::Error,
                    "could not check a text of rules"
                );
                Err(Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the text could not be checked",
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{Typed, most};

    fn now() -> DateTime<Utc> {
        "2026-06-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_window_is_typed_as_times_or_ages() {
        let typed = |from: &str, to: &str| Typed {
            from: from.to_owned(),
            to: to.to_owned(),
            ..Typed::default()
        };
        let window = |from: &str, to: &str| {
            let asked = typed(from, to).read(now());
            asked.map(|asked| (asked.window.from(), asked.window.to()))
        };
        let week = now() - TimeDelta::days(7);
        assert_eq!(window("", ""), Ok((week, now())));
        assert_eq!(window("7d", "1h"), Ok((week, now() - TimeDelta::hours(1))));
        assert_eq!(window(" 2026-06-16T12:00:00Z ", ""), Ok((week, now())));
        for (from, to) in [
            ("yesterday", ""),
            ("1h", "2h"),
            ("2h", "2h"),
            ("99999999999d", ""),
        ] {
            assert!(window(from, to).is_err(), "{from} to {to}");
        }
        let portal = Typed {
            portal_id: "x".to_owned(),
            ..Typed::default()
        };
        assert!(portal.read(now()).is_err());
    }

    #[test]
    fn the_most_frequent_come_first() {
        let counts = [("a", 1), ("b", 3), ("c", 2)];
        let counts = counts.map(|(name, count)| (name.to_owned(), count)).into();
        let first: Vec<String> = most(&counts, 2).into_iter().map(|(name, _)| name).collect();
        assert_eq!(first, ["b", "c"]);
    }
}
