//! `usher migrate`: brings the schema up to date, for those who do not let `serve` do it.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::app::open_database;
use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::lifecycle::Lifecycle;

/// Arguments of `usher migrate`.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: MigrateArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    let search_path = environment.path().as_ref();
    let database = open_database(&config.database, search_path, &Lifecycle::new()).await?;
    let migrated = database.journal().migrate().await;
    database.stop().await;
    migrated.context("could not migrate")?;
    let output = Output::new(args.common.json);
    output.data(
        "the schema is up to date",
        &json!({ "schema": "up to date" }),
    );
    Ok(ExitCode::SUCCESS)
}
