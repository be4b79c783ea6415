//! `usher report`: what happened, as a table, JSON or CSV; and the rebuild of all counts.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use crate::cli::ids::id;
use crate::cli::links::{Linked, Links, LinksArgs};
use crate::cli::meter::ProgressMeter;
use crate::cli::record::{Record, or_stopped};
use crate::cli::table::Table;
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, Output, Reader, counted};
use crate::clock::Clock;
use crate::config::Environment;
use crate::report::rollup::Rebuild;
use crate::report::{
    Answer, By, MOST_DAYS, Parameter, Question, ReportError, ReportName, Reports, Row, csv, text,
};

/// Columns whose ids have a page, the nearest to what a row is about first. A principal that is a
/// developer is in `developer_id` too; others have no page.
const PAGES: [&str; 4] = ["action_id", "event_id", "application_id", "developer_id"];

/// Arguments of `usher report`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = listed())]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    command: Option<ReportCommand>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Count all events again
    Rebuild(RebuildArgs),
}

#[derive(Debug, Args)]
struct AskArgs {
    /// Which one
    #[arg(value_name = "NAME", value_parser = names(), required = true)]
    name: Option<ReportName>,
    /// Only this portal
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// From this time on: RFC 3339, or how long ago (7d)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Before this time: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// What a row stands for
    #[arg(long, value_name = "UNIT", value_parser = units())]
    by: Option<By>,
    /// For at least so many days
    #[arg(long, value_name = "N", value_parser = days())]
    days: Option<u32>,
    /// Days that each person has, counted from when they came
    #[arg(long, value_name = "DAYS", value_parser = days())]
    within: Option<u32>,
    /// About this developer
    #[arg(long, value_name = "ID", value_parser = id)]
    developer: Option<Uuid>,
    /// About this application
    #[arg(long, value_name = "ID", value_parser = id)]
    application: Option<Uuid>,
    /// Print CSV
    #[arg(long, conflicts_with_all = ["json", "links"])]
    csv: bool,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RebuildArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ReportArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    match args.command {
        Some(ReportCommand::Rebuild(args)) => rebuild(args, environment).await,
        None => ask(args.ask, environment).await,
    }
}

async fn ask(args: AskArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let (from, to) = ends(args.from, args.to, Clock::system().now())?;
    let name = args.name.ok_or_else(|| CliError::Usage(listed()))?;
    let question = Question {
        portal: args.portal,
        from,
        to,
        by: args.by,
        days: args.days,
        within: args.within,
        developer: args.developer,
        application: args.application,
    };
    question
        .check_for(name)
        .map_err(|error| CliError::Usage(error.tell(Parameter::flag)))?;
    let mut record = Record::open(&args.common, environment).await?;
    let links = args.links.of(&record.config);
    let about_people = name.is_about_people();
    let shown =
        about_people.then(|| record.note_read(&format!("reports.{name}"), question.as_words()));
    let reports = Reports::new(record.journal().clone());
    let asked = async {
        match reports.ask(name, &question).await {
            Ok(answer) => {
                if let Some(shown) = shown {
                    shown.add(answer.rows.len());
                }
                Ok(answer)
            }
            Err(ReportError::Question(error)) => Err(CliError::Usage(error.tell(Parameter::flag))),
            Err(ReportError::Journal(error)) => {
                Err(CliError::Failed(anyhow!(error).context("could not ask")))
            }
        }
    };
    let answer = or_stopped(record.finish(asked).await?)?;
    if answer.is_cut {
        Output::progress(&format!(
            "there are more than {} rows, and the rest is left out: ask for a shorter time or one portal",
            name.most_rows()
        ));
    }
    if !answer.is_complete {
        Output::progress(
            "not all that is stored is counted, and what follows may lack some of it: `usher serve` counts by itself, and `usher report rebuild` now",
        );
    }
    if let Some(page) = links.report(name) {
        Output::progress(&format!("page of this report: {page}"));
    }
    if args.csv {
        Output::bytes(csv(&answer).as_bytes())?;
    } else {
        show(&answer, Output::new(args.common.json), links)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(answer: &Answer, output: Output, mut links: Links) -> Result<(), CliError> {
    let names = || answer.columns.iter().map(|column| column.name);
    if !names().any(|name| PAGES.contains(&name)) {
        links = Links::default();
    }
    let mut table = Table::new(links.heading(names().collect::<Vec<_>>(), "page"));
    for row in &answer.rows {
        let page = page_of(row, &links);
        if output.is_json() {
            if output.data("", &Linked::new(row, page))? == Reader::Gone {
                return Ok(());
            }
        } else {
            let cells = names().map(|name| text(row, name).unwrap_or_else(|| "-".to_owned()));
            table.push(links.cells(cells.collect::<Vec<_>>(), page));
        }
    }
    output.table(&mut table)?;
    Ok(())
}

/// The page of the nearest that a row names.
fn page_of(row: &Row, links: &Links) -> Option<String> {
    PAGES.iter().find_map(|&name| {
        let id: Uuid = row.get(name)?.as_str()?.parse().ok()?;
        match name {
            "action_id" => links.action(id),
            "event_id" => links.event(id),
            "application_id" => links.application(id),
            _ => links.person(id),
        }
    })
}

async fn rebuild(args: RebuildArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let work = async {
        let could_not = "could not count";
        let mut rebuild = Rebuild::begin(&journal).await.context(could_not)?;
        let began = Instant::now();
        let span = Rebuild::span(&journal).await.context(could_not)?;
        let part = |to: DateTime<Utc>| {
            let seconds =
                |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).as_seconds_f64().max(1.0);
            span.map_or(1.0, |(first, last)| {
                seconds(first, to) / seconds(first, last)
            })
        };
        let mut meter = ProgressMeter::new("counted");
        loop {
            let so_far = rebuild.next().await.context(could_not)?;
            let Some(to) = so_far.to else {
                Output::end_meter();
                return Ok((so_far.events, began.elapsed()));
            };
            let events = u64::try_from(so_far.events).unwrap_or(0);
            meter.report(events, (part(to), Some(to)));
        }
    };
    let (events, took) = or_stopped(record.finish(work).await?)?;
    let seconds = took.as_secs_f64();
    Output::new(args.common.json).data(
        &format!(
            "{} counted anew in {seconds:.1} s",
            counted(events, "event")
        ),
        &json!({ "events": events, "seconds": seconds }),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The reports with what each answers.
fn listed() -> String {
    let lines = ReportName::ALL
        .iter()
        .map(|name| format!("  {:<20}{}", name.as_str(), name.about()));
    format!("Reports:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn names() -> impl TypedValueParser<Value = ReportName> {
    let words = ReportName::ALL.iter().map(|name| name.as_str());
    PossibleValuesParser::new(words.collect::<Vec<_>>()).try_map(|word| word.parse::<ReportName>())
}

fn days() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(0..=i64::from(MOST_DAYS))
}

fn units() -> impl TypedValueParser<Value = By> {
    PossibleValuesParser::new(By::ALL.map(By::as_str)).try_map(|word| word.parse::<By>())
}
