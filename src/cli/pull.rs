//! `usher pull`: pulls a window of the organisation's log into the journal.
//!
//! Needs Konnect and the database; `serve` may run or not.

use std::process::ExitCode;

use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use konnect::AuditLogKind;
use serde_json::json;

use crate::app::build_client;
use crate::backfill::{PullProgress, PullTimings, Pulled, Puller, Window};
use crate::cli::meter::ProgressMeter;
use crate::cli::record::{Record, or_stopped};
use crate::cli::times::{Moment, no_window};
use crate::cli::{CliError, Common, Output, counted};
use crate::clock::Clock;
use crate::config::{ConfigError, Environment};
use crate::journal::Lane;

/// Arguments of `usher pull`.
#[derive(Debug, Args)]
pub(super) struct PullArgs {
    /// Start of the window, at most 7 days ago: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Moment,
    /// End of the window: RFC 3339, or how long ago (0s is now)
    #[arg(long, value_name = "T")]
    to: Moment,
    /// Only entries of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<PulledKind>,
    #[command(flatten)]
    common: Common,
}

/// The kinds of entries that can be pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PulledKind {
    /// Somebody signed in, or failed to
    Authentication,
    /// A permission was checked
    Authorization,
    /// A call was made to Konnect's API
    #[value(alias = "gateway_access")]
    Access,
}

impl From<PulledKind> for AuditLogKind {
    fn from(kind: PulledKind) -> Self {
        match kind {
            PulledKind::Authentication => Self::Authentication,
            PulledKind::Authorization => Self::Authorization,
            PulledKind::Access => Self::GatewayAccess,
        }
    }
}

pub(super) async fn run(args: PullArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let now = Clock::system().now();
    let window = window(args.from.resolve(now), args.to.resolve(now), now)?;
    if args.common.load(environment)?.konnect.token.is_none() {
        return Err(CliError::from(ConfigError::Missing {
            key: "konnect.token",
            reason: "set USHER_KONNECT__TOKEN, or konnect.token in usher.toml",
        }));
    }
    let record = Record::open(&args.common, environment).await?;
    let puller = Puller::new(
        build_client(&record.config.konnect)?,
        record.journal().clone(),
        record.clock.clone(),
        PullTimings::default(),
        record.lifecycle().stopping(),
    );
    let kind = args.kind.map(AuditLogKind::from);
    let work = async {
        let mut progress = Progress::new(window);
        let mut report = |news: &PullProgress| progress.report(news);
        let done = puller.pull(window, kind, Lane::Bulk, &mut report).await;
        Output::end_meter();
        done.map_err(|error| CliError::Failed(anyhow!(error)))
    };
    let done = or_stopped(record.finish(work).await?)?;
    show(Output::new(args.common.json), window, done)?;
    Ok(ExitCode::SUCCESS)
}

/// The window that can be pulled.
fn window(from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> Result<Window, CliError> {
    Window::new(from, to, now).map_err(|error| no_window(&error, (Some(from), Some(to))))
}

/// What is reported on the way.
struct Progress {
    window: Window,
    meter: ProgressMeter,
}

impl Progress {
    fn new(window: Window) -> Self {
        Self {
            window,
            meter: ProgressMeter::new("pulled"),
        }
    }

    fn report(&mut self, news: &PullProgress) {
        let PullProgress::Page { so_far, down_to } = news else {
            Output::end_meter();
            return Output::progress(&news.to_string());
        };
        let part = down_to.map_or(0.0, |down_to| self.part(down_to));
        self.meter.report(so_far.entries, (part, None));
    }

    /// Which part of the window is done: the newest entries come first.
    #[expect(
        clippy::cast_precision_loss,
        reason = "seven days are far below 2^52 ms"
    )]
    fn part(&self, down_to: DateTime<Utc>) -> f64 {
        let whole = self.window.end_at() - self.window.start_at();
        let done = self.window.end_at() - down_to;
        done.num_milliseconds() as f64 / whole.num_milliseconds().max(1) as f64
    }
}

fn show(output: Output, window: Window, pulled: Pulled) -> Result<(), CliError> {
    let (from, to) = (rfc3339(window.start_at()), rfc3339(window.end_at()));
    let Pulled {
        pages,
        entries,
        stored,
        duplicates,
        matched,
        quarantined,
    } = pulled;
    output.data(
        &format!(
            "{} on {} from {from} to {to}: {stored} stored, {duplicates} known, {matched} brought by the webhook, {quarantined} quarantined",
            match entries {
                1 => "1 entry".to_owned(),
                entries => format!("{entries} entries"),
            },
            counted(pages, "page"),
        ),
        &json!({
            "from": from, "to": to, "pages": pages, "entries": entries, "stored": stored,
            "duplicates": duplicates, "matched": matched, "quarantined": quarantined,
        }),
    )?;
    Ok(())
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_cannot_be_pulled_says_what_can() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-06-23T14:00:00Z");
        let cases = [
            ("2026-06-16T14:00:00Z", "2026-06-23T14:00:00Z", None),
            (
                "2026-06-16T13:59:59Z",
                "2026-06-23T14:00:00Z",
                Some("the earliest start is 2026-06-16T14:00:00.000Z"),
            ),
            (
                "2026-06-23T13:00:00Z",
                "2026-06-23T12:00:00Z",
                Some("before it starts at 2026-06-23T13:00:00.000Z; give --from the earlier time"),
            ),
            (
                "2026-06-23T13:00:00Z",
                "2026-06-23T13:00:00Z",
                Some("the window is empty"),
            ),
            (
                "2026-06-23T13:00:00Z",
                "2026-06-23T15:00:00Z",
                Some("in the future; `--to 0s` is now"),
            ),
        ];
        for (from, to, expected) in cases {
            let refused = window(at(from), at(to), now).err();
            assert_eq!(refused.is_some(), expected.is_some(), "{from} to {to}");
            if let (Some(error), Some(expected)) = (refused, expected) {
                assert_eq!(error.code(), 2);
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
    }
}
