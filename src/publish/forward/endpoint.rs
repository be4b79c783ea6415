//! One endpoint: how entries are sent to it, and what its answers mean. Retries nothing, and shows
//! nothing of its URL but the host: a path or a query may contain a token.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use sha2::{Digest, Sha256};
use url::Url;

use crate::config::ForwardConfig;
use crate::journal::ReaderName;
use crate::publish::PublishError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one request with its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A longer wait that an endpoint asks for is cut: it may be a mistake, and could stay unnoticed
/// for days.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);
/// Answers of the 400s that no entry can cause: they concern the credentials or the URL. All the
/// others may concern one entry. A web application firewall answers 403 to text that it takes for
/// an attack, and strangers choose that text.
const ABOUT_US: [u16; 4] = [401, 404, 405, 407];
/// Read of an answer so that its connection can be used again.
const ANSWER_BYTES: usize = 64 * 1024;

/// Where entries are sent, with a client.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) reader: ReaderName,
    /// For logs and `/readyz`.
    pub(super) host: String,
    url: Url,
    http: Client,
}

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has the entries.
    Taken,
    /// It does not take this body. It is not known which part is at fault.
    Refused(Refusal),
}

/// How a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// By an answer.
    Answered(StatusCode),
    /// By the end of the connection.
    Cut,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "answered {status}"),
            Self::Cut => f.write_str("cut the connection"),
        }
    }
}

/// Why entries wait.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No server is there, or not the right one.
    #[error("could not reach {host}: {why}")]
    Unreachable { host: String, why: String },
    /// A server was there, and ended the connection without an answer.
    #[error("{host} cut the connection: {why}")]
    Cut { host: String, why: String },
    /// It may have the entries.
    #[error("{host} did not answer within 30 s")]
    TimedOut { host: String },
    /// It cannot take them now.
    #[error("{host} answered {status}")]
    Busy {
        host: String,
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// It takes nothing from usher, or is not the right place.
    #[error("{host} answered {status}; see url and authorization of this endpoint in forward")]
    Shut { host: String, status: StatusCode },
    /// Each entry alone is refused, and so are others from elsewhere.
    #[error(
        "{host} takes no entry: it {refusal} to each alone; see url and authorization in forward"
    )]
    TakesNothing { host: String, refusal: Refusal },
}

impl Failure {
    /// Label of the metric.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } => "unreachable",
            Self::TimedOut { .. } => "timeout",
            Self::Busy { .. } => "busy",
            Self::Shut { .. } => "shut",
            Self::TakesNothing { .. } => "refused",
        }
    }

    /// How long the endpoint asks to wait.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
            Self::Unreachable { .. }
            | Self::Cut { .. }
            | Self::TimedOut { .. }
            | Self::Shut { .. }
            | Self::TakesNothing { .. } => Duration::ZERO,
        }
    }

    /// The refusal that this may be: proxies before an endpoint answer unwanted text by any of
    /// these. None where it asks for a pause, or no server is there.
    pub(super) fn as_refusal(&self) -> Option<Refusal> {
        match self {
            Self::Shut { status, .. } => Some(Refusal::Answered(*status)),
            Self::Busy {
                status,
                retry_after: None,
                ..
            } if status.is_server_error() => Some(Refusal::Answered(*status)),
            Self::Cut { .. } => Some(Refusal::Cut),
            Self::Busy { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::TakesNothing { .. } => None,
        }
    }

    /// Whether an operator must act.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Shut { .. } | Self::TakesNothing { .. } => true,
            Self::Unreachable { .. }
            | Self::Cut { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. } => false,
        }
    }
}

impl Endpoint {
    /// Prepares to send. Connects to nothing.
    ///
    /// # Errors
    /// When the TLS set-up of this machine cannot be used.
    pub(super) fn new(config: &ForwardConfig) -> Result<Self, PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Some(authorization) = &config.authorization {
            let mut value = HeaderValue::from_bytes(authorization.expose().as_bytes())
                .map_err(|_| PublishError::Forward)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
            // The authorization must not be sent elsewhere.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|_| PublishError::Forward)?;
        let host = config.url.host_str().unwrap_or_default();
        Ok(Self {
            reader: reader_of(&config.url),
            host: match config.url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            url: config.url.clone(),
            http,
        })
    }

    /// Sends `body`, entries joined by LF. `now` is the time from which a `Retry-After` date
    /// counts.
    pub(super) async fn post(&self, body: Vec<u8>, now: DateTime<Utc>) -> Result<Answer, Failure> {
        let sent = self.http.post(self.url.clone()).body(body).send().await;
        let host = || self.host.clone();
        let answer = sent.map_err(|error| {
            if error.is_timeout() && !error.is_connect() {
                Failure::TimedOut { host: host() }
            } else if !error.is_connect() {
                Failure::Cut {
                    host: host(),
                    why: innermost(&error),
                }
            } else {
                Failure::Unreachable {
                    host: host(),
                    why: innermost(&error),
                }
            }
        })?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers(), now));
        read_to_end(answer).await;
        match status.as_u16() {
            200..=299 => Ok(Answer::Taken),
            408 | 425 | 429 | 500..=599 => Err(Failure::Busy {
                host: host(),
                status,
                retry_after,
            }),
            code @ 400..=499 if !ABOUT_US.contains(&code) => {
                Ok(Answer::Refused(Refusal::Answered(status)))
            }
            _ => Err(Failure::Shut {
                host: host(),
                status,
            }),
        }
    }
}

/// The same for the same URL, whatever its place in the list.
pub(super) fn reader_of(url: &Url) -> ReaderName {
    let hash = Sha256::digest(url.as_str().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    ReaderName::Forward(u64::from_be_bytes(first))
}

/// The last of the causes. Those before it say only that a request failed, and may contain its URL.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else {
        return "the request failed".to_owned();
    };
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The status has the outcome. An answer that cannot be read costs no more than a connection.
async fn read_to_end(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_BYTES {
            return;
        }
    }
}

/// Seconds or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let until = DateTime::parse_from_rfc2822(text).ok()?;
        (until.to_utc() - now).to_std().unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use reqwest::header::{HeaderMap, RETRY_AFTER};

    use super::{reader_of, retry_after};

    #[test]
    fn reads_retry_after_as_seconds_and_as_date() {
        let now = DateTime::parse_from_rfc3339("2015-10-21T07:27:50Z").unwrap();
        for (text, expected) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("86400", Some(300)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(10)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("-3", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now.to_utc()), expected, "{text}");
        }
    }

    #[test]
    fn the_url_alone_names_the_reader() {
        let name = |url: &str| reader_of(&url.parse().unwrap()).to_string();
        let siem = name("https://siem.example/audit");
        assert_eq!(siem, "forward-449ec54a26c81c21");
        assert_eq!(siem, name("https://SIEM.example:443/audit"));
        assert_ne!(siem, name("https://siem.example/audit?source=x"));
    }
}
