//! Logs and metrics of the process. Bodies, tokens, e-mail and addresses never enter either.

pub mod metrics;

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

/// Sends structured logs to standard error, so that standard output stays with the data.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    // librdkafka and sqlx repeat what usher says once itself.
    let filter = EnvFilter::try_new(format!(
        "{},sqlx=warn,librdkafka=warn,rdkafka=warn,hyper=warn,reqwest=warn",
        config.log
    ))?;
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter);
    match config.format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(false)
            .finish()
            .try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
