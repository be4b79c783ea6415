//! The page for an id that the directory does not know, or knows in several portals: it says where
//! to look.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::console::filters;
use crate::console::layout::{self, Layout};
use crate::console::session::Visitor;
use crate::http::Problem;

/// An id without a page.
#[derive(Template, Debug)]
#[template(path = "absent.html")]
pub(super) struct AbsentPage {
    pub(super) layout: Layout,
    /// What was asked for: a developer, an application.
    pub(super) what: &'static str,
    /// Its id.
    pub(super) id: Uuid,
    /// Whether only one portal was asked.
    pub(super) is_of_portal: bool,
    /// The path of the page.
    pub(super) here: String,
    /// Path and query of the list, with what is gone.
    pub(super) list: &'static str,
    /// Whether usher itself made the id.
    pub(super) is_told: bool,
    /// The page of something else that has this id.
    pub(super) other: Option<String>,
    /// The portals that know it, where there are several.
    pub(super) choices: Vec<Choice>,
}

/// A portal that knows an id.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) portal_id: Uuid,
    pub(super) portal: String,
    /// A status, or whether it is gone.
    pub(super) state: String,
}

impl AbsentPage {
    /// Nothing is known yet of this id; `path` is that of the list.
    pub(super) fn new(what: &'static str, path: &'static str, id: Uuid, visitor: &Visitor) -> Self {
        let is_person = path == "/people";
        Self {
            layout: Layout::of(format!("No such {what}"), path, visitor),
            what,
            id,
            is_of_portal: false,
            here: format!("{path}/{id}"),
            list: if is_person {
                "/people?gone=any"
            } else {
                "/applications?gone=any"
            },
            is_told: false,
            other: None,
            choices: Vec::new(),
        }
    }

    /// The page that asks which of several portals is meant.
    pub(super) fn of_several(mut self, choices: Vec<Choice>) -> Self {
        "Which portal?".clone_into(&mut self.layout.title);
        self.choices = choices;
        self
    }

    /// The answer: 409 where there is a choice, else 404.
    pub(super) fn respond(&self) -> Result<Response, Problem> {
        let status = if self.choices.is_empty() {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::CONFLICT
        };
        Ok((status, layout::render(self)?).into_response())
    }
}
