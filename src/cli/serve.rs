//! `usher serve`: the service.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tracing::{error, info, warn};

use crate::app::{App, Surroundings};
use crate::cli::{CliError, Common, Output};
use crate::clock::Clock;
use crate::config::Environment;
use crate::lifecycle::Lifecycle;
use crate::telemetry;

/// Arguments of `usher serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ServeArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    telemetry::init(&config.telemetry).context("could not start logging")?;
    let metrics = telemetry::metrics::install().context("could not install the metrics")?;
    for name in environment.ignored() {
        warn!(
            variable = name,
            "is no setting: two underscores part section and key"
        );
    }
    let surroundings = Surroundings {
        clock: Clock::system(),
        lifecycle: Lifecycle::new(),
        search_path: environment.path().into(),
        metrics: Some(metrics),
    };
    let app = App::build(config, surroundings).await?;
    let address = app.address().context("could not tell the address")?;
    info!(address = %address, "listening");
    if let Some(token) = app.console_token() {
        Output::progress(&format!(
            "console token for this run (none is configured): {token}"
        ));
    }
    app.run(async {
        if let Err(failure) = Lifecycle::signalled().await {
            error!(
                error = &failure as &dyn std::error::Error,
                "could not listen for signals"
            );
        }
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
