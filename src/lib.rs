//! usher: the audit-log destination for Kong Konnect Dev Portals, and the automation that answers it.

pub mod clock;
pub mod config;
pub mod event;
pub mod http;
pub mod ingest;
pub mod intake;
pub mod journal;
pub mod lifecycle;
pub mod publish;
pub mod telemetry;
