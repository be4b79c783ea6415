//! `usher coverage`: which time was seen, which was missed, and what was done about it.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::backfill::{
    AcknowledgeError, AcknowledgedBody, Coverage, CoverageBody, ReplayJobBody, SourceCoverage,
    Stretch, StretchState, span,
};
use crate::cli::ids::id;
use crate::cli::listing::{Listing, Page};
use crate::cli::person::PersonArgs;
use crate::cli::record::{Record, or_stopped};
use crate::cli::table::Table;
use crate::cli::times::{Ends, Moment, ends, no_window};
use crate::cli::{CliError, Common, Output, Reader};
use crate::config::Environment;
use crate::journal::{Acknowledgement, JobFilter, LogSource, ReplayJobRow};

/// How Konnect said that a webhook fares is told as the present for so long.
const TOLD_AS_PRESENT: TimeDelta = TimeDelta::minutes(3);
const HEADING: [&str; 5] = ["FROM", "TO", "STATE", "LASTS", "WHY"];
/// No log is known, whichever is asked for.
const NONE_KNOWN: &str = "no log is known yet: `usher setup` has a webhook lead here, and `usher serve`, which needs konnect.token, finds it";
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

/// Which log.
#[derive(Debug, Args)]
struct LogArgs {
    /// The log of this portal
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// The organisation's own log of this region
    #[arg(long, conflicts_with = "portal")]
    org: bool,
}

impl LogArgs {
    /// The log; none where none is named.
    fn source(&self) -> Option<LogSource> {
        let org = self.org.then_some(LogSource::Org);
        self.portal.map(LogSource::Portal).or(org)
    }
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    log: LogArgs,
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
    #[command(flatten)]
    log: LogArgs,
    /// How many, the latest
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct AcknowledgeArgs {
    #[command(flatten)]
    log: LogArgs,
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
    let wanted = args.log.source();
    let known = async move {
        let is_wanted = |source| wanted.is_none_or(|wanted| source == wanted);
        let known = coverage.of_all(is_wanted, window).await;
        let known = known.context("could not read the coverage")?;
        if let Some(wanted) = wanted.filter(|_| known.is_empty()) {
            check_known(&coverage, wanted).await?;
        }
        Ok(known)
    };
    let known = or_stopped(record.finish(known).await?)?;
    let output = Output::new(args.common.json);
    if known.is_empty() && !output.is_json() {
        Output::progress(NONE_KNOWN);
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
        if source.stretches.is_empty() {
            continue;
        }
        let mut table = Table::new(HEADING);
        for stretch in &source.stretches {
            table.push(cells(stretch, source.now));
        }
        output.table(&mut table)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a log that is not among those that are known, and names these.
async fn check_known(coverage: &Coverage, wanted: LogSource) -> Result<(), CliError> {
    let known = coverage.logs().await;
    let known = known.context("could not read the coverage")?;
    if known.is_empty() || known.contains(&wanted) {
        return Ok(());
    }
    let names: Vec<String> = known.into_iter().map(name).collect();
    let (wanted, names) = (name(wanted), names.join(", "));
    Err(CliError::Usage(format!(
        "usher receives no log of {wanted}; it receives those of {names}"
    )))
}

fn name(source: LogSource) -> String {
    match source {
        LogSource::Org => "the organisation".to_owned(),
        LogSource::Portal(id) => format!("portal {id}"),
    }
}

/// What is known of a log, in one line.
fn title(source: &SourceCoverage) -> String {
    let name = name(source.status.source);
    if source.stretches.is_empty() {
        let since = time(source.status.since);
        return format!("{name}: nothing is known of that time, the account begins {since}");
    }
    let verdict = match source.verdict() {
        StretchState::Covered | StretchState::Settling => "no loss is known",
        StretchState::Replaying => "a replay job is under way",
        StretchState::Missing => "entries may be missing",
        StretchState::Lost => "entries may be lost",
    };
    let left = source.expires_at().map_or_else(String::new, |at| {
        format!("; the first are {}", dropped(at - source.now))
    });
    let state = source.status.state.as_str();
    let unasked = source.now - source.status.polled_at;
    let webhook = if unasked < TOLD_AS_PRESENT {
        format!("its webhook is {state}")
    } else {
        format!("{} ago its webhook was {state}", span(unasked))
    };
    let detail = match source.status.detail.as_str() {
        "" => String::new(),
        detail => format!(" ({detail})"),
    };
    format!("{name}: {verdict}{left}; {webhook}{detail}")
}

fn cells(stretch: &Stretch, now: DateTime<Utc>) -> [String; 5] {
    let mut why: Vec<String> = stretch
        .reasons
        .iter()
        .map(|(reason, detail)| format!("{}: {detail}", reason.as_str()))
        .collect();
    why.extend(stretch.expires_at().map(|at| dropped(at - now)));
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
    let source = args.log.source();
    let listing = Listing::new(JOBS_HEADING, Output::new(args.common.json));
    let page = async |after: Option<&ReplayJobRow>, limit| {
        let filter = JobFilter {
            source,
            after: after.map(|job| (job.created_at, job.id)),
            ..JobFilter::default()
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
    let Some(source) = args.log.source() else {
        let text = "name the log: --portal ID, or --org for the organisation's; `usher coverage` shows them";
        return Err(CliError::Usage(text.to_owned()));
    };
    let record = Record::open(&args.common, environment).await?;
    let now = record.clock.now();
    let coverage = Coverage::new(record.journal().clone(), &record.config.backfill);
    let loss = Acknowledgement {
        from: args.from.resolve(now),
        to: args.to.resolve(now),
        who: person.name.clone(),
        reason: reason.clone(),
    };
    let id = record.ids().next();
    let noted = async move {
        let ends = (Some(loss.from), Some(loss.to));
        let noted = coverage.acknowledge(id, source, loss).await;
        match noted {
            Ok(()) => Ok(()),
            Err(AcknowledgeError::Journal(error)) => Err(CliError::Failed(error.into())),
            Err(AcknowledgeError::NoWindow(error)) => Err(no_window(&error, ends)),
            Err(AcknowledgeError::UnknownSource) => {
                check_known(&coverage, source).await?;
                Err(CliError::Usage(NONE_KNOWN.to_owned()))
            }
            Err(AcknowledgeError::NothingLost) => Err(CliError::Usage(format!(
                "--from, --to: nothing of that time is lost in the log of {}; `usher coverage` shows what is",
                name(source)
            ))),
            Err(other) => Err(CliError::Usage(other.to_string())),
        }
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

/// That Konnect drops entries when so much time has passed.
fn dropped(left: TimeDelta) -> String {
    if left <= TimeDelta::zero() {
        return "being dropped".to_owned();
    }
    format!("dropped in {}", span(left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{SourceState, SourceStatus};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    /// What the line says of a log that Konnect was asked about so long ago, in minutes, of which
    /// everything is missing since a minute of the account.
    fn told(asked_ago: i64, missing_since: Option<i64>) -> String {
        let now = at(7 * 24 * 60 + 10);
        let stretch = |from| Stretch {
            from: at(from),
            to: now,
            state: StretchState::Missing,
            reasons: Vec::new(),
            job: None,
            acknowledged: None,
        };
        title(&SourceCoverage {
            status: SourceStatus {
                source: LogSource::Org,
                since: at(0),
                state: SourceState::Active,
                detail: String::new(),
                good_to: now,
                polled_at: now - TimeDelta::minutes(asked_ago),
                last_attempt_at: None,
            },
            stretches: missing_since.map(stretch).into_iter().collect(),
            now,
        })
    }

    #[test]
    fn a_line_says_what_is_known_and_as_of_when() {
        let of = "the organisation: entries may be missing; the first are";
        for (asked_ago, missing_since, expected) in [
            (0, Some(30), format!("{of} dropped in 20m 0s; its webhook is active")),
            (0, Some(10), format!("{of} being dropped; its webhook is active")),
            (0, Some(5), format!("{of} being dropped; its webhook is active")),
            (90, Some(30), format!("{of} dropped in 20m 0s; 1h 30m ago its webhook was active")),
            (
                0,
                None,
                "the organisation: nothing is known of that time, the account begins 1970-01-01T00:00:00Z".to_owned(),
            ),
        ] {
            assert_eq!(told(asked_ago, missing_since), expected);
        }
    }
}
