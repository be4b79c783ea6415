//! `usher init`: lists the token's portals and writes a configuration and rules to begin with.
//!
//! The token is taken from the environment or a file, never from the command line, and is never
//! written.

mod files;

use std::iter;
use std::path::{self, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use konnect::Portal;
use serde_json::json;
use url::Url;

use crate::app::build_client;
use crate::cli::init::files::{Folder, Settings};
use crate::cli::konnect_args::{KonnectArgs, list_portals};
use crate::cli::{CliError, Output};
use crate::clock::Ids;
use crate::config::{self, Environment};
use crate::event::plain;

/// Arguments of `usher init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    reach: KonnectArgs,
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
    let token_file = args.reach.token_file.as_ref().map(in_full).transpose()?;
    // A usher.toml of the current folder is not read: it is about to be written.
    let konnect = config::load(args.config.as_deref(), environment)?.konnect;
    let konnect = args.reach.over(konnect)?;
    let portals = list_portals(&build_client(&konnect)?, &konnect.base_url).await?;
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
    )?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    output: Output,
    base_url: &Url,
    portals: &[Portal],
    written: &[PathBuf],
) -> Result<(), CliError> {
    let portal_lines = portals
        .iter()
        .map(|portal| format!("  {}  {}", portal.id, plain(&portal.name)));
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
    )?;
    Output::progress(
        "next: fill in the lists of rules.yaml, see what they would do by `usher reconcile --dry-run`, \
         choose a database in usher.toml, start `usher serve`, \
         and point the webhook at it by `usher setup --public-url https://YOUR-HOST`",
    );
    Ok(())
}

/// A path that is right in whatever folder usher is started.
fn in_full(path: &PathBuf) -> Result<PathBuf, CliError> {
    let full = path::absolute(path)
        .with_context(|| format!("could not find the path of {}", path.display()))?;
    match full.to_str() {
        Some(_) => Ok(full),
        None => Err(CliError::Usage(format!(
            "{} is not unicode, which the configuration could not name",
            path.display()
        ))),
    }
}
