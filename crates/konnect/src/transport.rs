//! The one way calls leave: authorisation, rate limit, timeout, retries of reads, and bounds.
//!
//! Must not retry writes, follow redirects (they would carry the token elsewhere) or log anything
//! but method, path template, status and duration.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use tracing::Instrument as _;
use url::Url;

use crate::budget::RateLimit;
use crate::error::{Error, is_transient_status, read_failure, without_values};
use crate::request::{Host, Operation, Request};
use crate::server_clock::ServerClock;

/// Bytes read of an answer that reports a failure; more of it is not worth having.
const MAX_FAILURE_BYTES: usize = 64 * 1024;
/// Bytes read of an answer that is a success; larger ones are an error.
const MAX_SUCCESS_BYTES: usize = 16 * 1024 * 1024;
/// How long a 429 that does not say so holds the others.
const HELD_UNASKED: Duration = Duration::from_secs(1);
/// A `Date` has whole seconds, and shows half a second too little on average.
const HALF_A_SECOND: Duration = Duration::from_millis(500);
/// Headers in which Kong's gateway, or a proxy before it, names the call.
const TRACE_HEADERS: [&str; 2] = ["x-kong-request-id", "x-request-id"];

/// How reads are repeated; writes never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 means that nothing is repeated.
    pub attempts: usize,
    /// Wait before the second attempt; it doubles from then on, plus a random part of itself.
    pub initial_delay: Duration,
    /// Longest wait. If the API asks for a longer one, its answer is returned instead.
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// Repeats nothing.
    pub const fn none() -> Self {
        Self {
            attempts: 1,
            initial_delay: Duration::ZERO,
            max_delay: Duration::ZERO,
        }
    }
}

impl Default for RetryPolicy {
    /// Three attempts, half a second apart at first, ten seconds at most.
    fn default() -> Self {
        Self {
            attempts: 3,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(10),
        }
    }
}

/// One attempt of a call, for the observer given to `ClientBuilder::on_attempt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Method of the call.
    pub method: &'static str,
    /// Path template of the call, such as `/v3/portals/{portalId}`; it holds no ids.
    pub route: &'static str,
    /// Status of the answer; none if there was none.
    pub status: Option<u16>,
    /// Time from sending to the end of the answer.
    pub duration: Duration,
    /// Which attempt of the call it was, from 1.
    pub number: usize,
}

/// The body of an answer as it was sent, such as the bytes of an image; at most 16 MiB.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawBody {
    /// Its media type, such as `image/png`, if the answer has one.
    pub media_type: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for RawBody {
    /// Shows how much there is, not what.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawBody")
            .field("media_type", &self.media_type)
            .field("length", &self.bytes.len())
            .finish()
    }
}

pub(crate) type Observer = Arc<dyn Fn(&Attempt) + Send + Sync>;

/// What all calls of a client have in common.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) region: Url,
    pub(crate) global: Url,
    /// May be replaced while calls are under way.
    pub(crate) authorization: Arc<RwLock<Option<HeaderValue>>>,
    pub(crate) pace: Option<Arc<dyn RateLimit>>,
    pub(crate) retries: RetryPolicy,
    pub(crate) observer: Option<Observer>,
    /// What the API's clock shows.
    pub(crate) clock: Arc<Mutex<ServerClock>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transport")
            .field("region", &self.region.as_str())
            .field("global", &self.global.as_str())
            .field("has_token", &self.authorization().is_some())
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// What the next call is authorised with.
    fn authorization(&self) -> Option<HeaderValue> {
        let held = self.authorization.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the API's clock shows: the `Date` of its latest answer and the time since then.
    pub(crate) fn server_time(&self) -> Option<SystemTime> {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.now(Instant::now())?.checked_add(HALF_A_SECOND)
    }

    fn note_date(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(|text| httpdate::parse_http_date(text).ok()) {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.note(date, Instant::now());
        }
    }

    pub(crate) fn set_authorization(&self, value: HeaderValue) {
        let held = self.authorization.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// Sends a request and reads the answer as JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        let route = request.operation.0;
        let answer = self.send(request).await?;
        serde_json::from_slice(&answer.bytes).map_err(|error| Error::Decode {
            route,
            message: without_values(&error),
        })
    }

    /// Sends a request and reads the answer as JSON; none where the API answers 404, as it does for
    /// a thing of which there is at most one and that was never set up. A 404 without problem
    /// details is not the API's: a gateway or a proxy does not know the path.
    pub(crate) async fn fetch_if_found<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<Option<T>, Error> {
        match self.fetch(request).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() && error.problem().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request and returns the body of a success as it is.
    #[cfg(feature = "content")]
    pub(crate) async fn fetch_raw(&self, request: Request) -> Result<RawBody, Error> {
        self.send(request).await
    }

    /// Sends a request and takes any success, whatever its body.
    pub(crate) async fn call(&self, request: Request) -> Result<(), Error> {
        self.send(request).await.map(drop)
    }

    /// Sends a request, repeating reads as the policy says, and returns the body of a success.
    async fn send(&self, request: Request) -> Result<RawBody, Error> {
        let operation = request.operation;
        if let Some(message) = request.refused {
            let route = operation.0;
            return Err(Error::Parameter { route, message });
        }
        let span = tracing::debug_span!(
            "konnect",
            http.method = operation.method(),
            http.route = operation.route()
        );
        self.send_until_final(&request).instrument(span).await
    }

    async fn send_until_final(&self, request: &Request) -> Result<RawBody, Error> {
        let repeats = if request.operation.method() == "GET" {
            self.retries.attempts.saturating_sub(1)
        } else {
            0
        };
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(self.retries.initial_delay)
            .with_max_delay(self.retries.max_delay)
            .with_max_times(repeats)
            .with_jitter()
            .build();
        let mut number = 1;
        loop {
            let error = match self.send_once(request, number).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let Some(delay) = delays.next().filter(|_| error.is_transient()) else {
                return Err(error);
            };
            let delay = delay
                .min(self.retries.max_delay)
                .max(error.retry_after().unwrap_or_default());
            if delay > self.retries.max_delay {
                return Err(error);
            }
            tracing::debug!(error = %error, delay_ms = delay.as_millis(), "a read is repeated");
            tokio::time::sleep(delay).await;
            number += 1;
        }
    }

    /// Makes one attempt, once the rate limit allows it, and reports it to the observer.
    async fn send_once(&self, request: &Request, number: usize) -> Result<RawBody, Error> {
        if let Some(pace) = &self.pace {
            pace.ready().await;
        }
        let begin = Instant::now();
        let mut status = None;
        let outcome = self.exchange(request, &mut status).await;
        if let (Some(pace), Err(error)) = (&self.pace, &outcome)
            && error.is_rate_limited()
        {
            pace.pause_for(error.retry_after().unwrap_or(HELD_UNASKED));
        }
        let attempt = Attempt {
            method: request.operation.method(),
            route: request.operation.route(),
            status,
            duration: begin.elapsed(),
            number,
        };
        tracing::debug!(
            http.status = attempt.status,
            duration_ms = attempt.duration.as_millis(),
            attempt = number,
            "konnect was called"
        );
        if let Some(observer) = &self.observer {
            observer(&attempt);
        }
        outcome
    }

    async fn exchange(
        &self,
        request: &Request,
        status: &mut Option<u16>,
    ) -> Result<RawBody, Error> {
        let operation = request.operation;
        let method = Method::try_from(operation.method()).unwrap_or_default();
        let mut builder = self
            .http
            .request(method, self.url(request))
            .header(ACCEPT, request.accept);
        if let Some(value) = self.authorization().filter(|_| !request.anonymous) {
            builder = builder.header(AUTHORIZATION, value);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let response = builder
            .send()
            .await
            .map_err(|error| failure(operation, error))?;
        self.note_date(response.headers());
        let code = response.status();
        *status = Some(code.as_u16());
        if code.is_success() {
            return read_success(operation, response).await;
        }
        Err(read_refusal(operation, code.as_u16(), response).await)
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = match request.host {
            Host::Region => self.region.clone(),
            Host::Global => self.global.clone(),
        };
        let path = format!("{}{}", url.path().trim_end_matches('/'), request.path);
        url.set_path(&path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }
}

/// Reads the body of a success, or none of it if it is larger than is read.
async fn read_success(operation: Operation, mut response: Response) -> Result<RawBody, Error> {
    let media_type = response.headers().get(CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failure(operation, error))?
    {
        if bytes.len() + chunk.len() > MAX_SUCCESS_BYTES {
            return Err(Error::TooLarge {
                route: operation.0,
                limit: MAX_SUCCESS_BYTES,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(RawBody { media_type, bytes })
}

/// Reads what the API says about a failure; a body that breaks off does not hide the status.
async fn read_refusal(operation: Operation, status: u16, mut response: Response) -> Error {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_FAILURE_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_FAILURE_BYTES {
            break;
        }
    }
    let (problem, message) = read_failure(status, &body);
    let headers = response.headers();
    let trace = problem
        .as_ref()
        .and_then(|problem| problem.instance.clone());
    let trace = trace.or_else(|| {
        let mut values = TRACE_HEADERS.iter().filter_map(|name| headers.get(*name));
        values
            .find_map(|value| value.to_str().ok())
            .map(str::to_owned)
    });
    let retry_after = is_transient_status(status)
        .then(|| retry_after(headers))
        .flatten();
    Error::Api {
        route: operation.0,
        status,
        problem,
        message,
        retry_after,
        trace,
    }
}

/// Reads `Retry-After`, in seconds or as a date; a date counts from the answer's own `Date`, so
/// that a clock that is off does not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let until = date(text)?;
    let now = headers
        .get(DATE)
        .and_then(|value| date(value.to_str().ok()?));
    Some(
        until
            .duration_since(now.unwrap_or_else(SystemTime::now))
            .unwrap_or_default(),
    )
}

/// Takes the URL out of the HTTP library's error: its query may hold an e-mail address.
fn failure(operation: Operation, error: reqwest::Error) -> Error {
    let route = operation.0;
    if error.is_timeout() {
        return Error::Timeout { route };
    }
    Error::Transport {
        route,
        source: Box::new(error.without_url()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }

    #[test]
    fn reads_retry_after_as_seconds_and_as_date() {
        let date = Some("Tue, 15 Nov 1994 08:12:30 GMT");
        let cases = [
            ("7", None, Some(7)),
            (" 0 ", None, Some(0)),
            ("Tue, 15 Nov 1994 08:12:31 GMT", date, Some(1)),
            ("Tue, 15 Nov 1994 08:12:29 GMT", date, Some(0)),
            ("Tue, 15 Nov 1994 08:12:29 GMT", None, Some(0)),
            ("-1", None, None),
            ("soon", date, None),
        ];
        for (text, date, expected) in cases {
            let seconds = retry_after(&headers(text, date)).map(|wait| wait.as_secs());
            assert_eq!(seconds, expected, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
