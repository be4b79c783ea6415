//! `usher serve`: the service.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tracing::{error, info, warn};

use crate::app::{App, AppError, Surroundings};
use crate::cli::{CliError, Common, DEFAULT_CONFIG, Output};
use crate::clock::Clock;
use crate::config::{ConfigError, Environment};
use crate::lifecycle::{Hangups, Lifecycle};
use crate::telemetry;

/// Arguments of `usher serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ServeArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    telemetry::init(&config.telemetry)?;
    let metrics = telemetry::metrics::install().context("could not install the metrics")?;
    for name in environment.ignored() {
        warn!(
            variable = name,
            "is no setting: two underscores part section and key"
        );
    }
    // First of all, so that one that comes while usher starts does not end it.
    let hangups = Hangups::listen().context("could not listen for signals")?;
    let lifecycle = Lifecycle::new();
    let surroundings = Surroundings {
        clock: Clock::system(),
        lifecycle: lifecycle.clone(),
        search_path: environment.path().into(),
        metrics: Some(metrics),
    };
    let is_configured = args.common.finds_a_file();
    let scheme = if config.http.tls.cert.is_some() {
        "https"
    } else {
        "http"
    };
    let app = App::build(config, surroundings)
        .await
        .map_err(|error| match error {
            AppError::Config(error @ ConfigError::Missing { .. }) if !is_configured => {
                let file = DEFAULT_CONFIG;
                CliError::Usage(format!("{error} (no {file} here: `usher init` writes one)"))
            }
            other => other.into(),
        })?;
    let address = app.address().context("could not read the address")?;
    info!(address = %address, "listening");
    if let Some(token) = app.console_token() {
        Output::progress(&format!(
            "console token for this run (none is configured): {token}"
        ));
        let (address, link) = (app.console_address(), app.sign_in_link());
        if let (Ok(address), Some(link)) = (address, link) {
            Output::progress(&format!(
                "console: {scheme}://{address}{link} signs you in, once and within five minutes"
            ));
        }
    }
    let reload = app.reload();
    let heard = move || {
        info!(signal = "SIGHUP", "asked to read the rules again");
        reload.ask();
    };
    lifecycle.spawn("hangups", hangups.each(heard, lifecycle.stopping()));
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
