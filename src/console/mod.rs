//! The console: pages that show what the API knows and let a person act. Every page is made on the
//! server and works without script. It computes nothing and names no SQL.
//!
//! **To add a page** write a file with its handler and its template beside the others, add a
//! route to `pages` and, where it belongs to the menu, a line to `layout::MENU`. Its handler takes
//! `Seen`, the console as the visitor may see it. A page whose rows belong to no portal goes to
//! `pages_of_no_portal`.

mod about;
mod absent;
mod actions;
mod applications;
mod ask;
mod assets;
mod chart;
mod choice;
mod confirm;
mod coverage;
mod csrf;
mod deliveries;
mod done;
mod events;
mod filters;
mod gate;
mod layout;
mod links;
mod objects;
mod overview;
mod pause;
mod people;
mod problem_page;
mod quarantine;
mod raw_view;
mod reads;
mod recent;
mod replay;
mod reports;
mod rules;
mod scope;
mod seen;
mod session;
mod settings;
mod show;
mod sign_in;
mod sign_in_limit;
mod timeline;
mod window;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware;
use axum::routing::{get, post};
use ipnet::IpNet;
use tokio::sync::watch;
use url::Url;

use crate::act::Queue;
use crate::backfill::Coverage;
use crate::clock::{Clock, Ids};
use crate::console::sign_in_limit::SignInLimit;
use crate::directory::Directory;
use crate::http::health::Health;
use crate::http::tokens::Tokens;
use crate::intake::Intake;
use crate::journal::{AccessLog, Journal};
use crate::lifecycle::Lifecycle;
use crate::react::RulesFile;
use crate::report::Reports;
use crate::rules::RuleSet;

pub use links::SignInLinks;
pub use settings::{Section, Setting, Settings, sections};

/// What the pages read, and let operators change. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Console {
    /// Sessions, and what people change.
    pub journal: Journal,
    /// The journal, for people who read it.
    pub reading: Journal,
    /// What was decided and done, for the same.
    pub listed: Queue,
    /// What was decided and done.
    pub actions: Queue,
    /// Which time of each log is covered.
    pub coverage: Coverage,
    /// What happened, in numbers.
    pub reports: Reports,
    /// What Konnect's API last returned.
    pub directory: Directory,
    /// The rules in force.
    pub rules: watch::Receiver<Arc<RuleSet>>,
    /// The file that they are read from.
    pub rules_file: watch::Receiver<Arc<RulesFile>>,
    /// What is configured, without secrets.
    pub settings: Arc<Settings>,
    /// The condition of every part.
    pub health: Health,
    /// Who may sign in.
    pub tokens: Tokens,
    /// Links that sign somebody in once.
    pub links: SignInLinks,
    /// Who read rows about people.
    pub reads: AccessLog,
    /// Stores what is released from quarantine.
    pub intake: Intake,
    /// Reasons of entries that are stored and that only a reader cannot have.
    pub unsendable: &'static [&'static str],
    /// Ends pages that go on.
    pub lifecycle: Lifecycle,
    /// Time.
    pub clock: Clock,
    /// Ids of what people put on record.
    pub ids: Ids,
    /// Proxies that say who a client is.
    pub trusted_proxies: Vec<IpNet>,
    /// The path to which Konnect delivers.
    pub webhook_path: String,
    /// Where people reach the console, where that is configured.
    pub url: Option<Url>,
    /// Whether browsers reach the console by TLS, so that its cookies are for TLS alone.
    pub is_secure: bool,
}

/// What every page has besides the [`Console`].
#[derive(Clone, Debug)]
struct Shared {
    /// For what lets people in; pages take `Seen`.
    whole: Arc<Console>,
    limit: SignInLimit,
    forms: csrf::StrangersForms,
    tails: events::Tails,
    backtest: rules::BacktestPlace,
    hits: rules::RecentHits,
    counts: overview::RecentCounts,
}

impl FromRef<Shared> for rules::BacktestPlace {
    fn from_ref(shared: &Shared) -> Self {
        shared.backtest.clone()
    }
}

impl FromRef<Shared> for rules::RecentHits {
    fn from_ref(shared: &Shared) -> Self {
        shared.hits.clone()
    }
}

impl FromRef<Shared> for overview::RecentCounts {
    fn from_ref(shared: &Shared) -> Self {
        shared.counts.clone()
    }
}

/// Every page; a request without a session is shown the sign-in form instead.
pub fn router(console: Console) -> Router {
    let shared = Shared {
        limit: SignInLimit::new(console.clock.clone(), &console.trusted_proxies),
        forms: csrf::StrangersForms::default(),
        tails: events::Tails::default(),
        backtest: rules::BacktestPlace::default(),
        hits: rules::RecentHits::default(),
        counts: overview::RecentCounts::default(),
        whole: Arc::new(console),
    };
    pages()
        .route_layer(middleware::from_fn_with_state(shared.clone(), reads::note))
        .route_layer(middleware::from_fn(gate::require_form))
        .route_layer(middleware::from_fn_with_state(
            shared.clone(),
            gate::require_session,
        ))
        .merge(sign_in::router())
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            gate::require_own_page,
        ))
        .layer(middleware::map_response(layout::secure))
        .merge(assets::router())
        .with_state(shared)
}

/// The pages, each behind a session.
fn pages() -> Router<Shared> {
    Router::new()
        .route("/", get(overview::show))
        .route("/reports", get(reports::list))
        .route("/reports/{name}", get(reports::show))
        .merge(actions::router())
        .merge(events::pages())
        .merge(coverage::pages())
        .merge(replay::pages())
        .route("/people", get(people::list))
        .route("/people/{id}", get(people::show))
        .route("/people/{id}/ask", post(people::ask))
        .route("/applications", get(applications::list))
        .route("/applications/{id}", get(applications::show))
        .route("/applications/{id}/ask", post(applications::ask))
        .route("/rules", get(rules::list))
        .route("/rules/explain", get(rules::explain))
        .route("/rules/test", get(rules::test).post(rules::run_test))
        .merge(seen::for_all_portals(pages_of_no_portal()))
}

/// Those of what belongs to no portal, or to many at once.
fn pages_of_no_portal() -> Router<Shared> {
    Router::new()
        .route("/pause", post(pause::pause))
        .route("/resume", post(pause::resume))
        .route("/settings", get(settings::show))
        .merge(deliveries::pages())
        .merge(quarantine::pages())
}
