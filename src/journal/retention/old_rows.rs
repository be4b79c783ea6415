//! Deletes what is older than its retention, in slices that wait for no locked row.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::journal::retention::cutoffs::Cutoffs;
use crate::journal::{Connection, JournalError, SLICE, append, imports, partitions};

/// Between two slices, so that the disk has time for others.
const BREATH: Duration = Duration::from_millis(20);

/// One sort of old row.
#[derive(Debug, Clone, Copy)]
pub(super) enum RetentionTask {
    Quarantine,
    Requests,
    EventsBeforeMonths,
    EventsOfTheFuture,
    Batches,
    CustomIds,
    ToldSubjects,
    Leases,
    Imports,
    Gaps,
    ReplayJobs,
    Repeats,
}

impl RetentionTask {
    /// All but [`RetentionTask::Repeats`], which follows the months that are dropped.
    pub(super) const BEFORE_MONTHS: [Self; 11] = [
        Self::Quarantine,
        Self::Requests,
        Self::EventsBeforeMonths,
        Self::EventsOfTheFuture,
        Self::Batches,
        Self::CustomIds,
        Self::ToldSubjects,
        Self::Leases,
        Self::Imports,
        // A gap whose jobs went first would be open again.
        Self::Gaps,
        Self::ReplayJobs,
    ];

    /// Label of the metric.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Requests => "requests",
            Self::EventsBeforeMonths | Self::EventsOfTheFuture => "events",
            Self::Batches => "batches",
            Self::CustomIds => "custom_ids",
            Self::ToldSubjects => "subjects",
            Self::Leases => "leases",
            Self::Imports => "imports",
            Self::Gaps => "coverage_gaps",
            Self::ReplayJobs => "replay_jobs",
            Self::Repeats => "repeats",
        }
    }
}

/// Does all of `task`, a slice at a time; returns the number of rows.
pub(super) async fn in_slices(
    connection: &mut Connection,
    task: RetentionTask,
    cutoffs: &Cutoffs,
) -> Result<u64, JournalError> {
    let mut total = 0;
    loop {
        let rows = slice(connection, task, cutoffs).await?;
        total += rows;
        if rows < SLICE.unsigned_abs() {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}

async fn slice(
    connection: &mut Connection,
    task: RetentionTask,
    cutoffs: &Cutoffs,
) -> Result<u64, JournalError> {
    match task {
        RetentionTask::Quarantine => delete_quarantine(connection, cutoffs.quarantine).await,
        RetentionTask::Requests => forget_requests(connection, cutoffs.batches).await,
        RetentionTask::EventsBeforeMonths => {
            let first_month = NaiveDate::from_ymd_opt(*partitions::YEARS.start(), 1, 1)
                .expect("a valid date")
                .and_time(NaiveTime::MIN)
                .and_utc();
            delete_events(connection, cutoffs.events, (None, Some(first_month))).await
        }
        RetentionTask::EventsOfTheFuture => {
            delete_events(connection, cutoffs.events, (Some(tomorrow(cutoffs)), None)).await
        }
        RetentionTask::Batches => delete_batches(connection, cutoffs).await,
        RetentionTask::CustomIds => append::delete_custom_ids(connection, cutoffs.told).await,
        RetentionTask::ToldSubjects => {
            append::delete_custom_subjects(connection, cutoffs.told).await
        }
        RetentionTask::Leases => delete_leases(connection).await,
        RetentionTask::Imports => imports::delete_abandoned(connection, cutoffs.batches).await,
        RetentionTask::Gaps => delete_closed_gaps(connection, cutoffs.batches).await,
        RetentionTask::ReplayJobs => delete_ended_jobs(connection, cutoffs.batches).await,
        RetentionTask::Repeats => {
            append::delete_orphaned_counts(connection, cutoffs.events, tomorrow(cutoffs)).await
        }
    }
}

/// Clocks may be wrong by an hour. A difference of a day is forged, or a member that usher
/// misreads.
fn tomorrow(cutoffs: &Cutoffs) -> DateTime<Utc> {
    cutoffs.now + TimeDelta::days(1)
}

async fn delete_quarantine(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM quarantine
        WHERE id IN (
            SELECT id
            FROM quarantine
            WHERE received_at < $1
            ORDER BY received_at, id
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// The requests of a batch are deleted before the batch. As long as its events are there, a reader
/// that is added or a verdict that changes needs its row.
async fn forget_requests(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        UPDATE batches
        SET requests = '[]'
        WHERE id IN (
            SELECT b.id
            FROM batches b
            WHERE b.received_at < $1
                AND b.requests <> '[]'::jsonb
                -- Readers pass the id of the request on.
                AND NOT EXISTS (SELECT FROM outbox o WHERE o.batch = b.id)
                AND NOT EXISTS (SELECT FROM readers WHERE fill_until IS NOT NULL)
            ORDER BY b.received_at
            LIMIT $2
            FOR UPDATE OF b SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Events that lie in no month of the past. No month of theirs will ever be dropped, or not for
/// years, so the time of their receipt counts.
async fn delete_events(
    connection: &mut Connection,
    before: DateTime<Utc>,
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM events
        WHERE event_ts >= COALESCE($1, '-infinity'::timestamptz)
            AND event_ts < COALESCE($2, 'infinity'::timestamptz)
            AND (event_ts, id) IN (
                SELECT e.event_ts, e.id
                FROM events e
                WHERE e.event_ts >= COALESCE($1, '-infinity'::timestamptz)
                    AND e.event_ts < COALESCE($2, 'infinity'::timestamptz)
                    AND e.received_at < $3
                    AND NOT EXISTS (SELECT FROM outbox o WHERE o.batch = e.batch)
                    AND NOT EXISTS (SELECT FROM readers WHERE fill_until IS NOT NULL)
                LIMIT $4
                FOR UPDATE OF e SKIP LOCKED
            )
        ",
        from,
        to,
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn delete_batches(
    connection: &mut Connection,
    cutoffs: &Cutoffs,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM batches
        WHERE id IN (
            SELECT b.id
            FROM batches b
            WHERE b.received_at < $1
                -- Where there were events, most are still there before their own retention ends.
                AND (b.first_event_ts IS NULL OR b.received_at < $2)
                AND NOT EXISTS (SELECT FROM outbox o WHERE o.batch = b.id)
                AND NOT EXISTS (SELECT FROM readers WHERE fill_until IS NOT NULL)
                AND NOT EXISTS (
                    SELECT
                    FROM events e
                    WHERE e.batch = b.id
                        AND e.event_ts BETWEEN b.first_event_ts AND b.last_event_ts
                    -- Keeps this a look at the index for each batch: as a join it would read
                    -- every event there is.
                    OFFSET 0
                )
            ORDER BY b.received_at
            LIMIT $3
            FOR UPDATE OF b SKIP LOCKED
        )
        ",
        cutoffs.batches,
        cutoffs.events,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn delete_leases(connection: &mut Connection) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM leases
        WHERE expires_at < now() - interval '1 day'
        ",
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes gaps that replay jobs have closed for every log. All time of an account counts as
/// covered unless a gap says otherwise, so that nothing looks different without them. One that is
/// open says which time is lost, and stays. What is asked for next depends on no more than eight
/// days, and no retention of batches is shorter.
async fn delete_closed_gaps(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM coverage_gaps
        WHERE id IN (
            SELECT g.id
            FROM coverage_gaps g
            WHERE g.ends_at < $1
                AND g.noted_at < $1
                AND NOT EXISTS (
                    SELECT
                    FROM coverage_sources s
                    CROSS JOIN LATERAL (
                        SELECT
                            greatest(g.starts_at, s.since) AS starts_at,
                            -- What is gone has no later account; its return notes a gap.
                            CASE
                                WHEN s.state = 'gone' THEN least(g.ends_at, s.polled_at)
                                ELSE g.ends_at
                            END AS ends_at
                    ) AS part
                    WHERE (g.source IS NULL OR g.source = s.source)
                        AND part.starts_at < part.ends_at
                        AND NOT EXISTS (
                            SELECT
                            FROM replay_jobs j
                            WHERE j.source = s.source
                                AND j.state = 'closed'
                                AND j.asked_at >= g.noted_at
                                AND j.ends_at > part.starts_at
                                AND j.starts_at < part.ends_at
                            HAVING range_agg(tstzrange(j.starts_at, j.ends_at))
                                @> tstzrange(part.starts_at, part.ends_at)
                        )
                )
            ORDER BY g.ends_at
            LIMIT $2
            FOR UPDATE OF g SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes replay jobs that ended, but none that has closed a part of a gap that is still there.
async fn delete_ended_jobs(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM replay_jobs
        WHERE id IN (
            SELECT j.id
            FROM replay_jobs j
            WHERE j.ended_at < $1
                AND NOT (
                    j.state = 'closed'
                    AND EXISTS (
                        SELECT
                        FROM coverage_gaps g
                        WHERE (g.source IS NULL OR g.source = j.source)
                            AND g.ends_at > j.starts_at
                            AND g.starts_at < j.ends_at
                    )
                )
            ORDER BY j.ended_at
            LIMIT $2
            FOR UPDATE OF j SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
