//! `usher init`: lists the token's portals and writes a configuration and rules to begin with.
//!
//! The token is taken from the environment or a file, never from the command line, and is never
//! written.

mod files;

use std::fs;
use std::iter;
use std::path::{self, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use konnect::{ListPortals, Portal};
use serde_json::json;
use url::Url;

use crate::app::build_client;
use crate::cli::init::files::{Folder, Settings, printable};
use crate::cli::{CliError, Output};
use crate::clock::Ids;
use crate::config::{self, ConfigError, Environment, KonnectConfig, Secret};

/// Arguments of `usher init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Host of your region, without a version path [default: `konnect.base_url`]
    #[arg(long, value_name = "URL")]
    base_url: Option<Url>,
    /// File that holds the token [default: `USHER_KONNECT__TOKEN`]
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// Replace usher.toml and rules.yaml; secrets that are there stay
    #[arg(long)]
    force: bool,
    /// Configuration file to take `konnect.base_url` and `konnect.token` from
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: InitArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let folder = Folder::new(in_full(&args.dir)?, args.force);
    if let Some(file) = folder.in_the_way() {
        let file = file.display();
        return Err(CliError::Usage(format!(
            "{file} exists; --force replaces it"
        )));
    }
    let token_file = args.token_file.as_ref().map(in_full).transpose()?;
    let konnect = settings(&args, token_file.as_ref(), environment)?;
    let portals = list_portals(&konnect).await?;
    let settings = Settings {
        base_url: &konnect.base_url,
        token_file: token_file.as_deref(),
        portals: &portals,
    };
    let written = folder
        .write(&settings, Ids::secret)
        .map_err(anyhow::Error::from)?;
    show(
        Output::new(args.json),
        &konnect.base_url,
        &portals,
        &written,
    );
    Ok(ExitCode::SUCCESS)
}

/// How Konnect is reached: what `--config` and the environment say, with the flags over them.
///
/// A `usher.toml` of the current folder is not read: it is about to be written.
fn settings(
    args: &InitArgs,
    token_file: Option<&PathBuf>,
    environment: &Environment,
) -> Result<KonnectConfig, CliError> {
    let mut konnect = config::load(args.config.as_deref(), environment)?.konnect;
    if let Some(base_url) = &args.base_url {
        konnect.base_url = base_url.clone();
    }
    if let Some(file) = token_file {
        let text = fs::read_to_string(file).map_err(|error| {
            CliError::Usage(format!("could not read {}: {error}", file.display()))
        })?;
        konnect.token = Some(Secret::new(text.trim_end().to_owned()));
    }
    let has_token = konnect
        .token
        .as_ref()
        .is_some_and(|token| !token.expose().is_empty());
    if !has_token {
        return Err(CliError::from(ConfigError::Missing {
            key: "konnect.token",
            reason: "set USHER_KONNECT__TOKEN, or name a file with --token-file",
        }));
    }
    Ok(konnect)
}

async fn list_portals(konnect: &KonnectConfig) -> Result<Vec<Portal>, CliError> {
    let base_url = &konnect.base_url;
    let client = build_client(konnect)?;
    let portals = match client.portals().list(&ListPortals::default()).await {
        Ok(portals) => portals,
        Err(error) => {
            let summary = match error.status() {
                Some(401) => format!(
                    "{base_url} does not accept the token: it is wrong, expired or of another region"
                ),
                Some(403) => format!("the token may not list the portals of {base_url}"),
                Some(404) => format!("{base_url} does not look like Konnect's management api"),
                _ => format!("could not list the portals of {base_url}"),
            };
            return Err(CliError::Failed(anyhow!(error).context(summary)));
        }
    };
    if portals.is_empty() {
        return Err(CliError::Failed(anyhow!(
            "the token sees no portal at {base_url}; is it the right region?"
        )));
    }
    Ok(portals)
}

fn show(output: Output, base_url: &Url, portals: &[Portal], written: &[PathBuf]) {
    let portal_lines = portals
        .iter()
        .map(|portal| format!("  {}  {}", portal.id, printable(&portal.name)));
    let file_lines = written.iter().map(|file| format!("  {}", file.display()));
    let text: Vec<String> = iter::once(format!("portals at {base_url}"))
        .chain(portal_lines)
        .chain(iter::once("written".to_owned()))
        .chain(file_lines)
        .collect();
    let listed: Vec<_> = portals
        .iter()
        .map(|portal| json!({ "id": portal.id, "name": portal.name }))
        .collect();
    output.data(
        &text.join("\n"),
        &json!({ "base_url": base_url, "portals": listed, "files": written }),
    );
    Output::progress("next: choose a database in usher.toml, fill in the lists of rules.yaml");
}

/// A path that holds from whatever folder usher is started in.
fn in_full(path: &PathBuf) -> Result<PathBuf, CliError> {
    let full = path::absolute(path)
        .with_context(|| format!("could not tell where {} is", path.display()))?;
    match full.to_str() {
        Some(_) => Ok(full),
        None => Err(CliError::Usage(format!(
            "{} is not unicode, which the configuration could not name",
            path.display()
        ))),
    }
}
