//! The JSON API under `/api/v1`: `{"data":[…],"meta":{"next":…}}`, newest first, behind a bearer
//! token; its OpenAPI document at `/openapi.json` and, for people, at `/docs`.

mod access_log;
mod actions;
mod ask;
mod body;
mod by_hand;
mod coverage;
mod deliveries;
mod directory;
mod document;
mod events;
pub mod format;
pub mod lines;
mod page;
mod quarantine;
mod read_databases;
mod readers;
pub mod render;
mod replay_jobs;
mod reports;
mod rules;
mod scoped;
mod streams;
mod vetoes;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use utoipa::OpenApi;

use crate::act::Queue;
use crate::api::directory::{applications, developers, memberships, portals, registrations, teams};
use crate::api::document::Shared;
use crate::api::read_databases::ReadDatabases;
use crate::api::scoped::{Whole, for_all_portals};
use crate::backfill::Coverage;
use crate::clock::{Clock, Ids};
use crate::directory::Directory;
use crate::http::Problem;
use crate::http::tokens::{self, Tokens};
use crate::journal::{AccessLog, Journal};
use crate::report::Reports;
use crate::rules::RuleSet;

pub use read_databases::Replica;
pub use streams::Streams;

/// What the API reads, and lets operators change.
#[derive(Clone, Debug)]
pub struct Api {
    /// The journal, for people who read it.
    pub reading: Journal,
    /// What was decided and done, for the same.
    pub listed: Queue,
    /// What happened, in numbers.
    pub reports: Reports,
    /// What Konnect's API last returned, for the same.
    pub directory: Directory,
    /// The rules in force.
    pub rules: watch::Receiver<Arc<RuleSet>>,
    /// What was decided and done.
    pub actions: Queue,
    /// Which time was seen.
    pub coverage: Coverage,
    /// Makes ids.
    pub ids: Ids,
    /// Answers that go on.
    pub streams: Streams,
    /// Who read rows about people.
    pub reads: AccessLog,
}

/// Makes the document and the routes of one list of handlers, by module and function.
///
/// **To add an operation** write its handler, annotate it by `#[utoipa::path(…)]` with what it
/// takes and answers, and name it in the list. Path and method are those of the annotation; the
/// name of the function is the operation's id, so that it is unique. The handler takes an [`Api`],
/// which is what its caller may see. Only what is marked `by_portal` is for tokens of some portals
/// too: mark it if all that it reads and changes is bounded by the portals of these handles;
/// `tests/it/scopes` looks at the answers. What several operations take
/// or refuse has types to name: `Paging`, `Window`, `directory::Scope`; `Refused`, `OfTheRecord`,
/// `Missing`, `Conflicting`, `OfOperators`. What a handler asks `Parameters` for and what
/// its annotation lists must be the same; `tests/it/api/document.rs` checks that, by itself for
/// what is new.
macro_rules! operations {
    ($($room:ident::$handler:ident $(=> $reach:ident)?),+ $(,)?) => {
        #[derive(OpenApi)]
        #[openapi(
            paths($($room::$handler),+),
            components(schemas(Problem)),
            modifiers(&Shared),
        )]
        struct Operations;

        /// Every operation, where its document says that it is.
        fn routes(document: &utoipa::openapi::OpenApi) -> Router<Whole> {
            let one = |id: &str, router| {
                if is_by_portal(id) { router } else { for_all_portals(router) }
            };
            Router::new()
                $(.merge(one(
                    stringify!($handler),
                    document::serve(document, stringify!($handler), $room::$handler),
                )))+
        }

        /// Whether an operation is for tokens of some portals too.
        fn is_by_portal(id: &str) -> bool {
            let all = [$((stringify!($handler), by_portal!($($reach)?))),+];
            all.contains(&(id, true))
        }
    };
}

/// Whether an operation is marked.
macro_rules! by_portal {
    () => {
        false
    };
    (by_portal) => {
        true
    };
}

operations! {
    events::list_events => by_portal,
    events::get_event => by_portal,
    streams::export_events => by_portal,
    streams::tail_events => by_portal,
    deliveries::list_deliveries,
    quarantine::list_quarantine,
    quarantine::get_quarantine,
    portals::list_portals => by_portal,
    developers::list_developers => by_portal,
    developers::get_developer => by_portal,
    teams::list_teams => by_portal,
    memberships::list_memberships => by_portal,
    applications::list_applications => by_portal,
    registrations::list_registrations => by_portal,
    rules::list_rules => by_portal,
    actions::list_actions => by_portal,
    ask::create_action => by_portal,
    by_hand::get_action => by_portal,
    by_hand::intervene => by_portal,
    by_hand::get_pause => by_portal,
    by_hand::pause_actions,
    by_hand::resume_actions,
    vetoes::list_vetoes => by_portal,
    vetoes::lift_veto => by_portal,
    readers::list_readers,
    coverage::list_coverage => by_portal,
    coverage::acknowledge_loss => by_portal,
    replay_jobs::list_replay_jobs => by_portal,
    replay_jobs::get_replay_job => by_portal,
    replay_jobs::create_replay_job => by_portal,
    reports::list_reports => by_portal,
}

/// The OpenAPI document of every operation, as `/openapi.json` serves it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Operations::openapi();
    document::refuse_some(&mut document, is_by_portal);
    document
}

/// Every path of the API; a request without one of `tokens` is 401, but for the document. `replica`
/// answers questions as far as it can.
pub fn router(
    primary: Api,
    replica: Option<(Replica, Api)>,
    tokens: &Tokens,
    clock: Clock,
) -> Router {
    let document = openapi();
    let of = |api: Api| {
        routes(&document)
            .route("/api/v1/reports/{name}", get(reports::get_report))
            .method_not_allowed_fallback(Problem::method_not_allowed)
            .route_layer(middleware::from_fn_with_state(
                api.reads.clone(),
                access_log::note,
            ))
            .route_layer(middleware::map_response(as_problem))
            .route_layer(middleware::from_fn_with_state(
                tokens.clone(),
                tokens::require,
            ))
            .with_state(Whole::new(api))
    };
    let places = ReadDatabases {
        replica: replica.map(|(replica, api)| (replica, of(api))),
        clock,
    };
    of(primary)
        .layer(middleware::from_fn_with_state(
            places,
            read_databases::choose,
        ))
        .merge(document::router(&document))
}

/// Makes a problem of what the framework refused by itself, in plain text: a path or a body that it
/// cannot read.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_refused = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(CONTENT_TYPE);
    if !is_refused || kind.is_some_and(|kind| kind == "application/problem+json") {
        return response;
    }
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
        StatusCode::BAD_REQUEST => "the path or the body cannot be read",
        _ => "the request cannot be served",
    };
    Problem::new(status, detail).into_response()
}
