//! Retention: drops old months and deletes other old rows in slices, but nothing that a reader
//! still owes.
//!
//! Works on a connection of its own, so that ingest never waits for it. Decides which months are
//! dropped. The DDL itself is in `partitions`, the slices in `old_rows`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, gauge};
use tracing::{info, warn};

use crate::journal::partitions::{self, Range};
use crate::journal::retention::cutoffs::{Cutoffs, Retention};
use crate::journal::retention::old_rows::{RetentionTask, in_slices};
use crate::journal::{Connection, Journal, JournalError, recounts};
use crate::telemetry::metrics as names;

/// To find a slice of old rows among many may take this long.
const SLICE_WITHIN: Duration = Duration::from_mins(5);
/// For ending a detachment that was interrupted: less than attaching waits for the same lock.
const FINISH_WITHIN: &str = "3s";

/// What one run of upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpkeepRun {
    /// Partitions that were dropped.
    pub dropped: Vec<String>,
    /// Old partitions that a reader still needs.
    pub owed: Vec<String>,
    /// Detachments that wait for an older transaction: worth another run soon.
    pub unfinished: Vec<String>,
    /// Rows that were deleted, or emptied of their requests.
    pub rows: u64,
}

impl UpkeepRun {
    fn keep(&mut self, range: Range) {
        // A month that was attached again is checked twice.
        if !self.owed.contains(&range.table()) {
            self.owed.push(range.table());
        }
    }
}

impl Journal {
    /// One run: deletes what is older than `retention`, then drops old months, which may take as
    /// long as the longest transaction of the database. Only one instance at a time may call it.
    ///
    /// May be dropped at any moment. The next run continues where this one was cut.
    pub async fn tidy_up(
        &self,
        retention: &Retention,
        now: DateTime<Utc>,
    ) -> Result<UpkeepRun, JournalError> {
        let mut connection = self.own_connection(SLICE_WITHIN).await?;
        let cutoffs = Cutoffs::of(retention, now);
        let mut upkeep_run = UpkeepRun::default();
        for task in RetentionTask::BEFORE_MONTHS {
            upkeep_run.rows += done(&mut connection, task, &cutoffs).await?;
        }
        drop_old_months(&mut connection, &cutoffs, &mut upkeep_run).await?;
        // The events of a month that is half detached may come back.
        if upkeep_run.unfinished.is_empty() {
            upkeep_run.rows += done(&mut connection, RetentionTask::Repeats, &cutoffs).await?;
        }
        Ok(upkeep_run)
    }

    /// Counts the months after the present one that have a partition, without a gap, and exports
    /// the number as a metric.
    pub async fn months_ahead(&self, now: DateTime<Utc>) -> Result<u32, JournalError> {
        let mut connection = self.pool.acquire().await?;
        let attached: Vec<Range> = partitions_of_events(&mut connection)
            .await?
            .into_iter()
            .filter_map(|(range, is_detaching)| (!is_detaching).then_some(range))
            .collect();
        let mut ahead = 0;
        let mut month = Range::of(now).month();
        while let Some((_, next)) = month
            && attached.contains(&Range::of(next))
            && Range::of(next).month().is_some()
        {
            ahead += 1;
            month = Range::of(next).month();
        }
        gauge!(names::PARTITIONS_AHEAD).set(ahead);
        Ok(ahead)
    }
}

/// Does `task` and counts its rows.
async fn done(
    connection: &mut Connection,
    task: RetentionTask,
    cutoffs: &Cutoffs,
) -> Result<u64, JournalError> {
    let rows = in_slices(connection, task, cutoffs).await?;
    counter!(names::UPKEEP_ROWS, "table" => task.label()).increment(rows);
    Ok(rows)
}

/// First ends what earlier runs began, since Postgres detaches one partition at a time.
async fn drop_old_months(
    connection: &mut Connection,
    cutoffs: &Cutoffs,
    upkeep_run: &mut UpkeepRun,
) -> Result<(), JournalError> {
    for (range, is_detaching) in partitions_of_events(connection).await? {
        if is_detaching && !finish_detaching(connection, range).await? {
            upkeep_run.unfinished.push(range.table());
        }
    }
    for range in marked_months(connection).await? {
        drop_or_attach(connection, range, cutoffs, upkeep_run).await?;
    }
    if !upkeep_run.unfinished.is_empty() {
        return Ok(());
    }
    for (range, _) in partitions_of_events(connection).await? {
        if !cutoffs.is_old(range) {
            continue;
        }
        if is_owed(connection, range).await? {
            upkeep_run.keep(range);
            continue;
        }
        partitions::detach(connection, range).await?;
        drop_or_attach(connection, range, cutoffs, upkeep_run).await?;
    }
    Ok(())
}

/// Ends a detachment that was interrupted; `false` where it still waits for an older transaction.
async fn finish_detaching(connection: &mut Connection, range: Range) -> Result<bool, JournalError> {
    set_timeout(connection, FINISH_WITHIN).await?;
    let finished = partitions::finish_detaching(connection, range).await;
    set_timeout(connection, "0").await?;
    match finished {
        Ok(()) => {
            info!(partition = range.table(), "finished a detachment");
            Ok(true)
        }
        Err(error) if error.is_outage() => {
            warn!(
                partition = range.table(),
                error = error.chain(),
                "a detachment waits for an older transaction"
            );
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn set_timeout(connection: &mut Connection, timeout: &str) -> Result<(), JournalError> {
    sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, false)", timeout)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Drops a detached month, after a second check that it is old and that no reader owes it: an event
/// may have been stored while the detachment waited, and the retention may have been prolonged.
async fn drop_or_attach(
    connection: &mut Connection,
    range: Range,
    cutoffs: &Cutoffs,
    upkeep_run: &mut UpkeepRun,
) -> Result<(), JournalError> {
    if !cutoffs.is_old(range) || is_owed(connection, range).await? {
        upkeep_run.keep(range);
        return partitions::attach(connection, range).await;
    }
    if drop_month(connection, range).await? {
        counter!(names::UPKEEP_MONTHS).increment(1);
        info!(partition = range.table(), "dropped a month");
        upkeep_run.dropped.push(range.table());
    }
    Ok(())
}

/// Drops a detached month and keeps its counts; `false` when it was attached again in the meantime.
async fn drop_month(connection: &mut Connection, range: Range) -> Result<bool, JournalError> {
    let mut tx = connection.begin().await?;
    // First of the two: a transaction that makes partitions must not wait for one that counts.
    recounts::count_alone(&mut tx).await?;
    if !partitions::is_detached(&mut tx, range).await? {
        return Ok(false);
    }
    if let Some((start, end)) = range.month() {
        recounts::outlive(&mut tx, start, end).await?;
    }
    partitions::drop_table(&mut tx, range).await?;
    tx.commit().await?;
    Ok(true)
}

/// The partitions, with whether each is being detached.
async fn partitions_of_events(
    connection: &mut Connection,
) -> Result<Vec<(Range, bool)>, JournalError> {
    let rows = sqlx::query!(
        r#"
        SELECT c.relname::text AS "name!", i.inhdetachpending AS is_detaching
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass
        ORDER BY c.relname
        "#,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((Range::month_of(&row.name)?, row.is_detaching)))
        .collect())
}

/// The months that usher detached and did not drop yet.
async fn marked_months(connection: &mut Connection) -> Result<Vec<Range>, JournalError> {
    let names = sqlx::query_scalar!(
        r#"
        SELECT c.relname::text AS "name!"
        FROM pg_class c
        WHERE c.relkind = 'r'
            AND NOT c.relispartition
            AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events'::regclass)
            AND obj_description(c.oid, 'pg_class') = $1
        ORDER BY c.relname
        "#,
        partitions::DROP_MARK,
    )
    .fetch_all(connection)
    .await?;
    Ok(names
        .iter()
        .filter_map(|name| Range::month_of(name))
        .collect())
}

/// Whether a reader still owes a batch that may have events in `range`, or will once its past is
/// complete.
async fn is_owed(connection: &mut Connection, range: Range) -> Result<bool, JournalError> {
    let Some((start, end)) = range.month() else {
        return Ok(true);
    };
    Ok(sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT
            FROM outbox
            WHERE first_event_ts < $2 AND last_event_ts >= $1
        ) OR EXISTS (
            SELECT
            FROM readers
            WHERE fill_until IS NOT NULL
        ) OR EXISTS (
            -- What is counted outlives the month, and so must be right.
            SELECT
            FROM recounts
            WHERE hour >= $1 AND hour < $2
        ) OR EXISTS (
            SELECT
            FROM readers r
            LEFT JOIN report_progress p ON p.reader_created_at = r.created_at
            WHERE r.name = 'report' AND (p.one IS NULL OR p.counted_to < $2)
        ) AS "owed!"
        "#,
        start,
        end,
    )
    .fetch_one(connection)
    .await?)
}
