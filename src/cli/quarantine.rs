//! `usher quarantine`: what was kept aside, newest first, and one of it whole.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::{DateTime, SecondsFormat};
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::cli::record::{Record, or_stopped};
use crate::cli::table::{Table, bytes_as_text, field};
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, Output};
use crate::clock::Clock;
use crate::config::Environment;
use crate::console::render;
use crate::journal::{Journal, QuarantineFilter, Quarantined, far_future};

/// Rows in one question to the database.
const PAGE: i64 = 1_000;

/// Arguments of `usher quarantine`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct QuarantineArgs {
    #[command(subcommand)]
    command: Option<QuarantineCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List what was kept aside (the default)
    List(ListArgs),
    /// Show one entry or body with all its bytes
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Earliest receipt: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Received before: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// How many, the newest
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The row's id
    id: Uuid,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: QuarantineArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    match args.command {
        Some(QuarantineCommand::Show(args)) => show(args, environment).await,
        Some(QuarantineCommand::List(args)) => list(args, environment).await,
        None => list(args.list, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let (from, to) = ends(args.from, args.to, Clock::system().now())?;
    let record = Record::open(&args.common, environment).await?;
    let filter = QuarantineFilter {
        from: from.unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        after: None,
    };
    let journal = record.journal().clone();
    let listed = print(&journal, filter, args.limit, Output::new(args.common.json));
    or_stopped(record.finish(listed).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let found = async {
        let found = journal.quarantined_row(args.id).await;
        Ok(found.context("could not read the quarantine")?)
    };
    let row = or_stopped(record.finish(found).await?)?;
    let row = row.ok_or_else(|| anyhow!("there is no row with this id"))?;
    Output::new(args.common.json).data(&whole(&row), &render::quarantined(&row))?;
    Ok(ExitCode::SUCCESS)
}

async fn print(
    journal: &Journal,
    mut filter: QuarantineFilter,
    limit: u32,
    output: Output,
) -> Result<(), CliError> {
    let mut table = Table::new(["RECEIVED", "REASON", "BYTES", "ID", "DETAIL"]);
    let mut left = i64::from(limit);
    while left > 0 {
        let asked = left.min(PAGE);
        let rows = journal.quarantined(&filter, asked).await;
        let rows = rows.context("could not read the quarantine")?;
        for row in &rows {
            if output.is_json() {
                output.data("", &render::quarantined(row))?;
            } else {
                table.push(cells(row));
            }
        }
        let read = i64::try_from(rows.len()).unwrap_or(asked);
        left -= read;
        filter.after = rows.last().map(|last| (last.received_at, last.id));
        if read < asked {
            break;
        }
    }
    output.table(&mut table)?;
    Ok(())
}

fn cells(row: &Quarantined) -> [String; 5] {
    [
        row.received_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        row.reason.clone(),
        row.raw_bytes.to_string(),
        row.id.to_string(),
        row.detail.clone(),
    ]
}

fn whole(row: &Quarantined) -> String {
    let none = || "-".to_owned();
    let mut lines = vec![
        field("id", &row.id.to_string()),
        field(
            "received_at",
            &row.received_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        ),
        field("reason", &row.reason),
        field("detail", &row.detail),
        field(
            "delivery_id",
            &row.delivery_id.map_or_else(none, |id| id.to_string()),
        ),
        field(
            "event_id",
            &row.event_id.map_or_else(none, |id| id.to_string()),
        ),
        field("raw_bytes", &row.raw_bytes.to_string()),
    ];
    lines.push(field("raw", &bytes_as_text(&row.raw)));
    lines.join("\n")
}
