//! `usher quarantine release`: stores quarantined entries whose reason has gone.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::app::build_client;
use crate::cli::ids::id;
use crate::cli::listing::PAGE;
use crate::cli::person::system_user;
use crate::cli::record::{Record, or_stopped};
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, DIFFERENCES, Output, counted};
use crate::config::{Environment, VerifyPolicy};
use crate::intake::{Intake, KeyRing, Release, TakenUp};
use crate::journal::{AccessLog, AccessPath, Journal, KeptFilter, ReleaseByHand, far_future};
use crate::publish::KEPT_REASONS;

/// Arguments of `usher quarantine release`.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// The rows' ids
    #[arg(value_name = "ID", value_parser = id, conflicts_with_all = ["reason", "from", "to", "all"])]
    ids: Vec<Uuid>,
    /// Only entries quarantined for this reason, such as `refused_by_database`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Earliest receipt: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Received before: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Everything, or everything that the other arguments name
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: ReleaseArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let is_filtered = args.reason.is_some() || args.from.is_some() || args.to.is_some();
    if args.ids.is_empty() && !is_filtered && !args.all {
        return Err(CliError::Usage(
            "name what to release: IDs, --reason, --from, --to or --all".to_owned(),
        ));
    }
    let record = Record::open(&args.common, environment).await?;
    let (from, to) = ends(args.from, args.to, record.clock.now())?;
    let ids: BTreeSet<Uuid> = args.ids.into_iter().collect();
    let filter = KeptFilter {
        ids: (!ids.is_empty()).then(|| ids.iter().copied().collect()),
        reason: args.reason,
        delivery_id: None,
        except: KEPT_REASONS.map(str::to_owned).to_vec(),
        from: from.unwrap_or(chrono::DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
    };
    let mut release = prepare(&record).await?;
    let journal = record.journal().clone();
    let log = AccessLog::new(journal.clone(), record.clock.clone());
    let work = async {
        let found = take_up(&mut release, &journal, &filter).await;
        let noted = note(&log, &filter, release.so_far(), found.is_ok()).await;
        let found = found?;
        noted?;
        Ok::<_, CliError>((release.so_far().clone(), found))
    };
    let (taken, found) = or_stopped(record.finish(work).await?)?;
    report(&taken, Output::new(args.common.json))?;
    let missing = ids.len().saturating_sub(found);
    if missing > 0 {
        return Err(CliError::Failed(anyhow!(
            "{} names no quarantined entry that can be stored",
            counted(missing, "id")
        )));
    }
    Ok(if taken.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENCES)
    })
}

/// The intake of this configuration, with keys that are as fresh as possible.
async fn prepare(record: &Record) -> Result<Release, CliError> {
    let journal = record.journal();
    let policy = record.config.ingest.verify;
    let ring = KeyRing::new(
        build_client(&record.config.konnect)?,
        journal.clone(),
        record.clock.clone(),
    );
    if policy != VerifyPolicy::Off
        && let Err(error) = ring.refresh(record.clock.now()).await
    {
        let error = anyhow!(error);
        Output::progress(&format!("{error:#}: checking against the keys seen before"));
    }
    let intake = Intake::new(
        journal.clone(),
        Arc::new(ring),
        policy,
        record.config.ingest.max_line_bytes,
        record.ids(),
        record.lifecycle(),
    );
    // The keys were fetched a moment ago, and are not fetched again.
    let release = Release::prepare(intake).await;
    Ok(release.context("could not read the signing keys")?)
}

/// Says in the record who released what; where nothing was released there is nothing to say.
async fn note(
    log: &AccessLog,
    filter: &KeptFilter,
    taken: &TakenUp,
    is_complete: bool,
) -> Result<(), CliError> {
    if taken.released + taken.duplicates == 0 {
        return Ok(());
    }
    let release = ReleaseByHand {
        who: system_user(),
        way: AccessPath::CommandLine,
        filter: filter.as_words(),
        released: taken.released,
        known: taken.duplicates,
        left: taken.left.clone(),
        is_complete,
    };
    let noted = log.note_release(&release).await;
    Ok(noted.context("could not record who released them")?)
}

/// Releases all that match; how many rows were found.
async fn take_up(
    release: &mut Release,
    journal: &Journal,
    filter: &KeptFilter,
) -> Result<usize, CliError> {
    let (mut after, mut found) = (None, 0);
    loop {
        let rows = journal.kept(filter, after, PAGE).await;
        let rows = rows.context("could not read the quarantine")?;
        let Some(last) = rows.last() else {
            return Ok(found);
        };
        after = Some((last.received_at, last.id));
        found += rows.len();
        if let Err(error) = release.take_up(rows).await {
            let done = release.so_far();
            let done = done.released + done.duplicates;
            return Err(CliError::Failed(anyhow!(error).context(format!(
                "could not go on after {}",
                counted(done, "released row")
            ))));
        }
    }
}

fn report(taken: &TakenUp, output: Output) -> Result<(), CliError> {
    let TakenUp {
        released,
        duplicates,
        left: left_for,
    } = taken;
    let left: u64 = left_for.values().sum();
    let reasons: Vec<String> = left_for
        .iter()
        .map(|(reason, rows)| format!("{rows} {reason}"))
        .collect();
    let mark = if reasons.is_empty() { "" } else { ": " };
    let reasons = reasons.join(", ");
    let text = format!(
        "{released} released, {duplicates} known already, {left} left as they are{mark}{reasons}"
    );
    output.data(
        &text,
        &json!({ "released": released, "duplicates": duplicates, "left": left, "left_for": left_for }),
    )?;
    Ok(())
}
