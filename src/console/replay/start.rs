//! An operator asks for a replay job. What is refused is shown again as it was typed, with the
//! reason.

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::backfill::ReplayRefused;
use crate::console::coverage::logs;
use crate::console::layout;
use crate::console::replay::{ReplayPage, Wanted};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::window::moment;
use crate::console::{Console, done};
use crate::http::Problem;
use crate::http::parameters::bad_request;
use crate::journal::{LogSource, ReplayJobRow, journal_problem};

/// Letters of a time that a command shows.
const MOST_LETTERS: usize = 40;

/// What was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    /// Empty for the organisation's log.
    pub(super) portal_id: String,
    pub(super) from: String,
    pub(super) to: String,
}

impl Typed {
    /// The log and the window, or what is wrong with them.
    fn read(
        &self,
        now: DateTime<Utc>,
    ) -> Result<(LogSource, DateTime<Utc>, DateTime<Utc>), String> {
        let portal = match self.portal_id.trim() {
            "" => None,
            id => Some(
                id.parse::<Uuid>()
                    .map_err(|_| "log: expected the id of a portal".to_owned())?,
            ),
        };
        let source = logs::of_portal(portal);
        if self.from.trim().is_empty() {
            return Err("from: say where the time begins, such as 3h or a time".to_owned());
        }
        let from = moment("from", &self.from, "", now)?;
        let to = moment("to", &self.to, "0s", now)?;
        Ok((source, from, to))
    }

    /// The command that asks for the same.
    pub(super) fn command(&self) -> String {
        let or = |typed: &str, default: &str| match typed.trim() {
            "" => default.to_owned(),
            typed => {
                let letters = typed.chars();
                let plain = letters.filter(|c| c.is_ascii_alphanumeric() || "-:.+".contains(*c));
                plain.take(MOST_LETTERS).collect()
            }
        };
        let portal = self.portal_id.parse::<Uuid>().ok();
        let flag = portal.map_or_else(String::new, |id| logs::flag(LogSource::Portal(id)));
        let (from, to) = (or(&self.from, "3h"), or(&self.to, "0s"));
        format!("usher replay{flag} --from {from} --to {to}")
    }
}

/// Puts a job on record; the page of it shows how it fares.
pub(super) async fn start(
    Seen(console): Seen,
    visitor: Visitor,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Problem> {
    let unreadable = |_| bad_request("the form cannot be read: load the page again");
    let Form(typed) = form.map_err(unreadable)?;
    let who = visitor.person(None)?.name;
    match want(&console, &typed, &who).await? {
        Ok(job) => {
            let page = format!("/replay/{}", job.id);
            Ok(done::see(&page, "replay_wanted").into_response())
        }
        Err((status, mistake)) => {
            let wanted = Wanted {
                notice: None,
                typed,
                mistake: Some(mistake),
                portal: None,
                after: None,
            };
            let (page, _) = ReplayPage::load(&console, visitor, wanted).await?;
            Ok((status, layout::render(&page)?).into_response())
        }
    }
}

/// The job, or why it was refused.
async fn want(
    console: &Console,
    typed: &Typed,
    who: &str,
) -> Result<Result<ReplayJobRow, (StatusCode, String)>, Problem> {
    let now = console.coverage.now().await?;
    let (source, from, to) = match typed.read(now) {
        Ok(read) => read,
        Err(mistake) => return Ok(Err((StatusCode::BAD_REQUEST, mistake))),
    };
    let id = console.ids.next();
    let wanted = console.coverage.want_replay(id, source, (from, to), who);
    match wanted.await {
        Ok(job) => Ok(Ok(job)),
        Err(error @ ReplayRefused::Window(_)) => {
            Ok(Err((StatusCode::BAD_REQUEST, error.to_string())))
        }
        Err(error @ ReplayRefused::UnknownSource) => {
            Ok(Err((StatusCode::NOT_FOUND, error.to_string())))
        }
        Err(ReplayRefused::Journal(error)) => Err(journal_problem(&error)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use uuid::Uuid;

    use super::Typed;
    use crate::journal::LogSource;

    fn typed(portal_id: &str, from: &str, to: &str) -> Typed {
        Typed {
            portal_id: portal_id.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    #[test]
    fn a_window_is_typed_as_times_or_ages_and_none_is_guessed() {
        let now = "2026-06-23T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let ago = |hours| now - TimeDelta::hours(hours);
        let portal = Uuid::from_u128(7);
        let (org, of_portal) = (LogSource::Org, LogSource::Portal(portal));
        assert_eq!(typed("", "3h", "").read(now), Ok((org, ago(3), now)));
        assert_eq!(
            typed(&portal.to_string(), "2026-06-23T10:00:00Z", "1h").read(now),
            Ok((of_portal, ago(2), ago(1)))
        );
        for (portal_id, from, to) in [
            ("x", "3h", ""),
            ("", "", ""),
            ("", "soon", ""),
            ("", "3h", "x"),
        ] {
            assert!(
                typed(portal_id, from, to).read(now).is_err(),
                "{portal_id} {from} {to}"
            );
        }
    }

    #[test]
    fn the_command_has_what_was_typed_and_no_more() {
        assert_eq!(
            typed("", "", "").command(),
            "usher replay --from 3h --to 0s"
        );
        assert_eq!(
            typed("x", "2h; rm -r '/'", "1h").command(),
            "usher replay --from 2hrm-r --to 1h"
        );
    }
}
