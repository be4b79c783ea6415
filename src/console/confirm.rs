//! The page before a deed that takes something away: what is cut off, and the button that does it.
//! Nothing is done until it is pressed.

use askama::Template;
use axum::response::{IntoResponse, Response};

use crate::console::ask::AskForm;
use crate::console::filters;
use crate::console::layout::{self, Layout};
use crate::console::objects::Rows;
use crate::console::reads::AboutPeople;
use crate::console::session::Visitor;
use crate::directory::Registration;
use crate::http::Problem;

/// The page.
#[derive(Template, Debug)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmPage<'a> {
    layout: Layout,
    csrf: String,
    /// Where the form is sent, once more.
    action: String,
    back: String,
    form: &'a AskForm,
    verb: &'static str,
    meaning: &'static str,
    name: String,
    parts: Vec<Part>,
}

/// Things of one kind that are cut off.
#[derive(Debug)]
pub(super) struct Part {
    title: &'static str,
    rows: Rows<String>,
}

impl Part {
    /// Those of `all`, each as `tell` names it.
    pub(super) fn of<T>(title: &'static str, all: &[T], tell: impl Fn(&T) -> String) -> Self {
        let rows = Rows::of(all, tell);
        Self { title, rows }
    }

    /// The registrations that are in use or wait.
    pub(super) fn of_registrations(all: Vec<Registration>) -> Self {
        let is_live = |row: &Registration| matches!(row.status.as_str(), "approved" | "pending");
        let live: Vec<Registration> = all.into_iter().filter(is_live).collect();
        Self::of("Registrations", &live, |row| {
            let version = row.api.version.as_deref().unwrap_or_default();
            let api = format!("{} {version}", row.api.name);
            format!("{}, {}", api.trim_end(), row.status)
        })
    }
}

impl<'a> ConfirmPage<'a> {
    /// The page for what `form` asks about the `name`d object, whose own page is `back`: path and
    /// query.
    pub(super) fn new(
        form: &'a AskForm,
        visitor: &Visitor,
        (active, back): (&'static str, String),
        (name, parts): (String, Vec<Part>),
    ) -> Self {
        let is_reject = form.deed.starts_with("reject_");
        let (verb, meaning) = if is_reject {
            (
                "Reject",
                "Once you confirm, usher turns the request down in Konnect.",
            )
        } else {
            (
                "Revoke",
                "Once you confirm, usher takes the access away in Konnect.",
            )
        };
        let path = back.split_once('?').map_or(back.as_str(), |(path, _)| path);
        Self {
            layout: Layout::of(format!("{verb}?"), active, visitor),
            csrf: visitor.csrf.clone(),
            action: format!("{path}/ask"),
            back,
            form,
            verb,
            meaning,
            name,
            parts,
        }
    }

    /// The page as an answer. It is about one person, or about what is theirs.
    pub(super) fn respond(&self) -> Result<Response, Problem> {
        Ok(AboutPeople(1, layout::render(self)?).into_response())
    }
}
