//! `usher readers`: the backlog of each reader of the outbox, and how to retire one.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::api::render;
use crate::cli::listing::Listing;
use crate::cli::record::{Record, or_stopped};
use crate::cli::{CliError, Common, Output, Reader, counted};
use crate::config::Environment;
use crate::journal::{COUNTED, ReaderStatus};

const HEADING: [&str; 5] = ["READER", "BATCHES", "OLDEST", "SINCE", "LAST WANTED"];

/// Arguments of `usher readers`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ReadersArgs {
    #[command(subcommand)]
    command: Option<ReadersCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ReadersCommand {
    /// List the readers and their backlogs (the default)
    List(ListArgs),
    /// Retire a reader at once and drop its backlog; an instance that has it configured makes it
    /// again
    Retire(RetireArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RetireArgs {
    /// The reader as `usher readers` names it
    name: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: ReadersArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    match args.command {
        Some(ReadersCommand::Retire(args)) => retire(args, environment).await,
        Some(ReadersCommand::List(args)) => list(args, environment).await,
        None => list(args.list, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let found = async {
        Ok(journal
            .readers()
            .await
            .context("could not read the readers")?)
    };
    let readers = or_stopped(record.finish(found).await?)?;
    let mut listing = Listing::new(HEADING, Output::new(args.common.json));
    for reader in &readers {
        if listing.put(|| render::reader(reader), || cells(reader))? == Reader::Gone {
            return Ok(ExitCode::SUCCESS);
        }
    }
    listing.end()?;
    Ok(ExitCode::SUCCESS)
}

async fn retire(args: RetireArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let work = async {
        let retired = journal.retire_reader(&args.name).await;
        Ok(retired.context("could not retire the reader")?)
    };
    let retired = or_stopped(record.finish(work).await?)?;
    let retired = retired.ok_or_else(|| anyhow!("there is no reader named {:?}", args.name))?;
    let text = format!(
        "{} is retired, and its backlog is dropped: {} in the outbox",
        retired.reader,
        counted(retired.dropped, "row"),
    );
    let data = json!({ "reader": retired.reader, "dropped": retired.dropped });
    Output::new(args.common.json).data(&text, &data)?;
    Ok(ExitCode::SUCCESS)
}

fn cells(reader: &ReaderStatus) -> [String; 5] {
    let more = if reader.batches == COUNTED { "+" } else { "" };
    [
        reader.reader.clone(),
        format!("{}{more}", reader.batches),
        reader.oldest.map_or_else(|| "-".to_owned(), time),
        time(reader.since),
        time(reader.wanted_at),
    ]
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
