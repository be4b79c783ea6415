//! Typed client of Kong Konnect: Portal Management V3, Audit Logs and JWKS.
//!
//! A [`Client`] is made once from the base URL of a region and shared by cloning. Resources are
//! thin: `client.developers(portal).list(&ListDevelopers::default())`. Models accept what the API
//! adds later: unknown members are ignored and every enum has an `Other` variant.
//!
//! Only reads are retried here. A write is sent once, because the API has no idempotency key and
//! only the caller knows whether it may be repeated; [`Error::is_transient`] and
//! [`Error::retry_after`] say what is known. Nothing here logs tokens, bodies or query strings.

#![deny(missing_docs)]

mod auth;
mod budget;
mod client;
mod error;
mod models;
mod newest;
mod page;
mod request;
mod resources;
mod transport;

pub use budget::{Budget, Class, RateLimit};
pub use client::{Client, ClientBuilder};
pub use error::{Error, InvalidParameter, Problem};
pub use models::application::{
    Application, ApplicationOwner, AuthStrategy, ListApplications, NewApplication, OwnerType,
    PortalReference,
};
pub use models::audit_log::{AuditLogKind, PullAuditLogs};
pub use models::destination::{
    Destination, DestinationUpdate, ListDestinations, LogFormat, NewDestination,
};
pub use models::developer::{Developer, DeveloperStatus, ListDevelopers, NewDeveloper};
pub use models::ids::{
    ApiId, ApplicationId, DestinationId, DeveloperId, PortalId, RegistrationId, TeamId,
};
pub use models::jwks::{Jwk, Jwks};
pub use models::portal::{ListPortals, Portal, Visibility};
pub use models::registration::{
    ListRegistrations, NewRegistration, RegisteredApi, RegisteredApplication, Registration,
    RegistrationConsumer, RegistrationStatus,
};
pub use models::replay::{ReplayJob, ReplayStatus};
pub use models::team::{ListTeamMembers, ListTeams, Membership, NewTeam, Team, TeamMember};
pub use models::webhook::{DeliveryState, Webhook, WebhookStatus, WebhookUpdate};
pub use newest::NewestFirst;
pub use page::{Cursor, CursorPage, Identified, Listing, Page, Pages, Unreadable};
pub use resources::applications::Applications;
pub use resources::audit_logs::AuditLogs;
pub use resources::destinations::Destinations;
pub use resources::developers::Developers;
pub use resources::jwks::JwksResource;
pub use resources::portals::Portals;
pub use resources::registrations::Registrations;
pub use resources::replay::Replay;
pub use resources::teams::Teams;
pub use resources::webhook::WebhookResource;
pub use transport::{Attempt, RetryPolicy};
