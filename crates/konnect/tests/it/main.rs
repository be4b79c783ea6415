//! Drives the client against a small stateful Konnect that speaks HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod audit_logs;
mod catalog;
mod content;
#[cfg(feature = "customization")]
mod customization;
mod documented;
#[cfg(feature = "email")]
mod email;
mod examples;
mod failures;
mod future;
#[cfg(feature = "identity")]
mod identity;
#[cfg(feature = "ip-allow-list")]
mod ip_allow_list;
mod lists;
mod nouns;
mod operations;
mod public_api;
mod source;
mod support;
mod writes;
