//! Pulls the organisation's audit logs.

use chrono::SecondsFormat;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::models::audit_log::PullAuditLogs;
use crate::page::{Cursor, CursorBody, CursorPage};
use crate::request::Request;
use crate::transport::Transport;

const LIST: &str = "GET /v3/audit-logs";
/// The largest page that the API gives.
const MAX_PAGE_SIZE: u32 = 1000;

/// Audit logs of the organisation in a region, of the last seven days.
#[derive(Debug, Clone, Copy)]
pub struct AuditLogs<'a> {
    pub(crate) transport: &'a Transport,
}

impl AuditLogs<'_> {
    /// Reads one page, the first one without a cursor; each entry is the JSON as it was sent.
    ///
    /// Leave `until` in `options` set while following cursors, so that the window stands still.
    pub async fn pull_page(
        &self,
        options: &PullAuditLogs,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<Box<RawValue>>, Error> {
        let time = |time: &chrono::DateTime<chrono::Utc>| {
            time.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let size = options
            .page_size
            .unwrap_or(MAX_PAGE_SIZE)
            .min(MAX_PAGE_SIZE);
        let request = Request::new(LIST, &[])
            .query("page[size]", size)
            .query_if("filter[ts][gte]", options.since.as_ref().map(time))
            .query_if("filter[ts][lte]", options.until.as_ref().map(time))
            .query_if("filter[type]", options.kind.as_ref())
            .with_query(|query| {
                if let Some(cursor) = cursor {
                    cursor.apply(query);
                }
            });
        Ok(self
            .transport
            .fetch::<CursorBody<Box<RawValue>>>(request)
            .await?
            .into())
    }
}
