//! `usher deliveries`: the requests that brought entries in, newest first.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat};
use clap::Args;

use crate::cli::record::{Record, or_stopped};
use crate::cli::table::Table;
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, Output};
use crate::clock::Clock;
use crate::config::Environment;
use crate::console::render;
use crate::journal::{Delivery, DeliveryFilter, Journal, far_future};

/// Rows in one question to the database.
const PAGE: i64 = 1_000;

/// Arguments of `usher deliveries`.
#[derive(Debug, Args)]
pub(super) struct DeliveriesArgs {
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

pub(super) async fn run(
    args: DeliveriesArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let (from, to) = ends(args.from, args.to, Clock::system().now())?;
    let record = Record::open(&args.common, environment).await?;
    let filter = DeliveryFilter {
        from: from.unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        after: None,
    };
    let journal = record.journal().clone();
    let output = Output::new(args.common.json);
    let listed = print(&journal, filter, args.limit, output);
    or_stopped(record.finish(listed).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn print(
    journal: &Journal,
    mut filter: DeliveryFilter,
    limit: u32,
    output: Output,
) -> Result<(), CliError> {
    let mut table = Table::new([
        "RECEIVED", "STATUS", "ENTRIES", "STORED", "KNOWN", "ASIDE", "BYTES", "FROM", "ID",
    ]);
    let mut left = i64::from(limit);
    while left > 0 {
        let asked = left.min(PAGE);
        let rows = journal.deliveries(&filter, asked).await;
        let rows = rows.context("could not read deliveries")?;
        for row in &rows {
            if output.is_json() {
                output.data("", &render::delivery(row))?;
            } else {
                table.push(cells(row));
            }
        }
        let read = i64::try_from(rows.len()).unwrap_or(asked);
        left -= read;
        filter.after = rows
            .last()
            .map(|last| (last.batch_received_at, last.batch, last.place));
        if read < asked {
            break;
        }
    }
    output.table(&mut table)?;
    Ok(())
}

fn cells(row: &Delivery) -> [String; 9] {
    let request = &row.request;
    [
        request
            .received_at
            .to_rfc3339_opts(SecondsFormat::Millis, true),
        request.status.to_string(),
        request.received.to_string(),
        request.stored.to_string(),
        request.duplicates.to_string(),
        request.quarantined.to_string(),
        request.body_bytes.to_string(),
        request.peer.clone(),
        request.id.to_string(),
    ]
}
