//! Logs and metrics of the process. Bodies, tokens, e-mail and addresses are never part of either.

pub mod metrics;

use std::error::Error;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, TelemetryConfig};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log` is not a filter.
    #[error("telemetry.log: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A subscriber is there already.
    #[error("could not install the log subscriber")]
    Init(#[from] TryInitError),
}

/// Sends structured logs to standard error, so that standard output is for data alone.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    init_at(&config.log, config.format)
}

/// As [`init`], with a filter and a shape of the caller's own.
pub fn init_at(log: &str, format: LogFormat) -> Result<(), TelemetryError> {
    // librdkafka and sqlx repeat what usher itself reports once.
    let filter = EnvFilter::try_new(format!(
        "{log},sqlx=error,librdkafka=warn,rdkafka=warn,hyper=warn,reqwest=warn"
    ))?;
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        // Otherwise it would report a log that cannot be written on the same stream, and panic. A
        // full disk under the log must not end a process that has nothing else to write there.
        .log_internal_errors(false)
        .with_env_filter(filter);
    match format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(false)
            .finish()
            .try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

/// An error with its causes on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
