//! What a page is given: the [`Console`] as whoever looks may see it. The whole of it is for what
//! lets people in.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::console::session::Visitor;
use crate::console::{Console, Shared};
use crate::http::{PortalScope, Problem};
use crate::rules::{Rule, RuleSet};

/// The console as the visitor may see it. Every page takes it.
#[derive(Debug)]
pub(super) struct Seen(pub(super) Arc<Console>);

impl FromRequestParts<Shared> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, shared).await?;
        Ok(Self(match &visitor.portals {
            PortalScope::All => Arc::clone(&shared.whole),
            some @ PortalScope::Only(_) => Arc::new(shared.whole.seen_by(some)),
        }))
    }
}

impl Console {
    /// The same, for somebody who may see these portals only. Every part is named, so that a new
    /// one is a decision.
    fn seen_by(&self, portals: &PortalScope) -> Self {
        let whole = self.clone();
        Self {
            journal: whole.journal.seen_by(portals),
            reading: whole.reading.seen_by(portals),
            listed: whole.listed.seen_by(portals),
            actions: whole.actions.seen_by(portals),
            coverage: whole.coverage.seen_by(portals),
            reports: whole.reports.seen_by(portals),
            directory: whole.directory.seen_by(portals),
            rules: whole.rules,
            rules_file: whole.rules_file,
            settings: whole.settings,
            health: whole.health,
            tokens: whole.tokens,
            links: whole.links,
            reads: whole.reads,
            intake: whole.intake,
            unsendable: whole.unsendable,
            lifecycle: whole.lifecycle,
            clock: whole.clock,
            ids: whole.ids,
            trusted_proxies: whole.trusted_proxies,
            webhook_path: whole.webhook_path,
            url: whole.url,
            is_secure: whole.is_secure,
        }
    }

    /// The portals that the visitor may see.
    pub(super) fn portals(&self) -> &PortalScope {
        self.reading.portals()
    }

    /// Those rules in force that may decide there.
    pub(super) fn rules_seen<'a>(&self, rules: &'a RuleSet) -> Vec<&'a Rule> {
        let rules = rules.rules().iter();
        rules
            .filter(|rule| self.portals().meets(rule.portals.as_deref()))
            .collect()
    }
}

/// Pages for visitors of all portals alone: what they are about belongs to no portal.
pub(super) fn for_all_portals(pages: Router<Shared>) -> Router<Shared> {
    pages.route_layer(middleware::from_fn(require_all))
}

async fn require_all(visitor: Visitor, request: Request, next: Next) -> Result<Response, Problem> {
    visitor.portals.require_all()?;
    Ok(next.run(request).await)
}
