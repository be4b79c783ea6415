//! The JSON API under `/api/v1`: `{"data":[…],"meta":{"next":…}}`, newest first, behind a bearer
//! token.

mod actions;
mod by_hand;
mod deliveries;
mod events;
pub mod format;
mod page;
mod quarantine;
mod readers;
pub mod render;
mod reports;
mod streams;
mod tokens;
mod vetoes;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

use crate::act::Queue;
use crate::http::Problem;
use crate::journal::Journal;
use crate::report::Reports;

pub(crate) use by_hand::refusal;
pub use streams::Streams;
pub use tokens::Tokens;

/// What the API reads, and lets operators change.
#[derive(Clone, Debug)]
pub struct Api {
    /// The record, for people who read it.
    pub reading: Journal,
    /// What was decided and done, for the same.
    pub listed: Queue,
    /// What happened, in numbers.
    pub reports: Reports,
    /// What was decided and done.
    pub actions: Queue,
    /// Answers that go on.
    pub streams: Streams,
}

/// Every path of the API; a request without one of `tokens` is 401.
pub fn router(api: Api, tokens: Tokens) -> Router {
    Router::new()
        .route("/api/v1/events", get(events::list_events))
        .route("/api/v1/events/export", get(streams::export_events))
        .route("/api/v1/events/tail", get(streams::tail_events))
        .route("/api/v1/events/{id}", get(events::get_event))
        .route("/api/v1/deliveries", get(deliveries::list_deliveries))
        .route("/api/v1/quarantine", get(quarantine::list_quarantine))
        .route("/api/v1/quarantine/{id}", get(quarantine::get_quarantine))
        .route("/api/v1/readers", get(readers::list_readers))
        .route("/api/v1/reports", get(reports::list_reports))
        .route("/api/v1/reports/{name}", get(reports::get_report))
        .route("/api/v1/vetoes", get(vetoes::list_vetoes))
        .route("/api/v1/vetoes/{id}/lift", post(vetoes::lift_veto))
        .route("/api/v1/actions", get(actions::list_actions))
        .route("/api/v1/actions/{id}", get(by_hand::get_action))
        .route("/api/v1/actions/{id}/{verb}", post(by_hand::intervene))
        .route(
            "/api/v1/actions/pause",
            get(by_hand::get_pause).post(by_hand::pause_actions),
        )
        .route("/api/v1/actions/resume", post(by_hand::resume_actions))
        .method_not_allowed_fallback(Problem::method_not_allowed)
        .route_layer(middleware::from_fn_with_state(tokens, tokens::require))
        .with_state(api)
}
