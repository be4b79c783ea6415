//! The clients of the management API, with the one token bucket that all calls share.

use std::num::NonZeroU32;
use std::sync::Arc;

use konnect::{Budget, Class};
use metrics::counter;
use secrecy::SecretString;

use crate::act::note_call;
use crate::app::AppError;
use crate::config::{ConfigError, KonnectConfig};
use crate::directory::Scope;
use crate::telemetry::metrics as names;

/// Makes a client of the configured region; nothing is sent yet.
pub fn build(config: &KonnectConfig) -> Result<konnect::Client, AppError> {
    Ok(client(config)?.with_rate_limit(budget(config)?.class(Class::Deed)))
}

/// A client for each class of callers.
pub(super) struct Clients {
    /// For deeds.
    pub(super) deeds: konnect::Client,
    /// For sweeps of each scope, in the order of their priority.
    pub(super) sweeps: [(Scope, konnect::Client); 3],
    /// For webhooks, replay jobs and logs.
    pub(super) audit_logs: konnect::Client,
}

/// The clients of every class, with one budget.
pub(super) fn build_all(config: &KonnectConfig) -> Result<Clients, AppError> {
    let (client, budget) = (client(config)?, budget(config)?);
    let of = |class| client.with_rate_limit(budget.class(class));
    let sweeps = [
        (Scope::Direct, of(Class::Refresh)),
        (Scope::Pending, of(Class::Pending)),
        (Scope::All, of(Class::Sweep)),
    ];
    Ok(Clients {
        deeds: of(Class::Deed),
        sweeps,
        audit_logs: of(Class::AuditLogs),
    })
}

fn budget(config: &KonnectConfig) -> Result<Arc<Budget>, AppError> {
    let per_second =
        NonZeroU32::new(config.requests_per_second).ok_or_else(|| ConfigError::Invalid {
            place: "configuration".to_owned(),
            key: "konnect.requests_per_second".to_owned(),
            reason: "expected at least 1".to_owned(),
        })?;
    Ok(Budget::new(per_second))
}

fn client(config: &KonnectConfig) -> Result<konnect::Client, AppError> {
    let mut builder = konnect::Client::builder(config.base_url.clone())
        .global_url(config.global_url())
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

/// The same error with the configuration key that caused it.
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
