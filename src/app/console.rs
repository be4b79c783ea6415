//! The console, put together.

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;

use crate::act::Queue;
use crate::app::Database;
use crate::backfill::Coverage;
use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::console::{self, Console, Settings, SignInLinks};
use crate::directory::Directory;
use crate::http::health::Health;
use crate::http::tokens::Tokens;
use crate::intake::Intake;
use crate::journal::AccessLog;
use crate::lifecycle::Lifecycle;
use crate::publish::KEPT_REASONS;
use crate::react::RulesFile;
use crate::report::Reports;
use crate::rules::RuleSet;

/// What the console needs, wherever it reads.
pub(super) struct ConsoleParts<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: &'a Clock,
    pub(super) rules: watch::Receiver<Arc<RuleSet>>,
    pub(super) rules_file: watch::Receiver<Arc<RulesFile>>,
    pub(super) actions: Queue,
    pub(super) health: Health,
    pub(super) tokens: Tokens,
    pub(super) links: SignInLinks,
    pub(super) intake: Intake,
    pub(super) lifecycle: Lifecycle,
}

impl ConsoleParts<'_> {
    /// The pages.
    pub(super) fn router(self, database: &Database) -> Router {
        let (clock, reading) = (self.clock, database.reading());
        let ids = Ids::new(clock.clone());
        console::router(Console {
            journal: database.journal().clone(),
            reading: reading.clone(),
            listed: Queue::new(reading.clone(), clock.clone(), ids.clone()),
            actions: self.actions,
            coverage: Coverage::new(database.journal().clone(), &self.config.backfill),
            reports: Reports::new(reading.clone()),
            directory: Directory::new(reading.clone(), clock.clone(), ids.clone()),
            rules: self.rules,
            rules_file: self.rules_file,
            settings: Arc::new(Settings::of(self.config)),
            health: self.health,
            tokens: self.tokens,
            links: self.links,
            reads: AccessLog::new(database.journal().clone(), clock.clone()),
            intake: self.intake,
            unsendable: &KEPT_REASONS,
            lifecycle: self.lifecycle,
            clock: clock.clone(),
            ids,
            url: self.config.console.url.clone(),
            trusted_proxies: self.config.http.trusted_proxies.clone(),
            is_secure: self.config.is_console_secure(),
            webhook_path: self.config.ingest.path.clone(),
        })
    }
}
