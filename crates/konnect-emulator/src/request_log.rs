//! The journal of requests that reached the emulated API, for tests to assert on. Credentials are
//! not kept; bodies are.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use crate::faults::path_fits;

/// How many requests are kept; older ones are forgotten.
const CAPACITY: usize = 20_000;

/// One request and how it was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedRequest {
    /// The method in capitals.
    pub method: String,
    /// The path without query.
    pub path: String,
    /// The query string as sent, empty if there was none.
    pub query: String,
    /// The status of the answer; 0 if the connection was cut.
    pub status: u16,
    /// The body as JSON, as text if it is none, null if it is empty.
    pub body: Value,
    /// Who called, by the header of that name; empty if there was none.
    pub user_agent: String,
    /// When the answer was ready (RFC 3339, the emulator's clock).
    pub at: String,
}

/// The journal.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(VecDeque<LoggedRequest>);

impl RequestLog {
    /// Adds a request.
    pub(crate) fn push(&mut self, request: LoggedRequest) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    /// Returns requests, oldest first, of a method and a path (a prefix or a pattern with `*`).
    pub(crate) fn find(&self, method: Option<&str>, path: Option<&str>) -> Vec<LoggedRequest> {
        let fits = |request: &&LoggedRequest| {
            method.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&request.method))
                && path.is_none_or(|wanted| path_fits(wanted, &request.path))
        };
        self.0.iter().filter(fits).cloned().collect()
    }

    /// Forgets all requests.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
