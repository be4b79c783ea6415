//! `usher rules`: the rules file checked, tried on the past, and explained for one person.

mod check;
mod explain;
mod test;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use crate::app::{Database, open_database};
use crate::cli::{CliError, Common, Output};
use crate::config::{Config, Environment};
use crate::lifecycle::Lifecycle;
use crate::rules::{RuleSet, load};

/// Arguments of `usher rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Check a rules file; exit code 2 when it has mistakes
    Check(check::CheckArgs),
    /// Try rules on what happened, and write nothing
    Test(test::TestArgs),
    /// Explain what the rules decide about one developer now
    Explain(explain::ExplainArgs),
}

pub(super) async fn run(args: RulesArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    match args.command {
        RulesCommand::Check(args) => check::run(args, environment),
        RulesCommand::Test(args) => test::run(args, environment).await,
        RulesCommand::Explain(args) => Box::pin(explain::run(args, environment)).await,
    }
}

/// The file that is named, else that of the configuration.
fn file_of(named: Option<PathBuf>, config: &Config) -> Result<PathBuf, CliError> {
    named
        .or_else(|| config.rules.path.clone())
        .ok_or_else(|| CliError::Usage("name a rules file, or set rules.path".to_owned()))
}

fn read(file: &PathBuf) -> Result<(String, String), CliError> {
    let name = file.display().to_string();
    match fs::read_to_string(file) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(CliError::Usage(format!("could not read {name}: {error}"))),
    }
}

/// The rules of a file that checks.
pub(super) fn rules_of(file: &PathBuf) -> Result<RuleSet, CliError> {
    let (name, text) = read(file)?;
    load(&text, &name).map_err(CliError::Rules)
}

/// Opens the database for a command that only reads.
async fn open(config: &Config, environment: &Environment) -> Result<Database, CliError> {
    let path = environment.path().as_ref();
    let database = open_database(&config.database, path, &Lifecycle::new()).await?;
    let pending = database.journal().pending_migrations().await;
    let pending = pending.context("could not read the database's schema");
    match pending {
        Ok(pending) if pending.is_empty() => Ok(database),
        Ok(_) => {
            database.stop().await;
            let hint = "the schema is older than this usher: run usher migrate";
            Err(CliError::Failed(anyhow!(hint)))
        }
        Err(error) => {
            database.stop().await;
            Err(error.into())
        }
    }
}

impl Common {
    /// How this command shows its data.
    fn output(&self) -> Output {
        Output::new(self.json)
    }
}
