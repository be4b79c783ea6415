//! Shows in `/readyz` and metrics whether a person paused all actions. The switch itself is in the
//! database, where every worker reads it before it claims.

use std::time::Duration;

use chrono::SecondsFormat;
use metrics::gauge;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::act::{Paused, Queue};
use crate::http::health::{Condition, Health};
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// Between reads.
const EVERY: Duration = Duration::from_secs(2);

/// Reports until cancelled.
pub(super) async fn watch(actions: Queue, health: Health, cancel: CancellationToken) {
    let mut known = None;
    loop {
        match actions.paused().await {
            Ok(paused) => {
                show(paused.as_ref(), &health);
                if paused != known {
                    report(paused.as_ref());
                    known = paused;
                }
            }
            // The part `database` reports it with a higher level.
            Err(error) => debug!(error = error.chain(), "could not read the pause switch"),
        }
        if pause(EVERY, &cancel).await {
            return;
        }
    }
}

fn show(paused: Option<&Paused>, health: &Health) {
    gauge!(names::ACTIONS_PAUSED_BY_HAND).set(if paused.is_some() { 1.0 } else { 0.0 });
    match paused {
        Some(paused) => {
            let since = paused.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            let detail = format!("paused by {} since {since}", paused.by);
            health.set("actions", Condition::Degraded, detail);
        }
        None => health.set("actions", Condition::Ok, ""),
    }
}

fn report(paused: Option<&Paused>) {
    if let Some(paused) = paused {
        warn!(since = %paused.since, "a person paused all actions");
    } else {
        info!("actions go on");
    }
}
