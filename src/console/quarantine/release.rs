//! Releases from quarantine: one row, or all that a list shows. The filter of many is frozen when
//! they are shown, and nothing is done if they are not as many any more.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::oneshot;
use tracing::{info, warn};
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::quarantine::Row;
use crate::console::quarantine::one::find;
use crate::console::quarantine::paths::Narrowed;
use crate::console::quarantine::reasons::explain;
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Console, done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::intake::{IntakeError, Release, TakenUp};
use crate::journal::{
    AccessPath, KeptFilter, ReleaseByHand, far_future, journal_problem, read_time,
};

/// Rows that one click releases: each takes a transaction of its own, and a browser waits.
const AT_ONCE: i64 = 1_000;
/// Rows in one slice.
const SLICE: i64 = 100;
/// How far rows are counted.
const COUNTED: i64 = 100_000;
/// Rows that are shown before all are released.
const SHOWN: i64 = 10;

#[derive(Template)]
#[template(path = "release.html")]
struct ReleasePage {
    layout: Layout,
    visitor: Visitor,
    /// The fields of the form, as they were shown.
    fields: Vec<(&'static str, String)>,
    count: i64,
    is_more: bool,
    at_once: i64,
    rows: Vec<Row>,
    back: String,
}

#[derive(Template)]
#[template(path = "released.html")]
struct ReleasedPage {
    layout: Layout,
    result: Outcome,
    left: u64,
    /// The list with the same filter.
    back: String,
}

impl ReleasePage {
    /// Whether one click is enough.
    fn takes_all(&self) -> bool {
        self.count <= AT_ONCE
    }
}

impl ReleasedPage {
    /// What helps with rows that stay for this reason.
    #[expect(
        clippy::unused_self,
        reason = "templates reach what they need through it"
    )]
    fn helps(&self, reason: &str) -> &'static str {
        explain(reason).helps
    }
}

/// What a release did.
struct Outcome {
    taken: TakenUp,
    /// Whether rows were left for another click.
    is_more: bool,
    /// Whether it ended early, with what was done before being done.
    broke_off: bool,
}

/// The form of a release of all, as it was shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AllForm {
    reason: String,
    delivery_id: String,
    from: String,
    to: String,
    count: String,
}

/// What a release of all that match would do, with their number.
pub(super) async fn preview(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let narrowed = Narrowed::read(&mut parameters)?;
    parameters.finish()?;
    visitor.person(None)?;
    let back = narrowed.path("/quarantine");
    let now = console.clock.now();
    // What comes in from now on is not among them.
    let frozen = Narrowed {
        to: Some(narrowed.to.map_or(now, |to| to.min(now))),
        ..narrowed
    };
    let filter = to_release(&frozen, console.unsendable);
    let count = console.journal.count_kept(&filter, COUNTED + 1).await?;
    let shown = console.journal.quarantined(&frozen.listed(), SHOWN).await?;
    let is_released = |reason: &str| !console.unsendable.contains(&reason);
    let rows = shown.iter().filter(|row| is_released(&row.reason));
    let page = ReleasePage {
        layout: Layout::of("Release from quarantine", "/quarantine", &visitor),
        fields: frozen
            .words()
            .chain([("count", count.to_string())])
            .collect(),
        count: count.min(COUNTED),
        is_more: count > COUNTED,
        at_once: AT_ONCE,
        rows: rows.map(Row::new).collect(),
        back,
        visitor,
    };
    Ok(AboutPeople(page.rows.len(), layout::render(&page)?))
}

/// Releases all that were shown.
pub(super) async fn all(
    Seen(console): Seen,
    visitor: Visitor,
    Form(form): Form<AllForm>,
) -> Result<impl IntoResponse, Problem> {
    visitor.person(None)?;
    let (narrowed, shown) = form.read()?;
    let filter = to_release(&narrowed, console.unsendable);
    let count = console.journal.count_kept(&filter, COUNTED + 1).await?;
    if count != shown {
        let changed = format!(
            "the set has changed: {shown} were shown and there are {count} now. Nothing was done; \
             go back to the quarantine, look, and release again"
        );
        return Err(Problem::new(StatusCode::CONFLICT, changed));
    }
    let result = carry_out(&console, &visitor, filter, AT_ONCE).await?;
    let back = Narrowed {
        to: None,
        ..narrowed
    };
    layout::render(&ReleasedPage {
        layout: Layout::of("Released from quarantine", "/quarantine", &visitor),
        left: result.taken.left.values().sum(),
        result,
        back: back.path("/quarantine"),
    })
}

/// Releases one row.
pub(super) async fn one(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Redirect, Problem> {
    visitor.person(None)?;
    let row = find(&console.journal, &id).await?;
    let filter = KeptFilter {
        ids: Some(vec![row.id]),
        reason: Some(row.reason.clone()),
        ..to_release(&Narrowed::default(), console.unsendable)
    };
    let result = carry_out(&console, &visitor, filter, 1).await?;
    if result.broke_off {
        let busy = "the record is busy or does not answer, try again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy));
    }
    let stored = || {
        row.event_id
            .map_or_else(|| "/quarantine".to_owned(), |id| format!("/events/{id}"))
    };
    Ok(if result.taken.released > 0 {
        done::see(&stored(), "released")
    } else if result.taken.duplicates > 0 {
        done::see(&stored(), "known")
    } else if result.taken.left.is_empty() && !console.unsendable.contains(&&*row.reason) {
        // Somebody else released it meanwhile.
        done::see("/quarantine", "nothing")
    } else {
        done::see(&format!("/quarantine/{}", row.id), "stays")
    })
}

impl AllForm {
    /// What was shown, and how many.
    fn read(&self) -> Result<(Narrowed, i64), Problem> {
        let wrong = |field: &str| bad_request(format!("field {field}: load the page again"));
        let time = |field: &str, text: &str| -> Result<Option<DateTime<Utc>>, Problem> {
            if text.is_empty() {
                return Ok(None);
            }
            read_time(text).map(Some).ok_or_else(|| wrong(field))
        };
        let delivery_id = match self.delivery_id.as_str() {
            "" => None,
            id => Some(id.parse::<Uuid>().map_err(|_| wrong("delivery_id"))?),
        };
        if self.reason.contains('\0') {
            return Err(wrong("reason"));
        }
        let narrowed = Narrowed {
            reason: Some(self.reason.clone()).filter(|reason| !reason.is_empty()),
            delivery_id,
            from: time("from", &self.from)?,
            to: Some(time("to", &self.to)?.ok_or_else(|| wrong("to"))?),
        };
        let count = self.count.parse().map_err(|_| wrong("count"))?;
        Ok((narrowed, count))
    }
}

/// The rows that a release takes up: those of readers are stored already.
fn to_release(narrowed: &Narrowed, unsendable: &[&str]) -> KeptFilter {
    KeptFilter {
        ids: None,
        reason: narrowed.reason.clone(),
        delivery_id: narrowed.delivery_id,
        except: unsendable.iter().map(|&reason| reason.to_owned()).collect(),
        from: narrowed.from.unwrap_or(DateTime::UNIX_EPOCH),
        to: narrowed.to.unwrap_or_else(far_future),
    }
}

/// Releases up to `most` rows, and has in the record who did it before anybody is answered. What
/// has begun comes to its end also where nobody waits for the answer any more.
async fn carry_out(
    console: &Arc<Console>,
    visitor: &Visitor,
    filter: KeptFilter,
    most: i64,
) -> Result<Outcome, Problem> {
    // A release that could not be noted at its end must not begin.
    let can_be_noted = console.reads.check().await;
    can_be_noted?;
    let (tell, told) = oneshot::channel();
    let (releasing, who) = (Arc::clone(console), visitor.name.clone());
    console.lifecycle.spawn("release", async move {
        let outcome = match run(&releasing, &filter, most).await {
            Ok(outcome) => note(&releasing, who, &filter, outcome).await,
            Err(problem) => Err(problem),
        };
        // Whoever asked may have gone.
        drop(tell.send(outcome));
    });
    told.await.unwrap_or_else(|_| {
        let stopped = "usher stopped before it was done, look at the quarantine again";
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, stopped))
    })
}

/// Releases up to `most` rows, the oldest first.
async fn run(console: &Console, filter: &KeptFilter, most: i64) -> Result<Outcome, Problem> {
    let release = Release::prepare(console.intake.clone()).await;
    let mut release = release.map_err(|error| problem(&error))?;
    let (mut after, mut left) = (None, most);
    let mut broke_off = false;
    let mut is_more = true;
    while left > 0 && is_more && !broke_off {
        let rows = console.journal.kept(filter, after, left.min(SLICE)).await;
        let rows = match rows {
            Ok(rows) => rows,
            // What was done before must be told.
            Err(error) if *release.so_far() != TakenUp::default() => {
                warn!(error = error.chain(), "a release from quarantine broke off");
                broke_off = true;
                continue;
            }
            Err(error) => return Err(journal_problem(&error)),
        };
        let Some(last) = rows.last() else {
            is_more = false;
            continue;
        };
        after = Some((last.received_at, last.id));
        left = left.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        if let Err(error) = release.take_up(rows).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "a release from quarantine broke off"
            );
            broke_off = true;
        }
    }
    Ok(Outcome {
        taken: release.so_far().clone(),
        is_more,
        broke_off,
    })
}

fn problem(error: &IntakeError) -> Problem {
    match error {
        IntakeError::Journal(error) => journal_problem(error),
        IntakeError::Check(_) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the signatures could not be checked",
        ),
    }
}

/// Says in the record, and in the log, who released what. Where nothing was released there is
/// nothing to say.
async fn note(
    console: &Console,
    who: String,
    filter: &KeptFilter,
    outcome: Outcome,
) -> Result<Outcome, Problem> {
    let taken = &outcome.taken;
    if taken.released + taken.duplicates == 0 {
        return Ok(outcome);
    }
    info!(
        by = who,
        released = taken.released,
        known = taken.duplicates,
        left = taken.left.values().sum::<u64>(),
        "released from quarantine by hand"
    );
    let release = ReleaseByHand {
        who,
        way: AccessPath::Console,
        filter: filter.as_words(),
        released: taken.released,
        known: taken.duplicates,
        left: taken.left.clone(),
        is_complete: !outcome.broke_off,
    };
    match console.reads.note_release(&release).await {
        Ok(()) => Ok(outcome),
        Err(error) => {
            warn!(
                error = error.chain(),
                "could not record who released from quarantine"
            );
            let unnoted =
                "it was released, and the record did not take who did it: usher's log has it";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, unnoted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AllForm, to_release};
    use crate::console::quarantine::paths::Narrowed;

    #[test]
    fn a_form_is_read_as_what_was_shown() {
        let form = |to: &str, count: &str| AllForm {
            reason: "bad_json".to_owned(),
            to: to.to_owned(),
            count: count.to_owned(),
            ..AllForm::default()
        };
        let (narrowed, count) = form("2026-06-23T10:00:00.123456Z", "12").read().unwrap();
        assert_eq!((narrowed.reason.as_deref(), count), (Some("bad_json"), 12));
        let told: Vec<_> = narrowed.words().collect();
        assert_eq!(told[1], ("to", "2026-06-23T10:00:00.123456Z".to_owned()));
        for (to, count) in [("", "12"), ("x", "12"), ("2026-06-23T10:00:00Z", "x")] {
            assert!(form(to, count).read().is_err(), "{to} {count}");
        }
    }

    #[test]
    fn what_only_a_reader_cannot_have_is_not_taken_up() {
        let filter = to_release(&Narrowed::default(), &["message_too_large"]);
        assert_eq!(filter.except, ["message_too_large"]);
    }
}
