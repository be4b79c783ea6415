//! Typed client of Kong Konnect: Portal Management V3, Audit Logs and JWKS.
//!
#![doc = include_str!("../README.md")]
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
pub use wire::sort::{Sort, SortBy};
