//! The JSON API, put together: at the primary, and at a replica where there is one.

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;

use crate::act::Queue;
use crate::api::{self, Api, Replica, Streams};
use crate::app::Database;
use crate::backfill::Coverage;
use crate::clock::{Clock, Ids};
use crate::directory::Directory;
use crate::http::health::Health;
use crate::http::tokens::Tokens;
use crate::journal::{AccessLog, Journal};
use crate::lifecycle::Lifecycle;
use crate::report::Reports;
use crate::rules::RuleSet;

/// What the JSON API needs, wherever it reads.
pub(super) struct ApiParts<'a> {
    pub(super) clock: &'a Clock,
    pub(super) rules: watch::Receiver<Arc<RuleSet>>,
    pub(super) actions: Queue,
    pub(super) coverage: Coverage,
}

impl ApiParts<'_> {
    /// The API, with a replica that answers where there is one.
    pub(super) fn router(
        &self,
        database: &Database,
        lifecycle: &Lifecycle,
        tokens: &Tokens,
        health: &Health,
    ) -> Router {
        let reads = AccessLog::new(database.journal().clone(), self.clock.clone());
        let streams = Streams::new(lifecycle.clone());
        let api = |reading: &Journal| self.api(reading, &streams, &reads);
        let replica = database.replica().map(|reading| {
            let stop = lifecycle.stopping();
            let (replica, watch) =
                Replica::watch(reading.clone(), self.clock.clone(), health.clone(), stop);
            lifecycle.spawn("replica", watch);
            (replica, api(reading))
        });
        api::router(api(database.reading()), replica, tokens, self.clock.clone())
    }

    fn api(&self, reading: &Journal, streams: &Streams, reads: &AccessLog) -> Api {
        let clock = self.clock;
        let ids = Ids::new(clock.clone());
        Api {
            reading: reading.clone(),
            listed: Queue::new(reading.clone(), clock.clone(), ids.clone()),
            reports: Reports::new(reading.clone()),
            directory: Directory::new(reading.clone(), clock.clone(), ids.clone()),
            rules: self.rules.clone(),
            actions: self.actions.clone(),
            coverage: self.coverage.clone(),
            ids,
            streams: streams.clone(),
            reads: reads.clone(),
        }
    }
}
