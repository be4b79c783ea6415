//! `usher events reverify`: checks the signatures of stored events again.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow};
use chrono::DateTime;
use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::app::build_client;
use crate::cli::events::verdicts;
use crate::cli::ids::id;
use crate::cli::links::{Links, LinksArgs, beside};
use crate::cli::meter::REMIND_EVERY;
use crate::cli::record::{Record, or_stopped};
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, DIFFERENCES, Output, counted};
use crate::clock::Clock;
use crate::config::Environment;
use crate::event::Verdict;
use crate::intake::{KeyRing, Reverified, Reverify};
use crate::journal::{CheckFilter, far_future};

/// Arguments of `usher events reverify`.
#[derive(Debug, Args)]
pub(super) struct ReverifyArgs {
    /// Earliest time of the event: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Events before this time: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Only events of this portal
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// Only events with this verdict so far
    #[arg(long, value_name = "VERDICT", value_parser = verdicts())]
    verification: Option<Verdict>,
    /// Change nothing; exits 3 when there is something to change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: ReverifyArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let now = Clock::system().now();
    let (from, to) = ends(args.from, args.to, now)?;
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let ring = KeyRing::new(
        build_client(&record.config.konnect)?,
        journal.clone(),
        record.clock.clone(),
    );
    let filter = CheckFilter {
        // An event whose time cannot be known is at the epoch, and nothing is before it.
        from: from.unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        portal_id: args.portal.map(|portal| portal.to_string()),
        verdict: args.verification,
    };
    let links = args.links.of(&record.config);
    let ids = record.ids();
    let work = async {
        if let Err(error) = ring.refresh(now).await {
            let error = anyhow!(error);
            Output::progress(&format!("{error:#}: checking against the keys seen before"));
        }
        let reverify = Reverify::new(journal, ids, filter, !args.dry_run).await;
        check(reverify.context("could not read the signing keys")?).await
    };
    let (done, keys) = or_stopped(record.finish(work).await?)?;
    let output = Output::new(args.common.json);
    report(&done, keys, args.dry_run, (output, &links))?;
    if done.held > 0 {
        return Err(CliError::Failed(anyhow!(
            "{} left as they are, somebody else is reading them: run it again",
            counted(done.held, "event")
        )));
    }
    let stands = !done.lost.is_empty() || (args.dry_run && !done.changes.is_empty());
    Ok(if stands {
        ExitCode::from(DIFFERENCES)
    } else {
        ExitCode::SUCCESS
    })
}

/// Checks slice after slice; returns the result, and against how many keys.
async fn check(mut reverify: Reverify) -> Result<(Reverified, usize), CliError> {
    let mut told = Instant::now();
    while reverify.next().await.context("could not check events")? {
        if told.elapsed() > REMIND_EVERY {
            told = Instant::now();
            let checked = reverify.so_far().checked;
            Output::progress(&format!("checked {checked} entries so far"));
        }
    }
    Ok((reverify.so_far().clone(), reverify.keys()))
}

fn report(
    done: &Reverified,
    keys: usize,
    dry_run: bool,
    (output, links): (Output, &Links),
) -> Result<(), CliError> {
    for (change, count) in &done.changes {
        let (from, to) = (change.from, change.to);
        let written = if dry_run { "would change" } else { "changed" };
        output.data(
            &format!("{from} → {to}: {count} {written}"),
            &json!({ "from": from, "to": to, "events": count, "written": !dry_run }),
        )?;
    }
    for (change, count) in &done.lost {
        let (from, to) = (change.from, change.to);
        output.data(
            &format!("{from}, now {to}: {count} left as they are"),
            &json!({ "from": from, "to": to, "events": count, "written": false }),
        )?;
    }
    for id in &done.lost_ids {
        let text = format!("verified before, and no key fits any more: {id}");
        Output::progress(&beside(&text, links.event(id.as_uuid()).as_deref()));
    }
    let changed: u64 = done.changes.values().sum();
    let lost: u64 = done.lost.values().sum();
    let checked = done.checked;
    let entries = match checked {
        1 => "1 entry".to_owned(),
        checked => format!("{checked} entries"),
    };
    output.data(
        &format!("{entries} checked against {}", counted(keys, "key")),
        &json!({
            "checked": checked, "keys": keys, "changed": changed,
            "no_longer_verified": lost, "held": done.held, "dry_run": dry_run,
        }),
    )?;
    Ok(())
}
