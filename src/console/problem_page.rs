//! A problem as a page: what is wrong, and what to do about it.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::console::layout::{self, Layout};
use crate::console::session::Visitor;
use crate::http::{Problem, ProblemShown};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    layout: Layout,
    status: StatusCode,
    detail: &'a str,
    may_repeat: bool,
}

/// A problem, shown to whoever looks.
pub(super) fn of(problem: Problem, visitor: Option<&Visitor>) -> Response {
    dress(problem.into_response(), visitor, false)
}

/// The answer as it is, but a problem as a page. `is_read` says whether loading it again is an
/// answer to trouble.
pub(super) fn dress(response: Response, visitor: Option<&Visitor>, is_read: bool) -> Response {
    let status = response.status();
    let problem = response.extensions().get::<ProblemShown>().cloned();
    let Some(problem) = problem.or_else(|| unreadable(&response)) else {
        return response;
    };
    let page = ProblemPage {
        layout: Layout::new(problem.title, visitor),
        status,
        detail: &problem.detail,
        may_repeat: is_read && status.is_server_error(),
    };
    let Ok(html) = layout::render(&page) else {
        return response;
    };
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let mut dressed = (status, html).into_response();
    if let Some(retry_after) = retry_after {
        dressed
            .headers_mut()
            .insert(header::RETRY_AFTER, retry_after);
    }
    dressed
}

/// The problem of a request that was refused before it reached its page, such as an address with
/// bytes that are no text: what axum says of it is no page.
fn unreadable(response: &Response) -> Option<ProblemShown> {
    let status = response.status();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)?
        .to_str()
        .ok()?;
    let is_bare = status.is_client_error() && kind.starts_with("text/plain");
    is_bare.then(|| ProblemShown {
        title: status.canonical_reason().unwrap_or("Error"),
        detail: "the request cannot be read: its address or its form has what is no text"
            .to_owned(),
    })
}
