//! What the API says and is told, one file a resource.
//!
//! Members that the schema requires but no caller can do without are plain; all others are
//! optional, so that an answer of an older or newer API still reads.

pub(crate) mod application;
pub(crate) mod audit_log;
pub(crate) mod destination;
pub(crate) mod developer;
pub(crate) mod ids;
pub(crate) mod jwks;
pub(crate) mod lenient;
pub(crate) mod open_enum;
pub(crate) mod portal;
pub(crate) mod registration;
pub(crate) mod replay;
pub(crate) mod team;
pub(crate) mod webhook;
