//! `usher quarantine`: quarantined entries, newest first, and one of them whole; `release.rs` has
//! the rest.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::api::render;
use crate::cli::links::{Linked, LinksArgs};
use crate::cli::listing::{Listing, Page, ReceivedArgs};
use crate::cli::record::{Record, or_stopped};
use crate::cli::release::{self, ReleaseArgs};
use crate::cli::table::{bytes_as_text, field};
use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::journal::{QuarantineFilter, Quarantined};

const HEADING: [&str; 5] = ["RECEIVED", "REASON", "BYTES", "ID", "DETAIL"];

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
    /// List quarantined entries (the default)
    List(ListArgs),
    /// Show one entry or body with all its bytes
    Show(ShowArgs),
    /// Store quarantined entries whose reason has gone
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    received: ReceivedArgs,
    #[command(flatten)]
    links: LinksArgs,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The row's id
    id: Uuid,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: QuarantineArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    match args.command {
        Some(QuarantineCommand::Show(args)) => show(args, environment).await,
        Some(QuarantineCommand::Release(args)) => release::run(args, environment).await,
        Some(QuarantineCommand::List(args)) => list(args, environment).await,
        None => list(args.list, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let ListArgs {
        received: args,
        links,
    } = args;
    let (from, to) = args.window()?;
    let mut record = Record::open(&args.common, environment).await?;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let shown = record.note_read("quarantine", [("from", time(from)), ("to", time(to))]);
    let journal = record.journal().clone();
    let page = async |last: Option<&Quarantined>, limit| {
        let after = last.map(|last| (last.received_at, last.id));
        let filter = QuarantineFilter {
            from,
            to,
            reason: None,
            delivery_id: None,
            after,
        };
        let rows = journal.quarantined(&filter, limit).await;
        let rows = rows.context("could not read the quarantine")?;
        shown.add(rows.len());
        Ok(Page::of(rows, limit))
    };
    let output = Output::new(args.common.json);
    let listing = Listing::linked(HEADING, output, links.of(&record.config));
    let listed = listing.show_newest(args.limit, page, |list, row| {
        list.put_linked(
            || render::quarantined(row),
            || cells(row),
            |links| links.quarantined(row.id),
        )
    });
    or_stopped(record.finish(listed).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let mut record = Record::open(&args.common, environment).await?;
    let shown = record.note_read("quarantine", [("id", args.id.to_string())]);
    let links = args.links.of(&record.config);
    let journal = record.journal().clone();
    let found = async {
        let found = journal.quarantined_row(args.id).await;
        let found = found.context("could not read the quarantine")?;
        shown.add(usize::from(found.is_some()));
        Ok(found)
    };
    let row = or_stopped(record.finish(found).await?)?;
    let row = row.ok_or_else(|| anyhow!("there is no row with this id"))?;
    let linked = Linked::new(render::quarantined(&row), links.quarantined(row.id));
    Output::new(args.common.json).data(&linked.fields(whole(&row)), &linked)?;
    Ok(ExitCode::SUCCESS)
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
