//! Counting: batches as they come in, and whole windows again. The caller's transaction is the only
//! one that counts.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError, Kept, is_kept};

/// A day may have very many events.
const DAY_WITHIN: Duration = Duration::from_mins(5);
/// After a longer wait the connection is dead.
const ANSWER_WITHIN: Duration = Duration::from_mins(6);

/// What one step of counting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It did something: there may be more.
    Done,
    /// There was nothing to do.
    Nothing,
    /// Another instance counts.
    Taken,
}

/// A window of `event_ts`, its end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Window {
    /// The day of `time`.
    pub(super) fn day_of(time: DateTime<Utc>) -> Self {
        let from = time.date_naive().and_time(NaiveTime::MIN).and_utc();
        let to = from.checked_add_signed(TimeDelta::days(1)).unwrap_or(from);
        Self { from, to }
    }
}

/// Adds the events of `batches`, which were finished in the same transaction.
pub(super) async fn add(
    tx: &mut Connection,
    batches: &[Uuid],
    window: Window,
) -> Result<(), JournalError> {
    // In the time that others have: on a connection that dies, counting would wait for a day's.
    take_memory(&mut *tx).await?;
    count(tx, window, Some(batches)).await.map(drop)
}

/// Has the days from one end of `window` to the other counted again where their month is not there:
/// what was finished may come back with it.
pub(super) async fn doubt_absent(tx: &mut Connection, window: Window) -> Result<(), JournalError> {
    for end in [window.from, window.to] {
        if is_kept(&mut *tx, end).await? == Kept::Unsure {
            sqlx::query!(
                r"
                INSERT INTO recounts (hour)
                SELECT generate_series(date_bin('1 day', $1, 'epoch'), $2, '1 day')
                LIMIT 1000
                ",
                window.from,
                window.to,
            )
            .execute(tx)
            .await?;
            return Ok(());
        }
    }
    Ok(())
}

/// Has every day of the events of `batches` counted again.
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

/// What is counted at once is put in order in memory; one at a time counts.
async fn take_memory(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        SELECT
            set_config('work_mem', '64MB', true) AS memory,
            -- To compile the statement takes longer than it saves.
            set_config('jit', 'off', true) AS compiles
        "
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

/// Gives the statements of a transaction as much time as a day may take. Those before it have the
/// time that others have: on a connection that died meanwhile they wait in vain.
pub(super) async fn take_time(tx: &mut Connection) -> Result<(), JournalError> {
    take_memory(&mut *tx).await?;
    sqlx::query_scalar!(
        "SELECT set_config('statement_timeout', $1, true)",
        DAY_WITHIN.as_millis().to_string(),
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.allow(ANSWER_WITHIN);
    Ok(())
}

/// Counts a day again; returns how many events it has. The counts of events that retention removed
/// stay. None, and then the transaction is to be rolled back, where the month is just being
/// dropped, or comes back.
pub(super) async fn anew(tx: &mut Connection, window: Window) -> Result<Option<i64>, JournalError> {
    match is_kept(&mut *tx, window.from).await? {
        Kept::Yes => {}
        Kept::No => return Ok(Some(0)),
        Kept::Unsure => return Ok(None),
    }
    take_time(&mut *tx).await?;
    sqlx::query!(
        r"
        WITH none AS (
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
    let counted = count(&mut *tx, window, None).await?;
    // A month that was removed meanwhile was read as empty.
    let is_there = is_kept(tx, window.from).await? == Kept::Yes;
    Ok(is_there.then_some(counted))
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
