//! Starts what keeps the account of time: signs of life of this instance, and the keeper where
//! there is a token.

use konnect::Client;

use crate::backfill::{CoverageTimings, Heartbeat, Keeper, KeeperParts, KonnectClock};
use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::http::health::Health;
use crate::ingest::Spool;
use crate::intake::Refusals;
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;

/// What the account is kept with.
pub(super) struct CoverageParts<'a> {
    pub(super) config: &'a Config,
    pub(super) journal: &'a Journal,
    pub(super) client: &'a Client,
    pub(super) refusals: Refusals,
    pub(super) spool: Option<Spool>,
    pub(super) health: &'a Health,
    pub(super) clock: &'a Clock,
    pub(super) ids: &'a Ids,
}

impl CoverageParts<'_> {
    /// Starts the signs of life, which need no database to begin: deliveries may be taken without.
    pub(super) fn start_heartbeat(self, lifecycle: &Lifecycle) {
        let konnect = self.konnect();
        let spool = self.spool;
        let heartbeat = Heartbeat {
            journal: self.journal.clone(),
            health: self.health.clone(),
            refusals: self.refusals,
            spooled: Box::new(move || spool.as_ref()?.oldest_received_at()),
            konnect,
            timings: CoverageTimings::of(&self.config.backfill),
            ids: self.ids.clone(),
            instance: self.ids.next(),
        };
        lifecycle.spawn("heartbeat", heartbeat.run(lifecycle.stopping()));
    }

    /// Starts the keeper, where there is a token.
    pub(super) fn start_keeper(self, lifecycle: &Lifecycle) {
        if self.config.konnect.token.is_none() {
            return;
        }
        let keeper = KeeperParts {
            journal: self.journal.clone(),
            client: self.client.clone(),
            konnect: self.konnect(),
            config: self.config.konnect.clone(),
            ingest_path: self.config.ingest.path.clone(),
            health: self.health.clone(),
            ids: self.ids.clone(),
        };
        let keeper = Keeper::new(keeper, &self.config.backfill);
        lifecycle.spawn("coverage", keeper.run(lifecycle.stopping()));
    }

    /// Konnect's clock as the answers to this client tell it, whoever asks.
    fn konnect(&self) -> KonnectClock {
        let has_token = self.config.konnect.token.is_some();
        KonnectClock::new(has_token.then(|| self.client.clone()), self.clock.clone())
    }
}
