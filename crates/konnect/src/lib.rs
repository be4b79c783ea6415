//! Typed client of Kong Konnect: Portal Management V3, Audit Logs and JWKS.
//!
//! A [`Client`] is made once from the base URL of a region and shared by cloning. Calls are grouped
//! as the API is: what belongs to the whole organisation hangs on the client, what belongs to a
//! portal on [`Client::portal`]. Here against the local Konnect of the crate `konnect-emulator`:
//!
//! ```
//! use konnect::{Client, ListDevelopers, NewDeveloper, NewPortal, Patch, PortalUpdate, TextFilter};
//! use konnect_emulator::Emulator;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let konnect = Emulator::start().await?;
//! let client = Client::builder(konnect.url().parse()?)
//!     .token(konnect.token().into())
//!     .build()?;
//!
//! let new = NewPortal { name: "Portal".to_owned(), ..NewPortal::default() };
//! let portal = client.portals().create(&new).await?;
//! let portal = client.portal(portal.id);
//! // A member of a change is kept, cleared or set.
//! let update = PortalUpdate { description: Patch::Null, ..PortalUpdate::default() };
//! assert_eq!(portal.update(&update).await?.description, None);
//!
//! let ann = NewDeveloper {
//!     email: "ann@example.com".to_owned(),
//!     full_name: "Ann".to_owned(),
//!     status: None,
//!     send_invitation_email: false,
//! };
//! portal.developers().create(&ann).await?;
//! assert!(portal.developers().create(&ann).await.unwrap_err().is_conflict());
//!
//! // `"ann@example.com".into()` is an exact match; other operators have their names.
//! let options = ListDevelopers {
//!     email: Some(TextFilter::Contains("@example.com".to_owned())),
//!     ..ListDevelopers::default()
//! };
//! let mut developers = portal.developers().pages(&options).items();
//! while let Some(developer) = developers.next().await {
//!     println!("{}", developer?.email);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A list is read at once (`list`), page by page (`pages`, see [`Pages`]) or as a stream of entries
//! ([`Pages::items`]); Konnect's two styles of paging look alike here. Models accept what the API
//! adds later: unknown members are ignored and every enum has an `Other` variant, which keeps the
//! word. Members that the schema requires but no caller can do without are plain; all others are
//! optional, so that an answer of an older or newer API still reads.
//!
//! Only reads are retried here. A write is sent once, because the API has no idempotency key and
//! only the caller knows whether it may be repeated; [`Error::is_transient`] and
//! [`Error::retry_after`] say what is known. Nothing here logs tokens, bodies or query strings.
//!
//! What not every program needs comes by features, all on by default: `content` (pages, snippets,
//! assets), `customization` (with custom domains and integrations), `identity` (authentication
//! settings and identity providers), `email`, `ip-allow-list` and `catalog` (APIs, publications,
//! authentication strategies).

// To add a thing of the API:
//
// 1. A file of its own, in the folder of its group if it comes by a feature (`content/pages.rs`),
//    which the group's `mod.rs` re-exports (the groups are public modules: `konnect::content`).
//    Path templates are constants; what the API says derives `Serialize` and `Deserialize`, words
//    are an `open_enum!`, times and members that may be null go through `wire::lenient`; what the
//    API is told has `Option` for what may be left out, and `Patch` where null says something else.
// 2. The way to it stands in the same file: `impl PortalScope<'_> { pub fn pages(self) -> … }`, or
//    `impl Client` for what belongs to the whole organisation. Nothing else need know of it.
// 3. Path values go by reference, `Request::new(GET, &[&self.portal, &name])`, and are escaped;
//    filters by `.filter("name", options.name.as_ref())`, a yes or no by `.query_if`. One page is
//    asked for by `numbered_page` or `cursor_page`, and `Pages::new` or `Pages::by_cursor` read on.
//    `fetch_if_found` is for what there may be none of, `fetch_raw` for what is no JSON.
// 4. A row a kind of answer in `tests/it/future.rs`, a test of what is sent, and the list of the
//    public interface anew: `USHER_TEST_UPDATE=1 cargo test -p konnect public_api`.

#![deny(missing_docs)]

mod applications;
mod audit_logs;
mod auth;
mod budget;
mod client;
mod credentials;
mod destinations;
mod developers;
mod error;
mod jwks;
mod paging;
mod portals;
mod registrations;
mod replay;
mod request;
mod roles;
mod scope;
mod server_clock;
mod teams;
mod transport;
mod webhook;
mod webhook_v2;
mod wire;

#[cfg(feature = "catalog")]
pub mod catalog;
#[cfg(feature = "content")]
pub mod content;
#[cfg(feature = "customization")]
pub mod customization;
#[cfg(feature = "email")]
pub mod email;
#[cfg(feature = "identity")]
pub mod identity;
#[cfg(feature = "ip-allow-list")]
pub mod ip_allow_list;

pub use applications::{
    Application, ApplicationDeveloper, ApplicationOwner, Applications, AuthStrategy,
    DcrProviderReference, KeyLifetime, LifetimeUnit, ListApplicationDevelopers, ListApplications,
    NewApplication, OwnerType, PortalReference,
};
pub use audit_logs::{AuditLogKind, AuditLogs, PullAuditLogs};
pub use budget::{Budget, Class, RateLimit};
pub use client::{Client, ClientBuilder};
pub use credentials::{Credential, CredentialKind, CredentialStatus, Credentials};
pub use destinations::{
    Destination, DestinationUpdate, Destinations, ListDestinations, LogFormat, NewDestination,
};
pub use developers::{Developer, DeveloperStatus, Developers, ListDevelopers, NewDeveloper};
pub use error::{Error, InvalidParameter, Problem};
pub use jwks::{Jwk, Jwks, JwksResource};
pub use paging::{
    Cursor, CursorPage, Identified, Items, ListError, Listing, NewestFirst, Page, Pages, Unreadable,
};
pub use portals::{ListPortals, NewPortal, Portal, PortalUpdate, Portals, Visibility};
pub use registrations::{
    ListApplicationRegistrations, ListRegistrations, NewRegistration, RegisteredApi,
    RegisteredApplication, Registration, RegistrationConsumer, RegistrationStatus, Registrations,
};
pub use replay::{Replay, ReplayJob, ReplayStatus};
pub use roles::{
    AssignedRole, EntityRegion, EntityRoles, NewRole, RoleCatalogue, RoleDescription, Roles,
};
pub use scope::PortalScope;
pub use teams::{
    ListTeamMembers, ListTeams, ListTeamsOfDeveloper, Membership, NewTeam, Team, TeamMember,
    TeamUpdate, Teams,
};
pub use transport::{Attempt, RawBody, RetryPolicy};
pub use webhook::{DeliveryState, Webhook, WebhookResource, WebhookStatus, WebhookUpdate};
pub use webhook_v2::{WebhookV2, WebhookV2Resource, WebhookV2Update};
pub use wire::filter::{TextFilter, TimeFilter, ValueFilter};
pub use wire::ids::{
    ApiId, ApplicationId, AuthStrategyId, DestinationId, DeveloperId, PortalId, RegistrationId,
    RoleId, TeamId,
};
pub use wire::patch::Patch;
