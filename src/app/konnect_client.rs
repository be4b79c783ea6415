//! The clients of the management API, with the one token bucket that all calls share.

use std::num::NonZeroU32;
use std::sync::Arc;

use konnect::{Budget, Pace};
use metrics::counter;
use secrecy::SecretString;

use crate::act::note_call;
use crate::app::AppError;
use crate::config::{ConfigError, KonnectConfig};
use crate::telemetry::metrics as names;

/// What looks may take of the calls while deeds want to be done, in percent: people wait for deeds.
const LOOKS: u32 = 30;

/// Makes a client of the configured region; nothing is sent yet.
pub fn build(config: &KonnectConfig) -> Result<konnect::Client, AppError> {
    client(config, budget(config)?.urgent())
}

/// The client for deeds, and the one for looks, which steps back behind it.
pub(super) fn build_both(
    config: &KonnectConfig,
) -> Result<(konnect::Client, konnect::Client), AppError> {
    let budget = budget(config)?;
    Ok((
        client(config, budget.urgent())?,
        client(config, budget.background())?,
    ))
}

fn budget(config: &KonnectConfig) -> Result<Arc<Budget>, AppError> {
    let per_second =
        NonZeroU32::new(config.requests_per_second).ok_or_else(|| ConfigError::Invalid {
            place: "configuration".to_owned(),
            key: "konnect.requests_per_second".to_owned(),
            reason: "expected at least 1".to_owned(),
        })?;
    Ok(Budget::new(per_second, LOOKS))
}

fn client(config: &KonnectConfig, pace: Arc<dyn Pace>) -> Result<konnect::Client, AppError> {
    let mut builder = konnect::Client::builder(config.base_url.clone())
        .global_url(config.global_url())
        .rate_limit(pace)
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
