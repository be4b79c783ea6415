//! An operator takes note of a loss: it stays visible, and raises no alarm any more.

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::Redirect;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::backfill::AcknowledgeError;
use crate::console::coverage::logs;
use crate::console::done;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::sign_in::Wanted;
use crate::http::Problem;
use crate::http::parameters::{bad_request, path_id};
use crate::journal::{Acknowledgement, journal_problem, read_time};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LossForm {
    /// Empty for the organisation's log.
    portal_id: String,
    from: String,
    to: String,
    reason: String,
    back: String,
}

/// Notes that somebody knows of a loss.
pub(super) async fn acknowledge(
    Seen(console): Seen,
    visitor: Visitor,
    form: Result<Form<LossForm>, FormRejection>,
) -> Result<Redirect, Problem> {
    let unreadable = |_| bad_request("the form cannot be read: load the page again");
    let Form(form) = form.map_err(unreadable)?;
    let person = visitor.person(Some(&form.reason))?;
    let portal = match form.portal_id.as_str() {
        "" => None,
        id => Some(path_id(id, "a portal")?),
    };
    let source = logs::of_portal(portal);
    let loss = Acknowledgement {
        from: time("from", &form.from)?,
        to: time("to", &form.to)?,
        who: person.name,
        reason: person.reason.unwrap_or_default(),
    };
    let id = console.ids.next();
    let noted = console.coverage.acknowledge(id, source, loss).await;
    noted.map_err(|error| match error {
        AcknowledgeError::NoWindow(error) => bad_request(format!("from, to: {error}")),
        AcknowledgeError::NoReason => {
            bad_request("reason: say why, for those who read of the loss later")
        }
        AcknowledgeError::UnknownSource => no_such_log(),
        AcknowledgeError::NothingLost => Problem::new(
            StatusCode::CONFLICT,
            "nothing of that time is lost any more: load the page of coverage again",
        ),
        AcknowledgeError::Journal(error) => journal_problem(&error),
    })?;
    let back = match form.back.as_str() {
        "" => "/coverage",
        back => back,
    };
    Ok(done::see(&Wanted::own(back), "acknowledged"))
}

fn no_such_log() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "usher receives no such log: see the page of coverage",
    )
}

fn time(field: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let wrong = || {
        bad_request(format!(
            "{field}: expected a time such as 2026-01-31T12:00:00Z"
        ))
    };
    read_time(text).ok_or_else(wrong)
}
