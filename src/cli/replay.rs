//! `usher replay`: has Konnect send a window of a portal's entries again.
//!
//! Needs Konnect only: the entries come to the ingest endpoint of `serve`, if it runs. Where a
//! database is configured, the job is put on record there, so that it closes gaps.

use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use konnect::{PortalId, ReplayJob};
use serde_json::json;
use uuid::Uuid;

use crate::app::build_client;
use crate::backfill::{Progress, ReplayError, ReplayTimings, Replays, Window};
use crate::cli::ids::id;
use crate::cli::person::system_user;
use crate::cli::record::Record;
use crate::cli::times::{Moment, no_window};
use crate::cli::{CliError, Common, Output};
use crate::clock::Clock;
use crate::config::{ConfigError, Environment, KonnectConfig};
use crate::journal::{JobOrigin, JobState, LogSource, NewReplayJob, WindowCounts};
use crate::lifecycle::Lifecycle;

/// A line is printed at least this often.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// Arguments of `usher replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The portal [default: the one of `konnect.portals`, where there is one]
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
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

pub(super) async fn run(args: ReplayArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let clock = Clock::system();
    let now = clock.now();
    let (from, to) = (args.from.resolve(now), args.to.resolve(now));
    let window =
        Window::new(from, to, now).map_err(|error| no_window(&error, (Some(from), Some(to))))?;
    let config = args.common.load(environment)?.konnect;
    let portal = portal_of(&config, args.portal)?;
    if config.token.is_none() {
        return Err(CliError::from(ConfigError::Missing {
            key: "konnect.token",
            reason: "set USHER_KONNECT__TOKEN, or konnect.token in usher.toml",
        }));
    }
    let lifecycle = Lifecycle::new();
    let client = build_client(&config)?;
    let replays = Replays::new(
        client.clone(),
        portal,
        clock,
        ReplayTimings::default(),
        lifecycle.stopping(),
    );
    let onto = JobRecord::open(&args.common, environment, portal, window).await;
    let output = Output::new(args.common.json);
    tokio::select! {
        done = replay(&replays, portal, window, (args.wait, output), onto) => done?,
        signalled = Lifecycle::signalled() => {
            signalled.map_err(anyhow::Error::from)?;
            return Err(failed(ReplayError::Stopped));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for the window, waits if asked to, and shows how it ended.
async fn replay(
    replays: &Replays,
    portal: PortalId,
    window: Window,
    (wait, output): (bool, Output),
    onto: Option<JobRecord>,
) -> Result<(), CliError> {
    let told = ReportedProgress::default();
    let mut report = |progress: &Progress| told.report(progress);
    let accepted = told.remind(replays.start(window, &mut report)).await;
    let accepted = accepted.map_err(failed)?;
    if let Some(onto) = onto {
        onto.put(portal, &accepted).await;
    }
    if !wait {
        return show(output, portal, window, &accepted, accepted.status.as_str());
    }
    let finishing = replays.finish(accepted.clone(), &mut report);
    let ended = told.remind(finishing).await;
    let shown = match &ended {
        Ok(job) => show(output, portal, window, job, job.status.as_str()),
        Err(ReplayError::Failed) => show(output, portal, window, &accepted, "failed"),
        Err(_) => Ok(()),
    };
    ended.map_err(failed)?;
    shown
}

/// Where the job is put on record.
struct JobRecord {
    record: Record,
    window: Window,
    before: WindowCounts,
}

impl JobRecord {
    /// Opens the database, where one is configured, and counts what is known of the window. A
    /// database that is away holds nothing up.
    async fn open(
        common: &Common,
        environment: &Environment,
        portal: PortalId,
        window: Window,
    ) -> Option<Self> {
        let config = common.load(environment).ok()?;
        config.database.url.as_ref()?;
        let opened = async {
            let record = Record::open(common, environment).await?;
            let ends = (window.start_at(), window.end_at());
            let source = LogSource::Portal(portal.0);
            let counted = record.journal().window_counts(source, ends).await;
            let before = counted.map_err(|error| CliError::Failed(error.into()))?;
            Ok::<_, CliError>(Self {
                record,
                window,
                before,
            })
        };
        match opened.await {
            Ok(this) => Some(this),
            Err(error) => {
                Output::progress(&format!("the job will not be on record: {error}"));
                None
            }
        }
    }

    async fn put(self, portal: PortalId, accepted: &ReplayJob) {
        let (journal, ids) = (self.record.journal().clone(), self.record.ids());
        let window = self.window;
        let before = self.before;
        let start_at = accepted.start_at.unwrap_or_else(|| window.start_at());
        let work = async move {
            let job = NewReplayJob {
                id: ids.next(),
                source: LogSource::Portal(portal.0),
                from: start_at,
                to: window.end_at(),
                origin: JobOrigin::Person,
                who: system_user(),
                state: JobState::Asked,
                created_at: journal.readiness().await.map_err(anyhow::Error::from)?.now,
            };
            let added = journal.add_replay_job(&job, before).await;
            Ok(added.map_err(anyhow::Error::from)?)
        };
        match self.record.finish(work).await {
            Ok(Some(false)) => Output::progress(
                "the job is not on record, and closes no gap: another one of this log is under way there, see `usher coverage jobs`",
            ),
            Ok(_) => {}
            Err(error) => Output::progress(&format!("the job is not on record: {error}")),
        }
    }
}

fn failed(error: ReplayError) -> CliError {
    CliError::Failed(anyhow!(error))
}

/// The progress that was reported so far.
#[derive(Default)]
struct ReportedProgress {
    last: Mutex<String>,
    patience: OnceLock<()>,
}

impl ReportedProgress {
    /// Reports what is new, and at the first failure how long Konnect is tried.
    fn report(&self, progress: &Progress) {
        let text = progress.to_string();
        Output::progress(&text);
        if matches!(progress, Progress::Retrying { .. }) {
            self.patience.get_or_init(|| Output::progress(&patience()));
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Does `work`, and repeats the last report at intervals as long as it lasts.
    async fn remind<T>(&self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(REMIND_EVERY) => {}
            }
            let seconds = began.elapsed().as_secs();
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            Output::progress(&format!("still waiting after {seconds} s: {last}"));
        }
    }
}

/// How long calls that fail are repeated.
fn patience() -> String {
    let ReplayTimings {
        attempts,
        first_retry,
        retry_at_most,
        ..
    } = ReplayTimings::default();
    let waits = (0..attempts.saturating_sub(1))
        .map(|retry| (first_retry * 2_u32.saturating_pow(retry)).min(retry_at_most));
    let seconds = waits.sum::<Duration>().as_secs();
    format!("konnect is tried {attempts} times, for at least {seconds} s")
}

/// Shows the window as Konnect understood it, else as it was asked for.
fn show(
    output: Output,
    portal: PortalId,
    window: Window,
    job: &ReplayJob,
    status: &str,
) -> Result<(), CliError> {
    let start_at = rfc3339(job.start_at.unwrap_or_else(|| window.start_at()));
    let end_at = rfc3339(job.end_at.unwrap_or_else(|| window.end_at()));
    output.data(
        &format!("replay of portal {portal} from {start_at} to {end_at}: {status}"),
        &json!({
            "portal_id": portal,
            "start_at": start_at,
            "end_at": end_at,
            "status": status,
        }),
    )?;
    Ok(())
}

/// The portal asked for, else the only one that usher observes.
fn portal_of(config: &KonnectConfig, asked: Option<Uuid>) -> Result<PortalId, CliError> {
    match (asked, config.portals.as_slice()) {
        (Some(id), _) | (None, &[id]) => Ok(PortalId(id)),
        (None, portals) => Err(CliError::Usage(format!(
            "name the portal with --portal: konnect.portals lists {}, not one",
            portals.len()
        ))),
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_long_failing_calls_are_repeated() {
        assert_eq!(patience(), "konnect is tried 8 times, for at least 91 s");
    }

    #[test]
    fn takes_the_only_portal_when_none_is_named() {
        let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let cases = [
            (vec![], None, None),
            (vec![one], None, Some(one)),
            (vec![one, two], None, None),
            (vec![one], Some(two), Some(two)),
        ];
        for (portals, asked, expected) in cases {
            let config = KonnectConfig {
                portals,
                ..KonnectConfig::default()
            };
            let found = portal_of(&config, asked).ok().map(Uuid::from);
            assert_eq!(found, expected, "{asked:?} of {:?}", config.portals);
        }
    }
}
