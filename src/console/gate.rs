//! What a request passes before it reaches a page: somebody is signed in, and a write comes from a
//! form of theirs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use crate::console::session::{Visitor, visitor};
use crate::console::sign_in::{self, Wanted};
use crate::console::{Console, Shared, csrf, problem_page};
use crate::http::Problem;
use crate::journal::journal_problem;

/// Lets a write through only from a page of the console, whoever is signed in; reads pass. It comes
/// first, so that nothing of a form from elsewhere is read.
pub(super) async fn require_own_page(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read || csrf::is_own(&request, shared.whole.url.as_ref()) {
        return next.run(request).await;
    }
    problem_page::of(csrf::refused(), None)
}

/// Lets a request through to its page when somebody is signed in; else shows the form, which leads
/// back to the page, or to what was about to be sent.
pub(super) async fn require_session(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let console: Arc<Console> = Arc::clone(&shared.whole);
    let visitor = match visitor(&console, request.headers()).await {
        Ok(visitor) => visitor,
        Err(error) => return problem_page::of(journal_problem(&error), None),
    };
    let Some(visitor) = visitor else {
        return match Wanted::of(request, &shared.forms).await {
            Ok(wanted) => sign_in::form(&console, &wanted, None, StatusCode::OK),
            Err(problem) => problem_page::of(problem, None),
        };
    };
    request.extensions_mut().insert(visitor.clone());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = next.run(request).await.into_response();
    problem_page::dress(response, Some(&visitor), is_read)
}

/// Lets a write through only from a form of this session; reads pass.
pub(super) async fn require_form(
    Extension(visitor): Extension<Visitor>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let body = csrf::read_form(body).await?;
    let given = form_urlencoded::parse(&body).find(|(name, _)| name == csrf::FIELD);
    if given.is_none_or(|(_, given)| given != visitor.csrf) {
        return Err(csrf::refused());
    }
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}
