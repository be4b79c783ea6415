//! `usher replay`: has Konnect send a window of a log again.
//!
//! Where an instance of usher runs, the window is queued there: it has one job of a log at a time.
//! Without one Konnect is asked from here, which needs no database. The entries come to the ingest
//! endpoint of `serve`, if it runs.

mod direct;
mod progress;
mod queued;
mod wanted;

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use uuid::Uuid;

use crate::app::build_client;
use crate::backfill::{Coverage, ReplayTimings, Replays, Window};
use crate::cli::ids::id;
use crate::cli::record::Record;
use crate::cli::replay::wanted::{Wanted, failed};
use crate::cli::times::{Moment, no_window};
use crate::cli::{CliError, Common, Output};
use crate::clock::Clock;
use crate::config::{ConfigError, Environment, KonnectConfig};
use crate::journal::LogSource;
use crate::lifecycle::Lifecycle;

/// Arguments of `usher replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The portal [default: the one of `konnect.portals`, where there is one]
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// The organisation's own log of this region, instead of a portal's
    #[arg(long, conflicts_with = "portal")]
    org: bool,
    /// Start of the window, at most 7 days ago: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Moment,
    /// End of the window: RFC 3339, or how long ago (0s is now)
    #[arg(long, value_name = "T")]
    to: Moment,
    /// Wait until everything is sent
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    common: Common,
}

impl ReplayArgs {
    /// The window at a time.
    fn window(&self, now: DateTime<Utc>) -> Result<Window, CliError> {
        let (from, to) = (self.from.resolve(now), self.to.resolve(now));
        Window::new(from, to, now).map_err(|error| no_window(&error, (Some(from), Some(to))))
    }
}

pub(super) async fn run(args: ReplayArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let clock = Clock::system();
    let window = args.window(clock.now())?;
    let config = args.common.load(environment)?;
    let source = source_of(&config.konnect, &args)?;
    if config.konnect.token.is_none() {
        return Err(CliError::from(ConfigError::Missing {
            key: "konnect.token",
            reason: "set USHER_KONNECT__TOKEN, or konnect.token in usher.toml",
        }));
    }
    let lifecycle = Lifecycle::new();
    let replays = Replays::new(
        build_client(&config.konnect)?,
        source,
        clock,
        ReplayTimings::default(),
        lifecycle.stopping(),
    );
    let mut wanted = Wanted {
        source,
        window,
        wait: args.wait,
        output: Output::new(args.common.json),
    };
    // A database that is away holds nothing up.
    let record = Record::open_if_there(&args.common, environment).await;
    let record = record.unwrap_or_else(|error| {
        Output::progress(&format!("the job will not be on record: {error}"));
        None
    });
    match with_instance(record, source).await {
        (Some(record), Some(coverage)) => {
            replays.check().await.map_err(failed)?;
            // What is long ago at the end of the week counts by Konnect's clock.
            let now = coverage.now().await.context("could not read the time")?;
            wanted.window = args.window(now)?;
            queued::run(record, &coverage, &wanted).await?;
        }
        (record, _) => Box::pin(direct::run(&replays, &wanted, record)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The coverage where an instance asks Konnect for what is put on record there; else says why
/// Konnect is asked from here.
async fn with_instance(
    record: Option<Record>,
    source: LogSource,
) -> (Option<Record>, Option<Coverage>) {
    let Some(record) = record else {
        return (None, None);
    };
    let coverage = Coverage::new(record.journal().clone(), &record.config.backfill);
    match coverage.why_not_asked(source).await {
        Ok(None) => (Some(record), Some(coverage)),
        Ok(Some(why)) => {
            Output::progress(&format!("{why}: Konnect is asked from here"));
            (Some(record), None)
        }
        Err(error) => {
            Output::progress(&format!("the job will not be on record: {}", error.plain()));
            (None, None)
        }
    }
}

/// The log asked for, else that of the only portal that usher observes.
fn source_of(config: &KonnectConfig, args: &ReplayArgs) -> Result<LogSource, CliError> {
    match (args.org, args.portal, config.portals.as_slice()) {
        (true, ..) => Ok(LogSource::Org),
        (_, Some(id), _) | (_, None, &[id]) => Ok(LogSource::Portal(id)),
        (_, None, portals) => Err(CliError::Usage(format!(
            "name the portal with --portal, or the organisation with --org: konnect.portals lists {}, not one",
            portals.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ReplayArgs,
    }

    #[test]
    fn takes_the_only_portal_when_no_log_is_named() {
        let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let named = two.to_string();
        let of = LogSource::Portal;
        let cases: [(_, &[&str], _); 6] = [
            (vec![], &[], None),
            (vec![one], &[], Some(of(one))),
            (vec![one, two], &[], None),
            (vec![one], &["--portal", &named], Some(of(two))),
            (vec![one], &["--org"], Some(LogSource::Org)),
            (vec![], &["--org"], Some(LogSource::Org)),
        ];
        for (portals, asked, expected) in cases {
            let config = KonnectConfig {
                portals,
                ..KonnectConfig::default()
            };
            let line = ["replay", "--from", "2h", "--to", "1h"].iter().chain(asked);
            let args = Line::try_parse_from(line).unwrap().args;
            let found = source_of(&config, &args).ok();
            assert_eq!(found, expected, "{asked:?} of {:?}", config.portals);
        }
    }
}
