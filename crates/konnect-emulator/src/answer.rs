//! An answer before it is HTTP: status, headers, body.

use std::{convert::Infallible, future::ready, io};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    faults::Fault,
    problem::{Dialect, Problem},
};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What is sent back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// After how many bytes of the body the connection is cut.
    cut_after: Option<usize>,
}

impl Answer {
    /// A status alone.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut_after: None,
        }
    }

    /// The id of what it shows, where it shows one thing.
    pub(crate) fn id(&self) -> Option<String> {
        let shown: Value = serde_json::from_slice(&self.body).ok()?;
        Some(shown.get("id")?.as_str()?.to_owned())
    }

    /// Spoils it as a fault asks for.
    pub(crate) fn spoilt(mut self, fault: &Fault) -> Self {
        if fault.broken {
            let mut half = self.body.len() / 2;
            // No character is cut in two.
            while half > 0 && self.body.get(half).is_some_and(|byte| byte & 0xC0 == 0x80) {
                half -= 1;
            }
            self.body.truncate(half);
        }
        self.cut_after = fault.cut_after;
        self
    }

    fn typed(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![(header::CONTENT_TYPE.to_string(), media_type.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
            cut_after: None,
        }
    }

    /// A status with a JSON body; null is no body.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_value(body).unwrap_or_default() {
            Value::Null => Self::empty(status),
            body => Self::typed(status, JSON, body.to_string()),
        }
    }

    /// A status with bytes of any media type.
    pub(crate) fn raw(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self::typed(status, media_type, body)
    }

    /// A problem in a service's words.
    pub(crate) fn problem(problem: &Problem, dialect: Dialect) -> Self {
        Self::typed(
            problem.status,
            PROBLEM,
            problem.to_json(dialect).to_string(),
        )
    }

    /// The gateway's own answer for a path it has no route for, which is no problem+json.
    pub(crate) fn no_route() -> Self {
        Self::json(
            404,
            &json!({"message": "no Route matched with those values"}),
        )
    }

    /// What a fault asks for.
    pub(crate) fn fault(fault: &Fault) -> Self {
        let status = fault.status.unwrap_or(500);
        let mut answer = match &fault.body {
            Some(Value::String(text)) => Self::typed(status, JSON, text.clone()),
            Some(body) => Self::json(status, body),
            None if status == 429 => {
                Self::json(429, &json!({"message": "API rate limit exceeded"}))
            }
            None if status < 400 => Self::empty(status),
            None => Self::problem(&Problem::of_fault(status), Dialect::Portal),
        };
        for (name, value) in &fault.headers {
            answer
                .headers
                .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            answer.headers.push((name.clone(), value.clone()));
        }
        answer
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Makes the HTTP response, dated by the emulator's clock unless a fault has a `Date` of its
    /// own. A fault's header that HTTP does not allow is left out.
    pub(crate) fn into_response(self, now: DateTime<Utc>) -> Response {
        let length = self.body.len();
        let mut response = Response::new(match self.cut_after {
            None => Body::from(self.body),
            Some(after) => torn(self.body, after),
        });
        if self.cut_after.is_some() {
            // Whoever reads it was promised the whole.
            let promised = HeaderValue::from(length);
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, promised);
        }
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.as_str()),
            ) {
                response.headers_mut().append(name, value);
            }
        }
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::try_from(date) {
            response.headers_mut().entry(header::DATE).or_insert(date);
        }
        response
    }
}

/// A body that breaks off: its start, then an error, on which the server cuts the connection.
fn torn(body: Vec<u8>, after: usize) -> Body {
    let mut start = Bytes::from(body);
    start.truncate(after);
    let error = io::Error::from(io::ErrorKind::ConnectionReset);
    let start = Full::new(start).map_err(|never: Infallible| match never {});
    Body::new(start.with_trailers(ready(Some(Err(error)))))
}
