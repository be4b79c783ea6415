//! Retention: old months are dropped, other old rows deleted in slices, and nothing that a reader
//! is still owed.
//!
//! Works on a connection of its own and locks no row that somebody else holds, so that ingest
//! never waits for it. Decides what goes; the DDL itself is in `partitions`.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use metrics::{counter, gauge};
use sqlx::{Connection, PgConnection};
use tracing::{info, warn};
use uuid::Uuid;

use crate::journal::batch::{NewBatch, NewQuarantine};
use crate::journal::partitions::{self, Closed, Range};
use crate::journal::{Journal, JournalError};
use crate::telemetry::metrics as names;

/// Rows of one statement: some ten milliseconds of work.
pub const SLICE: i64 = 5_000;
/// Between two slices, so that the disk has time for others.
const BREATH: Duration = Duration::from_millis(20);
/// For ending a detachment that was cut: less than attaching waits for the same lock.
const FINISH_WITHIN: &str = "3s";

/// How long what is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Events: whole months once the last of their time is older.
    pub events: Duration,
    /// What was kept aside.
    pub quarantine: Duration,
    /// The requests of batches, and batches without events.
    pub batches: Duration,
}

/// What one round of upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Partitions that were dropped.
    pub dropped: Vec<String>,
    /// Old partitions that a reader still needs.
    pub owed: Vec<String>,
    /// Detachments that wait for an older transaction: worth another round soon.
    pub unfinished: Vec<String>,
    /// Rows that were deleted, or emptied of their requests.
    pub rows: u64,
}

/// One kind of row that grows old.
#[derive(Debug, Clone, Copy)]
enum Chore {
    Quarantine,
    Requests,
    EventsBeforeMonths,
    EventsOfTheFuture,
    Batches,
    Leases,
}

impl Chore {
    const ALL: [Self; 6] = [
        Self::Quarantine,
        Self::Requests,
        Self::EventsBeforeMonths,
        Self::EventsOfTheFuture,
        Self::Batches,
        Self::Leases,
    ];

    /// Label of the metric.
    fn label(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Requests => "requests",
            Self::EventsBeforeMonths | Self::EventsOfTheFuture => "events",
            Self::Batches => "batches",
            Self::Leases => "leases",
        }
    }
}

/// The times before which things are old.
#[derive(Debug, Clone, Copy)]
struct Cutoffs {
    now: DateTime<Utc>,
    events: DateTime<Utc>,
    quarantine: DateTime<Utc>,
    batches: DateTime<Utc>,
}

impl Cutoffs {
    fn of(retention: &Retention, now: DateTime<Utc>) -> Self {
        Self {
            now,
            events: before(now, retention.events),
            quarantine: before(now, retention.quarantine),
            batches: before(now, retention.batches),
        }
    }

    /// Whether the whole month is too old; the ranges on either side never are.
    fn is_old(&self, range: Range) -> bool {
        range.month().is_some_and(|(_, end)| end <= self.events)
    }
}

/// `now` less `age`; the epoch where that is too long ago to be told.
pub fn before(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(age)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or(DateTime::UNIX_EPOCH)
}

impl Journal {
    /// One round: deletes what is older than `retention`, then drops old months, which may take
    /// as long as the longest transaction of the database. One instance at a time calls it.
    ///
    /// May be dropped at any moment; the next round goes on where this one was cut.
    pub async fn tidy_up(
        &self,
        retention: &Retention,
        now: DateTime<Utc>,
    ) -> Result<Round, JournalError> {
        let mut connection = self.own_connection().await?;
        let cutoffs = Cutoffs::of(retention, now);
        let mut round = Round::default();
        for chore in Chore::ALL {
            let rows = in_slices(&mut connection, chore, &cutoffs).await?;
            counter!(names::UPKEEP_ROWS, "table" => chore.label()).increment(rows);
            round.rows += rows;
        }
        drop_old_months(&mut connection, &cutoffs, &mut round).await?;
        connection.close().await?;
        Ok(round)
    }

    /// Counts the months after the present one that have a partition, without a gap, and shows
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

/// The batch without the events whose month is being dropped: those are kept aside, so that one
/// old entry does not cost the others their place.
pub(super) fn set_aside<'a>(batch: &'a NewBatch, closed: &Closed) -> Cow<'a, NewBatch> {
    if closed.is_empty() {
        return Cow::Borrowed(batch);
    }
    let mut kept = batch.clone();
    kept.events.clear();
    for new in &batch.events {
        match new.request {
            Some(request) if closed.holds(new.event.event_ts) => {
                kept.quarantined.push(NewQuarantine {
                    id: quarantine_id(batch.id, new.event.id.as_uuid()),
                    request,
                    reason: "month_dropped",
                    detail: "its month is older than retention.events and is being dropped"
                        .to_owned(),
                    raw_bytes: new.raw.len(),
                    raw: new.raw.clone(),
                    event_id: Some(new.event.id),
                });
            }
            _ => kept.events.push(new.clone()),
        }
    }
    Cow::Owned(kept)
}

/// The time of the batch and bits of the event: the same whenever the batch is repeated.
fn quarantine_id(batch: Uuid, event: Uuid) -> Uuid {
    let (seconds, nanos) = batch.get_timestamp().map_or((0, 0), |time| time.to_unix());
    let mut bits = [0_u8; 10];
    bits.copy_from_slice(&event.as_bytes()[6..]);
    let millis = seconds * 1_000 + u64::from(nanos) / 1_000_000;
    uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}

async fn in_slices(
    connection: &mut PgConnection,
    chore: Chore,
    cutoffs: &Cutoffs,
) -> Result<u64, JournalError> {
    let mut total = 0;
    loop {
        let rows = slice(connection, chore, cutoffs).await?;
        total += rows;
        if rows < SLICE.unsigned_abs() {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}

async fn slice(
    connection: &mut PgConnection,
    chore: Chore,
    cutoffs: &Cutoffs,
) -> Result<u64, JournalError> {
    match chore {
        Chore::Quarantine => delete_quarantine(connection, cutoffs.quarantine).await,
        Chore::Requests => forget_requests(connection, cutoffs.batches).await,
        Chore::EventsBeforeMonths => {
            let first_month = NaiveDate::from_ymd_opt(*partitions::YEARS.start(), 1, 1)
                .expect("a valid date")
                .and_time(NaiveTime::MIN)
                .and_utc();
            delete_events(connection, cutoffs.events, (None, Some(first_month))).await
        }
        Chore::EventsOfTheFuture => {
            // Clocks may be wrong by an hour; a day is forged, or a member nobody understands.
            let tomorrow = cutoffs.now + TimeDelta::days(1);
            delete_events(connection, cutoffs.events, (Some(tomorrow), None)).await
        }
        Chore::Batches => delete_batches(connection, cutoffs).await,
        Chore::Leases => delete_leases(connection).await,
    }
}

async fn delete_quarantine(
    connection: &mut PgConnection,
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

/// Who sent a batch is forgotten before the batch is: as long as its events are there, a reader
/// that is added or a verdict that changes needs its row.
async fn forget_requests(
    connection: &mut PgConnection,
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

/// Events that lie in no month of the past: no month of theirs will ever be dropped, or not for
/// years, so the time of their receipt counts.
async fn delete_events(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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

async fn delete_leases(connection: &mut PgConnection) -> Result<u64, JournalError> {
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

/// First ends what earlier rounds began, since Postgres detaches one partition at a time.
async fn drop_old_months(
    connection: &mut PgConnection,
    cutoffs: &Cutoffs,
    round: &mut Round,
) -> Result<(), JournalError> {
    for (range, is_detaching) in partitions_of_events(connection).await? {
        if is_detaching && !finish_detaching(connection, range).await? {
            round.unfinished.push(range.table());
        }
    }
    for range in marked_months(connection).await? {
        drop_or_attach(connection, range, cutoffs, round).await?;
    }
    if !round.unfinished.is_empty() {
        return Ok(());
    }
    for (range, _) in partitions_of_events(connection).await? {
        if !cutoffs.is_old(range) {
            continue;
        }
        if is_owed(connection, range).await? {
            round.owed.push(range.table());
            continue;
        }
        partitions::detach(connection, range).await?;
        drop_or_attach(connection, range, cutoffs, round).await?;
    }
    Ok(())
}

/// Ends a detachment that was cut; `false` where it waits for an older transaction still.
async fn finish_detaching(
    connection: &mut PgConnection,
    range: Range,
) -> Result<bool, JournalError> {
    set_timeout(connection, FINISH_WITHIN).await?;
    let finished = partitions::finish_detaching(connection, range).await;
    set_timeout(connection, "0").await?;
    match finished {
        Ok(()) => {
            info!(partition = range.table(), "finished a detachment");
            Ok(true)
        }
        Err(error) if error.is_transient() => {
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

async fn set_timeout(connection: &mut PgConnection, timeout: &str) -> Result<(), JournalError> {
    sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, false)", timeout)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Drops a detached month. It is asked again whether the month is old and owed to nobody: an event
/// may have come while the detachment waited, and the retention may have been prolonged.
async fn drop_or_attach(
    connection: &mut PgConnection,
    range: Range,
    cutoffs: &Cutoffs,
    round: &mut Round,
) -> Result<(), JournalError> {
    if !cutoffs.is_old(range) || is_owed(connection, range).await? {
        round.owed.push(range.table());
        return partitions::attach(connection, range).await;
    }
    if partitions::drop_detached(connection, range).await? {
        counter!(names::UPKEEP_MONTHS).increment(1);
        info!(partition = range.table(), "dropped a month");
        round.dropped.push(range.table());
    }
    Ok(())
}

/// The partitions, with whether each is being detached.
async fn partitions_of_events(
    connection: &mut PgConnection,
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
async fn marked_months(connection: &mut PgConnection) -> Result<Vec<Range>, JournalError> {
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

/// Whether a reader still owes a batch that may have events in `range`.
async fn is_owed(connection: &mut PgConnection, range: Range) -> Result<bool, JournalError> {
    let Some((start, end)) = range.month() else {
        return Ok(true);
    };
    Ok(sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT
            FROM outbox
            WHERE first_event_ts < $2 AND last_event_ts >= $1
        ) AS "owed!"
        "#,
        start,
        end,
    )
    .fetch_one(connection)
    .await?)
}
