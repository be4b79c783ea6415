//! `usher coverage`: which time was seen, which was missed, and what was done about it.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::backfill::{
    AcknowledgeError, AcknowledgedBody, Coverage, CoverageBody, ReplayJobBody, SourceCoverage,
    Stretch, StretchState,
};
use crate::cli::listing::{Listing, Page};
use crate::cli::person::PersonArgs;
use crate::cli::record::{Record, or_stopped};
use crate::cli::table::Table;
use crate::cli::times::{Ends, Moment, ends};
use crate::cli::{CliError, Common, Output, Reader};
use crate::config::Environment;
use crate::journal::{Acknowledgement, JobFilter, LogSource, ReplayJobRow};

const HEADING: [&str; 5] = ["FROM", "TO", "STATE", "LASTS", "WHY"];
const JOBS_HEADING: [&str; 8] = [
    "CREATED", "LOG", "FROM", "TO", "FOR", "STATE", "NEW", "DETAIL",
];

/// Arguments of `usher coverage`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct CoverageArgs {
    #[command(subcommand)]
    command: Option<CoverageCommand>,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, Subcommand)]
enum CoverageCommand {
    /// Show which time was seen (the default)
    Show(ShowArgs),
    /// Show the replay jobs, the latest first
    Jobs(JobsArgs),
    /// Take note of a loss, so that it raises no alarm any more; it stays visible
    Acknowledge(AcknowledgeArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Only the log of this portal
    #[arg(long, value_name = "ID")]
    portal: Option<Uuid>,
    /// Earliest time: RFC 3339, or how long ago [default: where the account begins]
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Latest time: RFC 3339, or how long ago [default: now]
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct JobsArgs {
    /// Only those of this portal
    #[arg(long, value_name = "ID")]
    portal: Option<Uuid>,
    /// How many, the latest
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct AcknowledgeArgs {
    /// The portal [default: the organisation's log]
    #[arg(long, value_name = "ID")]
    portal: Option<Uuid>,
    /// Where the time begins: RFC 3339, or how long ago
    #[arg(long, value_name = "T")]
    from: Moment,
    /// Where it ends: RFC 3339, or how long ago
    #[arg(long, value_name = "T")]
    to: Moment,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: CoverageArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    match args.command {
        Some(CoverageCommand::Jobs(args)) => jobs(args, environment).await,
        Some(CoverageCommand::Acknowledge(args)) => acknowledge(args, environment).await,
        Some(CoverageCommand::Show(args)) => show(args, environment).await,
        None => show(args.show, environment).await,
    }
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let window: Ends = ends(args.from, args.to, record.clock.now())?;
    let coverage = Coverage::new(record.journal().clone(), &record.config.backfill);
    let portal = args.portal;
    let known = async move {
        let wanted = |source: LogSource| portal.is_none_or(|id| source == LogSource::Portal(id));
        let known = coverage.of_all(wanted, window).await;
        Ok(known.context("could not read the coverage")?)
    };
    let known = or_stopped(record.finish(known).await?)?;
    let output = Output::new(args.common.json);
    if known.is_empty() && !output.is_json() {
        Output::progress(
            "no log is known yet: `usher serve` needs konnect.token, and a webhook that leads to it",
        );
    }
    for source in &known {
        if output.is_json() {
            if output.data("", &CoverageBody::from(source))? == Reader::Gone {
                break;
            }
            continue;
        }
        if Output::lines(&[title(source)])? == Reader::Gone {
            break;
        }
        let mut table = Table::new(HEADING);
        for stretch in &source.stretches {
            table.push(cells(stretch, source.now));
        }
        output.table(&mut table)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is known of a log, in one line.
fn title(source: &SourceCoverage) -> String {
    let name = match source.status.source {
        LogSource::Org => "the organisation".to_owned(),
        LogSource::Portal(id) => format!("portal {id}"),
    };
    let verdict = match source.verdict() {
        StretchState::Covered | StretchState::Settling => "no loss is known",
        StretchState::Replaying => "a replay job is under way",
        StretchState::Missing => "entries may be missing",
        StretchState::Lost => "entries may be lost",
    };
    let left = source.expires_at().map_or_else(String::new, |at| {
        format!("; the first are dropped in {}", span(at - source.now))
    });
    let state = source.status.state.as_str();
    let detail = match source.status.detail.as_str() {
        "" => String::new(),
        detail => format!(" ({detail})"),
    };
    format!("{name}: {verdict}{left}; its webhook is {state}{detail}")
}

fn cells(stretch: &Stretch, now: DateTime<Utc>) -> [String; 5] {
    let mut why: Vec<String> = stretch
        .reasons
        .iter()
        .map(|(reason, detail)| format!("{}: {detail}", reason.as_str()))
        .collect();
    why.extend(
        stretch
            .expires_at()
            .map(|at| format!("dropped in {}", span(at - now))),
    );
    why.extend(
        stretch
            .acknowledged
            .as_ref()
            .map(|loss| format!("acknowledged by {}: {}", loss.who, loss.reason)),
    );
    [
        time(stretch.from),
        time(stretch.to),
        stretch.state.as_str().to_owned(),
        span(stretch.length()),
        why.join("; "),
    ]
}

async fn jobs(args: JobsArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let source = args.portal.map(LogSource::Portal);
    let listing = Listing::new(JOBS_HEADING, Output::new(args.common.json));
    let page = async |after: Option<&ReplayJobRow>, limit| {
        let filter = JobFilter {
            source,
            after: after.map(|job| (job.created_at, job.id)),
        };
        let rows = journal.replay_jobs(&filter, limit).await;
        Ok(Page::of(
            rows.context("could not read the replay jobs")?,
            limit,
        ))
    };
    let put = |listing: &mut Listing<8>, job: &ReplayJobRow| {
        listing.put(|| ReplayJobBody::from(job), || job_cells(job))
    };
    let work = listing.show_newest(args.limit, page, put);
    or_stopped(record.finish(work).await?)?;
    Ok(ExitCode::SUCCESS)
}

fn job_cells(job: &ReplayJobRow) -> [String; 8] {
    let detail = if job.detail.is_empty() {
        job.konnect_status.clone()
    } else {
        job.detail.clone()
    };
    [
        time(job.created_at),
        job.source.to_string(),
        time(job.from),
        time(job.to),
        job.origin.as_str().to_owned(),
        job.state.as_str().to_owned(),
        job.new_entries.to_string(),
        detail,
    ]
}

async fn acknowledge(
    args: AcknowledgeArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let person = args.person.person()?;
    let Some(reason) = person.reason else {
        let text = "--reason is needed: who reads of the loss later wants to know it";
        return Err(CliError::Usage(text.to_owned()));
    };
    let record = Record::open(&args.common, environment).await?;
    let now = record.clock.now();
    let coverage = Coverage::new(record.journal().clone(), &record.config.backfill);
    let source = args.portal.map_or(LogSource::Org, LogSource::Portal);
    let loss = Acknowledgement {
        from: args.from.resolve(now),
        to: args.to.resolve(now),
        who: person.name.clone(),
        reason: reason.clone(),
    };
    let id = record.ids().next();
    let noted = async move {
        coverage
            .acknowledge(id, source, loss)
            .await
            .map_err(|error| match error {
                AcknowledgeError::Journal(error) => CliError::Failed(error.into()),
                other => CliError::Usage(other.to_string()),
            })
    };
    or_stopped(record.finish(noted).await?)?;
    let data = AcknowledgedBody {
        by: person.name,
        reason,
    };
    Output::new(args.common.json).data("the loss is acknowledged", &data)?;
    Ok(ExitCode::SUCCESS)
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A length of time in its two largest units.
fn span(span: TimeDelta) -> String {
    let (days, hours) = (span.num_days(), span.num_hours() % 24);
    let (minutes, seconds) = (span.num_minutes() % 60, span.num_seconds() % 60);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}
