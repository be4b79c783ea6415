//! The organisation's audit logs, to be pulled.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::client::Client;
use crate::error::Error;
use crate::paging::{Cursor, CursorPage, cursor_page};
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::filter::written_time;
use crate::wire::open_enum::open_enum;

const LIST: &str = "GET /v3/audit-logs";
/// The largest page that the API gives.
const MAX_PAGE_SIZE: u32 = 1000;

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

/// Audit logs of the organisation in a region, of the last seven days.
#[derive(Debug, Clone, Copy)]
pub struct AuditLogs<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Audit logs of the organisation, to be pulled.
    pub fn audit_logs(&self) -> AuditLogs<'_> {
        AuditLogs {
            transport: &self.transport,
        }
    }
}

impl AuditLogs<'_> {
    /// Reads one page, the first one without a cursor (`get-audit-logs`); each entry is the JSON as
    /// it was sent.
    ///
    /// Leave `until` in `options` set while following cursors, so that the window stands still.
    pub async fn pull_page(
        &self,
        options: &PullAuditLogs,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<Box<RawValue>>, Error> {
        let size = options
            .page_size
            .unwrap_or(MAX_PAGE_SIZE)
            .min(MAX_PAGE_SIZE);
        let request = Request::new(LIST, &[])
            .query_if("filter[ts][gte]", options.since.as_ref().map(written_time))
            .query_if("filter[ts][lte]", options.until.as_ref().map(written_time))
            .query_if("filter[type]", options.kind.as_ref());
        cursor_page(self.transport, request, Some(size), cursor).await
    }
}
