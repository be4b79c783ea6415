//! `usher events`: what is in the journal, newest first, and as it comes in.

mod export;
mod filter;
mod follow;
mod reverify;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::api::render;
use crate::cli::events::filter::{FilterArgs, unread};
use crate::cli::links::{Linked, LinksArgs};
use crate::cli::listing::{Listing, Page};
use crate::cli::meter::REMIND_EVERY;
use crate::cli::record::{Record, or_stopped};
use crate::cli::table::{bytes_as_text, field};
use crate::cli::{CliError, Common, Output, Reader};
use crate::clock::Clock;
use crate::config::Environment;
use crate::event::{EventId, Verdict};
use crate::journal::{Position, StoredEvent};

/// Arguments of `usher events`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct EventsArgs {
    #[command(subcommand)]
    command: Option<EventsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Show one event whole
    Show(ShowArgs),
    /// Write every event that matches, oldest first, as NDJSON or CSV
    Export(export::ExportArgs),
    /// Go on with events as they come in, as --follow does
    Tail(TailArgs),
    /// Check the signatures of stored events again
    Reverify(reverify::ReverifyArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many, the newest [default: 100, with --follow 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on with events as they come in, the oldest first
    #[arg(long, short, conflicts_with = "to")]
    follow: bool,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct TailArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many that are there to begin with, the newest
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(0..))]
    limit: u32,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The event's id
    #[arg(value_parser = event_id)]
    id: EventId,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: EventsArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    match args.command {
        Some(EventsCommand::Show(args)) => show(args, environment).await,
        Some(EventsCommand::Reverify(args)) => Box::pin(reverify::run(args, environment)).await,
        Some(EventsCommand::Export(args)) => Box::pin(export::run(args, environment)).await,
        Some(EventsCommand::Tail(args)) => tail(args, environment).await,
        None => list(args.list, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    if args.follow {
        let tail = TailArgs {
            filter: args.filter,
            limit: args.limit.unwrap_or(10),
            links: args.links,
            common: args.common,
        };
        return self::tail(tail, environment).await;
    }
    let filter = args.filter.read(Clock::system().now())?;
    let mut record = Record::open(&args.common, environment).await?;
    let shown = record.note_read("events", filter.as_words());
    let output = Output::new(args.common.json);
    let journal = record.journal().clone();
    let mut after: Option<Position> = None;
    let mut told = Instant::now();
    let page = async |_: Option<&StoredEvent>, limit| {
        let found = journal.search_page(&filter, after, limit).await;
        let found = found.map_err(unread)?;
        after = found.next;
        shown.add(found.events.len());
        if let Some(after) = after
            && told.elapsed() >= REMIND_EVERY
        {
            told = Instant::now();
            Output::progress(&format!("searched back to {} so far", after.event_ts));
        }
        Ok(Page {
            rows: found.events,
            more: after.is_some(),
        })
    };
    let listing = Listing::linked(HEADING, output, args.links.of(&record.config));
    let listed = listing.show_newest(args.limit.unwrap_or(100), page, put);
    or_stopped(record.finish(listed).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn tail(args: TailArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let filter = args.filter.read(Clock::system().now())?;
    if filter.to.is_some() {
        let error = "--to: what comes in has no end".to_owned();
        return Err(CliError::Usage(error));
    }
    let mut record = Record::open(&args.common, environment).await?;
    let shown = record.note_read("events.tail", filter.as_words());
    let output = Output::new(args.common.json);
    let listing = Listing::linked(HEADING, output, args.links.of(&record.config));
    let journal = record.journal().clone();
    let follow = follow::follow(journal, filter, args.limit, listing, shown);
    // A person who follows ends it by a signal: that is no failure.
    record.finish(follow).await?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let mut record = Record::open(&args.common, environment).await?;
    let shown = record.note_read("events", [("id", args.id.to_string())]);
    let output = Output::new(args.common.json);
    let links = args.links.of(&record.config);
    let journal = record.journal().clone();
    let found = async {
        let found = journal.event(args.id).await;
        let found = found.context("could not read events")?;
        shown.add(usize::from(found.is_some()));
        Ok(found)
    };
    let found = or_stopped(record.finish(found).await?)?;
    let event = found.ok_or_else(|| anyhow!("there is no event with this id"))?;
    let data = render::event(&event);
    let linked = Linked::new(&data, links.event(event.id.as_uuid()));
    output.data(&linked.fields(whole(&event, &data)), &linked)?;
    Ok(ExitCode::SUCCESS)
}

const HEADING: [&str; 6] = ["TIME", "KIND", "NAME", "PRINCIPAL", "VERIFICATION", "ID"];

/// Shows an event in a list.
fn put(list: &mut Listing<6>, event: &StoredEvent) -> Result<Reader, CliError> {
    let data = render::event(event);
    list.put_linked(
        || &data,
        || cells(&data),
        |links| links.event(event.id.as_uuid()),
    )
}

fn cells(data: &Value) -> [String; 6] {
    let text = |name: &str| match &data[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    [
        text("occurred_at"),
        text("kind"),
        text("name"),
        text("principal_id"),
        text("verification"),
        text("id"),
    ]
}

/// Every member of an event, one a line, and its entry as received.
fn whole(event: &StoredEvent, data: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in data.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => lines.push(field(name, text)),
            other => lines.push(field(name, &other.to_string())),
        }
    }
    lines.push(field("entry", &bytes_as_text(&event.raw)));
    lines.join("\n")
}

fn event_id(text: &str) -> Result<EventId, String> {
    text.parse().map_err(|_| "an event id is a UUID".to_owned())
}

/// Takes the word for a verdict.
fn verdicts() -> impl TypedValueParser<Value = Verdict> {
    let words = Verdict::ALL.map(Verdict::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Verdict>())
}
