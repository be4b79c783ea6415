//! What can go wrong with a call, and what a caller may do about it.
//!
//! Neither `Display` nor `Debug` may show the token, the URL with its query, the body of an answer
//! or an e-mail address: errors end up in logs.

use std::error::Error as StdError;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::wire::lenient;

/// Longest message taken from an answer, in characters.
const MAX_MESSAGE: usize = 300;

/// A call that failed, or a client that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API answered with a status outside 2xx.
    #[error("{route} was answered with {status}: {message}")]
    Api {
        /// Method and path template of the call.
        route: &'static str,
        /// Status of the answer.
        status: u16,
        /// Problem details (RFC 9457), if the answer had them.
        problem: Option<Box<Problem>>,
        /// Detail or title of the problem, Kong's own `message`, or the name of the status.
        message: String,
        /// How long the API asks to wait, from `Retry-After`.
        retry_after: Option<Duration>,
        /// Trace of the call at Konnect, such as `kong:trace:123`, to quote to its support.
        trace: Option<String>,
    },
    /// The call did not reach the API, or its answer broke off.
    #[error("{route} failed on the way")]
    Transport {
        /// Method and path template of the call.
        route: &'static str,
        /// What the HTTP library says, without the URL.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The call took longer than the client's timeout.
    #[error("{route} timed out")]
    Timeout {
        /// Method and path template of the call.
        route: &'static str,
    },
    /// The answer was a success, but not what the API documents.
    #[error("{route} was answered with what cannot be read: {message}")]
    Decode {
        /// Method and path template of the call.
        route: &'static str,
        /// What was expected, and where.
        message: String,
    },
    /// The answer was a success, but larger than is read.
    #[error("{route} was answered with more than {limit} bytes")]
    TooLarge {
        /// Method and path template of the call.
        route: &'static str,
        /// Bytes that are read at most.
        limit: usize,
    },
    /// A call was not made, because it would have been another one with what it was given.
    #[error("{route} was not called: {message}")]
    Parameter {
        /// Method and path template of the call.
        route: &'static str,
        /// What is wrong with what it was given.
        message: &'static str,
    },
    /// A list repeats its pages, so that reading on would never end.
    #[error("{route} repeats its pages")]
    Paging {
        /// Method and path template of the call.
        route: &'static str,
    },
    /// The body of a call could not be written as JSON.
    #[error("{route} has a body that cannot be written")]
    Encode {
        /// Method and path template of the call.
        route: &'static str,
        /// The serializer's reason.
        source: serde_json::Error,
    },
    /// A base URL cannot be used.
    #[error("the url of the api cannot be used: {message}")]
    Url {
        /// What is wrong with it.
        message: &'static str,
    },
    /// The client cannot be built from what it was given.
    #[error("the client cannot be built: {message}")]
    Configuration {
        /// What is wrong.
        message: &'static str,
    },
}

impl Error {
    /// Whether the same call may succeed later: no answer, a timeout, 408, 429 or 5xx except 501.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api { status, .. } => is_transient_status(*status),
            Self::Transport { .. } | Self::Timeout { .. } => true,
            Self::Decode { .. }
            | Self::TooLarge { .. }
            | Self::Parameter { .. }
            | Self::Paging { .. }
            | Self::Encode { .. }
            | Self::Url { .. }
            | Self::Configuration { .. } => false,
        }
    }

    /// How long the API asks to wait before the next call, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Status of the answer, if the API gave one outside 2xx.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Problem details of the answer, if it had them.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Api { problem, .. } => problem.as_deref(),
            _ => None,
        }
    }

    /// Parameters that the API refused; only a 400 names any.
    pub fn invalid_parameters(&self) -> &[InvalidParameter] {
        self.problem()
            .map_or(&[], |problem| &problem.invalid_parameters)
    }

    /// Trace of the call at Konnect, such as `kong:trace:123`, if the answer names one.
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Api { trace, .. } => trace.as_deref(),
            _ => None,
        }
    }

    /// Method and path template of the call; none if there was no call.
    pub fn route(&self) -> Option<&'static str> {
        match self {
            Self::Api { route, .. }
            | Self::Transport { route, .. }
            | Self::Timeout { route }
            | Self::Decode { route, .. }
            | Self::TooLarge { route, .. }
            | Self::Parameter { route, .. }
            | Self::Paging { route }
            | Self::Encode { route, .. } => Some(route),
            Self::Url { .. } | Self::Configuration { .. } => None,
        }
    }

    /// Whether the object does not exist (404).
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the call conflicts with the object's state (409).
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Whether the token is missing, expired or lacks a role (401 or 403).
    pub fn is_unauthorized(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Whether the API limits the rate of calls (429).
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
    }
}

/// Says whether a status may be another one soon.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 429) || (status >= 500 && status != 501)
}

/// Problem details (RFC 9457) as Konnect writes them; every member is optional.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Problem {
    /// URL that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Status as the body repeats it.
    pub status: Option<u16>,
    /// Short name, such as `Not Found`.
    pub title: Option<String>,
    /// Explanation of this case.
    pub detail: Option<String>,
    /// Trace of the call, `kong:trace:…` or `konnect:trace:…`.
    pub instance: Option<String>,
    /// Parameters that were refused; only a 400 has them.
    #[serde(deserialize_with = "lenient::or_default")]
    pub invalid_parameters: Vec<InvalidParameter>,
}

/// One refused parameter of a 400.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct InvalidParameter {
    /// Name of the member or query parameter.
    #[serde(deserialize_with = "lenient::or_default")]
    pub field: String,
    /// Why it was refused.
    #[serde(deserialize_with = "lenient::or_default")]
    pub reason: String,
    /// Rule that was broken, such as `required` or `unknown_property`.
    pub rule: Option<String>,
    /// Where the parameter was: `body`, `query` or `path`.
    pub source: Option<String>,
}

/// Reads the body of a failed call into problem details and a message fit for logs.
///
/// A body may be problem details, Kong gateway's `{"message": …}`, an HTML page of a proxy, or
/// nothing; only members known to be written for people are taken.
pub(crate) fn read_failure(status: u16, body: &[u8]) -> (Option<Box<Problem>>, String) {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let members = value.as_ref().and_then(Value::as_object);
    let problem = members
        .filter(|members| members.contains_key("title") || members.contains_key("detail"))
        .and_then(|members| Problem::deserialize(members).ok())
        .map(|problem| Box::new(problem.without_addresses()));
    let message = problem
        .as_deref()
        .and_then(Problem::message)
        .or_else(|| members?.get("message")?.as_str().map(without_addresses))
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| name_of(status));
    (problem, message)
}

/// Replaces every word that may be an e-mail address, and cuts the text to a length fit for logs.
pub(crate) fn without_addresses(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let is_address = word.contains('@') || word.to_ascii_lowercase().contains("%40");
        if is_address { "[address]" } else { word }
    });
    words
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_MESSAGE)
        .collect()
}

/// Says why an answer cannot be read, without the values that the parser quotes from it.
pub(crate) fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.find('"'), text.rfind('"')) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{}…{}", &text[..begin], &text[end + 1..])
        }
        _ => text,
    }
}

impl Problem {
    fn message(&self) -> Option<String> {
        let (title, detail) = (self.title.as_deref(), self.detail.as_deref());
        let mut message = match (title, detail) {
            (Some(title), Some(detail)) if title != detail => format!("{title}: {detail}"),
            (_, Some(text)) | (Some(text), None) => text.to_owned(),
            (None, None) => return None,
        };
        if let Some(first) = self.invalid_parameters.first() {
            message = format!("{message} ({}: {})", first.field, first.reason);
        }
        Some(without_addresses(&message))
    }

    fn without_addresses(mut self) -> Self {
        for text in [&mut self.title, &mut self.detail].into_iter().flatten() {
            *text = without_addresses(text);
        }
        for parameter in &mut self.invalid_parameters {
            parameter.field = without_addresses(&parameter.field);
            parameter.reason = without_addresses(&parameter.reason);
        }
        self
    }
}

fn name_of(status: u16) -> String {
    reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no explanation")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_message_in_every_kind_of_body() {
        let problem = br#"{"status":409,"title":"Conflict","instance":"kong:trace:1","detail":"Developer with the given email already exists"}"#;
        let refused = br#"{"status":400,"title":"Invalid Request","instance":"kong:trace:1","detail":"Invalid Parameters","invalid_parameters":[{"field":"data","rule":"is_array","reason":"must be an array","source":"body"}]}"#;
        let cases: [(u16, &[u8], &str); 8] = [
            (
                409,
                problem,
                "Conflict: Developer with the given email already exists",
            ),
            (
                400,
                refused,
                "Invalid Request: Invalid Parameters (data: must be an array)",
            ),
            (
                401,
                br#"{"title":"Unauthorized","detail":"Unauthorized"}"#,
                "Unauthorized",
            ),
            (
                429,
                br#"{"message":"API rate limit exceeded"}"#,
                "API rate limit exceeded",
            ),
            (400, br#"{"title":"Bad","invalid_parameters":null}"#, "Bad"),
            (502, b"<html><h1>Bad Gateway</h1></html>", "Bad Gateway"),
            (500, b"", "Internal Server Error"),
            (599, b"[1]", "no explanation"),
        ];
        for (status, body, expected) in cases {
            assert_eq!(read_failure(status, body).1, expected);
        }
        assert_eq!(
            read_failure(409, problem).0.unwrap().instance.as_deref(),
            Some("kong:trace:1")
        );
    }

    #[test]
    fn keeps_addresses_and_values_out_of_messages() {
        let body = br#"{"title":"Conflict","detail":"\"ann@example.com\" is taken","invalid_parameters":[{"field":"email","reason":"bob@example.com is odd"}]}"#;
        let (problem, message) = read_failure(409, body);
        assert_eq!(
            message,
            "Conflict: [address] is taken (email: [address] is odd)"
        );
        assert!(!format!("{problem:?}").contains("example.com"));
        let error = serde_json::from_str::<u8>(r#""Ann \"the\" Miller""#).unwrap_err();
        assert_eq!(
            without_values(&error),
            "invalid type: string …, expected u8 at line 1 column 20"
        );
    }

    #[test]
    fn cuts_long_messages() {
        assert_eq!(
            without_addresses(&"é ".repeat(1000)).chars().count(),
            MAX_MESSAGE
        );
    }

    #[test]
    fn tells_what_may_pass_from_what_stays() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_transient_status(status), "{status}");
        }
        for status in [302, 400, 401, 403, 404, 409, 501] {
            assert!(!is_transient_status(status), "{status}");
        }
    }
}
