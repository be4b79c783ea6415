//! What is served where: the ingest endpoint, pages and API beside it or apart, and what needs no
//! token.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::act::Queue;
use crate::app::api::ApiParts;
use crate::app::console::ConsoleParts;
use crate::app::{Database, Reload};
use crate::backfill::Coverage;
use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::console::SignInLinks;
use crate::http::Problem;
use crate::http::health::{self, Health};
use crate::http::tokens::Tokens;
use crate::ingest::custom_events::{self, CustomEventsState};
use crate::ingest::{self, IngestState};
use crate::intake::Intake;
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;
use crate::rules::RuleSet;

/// What the routers need.
pub(super) struct Served<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: &'a Clock,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) database: &'a Database,
    pub(super) health: &'a Health,
    pub(super) rules: &'a watch::Sender<Arc<RuleSet>>,
    pub(super) actions: &'a Queue,
    pub(super) ingest: &'a IngestState,
    pub(super) intake: &'a Intake,
    pub(super) tokens: &'a Tokens,
    pub(super) links: &'a SignInLinks,
}

impl Served<'_> {
    /// What is served with the ingest endpoint, and what at `apart` where there is such a place.
    pub(super) fn routers(
        &self,
        apart: Option<TcpListener>,
        reload: &Reload,
        metrics: Option<&PrometheusHandle>,
    ) -> (Router, Option<(TcpListener, Router)>) {
        let everybodys =
            everybodys_router(self.health.clone(), self.tokens.clone(), metrics.cloned());
        let journal = self.database.journal();
        let ids = Ids::new(self.clock.clone());
        let own = ingest::router(&self.config.ingest.path, self.ingest.clone())
            .merge(hooks_router(self.config, journal, self.clock, &ids))
            .merge(everybodys.clone());
        let pages = self.api().merge(self.console(reload));
        match apart {
            Some(listener) => (own, Some((listener, pages.merge(everybodys)))),
            None => (own.merge(pages), None),
        }
    }

    fn api(&self) -> Router {
        let api = ApiParts {
            clock: self.clock,
            rules: self.rules.subscribe(),
            actions: self.actions.clone(),
            coverage: Coverage::new(self.database.journal().clone(), &self.config.backfill),
        };
        api.router(self.database, self.lifecycle, self.tokens, self.health)
    }

    fn console(&self, reload: &Reload) -> Router {
        let console = ConsoleParts {
            config: self.config,
            clock: self.clock,
            rules: self.rules.subscribe(),
            rules_file: reload.shown(),
            actions: self.actions.clone(),
            health: self.health.clone(),
            tokens: self.tokens.clone(),
            links: self.links.clone(),
            intake: self.intake.clone(),
            lifecycle: self.lifecycle.clone(),
        };
        console.router(self.database)
    }
}

/// The endpoint for trusted senders; none where none is configured.
fn hooks_router(config: &Config, journal: &Journal, clock: &Clock, ids: &Ids) -> Router {
    CustomEventsState::new(&config.hooks, journal.clone(), clock.clone(), ids.clone())
        .map(custom_events::router)
        .unwrap_or_default()
}

/// What needs no token, and the answer for paths that are not served.
fn everybodys_router(health: Health, tokens: Tokens, metrics: Option<PrometheusHandle>) -> Router {
    health::router(health, move |headers| tokens.admit(headers))
        .merge(metrics_router(metrics))
        .fallback(Problem::not_found)
        .method_not_allowed_fallback(Problem::method_not_allowed)
}

fn metrics_router(handle: Option<PrometheusHandle>) -> Router {
    let Some(handle) = handle else {
        return Router::new();
    };
    Router::new().route("/metrics", get(move || async move { handle.render() }))
}
