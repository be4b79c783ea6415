//! What a handler is given: the [`Api`] as its caller may see it, and nothing else. The whole of it
//! is the routers' state, which only this file opens.

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::api::Api;
use crate::http::tokens::Caller;
use crate::http::{PortalScope, Problem};

/// The API without a bound.
#[derive(Clone, Debug)]
pub(super) struct Whole(Api);

impl Whole {
    pub(super) fn new(api: Api) -> Self {
        Self(api)
    }
}

impl FromRequestParts<Whole> for Api {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, whole: &Whole) -> Result<Self, Problem> {
        let portals = portals(parts.extensions.get())?;
        Ok(whole.0.seen_by(portals))
    }
}

impl Api {
    /// The same, for somebody who may see these portals only.
    fn seen_by(&self, portals: &PortalScope) -> Self {
        Self {
            reading: self.reading.seen_by(portals),
            listed: self.listed.seen_by(portals),
            reports: self.reports.seen_by(portals),
            directory: self.directory.seen_by(portals),
            actions: self.actions.seen_by(portals),
            rules: self.rules.clone(),
            coverage: self.coverage.seen_by(portals),
            ids: self.ids.clone(),
            streams: self.streams.clone(),
            reads: self.reads.clone(),
        }
    }

    /// The portals that the caller may see.
    pub(super) fn portals(&self) -> &PortalScope {
        self.reading.portals()
    }
}

/// The portals of whoever asks; without a caller nobody is let through.
fn portals(caller: Option<&Caller>) -> Result<&PortalScope, Problem> {
    let missing = || Problem::new(StatusCode::UNAUTHORIZED, "send a console token");
    caller.map(Caller::portals).ok_or_else(missing)
}

/// Routes for tokens without portals alone: what they are about belongs to no portal.
pub(super) fn for_all_portals(router: Router<Whole>) -> Router<Whole> {
    router.route_layer(middleware::from_fn(require_all))
}

async fn require_all(request: Request, next: Next) -> Result<Response, Problem> {
    portals(request.extensions().get())?.require_all()?;
    Ok(next.run(request).await)
}
