//! The one shape of an HTTP error: RFC 9457, `application/problem+json`.

use std::future::{Ready, ready};

use axum::Json;
use axum::http::{Extensions, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

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

    /// The status it is sent with.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let extensions = std::mem::take(&mut self.extensions);
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
