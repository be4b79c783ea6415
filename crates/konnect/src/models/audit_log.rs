//! The pull API of the organisation's audit logs.

use chrono::{DateTime, Utc};

use crate::models::open_enum::open_enum;

open_enum! {
    /// Kind of an entry of the pull API.
    AuditLogKind {
        /// Somebody signed in, or failed to.
        Authentication = "authentication",
        /// A permission was checked.
        Authorization = "authorization",
        /// A call was made to Konnect's API.
        GatewayAccess = "gateway_access",
    }
}

/// Which entries to pull.
#[derive(Debug, Clone, Default)]
pub struct PullAuditLogs {
    /// First time whose entries are wanted; seven days before `until` if none.
    pub since: Option<DateTime<Utc>>,
    /// Last time whose entries are wanted; now if none.
    pub until: Option<DateTime<Utc>>,
    /// Only entries of this kind.
    pub kind: Option<AuditLogKind>,
    /// Entries a page, at most 1000, which is also what is asked for if none.
    pub page_size: Option<u32>,
}
