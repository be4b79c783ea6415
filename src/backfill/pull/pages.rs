//! The pages of a window, one after the other, the newest entry first. Repeats what failed, and
//! stores nothing.

use std::collections::HashSet;
use std::time::Duration;

use konnect::{AuditLogKind, Client, Cursor, CursorPage, PullAuditLogs};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::backfill::pull::error::{PullError, Retry};
use crate::backfill::window::Window;
use crate::lifecycle::{backoff, pause};
use crate::telemetry;

/// How long the waits are.
#[derive(Debug, Clone, Copy)]
pub struct PullTimings {
    /// Before the first retry of a call that failed; doubles up to `retry_at_most`.
    pub first_retry: Duration,
    /// Longest wait before a retry, unless Konnect asks for a longer one.
    pub retry_at_most: Duration,
    /// Failures in a row after which the window is given up.
    pub attempts: u32,
    /// Entries a page, at most 1,000.
    pub page_size: u32,
}

impl Default for PullTimings {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_secs(1),
            retry_at_most: Duration::from_secs(30),
            attempts: 8,
            page_size: 1_000,
        }
    }
}

/// Reads a window page by page.
pub(super) struct WindowPages<'a> {
    client: &'a Client,
    timings: PullTimings,
    stopping: &'a CancellationToken,
    options: PullAuditLogs,
    /// Where the next page begins.
    next: Option<Cursor>,
    is_over: bool,
    seen: HashSet<Cursor>,
}

impl<'a> WindowPages<'a> {
    pub(super) fn new(
        client: &'a Client,
        (window, kind): (Window, Option<AuditLogKind>),
        timings: PullTimings,
        stopping: &'a CancellationToken,
    ) -> Self {
        Self {
            client,
            timings,
            stopping,
            options: PullAuditLogs {
                since: Some(window.start_at()),
                until: Some(window.end_at()),
                kind,
                page_size: Some(timings.page_size),
            },
            next: None,
            is_over: false,
            seen: HashSet::new(),
        }
    }

    /// The entries of the next page, as they were sent; none after the last one.
    pub(super) async fn next(
        &mut self,
        report: &mut (dyn FnMut(Retry) + Send),
    ) -> Result<Option<Vec<Box<RawValue>>>, PullError> {
        if self.is_over {
            return Ok(None);
        }
        let CursorPage { items, next, .. } = self.read(report).await?;
        match next {
            // A page beyond the last one may be named as well.
            Some(next) if !items.is_empty() => {
                if !self.seen.insert(next.clone()) {
                    return Err(PullError::Circle);
                }
                self.next = Some(next);
            }
            _ => self.is_over = true,
        }
        Ok((!items.is_empty()).then_some(items))
    }

    async fn read(
        &self,
        report: &mut (dyn FnMut(Retry) + Send),
    ) -> Result<CursorPage<Box<RawValue>>, PullError> {
        let mut failures = 0;
        loop {
            let logs = self.client.audit_logs();
            let page = tokio::select! {
                () = self.stopping.cancelled() => return Err(PullError::Stopped),
                page = logs.pull_page(&self.options, self.next.clone()) => page,
            };
            let error = match page {
                Ok(page) => return Ok(page),
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(PullError::of(error)),
            };
            failures += 1;
            let reason = telemetry::chain(&error);
            if failures >= self.timings.attempts {
                let attempts = failures;
                return Err(PullError::Unreachable { attempts, reason });
            }
            let longest = self.timings.retry_at_most;
            let wait = backoff(self.timings.first_retry, failures, longest)
                .max(error.retry_after().unwrap_or_default());
            report(Retry { reason, wait });
            if pause(wait, self.stopping).await {
                return Err(PullError::Stopped);
            }
        }
    }
}
