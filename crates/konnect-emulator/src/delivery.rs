//! Sends a batch to a destination as Konnect does: compressed, signed, and tried again by the rules
//! of Go's retryablehttp (the documented minimum, maximum and number of its retries are that
//! library's defaults).

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};
use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT},
};
use uuid::Uuid;

use crate::{
    audit::{Audit, DeliveryAttempt},
    clock::{Clock, timestamp},
    engine::Engine,
    entry::Format,
    history::{Kept, Source},
    senders::Senders,
    settings::DeliverySettings,
    signing::Signer,
    state::{Kind, Row},
};

/// `RetryMax`, `RetryWaitMin` and `RetryWaitMax`: four retries, one second doubling up to thirty.
const MAX_RETRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where and how a batch goes, fixed when it is taken.
#[derive(Debug, Clone)]
struct Target {
    destination: Uuid,
    endpoint: String,
    authorization: String,
    format: Format,
    skip_ssl_verification: bool,
    signer: Option<Arc<Signer>>,
    settings: DeliverySettings,
}

impl Target {
    /// Describes how a destination is reached now.
    fn of(destination: &Row, audit: &Audit) -> Self {
        Self {
            destination: destination.id,
            endpoint: destination.text("endpoint").to_owned(),
            authorization: destination.text("authorization").to_owned(),
            format: Format::from_name(destination.text("log_format")),
            skip_ssl_verification: destination.is("skip_ssl_verification"),
            signer: audit.settings.signing.then(|| audit.keys.current()),
            settings: audit.settings.clone(),
        }
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Accepted,
    GivenUp,
}

/// Sends one batch with all its retries; a garbled one lacks the second half of its body.
pub(crate) async fn send(
    engine: &Arc<Engine>,
    source: Source,
    destination: Uuid,
    entries: &[Arc<Kept>],
    replay: bool,
    garble: bool,
) -> Sent {
    let target = {
        let world = engine.world();
        world
            .find(Kind::Destination, destination)
            .map(|row| Target::of(row, &world.audit))
    };
    let Some(target) = target else {
        return Sent::GivenUp;
    };
    let mut body = write_body(entries, &target);
    if garble {
        body.truncate(body.len() / 2);
    }
    for attempt in 0..=MAX_RETRIES {
        for kept in entries {
            kept.count_attempt();
        }
        let outcome = tokio::select! {
            () = engine.end.cancelled() => return Sent::GivenUp,
            outcome = post(&engine.senders, &target, body.clone()) => outcome,
        };
        let now = engine.clock.now();
        let note = DeliveryAttempt {
            destination: target.destination,
            portal_id: source,
            status: outcome.status.map(|status| status.as_u16()),
            entries: entries.len(),
            attempt: attempt + 1,
            replay,
            at: timestamp(now),
        };
        let accepted = outcome.status.is_some_and(|status| status.is_success());
        let given_up = !accepted && (attempt == MAX_RETRIES || !outcome.may_be_retried());
        engine
            .world()
            .audit
            .note(note, outcome.message(), given_up, now);
        if accepted {
            for kept in entries {
                kept.count_accepted();
            }
            return Sent::Accepted;
        }
        if given_up {
            return Sent::GivenUp;
        }
        let wait = outcome.wait(attempt, Clock::system_now().into());
        let wait = scaled(wait, target.settings.retry_scale);
        tokio::select! {
            () = engine.end.cancelled() => return Sent::GivenUp,
            () = tokio::time::sleep(wait) => {}
        }
    }
    Sent::GivenUp
}

/// Scales a wait. A receiver may ask for one that lasts longer than can be told.
fn scaled(wait: Duration, scale: f64) -> Duration {
    Duration::try_from_secs_f64(wait.as_secs_f64() * scale).unwrap_or(Duration::MAX)
}

/// Writes a batch: one entry a line, compressed if the settings say so.
fn write_body(entries: &[Arc<Kept>], target: &Target) -> Vec<u8> {
    let lines: Vec<String> = entries
        .iter()
        .map(|kept| {
            let signer = target.signer.as_deref();
            kept.entry.write(target.format, signer)
        })
        .collect();
    let mut text = lines.join("\n");
    if target.settings.trailing_newline {
        text.push('\n');
    }
    if target.settings.content_encoding == "none" {
        return text.into_bytes();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .expect("writing into memory cannot fail")
}

/// How an attempt ended.
#[derive(Debug)]
struct Outcome {
    status: Option<StatusCode>,
    retry_after: Option<String>,
    error: Option<reqwest::Error>,
}

async fn post(senders: &Senders, target: &Target, body: Vec<u8>) -> Outcome {
    let Some(client) = senders.client(target.skip_ssl_verification) else {
        return Outcome {
            status: None,
            retry_after: None,
            error: None,
        };
    };
    let mut request = client
        .post(&target.endpoint)
        .timeout(Duration::from_millis(target.settings.timeout_ms))
        .header(CONTENT_TYPE, "text/plain")
        .header(USER_AGENT, "Go-http-client/1.1")
        .header(AUTHORIZATION, &target.authorization)
        .body(body);
    if target.settings.content_encoding != "none" {
        request = request.header(CONTENT_ENCODING, &target.settings.content_encoding);
    }
    match request.send().await {
        Ok(response) => Outcome {
            status: Some(response.status()),
            retry_after: read_retry_after(response.headers()),
            error: None,
        },
        Err(error) => Outcome {
            status: None,
            retry_after: None,
            error: Some(error),
        },
    }
}

fn read_retry_after(headers: &HeaderMap) -> Option<String> {
    headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

impl Outcome {
    /// 429, every 5xx but 501, and connection errors; neither a false certificate nor a request
    /// that cannot be made.
    fn may_be_retried(&self) -> bool {
        match (&self.status, &self.error) {
            (Some(status), _) => {
                *status == StatusCode::TOO_MANY_REQUESTS
                    || (status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED)
            }
            (None, Some(error)) => {
                !error.is_redirect()
                    && !error.is_builder()
                    && !format!("{error:?}").contains("certificate")
            }
            (None, None) => false,
        }
    }

    /// `Retry-After` counts on 429 and 503 only; it replaces the doubled wait and is not capped.
    fn wait(&self, attempt: u32, now: SystemTime) -> Duration {
        let honoured = matches!(
            self.status,
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        );
        let asked = self
            .retry_after
            .as_deref()
            .filter(|_| honoured)
            .and_then(|text| {
                text.parse::<u64>()
                    .map(Duration::from_secs)
                    .ok()
                    .or_else(|| {
                        let at = httpdate::parse_http_date(text).ok()?;
                        Some(at.duration_since(now).unwrap_or_default())
                    })
            });
        asked.unwrap_or_else(|| (FIRST_WAIT * 2_u32.pow(attempt)).min(LONGEST_WAIT))
    }

    /// What the webhook's status shows.
    fn message(&self) -> String {
        match (&self.status, &self.error) {
            (Some(status), _) => status.canonical_reason().unwrap_or_default().to_owned(),
            (None, Some(error)) if error.is_timeout() => "timeout".to_owned(),
            _ => "connection error".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, retry_after: Option<&str>) -> Outcome {
        Outcome {
            status: Some(StatusCode::from_u16(status).unwrap()),
            retry_after: retry_after.map(str::to_owned),
            error: None,
        }
    }

    #[test]
    fn retries_what_the_library_retries() {
        let cases = [
            (200, false),
            (301, false),
            (400, false),
            (401, false),
            (408, false),
            (413, false),
            (429, true),
            (500, true),
            (501, false),
            (502, true),
            (503, true),
        ];
        for (status, expected) in cases {
            assert_eq!(outcome(status, None).may_be_retried(), expected, "{status}");
        }
    }

    #[test]
    fn waits_double_unless_the_receiver_asks_for_more() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let cases = [
            (500, None, 0, 1),
            (500, None, 3, 8),
            (500, Some("30"), 1, 2),
            (429, Some("30"), 0, 30),
            (503, Some("120"), 2, 120),
            (429, Some("-1"), 1, 2),
            (429, Some("18446744073709551615"), 0, u64::MAX),
            (429, Some("Sun, 06 Nov 1994 08:49:57 GMT"), 0, 20),
            (429, Some("Sun, 06 Nov 1994 08:00:00 GMT"), 2, 0),
        ];
        for (status, retry_after, attempt, seconds) in cases {
            let wait = outcome(status, retry_after).wait(attempt, now);
            assert_eq!(
                wait,
                Duration::from_secs(seconds),
                "{status} {retry_after:?} {attempt}"
            );
        }
        for (seconds, scale, expected) in [
            (8, 0.5, Duration::from_secs(4)),
            (8, 0.0, Duration::ZERO),
            (u64::MAX, 1.0, Duration::MAX),
            (u64::MAX, 1_000.0, Duration::MAX),
        ] {
            assert_eq!(scaled(Duration::from_secs(seconds), scale), expected);
        }
    }
}
