//! `usher demo`: the whole loop on embedded parts, with people who sign up at a natural speed.
//!
//! Starts a local Konnect, an embedded Postgres, an in-process Kafka broker and usher itself. They
//! are wired as a real installation would be: the webhook delivers over HTTP, and usher calls the
//! API.

mod folder;
mod history;
mod people;
mod settings;
mod stage;
mod story;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use tracing::error;

use crate::cli::demo::stage::Stage;
use crate::cli::{CliError, Output};
use crate::config::{Environment, LogFormat, parse_span};
use crate::lifecycle::Lifecycle;
use crate::telemetry::{self, TelemetryError};

/// In less time nobody comes.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Arguments of `usher demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// End after this time, such as 30s [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    span: Option<Duration>,
    /// Print one JSON object a line; begins empty
    #[arg(long)]
    json: bool,
    /// Begin with an empty record [default: with three weeks of history]
    #[arg(long)]
    empty: bool,
    /// Keep the database in this folder, a new or empty one or that of an earlier demo [default: a
    /// temporary one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What to log on standard error
    #[arg(long, value_name = "FILTER", default_value = "error")]
    log: String,
}

pub(super) async fn run(args: DemoArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let output = Output::new(args.json);
    let is_empty = args.empty || args.json;
    telemetry::init_at(&args.log, LogFormat::Text).map_err(|error| match error {
        TelemetryError::Filter(reason) => CliError::Usage(format!("--log: {reason}")),
        other @ TelemetryError::Init(_) => CliError::Failed(other.into()),
    })?;
    let mut signalled = pin!(Lifecycle::signalled());
    let usher = Lifecycle::new();
    let mut setting = pin!(Stage::set(args.data_dir, is_empty, environment, &usher));
    // Polled first, so that signals are handled before there is anything to take down.
    let stage = tokio::select! {
        biased;
        result = &mut signalled => {
            complain(result);
            Output::progress("stopping…");
            usher.stop();
            if let Ok(stage) = setting.await {
                stage.strike().await;
            }
            return Err(CliError::Failed(anyhow!("stopped before anybody came")));
        }
        stage = &mut setting => stage?,
    };
    Output::progress(&stage.where_to_look());
    let end = async {
        match args.span {
            Some(span) => tokio::select! {
                () = tokio::time::sleep(span) => {}
                result = signalled => complain(result),
            },
            None => complain(signalled.await),
        }
    };
    let summary = stage.play(output, end).await?;
    Output::last(&summary)?;
    Ok(ExitCode::SUCCESS)
}

/// How long a demo is to last.
fn span(text: &str) -> Result<Duration, String> {
    let span = parse_span(text)?;
    if (SHORTEST..=LONGEST).contains(&span) {
        Ok(span)
    } else {
        Err("expected a time from 1s to 365d".to_owned())
    }
}

fn complain(result: std::io::Result<()>) {
    if let Err(failure) = result {
        error!(
            error = &failure as &dyn std::error::Error,
            "could not listen for signals"
        );
    }
}
