//! `usher events`: what is in the journal, newest first, and as it comes in.

mod follow;
mod reverify;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::api::render;
use crate::cli::listing::{Listing, Page};
use crate::cli::record::{Record, or_stopped};
use crate::cli::table::{bytes_as_text, field};
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, Output, Reader};
use crate::clock::Clock;
use crate::config::Environment;
use crate::event::{EventId, Kind, Verdict};
use crate::journal::{EventFilter, StoredEvent};

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
    /// Check the signatures of stored events again
    Reverify(reverify::ReverifyArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only events of this portal
    #[arg(long, value_name = "ID")]
    portal: Option<String>,
    /// Only events of this principal (the developer, in a Dev Portal's log)
    #[arg(long, value_name = "ID")]
    principal: Option<String>,
    /// Only events of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only events of this kind
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<Kind>,
    /// Earliest time of the event: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Events before this time: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Only events of this trace
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Only events with this verdict on their signature
    #[arg(long, value_name = "VERDICT", value_parser = verdicts())]
    verification: Option<Verdict>,
    /// Only events whose entry holds this text, in exact case
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// How many, the newest [default: 100, with --follow 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on with events as they come in, the oldest first
    #[arg(long, short, conflicts_with = "to")]
    follow: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The event's id
    #[arg(value_parser = event_id)]
    id: EventId,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: EventsArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    match args.command {
        Some(EventsCommand::Show(args)) => show(args, environment).await,
        Some(EventsCommand::Reverify(args)) => Box::pin(reverify::run(args, environment)).await,
        None => list(args.list, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let filter = args.filter(Clock::system().now())?;
    let record = Record::open(&args.common, environment).await?;
    let output = Output::new(args.common.json);
    let journal = record.journal().clone();
    if args.follow {
        let clock = record.clock.clone();
        let limit = args.limit.unwrap_or(10);
        let follow = follow::follow(journal, clock, filter, limit, output);
        // Whoever follows ends it by a signal: that is no failure.
        record.finish(follow).await?;
    } else {
        let page = async |last: Option<&StoredEvent>, limit| {
            let found = journal.search_page(&filter, last.map(Into::into), limit);
            let found = found.await.context("could not read events")?;
            let (rows, more) = (found.events, found.more);
            Ok(Page { rows, more })
        };
        let listing = Listing::new(HEADING, output);
        let listed = listing.show_newest(args.limit.unwrap_or(100), page, put);
        or_stopped(record.finish(listed).await?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let output = Output::new(args.common.json);
    let journal = record.journal().clone();
    let found = async {
        Ok(journal
            .event(args.id)
            .await
            .context("could not read events")?)
    };
    let found = or_stopped(record.finish(found).await?)?;
    let event = found.ok_or_else(|| anyhow!("there is no event with this id"))?;
    let data = render::event(&event);
    output.data(&whole(&event, &data), &data)?;
    Ok(ExitCode::SUCCESS)
}

impl ListArgs {
    fn filter(&self, now: DateTime<Utc>) -> Result<EventFilter, CliError> {
        let (from, to) = ends(self.from, self.to, now)?;
        Ok(EventFilter {
            portal_id: self.portal.clone(),
            principal_id: self.principal.clone(),
            name: self.name.clone(),
            kind: self.kind.map(|kind| kind.as_str().to_owned()),
            trace_id: self.trace.clone(),
            verification: self.verification,
            from,
            to,
            q: self.q.clone(),
            batches: None,
        })
    }
}

const HEADING: [&str; 6] = ["TIME", "KIND", "NAME", "PRINCIPAL", "VERIFICATION", "ID"];

/// Shows an event in a list.
fn put(list: &mut Listing<6>, event: &StoredEvent) -> Result<Reader, CliError> {
    let data = render::event(event);
    list.put(|| &data, || cells(&data))
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

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let words = Kind::ALL.map(Kind::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Kind>())
}

/// Takes the word for a verdict.
fn verdicts() -> impl TypedValueParser<Value = Verdict> {
    let words = Verdict::ALL.map(Verdict::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Verdict>())
}
