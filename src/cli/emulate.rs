//! `usher emulate`: a local Konnect.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use konnect_emulator::{Emulator, Seed};
use serde_json::{Value, json};

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
    /// What to begin with: `demo`, `large`, or a JSON file as the control `/emulator/seed` takes it
    #[arg(long, value_name = "SEED")]
    seed: Option<String>,
    /// Answer over TLS only, with a certificate made at the start
    #[arg(long)]
    tls: bool,
    /// A name that the certificate is good for besides localhost and the address listened on; may
    /// be given several times
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Vec<String>,
    /// Write the certificate that clients must trust to this file, as PEM
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: EmulateArgs) -> Result<ExitCode, CliError> {
    let mut builder = Emulator::builder().listen(args.listen).token(args.token);
    if let Some(seed) = &args.seed {
        builder = builder.seed(read_seed(seed).await?);
    }
    if args.tls {
        builder = builder.tls(args.tls_name);
    }
    let emulator = builder
        .start()
        .await
        .context("could not start the emulator")?;
    let told = tell(&emulator, args.tls_ca.as_deref(), Output::new(args.json)).await;
    if let Err(error) = told {
        emulator.stop().await;
        return Err(error);
    }
    Lifecycle::signalled()
        .await
        .context("could not listen for signals")?;
    emulator.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Reads a seed: by its name, else from a file.
async fn read_seed(seed: &str) -> anyhow::Result<Seed> {
    if let Some(seed) = Seed::named(seed) {
        return Ok(seed);
    }
    let names: Vec<&str> = Seed::names().collect();
    let text = tokio::fs::read(seed).await.map_err(|error| {
        let names = names.join(", ");
        anyhow!(error).context(format!(
            "--seed {seed}: it is none of {names}, and could not be read as a file"
        ))
    })?;
    let seed: Value = serde_json::from_slice(&text)
        .with_context(|| format!("--seed {seed}: the file holds no JSON"))?;
    Ok(seed.into())
}

/// Writes the certificate, then says that the emulator is ready, and where.
async fn tell(emulator: &Emulator, ca: Option<&Path>, output: Output) -> Result<(), CliError> {
    if let (Some(file), Some(certificate)) = (ca, emulator.certificate_pem()) {
        tokio::fs::write(file, certificate)
            .await
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    let url = emulator.url();
    let controls = format!("{url}/emulator");
    let mut line =
        format!("a local Konnect answers at {url} (controls under {controls}), Ctrl-C ends it");
    if let Some(file) = ca {
        line = format!("{line}; clients must trust {}", file.display());
    }
    let ready = json!({ "url": url, "controls": controls, "tls_ca": ca });
    output.data(&line, &ready).map(drop)
}
