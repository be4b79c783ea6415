//! The one client of the management API, with the one token bucket that all calls share.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{Quota, RateLimiter};
use metrics::counter;
use secrecy::SecretString;

use crate::act::note_call;
use crate::app::AppError;
use crate::config::{ConfigError, KonnectConfig};
use crate::telemetry::metrics as names;

/// Makes a client of the configured region; nothing is sent yet.
pub fn build(config: &KonnectConfig) -> Result<konnect::Client, AppError> {
    let per_second =
        NonZeroU32::new(config.requests_per_second).ok_or_else(|| ConfigError::Invalid {
            place: "configuration".to_owned(),
            key: "konnect.requests_per_second".to_owned(),
            reason: "expected at least 1".to_owned(),
        })?;
    let limiter = Arc::new(RateLimiter::direct(Quota::per_second(per_second)));
    let mut builder = konnect::Client::builder(config.base_url.clone())
        .global_url(config.global_url())
        .rate_limit(limiter)
        .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
        .on_attempt(|attempt| {
            let status = attempt.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            note_call(attempt);
            counter!(names::KONNECT_CALLS, "method" => attempt.method.to_owned(), "status" => status)
                .increment(1);
        });
    if let Some(token) = &config.token {
        builder = builder.token(SecretString::from(token.expose().to_owned()));
    }
    Ok(builder.build().map_err(|error| named(&error))?)
}

/// The same trouble with the key that it comes from.
fn named(error: &konnect::Error) -> ConfigError {
    let key = match error {
        konnect::Error::Url { .. } => "konnect.base_url",
        _ => "konnect.token",
    };
    ConfigError::Invalid {
        place: "configuration".to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    }
}
