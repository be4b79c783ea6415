//! Drives the client against a small stateful Konnect that speaks HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod content;
mod documented;
#[cfg(feature = "email")]
mod email;
mod examples;
mod failures;
mod future;
mod lists;
mod public_api;
mod source;
mod support;
mod writes;
