//! `usher emulate`: a local Konnect.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use konnect_emulator::{Emulator, EmulatorConfig};
use serde_json::json;

use crate::cli::{CliError, Output};
use crate::lifecycle::Lifecycle;

/// Arguments of `usher emulate`.
#[derive(Debug, Args)]
pub(super) struct EmulateArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// The bearer token that management calls must carry
    #[arg(long, value_name = "T", default_value = "kpat_emulator")]
    token: String,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: EmulateArgs) -> Result<ExitCode, CliError> {
    let config = EmulatorConfig {
        listen: args.listen,
        token: args.token,
    };
    let emulator = Emulator::start(config)
        .await
        .context("could not start the emulator")?;
    let url = emulator.url();
    let shown = Output::new(args.json).data(
        &format!(
            "a local Konnect answers at {url} (controls under {url}/emulator), Ctrl-C ends it"
        ),
        &json!({ "url": url }),
    );
    if let Err(error) = shown {
        emulator.stop().await;
        return Err(error);
    }
    Lifecycle::signalled()
        .await
        .context("could not listen for signals")?;
    emulator.stop().await;
    Ok(ExitCode::SUCCESS)
}
