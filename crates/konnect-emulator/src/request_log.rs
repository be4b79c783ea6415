//! The journal of requests that reached the emulated API, for tests to assert on. Credentials are
//! not kept; bodies are.

use std::{collections::VecDeque, ops::RangeInclusive};

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

/// Which requests of the journal are wanted; every part that is absent wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// The method, in any case.
    pub method: Option<String>,
    /// A prefix of the path, or a pattern in which `*` stands for anything.
    pub path: Option<String>,
    /// The status of the answer; 0 is a connection that was cut.
    pub status: Option<RangeInclusive<u16>>,
}

impl RequestFilter {
    fn wants(&self, request: &LoggedRequest) -> bool {
        let is_method = |wanted: &str| wanted.eq_ignore_ascii_case(&request.method);
        self.method.as_deref().is_none_or(is_method)
            && self
                .path
                .as_deref()
                .is_none_or(|wanted| path_fits(wanted, &request.path))
            && self
                .status
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&request.status))
    }
}

/// Reads a status as `404`, or all of a class as `4xx`.
pub(crate) fn read_status(text: &str) -> Result<RangeInclusive<u16>, String> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
    if let Some(class @ 1..=5_u16) = class {
        return Ok(class * 100..=class * 100 + 99);
    }
    let exact = text.parse::<u16>();
    exact
        .map(|status| status..=status)
        .map_err(|_| format!("status is a number or a class such as 4xx, not `{text}`"))
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

    /// Returns the requests that a filter wants, oldest first.
    pub(crate) fn find(&self, filter: &RequestFilter) -> Vec<LoggedRequest> {
        let wanted = self.0.iter().filter(|request| filter.wants(request));
        wanted.cloned().collect()
    }

    /// Forgets all requests.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status_or_a_class_of_them() {
        assert_eq!(read_status("404"), Ok(404..=404));
        assert_eq!(read_status("4xx"), Ok(400..=499));
        assert_eq!(read_status("0"), Ok(0..=0));
        for text in ["", "xx", "9xx", "4x", "ok"] {
            assert!(read_status(text).is_err(), "{text}");
        }
    }
}
