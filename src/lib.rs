//! usher, the audit-log destination and onboarding automation for Kong Konnect Dev Portals.

pub mod journal;
