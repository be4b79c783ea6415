//! Starts what keeps the account of time: signs of life of this instance, and the keeper where there
//! is a token.

use crate::app::parts::Parts;
use crate::backfill::{CoverageTimings, Heartbeat, Keeper, KeeperParts, KonnectClock};
use crate::lifecycle::Lifecycle;

pub(super) fn start(parts: &Parts, lifecycle: &Lifecycle) {
    let has_token = parts.config.konnect.token.is_some();
    let client = parts.clients.audit_logs.clone();
    let konnect = KonnectClock::new(has_token.then(|| client.clone()), parts.clock.clone());
    let spool = parts.spool.clone();
    let heartbeat = Heartbeat {
        journal: parts.journal.clone(),
        health: parts.health.clone(),
        refusals: parts.ingest.refusals(),
        spooled: Box::new(move || spool.as_ref()?.oldest_received_at()),
        konnect: konnect.clone(),
        timings: CoverageTimings::of(&parts.config.backfill),
        ids: parts.ids.clone(),
        instance: parts.ids.next(),
    };
    lifecycle.spawn("heartbeat", heartbeat.run(lifecycle.stopping()));
    if has_token {
        let keeper = KeeperParts {
            journal: parts.journal.clone(),
            client,
            konnect,
            config: parts.config.konnect.clone(),
            ingest_path: parts.config.ingest.path.clone(),
            health: parts.health.clone(),
            ids: parts.ids.clone(),
        };
        let keeper = Keeper::new(keeper, &parts.config.backfill);
        lifecycle.spawn("coverage", keeper.run(lifecycle.stopping()));
    }
}
