//! The journal of requests that reached the emulated API, for tests to assert on. Credentials are
//! not kept; bodies are.

use std::{collections::VecDeque, ops::RangeInclusive};

use serde::Serialize;
use serde_json::Value;

use crate::faults::path_fits;

/// How many requests are kept; older ones are forgotten.
const CAPACITY: usize = 20_000;

/// How many bytes their bodies, paths, queries and callers may have together. Four of the largest
/// bodies fit.
const MAX_SIZE: usize = 64 * 1024 * 1024;

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

/// A request as it is kept: its body is read when somebody asks for it.
#[derive(Debug)]
struct Kept {
    /// Without its body.
    request: LoggedRequest,
    body: Vec<u8>,
}

impl Kept {
    /// Returns how much of the journal it takes.
    fn size(&self) -> usize {
        let request = &self.request;
        let texts = [&request.path, &request.query, &request.user_agent];
        self.body.len() + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    fn show(&self) -> LoggedRequest {
        let body = match serde_json::from_slice(&self.body) {
            Ok(body) => body,
            Err(_) if self.body.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&self.body).into_owned()),
        };
        LoggedRequest {
            body,
            ..self.request.clone()
        }
    }
}

/// The journal.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    kept: VecDeque<Kept>,
    /// The sum of the sizes.
    size: usize,
}

impl RequestLog {
    /// Adds a request; the body is given apart, as sent. The oldest go to make room.
    pub(crate) fn push(&mut self, request: LoggedRequest, body: Vec<u8>) {
        let new = Kept { request, body };
        self.size += new.size();
        self.kept.push_back(new);
        while self.kept.len() > CAPACITY || self.size > MAX_SIZE {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.size -= oldest.size();
        }
    }

    /// Returns the requests that a filter wants, oldest first.
    pub(crate) fn find(&self, filter: &RequestFilter) -> Vec<LoggedRequest> {
        let wanted = self.kept.iter().filter(|kept| filter.wants(&kept.request));
        wanted.map(Kept::show).collect()
    }

    /// Forgets all requests.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_large() {
        const MIB: usize = 1024 * 1024;
        let mut log = RequestLog::default();
        let mut next = 0;
        let mut push = |log: &mut RequestLog, count: usize, length: usize| {
            for _ in 0..count {
                let request = LoggedRequest {
                    method: "POST".to_owned(),
                    path: String::new(),
                    query: String::new(),
                    status: next,
                    body: Value::Null,
                    user_agent: String::new(),
                    at: String::new(),
                };
                log.push(request, vec![b'x'; length]);
                next += 1;
            }
        };
        let kept = |log: &RequestLog| -> Vec<u16> {
            let kept = log.kept.iter();
            kept.map(|kept| kept.request.status).collect()
        };
        push(&mut log, 66, MIB);
        assert_eq!(kept(&log), (2..66).collect::<Vec<u16>>());
        push(&mut log, 1, 16 * MIB);
        assert_eq!(kept(&log), (18..67).collect::<Vec<u16>>());
        push(&mut log, CAPACITY + 7, 0);
        assert_eq!((log.kept.len(), log.size), (CAPACITY, 0));
        assert_eq!(kept(&log)[0], 67 + 7);
        log.clear();
        assert_eq!((log.kept.len(), log.size), (0, 0));
    }

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
