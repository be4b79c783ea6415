//! The sweep with deeds: shows every action as it ends, and what is left. Names people by their ids
//! only, so that the log of a pipeline contains no address.

use std::pin::pin;
use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::json;

use crate::act::{Action, ActionState};
use crate::app::{Ended, Reconciler, open_database};
use crate::cli::links::{Linked, Links};
use crate::cli::reconcile::Beginning;
use crate::cli::{CliError, Output, Reader};
use crate::clock::Clock;
use crate::config::{ConfigError, Environment, LogFormat};
use crate::event::plain;
use crate::lifecycle::Lifecycle;
use crate::telemetry::{self, TelemetryError};

pub(super) async fn run(
    beginning: Beginning,
    log: &str,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let Beginning {
        config,
        rules,
        output,
        links,
        ..
    } = beginning;
    if config.database.url.is_none() && !config.database.embedded {
        return Err(CliError::from(ConfigError::Missing {
            key: "database.url",
            reason: "the record of what was done keeps it from being done twice; \
                     only --dry-run needs no database",
        }));
    }
    telemetry::init_at(log, LogFormat::Text).map_err(|error| match error {
        TelemetryError::Filter(reason) => CliError::Usage(format!("--log: {reason}")),
        other @ TelemetryError::Init(_) => CliError::Failed(other.into()),
    })?;
    let lifecycle = Lifecycle::new();
    let stop = lifecycle.stopping();
    let work = async {
        // The rest is done even if one cannot be shown: half of it done would help nobody.
        let mut shown = Ok(Reader::There);
        let search_path = environment.path().as_ref();
        let database = open_database(&config.database, search_path, &lifecycle).await?;
        let ended = match Reconciler::prepare(&config, &database, rules, Clock::system()).await {
            Ok(reconciler) => {
                let tell = |action: &Action| {
                    if shown.is_ok() {
                        shown = show(output, action, &links);
                    }
                };
                Ok(reconciler.run(&stop, tell).await)
            }
            Err(error) => Err(error),
        };
        database.journal().close().await;
        database.stop().await;
        ended.map(|ended| (ended, shown))
    };
    let mut work = pin!(work);
    let (ended, shown) = tokio::select! {
        ended = &mut work => ended,
        signalled = Lifecycle::signalled() => {
            Output::progress("stopping after the deeds in hand…");
            lifecycle.stop();
            signalled.map_err(anyhow::Error::from)?;
            work.await
        }
    }?;
    conclude(output, ended, shown)
}

fn show(output: Output, action: &Action, links: &Links) -> Result<Reader, CliError> {
    let Action {
        rule,
        deed,
        target,
        state,
        reason,
        ..
    } = action;
    let why = reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(": {reason}"));
    let text = format!(
        "{state}  {deed}  {} {}  ({rule}){why}",
        target.kind(),
        target.id()
    );
    let linked = Linked::new(action, links.action(action.id));
    output.data(&linked.line(&plain(&text)), &linked)
}

fn conclude(
    output: Output,
    ended: Ended,
    shown: Result<Reader, CliError>,
) -> Result<ExitCode, CliError> {
    let Ended { summary, error } = ended;
    let mut counts: Vec<String> = ActionState::ALL
        .into_iter()
        .map(|state| (state, summary.count(state)))
        .filter(|(state, count)| *count > 0 || *state == ActionState::Done)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if summary.delayed > 0 {
        counts.push(format!("{} over the limit of their rule", summary.delayed));
    }
    if summary.waiting > 0 {
        counts.push(format!("{} waiting", summary.waiting));
    }
    let by_state: serde_json::Map<String, serde_json::Value> = ActionState::ALL
        .into_iter()
        .filter(|state| !matches!(state, ActionState::Planned | ActionState::Running))
        .map(|state| (state.to_string(), json!(summary.count(state))))
        .collect();
    let summed_up = output.data(
        &counts.join(", "),
        &json!({
            "portals": summary.portals,
            "failed_portals": summary.failed_portals,
            "partly_read_portals": summary.partly_read_portals,
            "ended": by_state,
            "delayed": summary.delayed,
            "waiting": summary.waiting,
        }),
    );
    if let Some(error) = error {
        return Err(CliError::Failed(anyhow::Error::new(error)));
    }
    match summary.count(ActionState::Failed) {
        0 => shown.and(summed_up).map(|_| ExitCode::SUCCESS),
        count => Err(CliError::Failed(anyhow!("{count} deeds failed"))),
    }
}
