//! Stored events that may say the same as an entry that came another way: the pull API and the
//! webhook may write one entry differently, and then its identity differs.
//!
//! Must not decide which of them is the same: that is the caller's.

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{AuditEvent, EventId, Format};
use crate::journal::{Journal, JournalError};

/// How far the times of two entries may be apart that say the same.
const APART: TimeDelta = TimeDelta::seconds(1);
/// Stored events that are read for one entry. A request leads to a few.
const AT_MOST: i64 = 100;

/// A stored event beside one that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// The place, among those asked about, of the event beside which it stands.
    pub place: usize,
    /// Header time of the stored event.
    pub event_ts: DateTime<Utc>,
    /// Its id.
    pub id: EventId,
    /// Its name.
    pub name: Option<String>,
    /// Its member `request`.
    pub path: Option<String>,
    /// Whether it was pulled.
    pub is_pulled: bool,
}

impl Journal {
    /// The stored events with the id of one of `events`, or with its kind, trace, principal and
    /// outcome (`act`, `status`, `action`, `granted`, `success`), and its time within a second.
    pub async fn twins(&self, events: &[&AuditEvent]) -> Result<Vec<Twin>, JournalError> {
        let times = || events.iter().map(|event| event.event_ts);
        let (Some(earliest), Some(latest)) = (times().min(), times().max()) else {
            return Ok(Vec::new());
        };
        let text = |member: &str| -> Vec<Option<String>> {
            events.iter().map(|event| event.column(member)).collect()
        };
        let rows = sqlx::query_file!(
            "src/journal/append/twins.sql",
            &times().collect::<Vec<_>>(),
            &events.iter().map(|e| e.id.as_uuid()).collect::<Vec<_>>(),
            &events.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>() as &[&str],
            &text("trace_id") as &[Option<String>],
            &text("principal_id") as &[Option<String>],
            &text("act") as &[Option<String>],
            &events.iter().map(|e| e.status()).collect::<Vec<_>>() as &[Option<i32>],
            &text("action") as &[Option<String>],
            &events.iter().map(|e| e.granted()).collect::<Vec<_>>() as &[Option<bool>],
            &events.iter().map(|e| e.success()).collect::<Vec<_>>() as &[Option<bool>],
            earliest.checked_sub_signed(APART).unwrap_or(earliest),
            latest.checked_add_signed(APART).unwrap_or(latest),
            APART as _,
            Format::Pull.as_str(),
            AT_MOST,
        )
        .fetch_all(&self.pool)
        .await?;
        let twins = rows.into_iter().map(|row| Twin {
            place: usize::try_from(row.place - 1).unwrap_or(usize::MAX),
            event_ts: row.event_ts,
            id: EventId::from_uuid(row.id),
            name: row.name,
            path: row.path,
            is_pulled: row.is_pulled,
        });
        Ok(twins.collect())
    }
}
