//! `usher migrate`: brings the schema up to date, for those who do not let `serve` do it, or lists
//! what that would change.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::app::open_database;
use crate::cli::{CliError, Common, DIFFERENCES, Output};
use crate::config::Environment;
use crate::journal::PendingMigration;
use crate::lifecycle::Lifecycle;

/// Arguments of `usher migrate`.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    common: Common,
    /// Only list what would be applied; exits 3 when there is something
    #[arg(long)]
    plan: bool,
}

pub(super) async fn run(
    args: MigrateArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    let search_path = environment.path().as_ref();
    let database = open_database(&config.database, search_path, &Lifecycle::new()).await?;
    let journal = database.journal();
    let done = if args.plan {
        journal.pending_migrations().await.map(Some)
    } else {
        journal.migrate().await.map(|()| None)
    };
    database.stop().await;
    let output = Output::new(args.common.json);
    match done.context("could not migrate")? {
        Some(pending) if !pending.is_empty() => {
            show(&pending, output)?;
            Ok(ExitCode::from(DIFFERENCES))
        }
        _ => {
            output.data(
                "the schema is up to date",
                &json!({ "schema": "up to date" }),
            )?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn show(pending: &[PendingMigration], output: Output) -> Result<(), CliError> {
    for migration in pending {
        let text = format!("{} {}", migration.version, migration.description);
        output.data(&text, migration)?;
    }
    Ok(())
}
