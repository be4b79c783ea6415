//! usher: the audit-log destination for Kong Konnect Dev Portals, and the automation that answers
//! it.
//!
//! The groups below follow the way of one event; the names in a group stand in alphabetical order.

// The crates that are pure, under the names that they have here.
pub use usher_event as event;
pub use usher_rules as rules;

// The ground floor.
pub mod clock;
pub mod config;
pub mod http;
pub mod lifecycle;
pub mod telemetry;

// Through the ingest endpoint into the journal, and out to others.
pub mod ingest;
pub mod intake;
pub mod journal;
pub mod publish;

// What the API returns, what the rules decide about it, and what is done.
pub mod act;
pub mod directory;
pub mod observe;
pub mod react;

// Time that was missed.
pub mod backfill;

// What people see and type.
pub mod api;
pub mod app;
pub mod cli;
pub mod console;
pub mod report;
