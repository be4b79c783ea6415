//! The one shape of an HTTP error: RFC 9457, `application/problem+json`.

use std::future::{Ready, ready};

use axum::Json;
use axum::http::{Extensions, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Replaces a sender's own wait, inside Konnect's documented maximum of 30 s: its five attempts
/// then span about two minutes instead of 15 seconds.
const RETRY_AFTER: &str = "30";

/// Says, in an answer, which problem it is: for a layer that shows it in another form.
#[derive(Debug, Clone)]
pub struct ProblemShown {
    /// What the status means.
    pub title: &'static str,
    /// What is wrong, and what this client can do about it.
    pub detail: String,
}

/// An error as a client sees it. Internal causes are logged where they are handled, never sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says the kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What the status means.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is wrong, and what this client can do about it.
    detail: String,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[serde(skip)]
    extensions: Extensions,
}

impl Problem {
    /// A problem with `status`; `detail` says what this client can do about it.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            headers: Vec::new(),
            extensions: Extensions::new(),
        }
    }

    /// Passes something to the layers around the handler, and not to the client.
    #[must_use]
    pub fn with_extension<T: Clone + Send + Sync + 'static>(mut self, said: T) -> Self {
        self.extensions.insert(said);
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The answer to a sender that has to try again later.
    pub fn wait(detail: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// The answer to a sender whose body did not arrive in time: it loses its connection.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")
            .with(header::CONNECTION, "close")
    }

    /// The answer to a sender where the record takes nothing, for a reason that is on our side.
    pub fn record_refused() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the record refused, try again",
        )
    }

    /// The answer for a path that is not served.
    pub fn not_found() -> Ready<Self> {
        ready(Self::new(
            StatusCode::NOT_FOUND,
            "nothing is served at this path",
        ))
    }

    /// The answer for a method that the path does not have.
    pub fn method_not_allowed() -> Ready<Self> {
        ready(Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not take this method",
        ))
    }

    /// What is wrong, and what this client can do about it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The status it is sent with.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let mut extensions = std::mem::take(&mut self.extensions);
        extensions.insert(ProblemShown {
            title: self.title,
            detail: self.detail.clone(),
        });
        let mut response = (self.status(), Json(self)).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        response.extensions_mut().extend(extensions);
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
