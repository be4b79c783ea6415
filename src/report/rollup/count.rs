//! Counting: batches as they come in, and whole windows anew. The caller's transaction is the only one to count.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError, is_kept};

/// A day may hold very many events.
const DAY_WITHIN: Duration = Duration::from_mins(30);

/// A window of `event_ts`, its end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Window {
    /// The day of `time`.
    pub(super) fn day_of(time: DateTime<Utc>) -> Self {
        let from = time.duration_trunc(TimeDelta::days(1)).unwrap_or(time);
        let to = from.checked_add_signed(TimeDelta::days(1)).unwrap_or(from);
        Self { from, to }
    }
}

/// Adds the events of `batches`, which were struck off in the same transaction; answers how many.
pub(super) async fn add(
    tx: &mut Connection,
    batches: &[Uuid],
    window: Window,
) -> Result<i64, JournalError> {
    count(tx, window, Some(batches)).await
}

/// Has every day of the events of `batches` counted anew.
pub(super) async fn doubt(
    tx: &mut Connection,
    batches: &[Uuid],
    window: Window,
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        INSERT INTO recounts (hour)
        SELECT DISTINCT date_bin('1 hour', event_ts, 'epoch')
        FROM events
        WHERE batch = ANY($1) AND event_ts >= $2 AND event_ts < $3
        ",
        batches,
        window.from,
        window.to,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Counts a window of whole days within a month anew; answers how many events it holds. What is counted of events that
/// retention took stays.
pub(super) async fn anew(tx: &mut Connection, window: Window) -> Result<i64, JournalError> {
    if !is_kept(&mut *tx, window.from).await? {
        return Ok(0);
    }
    sqlx::query_scalar!(
        "SELECT set_config('statement_timeout', $1, true)",
        DAY_WITHIN.as_millis().to_string(),
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!(
        r"
        WITH principals AS (
            DELETE FROM report_principals
            WHERE since >= $1 AND since < $2
        ), none AS (
            DELETE FROM report_hours
            WHERE hour >= $1 AND hour < $2 AND kept = 0
        )
        UPDATE report_hours
        SET events = kept, ambiguous = 0
        WHERE hour >= $1 AND hour < $2 AND kept > 0
        ",
        window.from,
        window.to,
    )
    .execute(&mut *tx)
    .await?;
    count(tx, window, None).await
}

async fn count(
    tx: &mut Connection,
    window: Window,
    batches: Option<&[Uuid]>,
) -> Result<i64, JournalError> {
    // The query serves both, and a plan for either would be a poor one for the other.
    sqlx::query_scalar!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
        .fetch_one(&mut *tx)
        .await?;
    Ok(sqlx::query_file_scalar!(
        "src/report/rollup/count.sql",
        window.from,
        window.to,
        batches as Option<&[Uuid]>,
    )
    .fetch_one(tx)
    .await?)
}
