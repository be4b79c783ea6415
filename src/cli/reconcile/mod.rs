//! `usher reconcile`: one sweep, with rules and deeds about everybody who waits, for pipelines and
//! for the first hour with a real account. With `--dry-run` it needs a token and nothing else.

mod dry_run;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use konnect::PortalId;
use uuid::Uuid;

use crate::cli::ids::id;
use crate::cli::konnect_args::KonnectArgs;
use crate::cli::links::{Links, LinksArgs};
use crate::cli::rules::rules_of;
use crate::cli::{CliError, Common, Output};
use crate::config::{Config, ConfigError, Environment};
use crate::rules::RuleSet;

/// Arguments of `usher reconcile`.
#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// Only say what would be done; exits 3 when live rules would do something
    #[arg(long)]
    dry_run: bool,
    /// The portal [default: those of `konnect.portals`, else all that the token sees]
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// Rules file [default: rules.path of the configuration]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    reach: KonnectArgs,
    /// Also show everybody for whom nothing would be done, with the reasons
    #[arg(long, requires = "dry_run")]
    verbose: bool,
    /// What to log on standard error
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

/// What both forms begin with.
struct Beginning {
    config: Config,
    rules: RuleSet,
    /// The portals asked for; empty means all that the token sees.
    portals: Vec<PortalId>,
    output: Output,
    links: Links,
}

pub(super) async fn run(
    args: ReconcileArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let mut config = args.common.load(environment)?;
    config.konnect = args.reach.over(config.konnect)?;
    if let Some(file) = &args.rules {
        config.rules.path = Some(file.clone());
    }
    let Some(rules) = &config.rules.path else {
        return Err(CliError::from(ConfigError::Missing {
            key: "rules.path",
            reason: "name a rules file with --rules",
        }));
    };
    if let Some(portal) = args.portal {
        config.konnect.portals = vec![portal];
    }
    let portals = config.konnect.portals.iter().copied();
    let beginning = Beginning {
        rules: rules_of(rules)?,
        portals: portals.map(Into::into).collect(),
        output: Output::new(args.common.json),
        links: args.links.of(&config),
        config,
    };
    if args.dry_run {
        dry_run::run(beginning, args.verbose).await
    } else {
        run::run(beginning, &args.log, environment).await
    }
}
