//! The switch that lets no action be carried out: a part of pages, `pause.html`, and what its form
//! sends. A page that has it has the fields `pause`, `visitor` and `now`.

use axum::extract::Form;
use axum::response::Redirect;
use serde::Deserialize;

use crate::act::Paused;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::sign_in::Wanted;
use crate::console::{Console, done};
use crate::http::Problem;

/// The switch as a page shows it.
#[derive(Debug)]
pub(super) struct PauseSwitch {
    /// The pause in force.
    pub(super) paused: Option<Paused>,
    /// The page that has the switch, and is shown again.
    pub(super) back: String,
}

impl PauseSwitch {
    /// The switch as it is now, on the page `back`.
    pub(super) async fn new(console: &Console, back: &str) -> Result<Self, Problem> {
        let paused = console.listed.paused().await;
        Ok(Self {
            paused: paused?,
            back: back.to_owned(),
        })
    }
}

/// What its form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SwitchForm {
    reason: String,
    back: String,
}

/// Pauses all actions.
pub(super) async fn pause(
    Seen(console): Seen,
    visitor: Visitor,
    Form(form): Form<SwitchForm>,
) -> Result<Redirect, Problem> {
    let person = visitor.person(Some(&form.reason))?;
    let paused = console.actions.pause_all(&person).await;
    paused?;
    Ok(done::see(&Wanted::own(&form.back), "paused"))
}

/// Lets them be carried out again.
pub(super) async fn resume(
    Seen(console): Seen,
    visitor: Visitor,
    Form(form): Form<SwitchForm>,
) -> Result<Redirect, Problem> {
    let person = visitor.person(Some(&form.reason))?;
    let resumed = console.actions.resume_all(&person).await?;
    let word = if resumed.is_some() {
        "resumed"
    } else {
        "nothing"
    };
    Ok(done::see(&Wanted::own(&form.back), word))
}
