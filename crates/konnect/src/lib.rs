//! Typed client of Kong Konnect: Portal Management V3, Audit Logs and JWKS.
//!
//! A [`Client`] is made once from the base URL of a region and shared by cloning. Resources are
//! thin: `client.portal(id).developers().list(&ListDevelopers::default())`. Models accept what the API
//! adds later: unknown members are ignored and every enum has an `Other` variant.
//!
//! A thing of the API has one file: what the API says of it and is told, and its operations, which
//! know path, query and body, and nothing of how they are sent. Members that the schema requires
//! but no caller can do without are plain; all others are optional, so that an answer of an older
//! or newer API still reads.
//!
//! Only reads are retried here. A write is sent once, because the API has no idempotency key and
//! only the caller knows whether it may be repeated; [`Error::is_transient`] and
//! [`Error::retry_after`] say what is known. Nothing here logs tokens, bodies or query strings.

#![deny(missing_docs)]

mod applications;
mod audit_logs;
mod auth;
mod budget;
mod client;
mod destinations;
mod developers;
mod error;
mod jwks;
mod paging;
mod portals;
mod registrations;
mod replay;
mod request;
mod scope;
mod server_clock;
mod teams;
mod transport;
mod webhook;
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
    Application, ApplicationOwner, Applications, AuthStrategy, ListApplications, NewApplication,
    OwnerType, PortalReference,
};
pub use audit_logs::{AuditLogKind, AuditLogs, PullAuditLogs};
pub use budget::{Budget, Class, RateLimit};
pub use client::{Client, ClientBuilder};
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
    ListRegistrations, NewRegistration, RegisteredApi, RegisteredApplication, Registration,
    RegistrationConsumer, RegistrationStatus, Registrations,
};
pub use replay::{Replay, ReplayJob, ReplayStatus};
pub use scope::PortalScope;
pub use teams::{ListTeamMembers, ListTeams, Membership, NewTeam, Team, TeamMember, Teams};
pub use transport::{Attempt, RawBody, RetryPolicy};
pub use webhook::{DeliveryState, Webhook, WebhookResource, WebhookStatus, WebhookUpdate};
pub use wire::filter::{TextFilter, TimeFilter, ValueFilter};
pub use wire::ids::{
    ApiId, ApplicationId, DestinationId, DeveloperId, PortalId, RegistrationId, TeamId,
};
pub use wire::patch::Patch;
