//! The follower of the organisation's log, as `backfill.org_logs` asks for it.

use konnect::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backfill::{FollowTimings, Follower, PullTimings, Puller};
use crate::clock::Clock;
use crate::config::{BackfillConfig, Config, ConfigError, OrgLogs};
use crate::http::health::Health;
use crate::journal::Journal;

/// Checks that what is asked for can be called.
pub(super) fn require_token(config: &Config) -> Result<(), ConfigError> {
    if config.backfill.org_logs != OrgLogs::Off && config.konnect.token.is_none() {
        return Err(ConfigError::Missing {
            key: "konnect.token",
            reason: "backfill.org_logs is set, and the pull api takes a token",
        });
    }
    Ok(())
}

/// The follower; none where the organisation's log is not asked for.
pub(super) fn follower(
    config: &BackfillConfig,
    client: Client,
    (journal, clock): (Journal, Clock),
    health: Health,
    holder: Uuid,
    stopping: CancellationToken,
) -> Option<Follower> {
    if config.org_logs == OrgLogs::Off {
        return None;
    }
    let timings = PullTimings::default();
    let puller = Puller::new(client, journal.clone(), clock.clone(), timings, stopping);
    let timings = FollowTimings::new(config.settle);
    Some(Follower::new(
        puller,
        (journal, clock),
        health,
        (config.org_logs, timings),
        holder,
    ))
}
