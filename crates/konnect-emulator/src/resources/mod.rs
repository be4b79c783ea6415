//! The operations of the management and audit-log APIs that the emulator serves, a file a noun.
//!
//! A noun is a file beside this one and a line in [`TABLES`]. The file holds `OPERATIONS`, one line
//! an operation: method, path, success status, act, and the error statuses that the specification
//! declares besides those every operation has. Then what the acts work on: a [`Resource`] (has a
//! list) or a [`Singleton`] (one per parent) with its fields, filters, sorts and view; its checks
//! below. Only what no act can say is `Act::Special`, a function in the same file.
//!
//! ```text
//! pub(crate) static OPERATIONS: &[Operation] = &[
//!     op("GET",    "/v3/portals/{portalId}/snippets", 200, Act::List(&SNIPPET)),
//!     op("PATCH",  "/v3/portals/{portalId}/snippets/{id}", 200, Act::Update(&SNIPPET))
//!         .by(&[("id", Param::Row(Kind::Snippet))]).also(&[403]).with_body(),
//! ];
//! static SNIPPET: Resource = Resource::new(Kind::Snippet, view)
//!     .update(&[Field::optional("name", Rule::Text { min: 1, max: 512 })])
//!     .filters(&[text_filter("name", member!("name"))])
//!     .sorts(&[by("name", member!("name"))]);
//! ```
//!
//! A kind of rows is a line in `kind`, with its parents. A path's parents exist, and its body is
//! checked, before any function of a noun runs. A row below a parent that ends, ends with it.
//!
//! [`Resource`]: crate::resource::Resource
//! [`Singleton`]: crate::singleton::Singleton

#![expect(
    clippy::unnecessary_wraps,
    reason = "the tables call all handlers by one signature"
)]

pub(crate) mod api_attributes;
pub(crate) mod api_documents;
pub(crate) mod api_images;
pub(crate) mod api_implementations;
pub(crate) mod api_publications;
pub(crate) mod api_versions;
pub(crate) mod apis;
pub(crate) mod applications;
pub(crate) mod assets;
pub(crate) mod audit_log_webhooks;
pub(crate) mod auth_strategies;
pub(crate) mod authentication_settings;
pub(crate) mod content;
pub(crate) mod custom_domains;
pub(crate) mod customizations;
pub(crate) mod default_content;
pub(crate) mod destinations;
pub(crate) mod developers;
pub(crate) mod email_config;
pub(crate) mod email_domains;
pub(crate) mod email_templates;
pub(crate) mod email_texts;
pub(crate) mod group_mappings;
pub(crate) mod identity_providers;
pub(crate) mod integrations;
pub(crate) mod ip_allow_lists;
pub(crate) mod jwks;
pub(crate) mod members;
pub(crate) mod pages;
pub(crate) mod portals;
pub(crate) mod pull;
pub(crate) mod registrations;
pub(crate) mod replay_jobs;
pub(crate) mod roles;
pub(crate) mod snippets;
pub(crate) mod specification;
pub(crate) mod team_groups;
pub(crate) mod team_members;
pub(crate) mod teams;
pub(crate) mod tree;

use crate::operation::Operation;

/// The tables of all nouns.
static TABLES: &[&[Operation]] = &[
    portals::OPERATIONS,
    customizations::OPERATIONS,
    custom_domains::OPERATIONS,
    integrations::OPERATIONS,
    ip_allow_lists::OPERATIONS,
    developers::OPERATIONS,
    teams::OPERATIONS,
    team_members::OPERATIONS,
    roles::OPERATIONS,
    authentication_settings::OPERATIONS,
    identity_providers::OPERATIONS,
    group_mappings::OPERATIONS,
    team_groups::OPERATIONS,
    applications::OPERATIONS,
    registrations::OPERATIONS,
    pages::OPERATIONS,
    snippets::OPERATIONS,
    default_content::OPERATIONS,
    assets::OPERATIONS,
    audit_log_webhooks::OPERATIONS,
    replay_jobs::OPERATIONS,
    destinations::OPERATIONS,
    pull::OPERATIONS,
    jwks::OPERATIONS,
    email_domains::OPERATIONS,
    email_config::OPERATIONS,
    email_templates::OPERATIONS,
    apis::OPERATIONS,
    api_attributes::OPERATIONS,
    api_versions::OPERATIONS,
    api_documents::OPERATIONS,
    api_images::OPERATIONS,
    api_implementations::OPERATIONS,
    api_publications::OPERATIONS,
    auth_strategies::OPERATIONS,
];

/// Lists all operations.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    TABLES.iter().copied().flatten()
}
