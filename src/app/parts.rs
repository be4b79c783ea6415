//! The parts that work behind the door, started once the database answers.

use std::error::Error;
use std::sync::Arc;

use tracing::warn;

use crate::app::database;
use crate::clock::Clock;
use crate::http::health::Health;
use crate::intake::{Intake, KeyRing, recheck_until_stopped};
use crate::journal::{Journal, ReaderName};
use crate::lifecycle::Lifecycle;

/// Everything that runs until the process stops.
pub(super) struct Parts {
    pub(super) journal: Journal,
    pub(super) keys: Arc<KeyRing>,
    pub(super) intake: Intake,
    pub(super) health: Health,
    pub(super) clock: Clock,
}

impl Parts {
    /// Waits for the database, then starts every part as a task of `lifecycle`.
    pub(super) async fn start(self, lifecycle: Lifecycle) {
        let stopping = lifecycle.stopping();
        let readers = self.readers();
        let ready = database::prepare(
            &self.journal,
            &readers,
            &self.clock,
            &self.health,
            &stopping,
        )
        .await;
        if !ready {
            return;
        }
        let watch = database::watch(
            self.journal.clone(),
            self.clock.clone(),
            self.health.clone(),
            stopping.clone(),
        );
        lifecycle.spawn("database", watch);
        if let Err(error) = self.keys.load().await {
            warn!(
                error = &error as &dyn Error,
                "could not load the signing keys seen before"
            );
        }
        if let Err(error) = self.keys.refresh(self.clock.now()).await {
            warn!(
                error = &error as &dyn Error,
                "the signing keys are fetched when they are needed"
            );
        }
        lifecycle.spawn(
            "recheck",
            recheck_until_stopped(self.intake.clone(), stopping.clone()),
        );
    }

    fn readers(&self) -> Vec<ReaderName> {
        vec![ReaderName::React]
    }
}
