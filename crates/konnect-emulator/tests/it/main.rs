//! Drives the emulator over HTTP as its users do, with a receiver that checks what is delivered.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as expected"
)]

mod audit_log_v2;
mod cascades;
mod catalog;
mod catalog_content;
mod clock;
mod conformance;
mod content;
mod control;
mod customization;
mod delivery;
mod email;
mod identity;
mod ip_allow_list;
mod management;
mod on_purpose;
mod pull;
mod readme;
mod replay;
mod self_service;
mod snapshots;
mod sso;
mod support;
mod terraform;
#[cfg(feature = "tls")]
mod tls;
