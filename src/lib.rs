//! usher: the audit-log destination for Kong Konnect Dev Portals, and the automation that answers it.

pub mod app;
pub mod backfill;
pub mod cli;
pub mod clock;
pub mod config;
pub mod event;
pub mod http;
pub mod ingest;
pub mod intake;
pub mod journal;
pub mod lifecycle;
pub mod rules;
pub mod telemetry;
