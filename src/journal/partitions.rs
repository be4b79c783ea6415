//! The monthly partitions of `events`: made ahead, and on demand for any month of 2020 to 2039;
//! detached and dropped when upkeep says so.
//!
//! One of the two places with dynamic SQL. A partition is made as a table of its own and attached:
//! `CREATE TABLE … PARTITION OF` would queue behind every reader of the parent, and every insert
//! behind it. It is detached `CONCURRENTLY` for the same reason.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::journal::{Connection, Pool, Transaction};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use tracing::info;

use crate::journal::{JournalError, LONG_STATEMENT};

/// First and last year with partitions by month. What lies outside shares one on either side, so
/// that forged dates cannot make more than these.
pub(super) const YEARS: std::ops::RangeInclusive<i32> = 2020..=2039;
/// Tries to attach, each waiting a second for the lock.
const ATTACH_TRIES: u32 = 10;
/// Any number, the same in every instance: only one makes partitions at a time.
const ADVISORY_LOCK: i64 = 0x7573_6865_7201;
/// Comment on a month that usher itself detaches. One that an operator detached has none, and
/// stays.
pub(super) const DROP_MARK: &str = "usher drops this month";

/// One partition's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Range {
    /// What was before the first month.
    Before,
    /// The month that begins on this day, in UTC.
    Month(NaiveDate),
    /// What comes after the last month.
    After,
}

/// The relation of a range's table to `events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttachState {
    Attached,
    /// Its detachment has begun and waits for older transactions: it takes no row, and no other
    /// partition can replace it.
    Detaching,
    /// A table of that name that is no partition.
    Apart,
    Absent,
}

/// Ranges that cannot take events now, because upkeep is dropping them.
#[derive(Debug, Default)]
pub(super) struct Closed(BTreeSet<Range>);

impl Closed {
    /// Whether every range is open.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an event of `time` has no partition.
    pub(super) fn holds(&self, time: DateTime<Utc>) -> bool {
        self.0.contains(&Range::of(time))
    }
}

impl Range {
    pub(super) fn of(time: DateTime<Utc>) -> Self {
        let date = time.date_naive();
        if date.year() < *YEARS.start() {
            Self::Before
        } else if date.year() > *YEARS.end() {
            Self::After
        } else {
            Self::Month(date.with_day(1).expect("every month has a first day"))
        }
    }

    /// The month whose partition has this name; none for the ranges on either side.
    pub(super) fn month_of(table: &str) -> Option<Self> {
        let (year, month) = table.strip_prefix("events_")?.split_once('_')?;
        let first = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?;
        let range = Self::of(first.and_time(NaiveTime::MIN).and_utc());
        // Only the exact name: `events_2026_1` is not usher's.
        (range.table() == table).then_some(range)
    }

    /// First instant of a month and of the one after it.
    pub(super) fn month(self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let Self::Month(first) = self else {
            return None;
        };
        let start = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        Some((start(first), start(first + Months::new(1))))
    }

    pub(super) fn table(self) -> String {
        match self {
            Self::Before => format!("events_before_{}", YEARS.start()),
            Self::Month(first) => format!("events_{}_{:02}", first.year(), first.month()),
            Self::After => format!("events_after_{}", YEARS.end()),
        }
    }

    /// The bounds as SQL, in UTC.
    fn bounds(self) -> (String, String) {
        let edge = |date: NaiveDate| format!("'{date} 00:00:00+00'");
        let start = NaiveDate::from_ymd_opt(*YEARS.start(), 1, 1).expect("a valid date");
        let end = NaiveDate::from_ymd_opt(*YEARS.end() + 1, 1, 1).expect("a valid date");
        match self {
            Self::Before => ("MINVALUE".to_owned(), edge(start)),
            Self::Month(first) => (edge(first), edge(first + Months::new(1))),
            Self::After => (edge(end), "MAXVALUE".to_owned()),
        }
    }
}

/// Knows which partitions exist, so that the usual append needs no query.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    known: Arc<RwLock<BTreeSet<Range>>>,
}

impl Partitions {
    /// Makes the partitions for `times` that this process does not know yet; returns those that are
    /// being dropped and so cannot be made.
    pub(super) async fn ensure(
        &self,
        pool: &Pool,
        times: impl IntoIterator<Item = DateTime<Utc>>,
    ) -> Result<Closed, JournalError> {
        let wanted: BTreeSet<Range> = times.into_iter().map(Range::of).collect();
        let missing: Vec<Range> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            wanted.difference(&known).copied().collect()
        };
        let mut closed = Closed::default();
        if missing.is_empty() {
            return Ok(closed);
        }
        let mut connection = pool.acquire().await?;
        for range in missing {
            if make(&mut connection, range).await? {
                self.known
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(range);
            } else {
                closed.0.insert(range);
            }
        }
        Ok(closed)
    }

    /// Makes what the coming months need, and the ranges on either side.
    pub(super) async fn make_ahead(
        &self,
        pool: &Pool,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let months = (0..4).filter_map(|ahead| now.checked_add_months(Months::new(ahead)));
        let last_week = now - chrono::Duration::days(8);
        self.ensure(
            pool,
            months.chain([last_week, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC]),
        )
        .await?;
        Ok(())
    }

    /// Forgets what is known, so that the next append queries again.
    pub(super) fn forget(&self) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Makes the partition; `false` while it is being dropped.
async fn make(connection: &mut Connection, range: Range) -> Result<bool, JournalError> {
    let mut tries = 0;
    loop {
        match standing(connection, range).await? {
            AttachState::Attached => return Ok(true),
            AttachState::Detaching => return Ok(false),
            AttachState::Apart | AttachState::Absent => {}
        }
        tries += 1;
        match attach(connection, range).await {
            // Checked once more: another instance may have made it first.
            Ok(()) => {}
            Err(JournalError::Repeat(_)) if tries < ATTACH_TRIES => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes `range` a partition, of its own table where there is one already.
pub(super) async fn attach(connection: &mut Connection, range: Range) -> Result<(), JournalError> {
    let table = range.table();
    let (from, to) = range.bounds();
    let mut tx = alone(connection).await?;
    let first = match standing(&mut tx, range).await? {
        AttachState::Attached | AttachState::Detaching => return Ok(()),
        // It was detached and not dropped: its rows count again.
        AttachState::Apart => format!("COMMENT ON TABLE {table} IS NULL"),
        AttachState::Absent => format!(
            "CREATE TABLE {table} (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"
        ),
    };
    run(&mut tx, "SET LOCAL lock_timeout = '1s'".to_owned()).await?;
    run(&mut tx, first).await?;
    run(
        &mut tx,
        format!("ALTER TABLE events ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to})"),
    )
    .await?;
    tx.commit().await?;
    info!(partition = table, "made a partition");
    Ok(())
}

/// Takes `range` out of `events`, once every transaction that may still see it has ended, however
/// long that takes. Inserts elsewhere go on meanwhile. When interrupted, it leaves the partition
/// half detached: [`finish_detaching`].
///
/// `connection` must have no `statement_timeout` and no transaction.
pub(super) async fn detach(connection: &mut Connection, range: Range) -> Result<(), JournalError> {
    let table = range.table();
    run(
        connection,
        format!("COMMENT ON TABLE {table} IS '{DROP_MARK}'"),
    )
    .await?;
    let detach = format!("ALTER TABLE events DETACH PARTITION {table} CONCURRENTLY");
    connection
        .answer_within(LONG_STATEMENT, |driver| {
            // Safe as below.
            let detach =
                async move { sqlx::query(&detach).persistent(false).execute(driver).await };
            Box::pin(detach)
        })
        .await?;
    Ok(())
}

/// Ends a detachment that was interrupted. It waits for older transactions with a lock that
/// attaching needs, so the caller sets a `statement_timeout`. If it is interrupted again, nothing
/// is lost.
pub(super) async fn finish_detaching(
    connection: &mut Connection,
    range: Range,
) -> Result<(), JournalError> {
    let table = range.table();
    run(
        connection,
        format!("ALTER TABLE events DETACH PARTITION {table} FINALIZE"),
    )
    .await
}

/// Whether the table of `range` is no partition any more. It stays so until the transaction ends.
pub(super) async fn is_detached(tx: &mut Connection, range: Range) -> Result<bool, JournalError> {
    lock(&mut *tx).await?;
    Ok(standing(tx, range).await? == AttachState::Apart)
}

/// Drops the table of `range`, after [`is_detached`] in the same transaction.
pub(super) async fn drop_table(tx: &mut Connection, range: Range) -> Result<(), JournalError> {
    run(&mut *tx, "SET LOCAL lock_timeout = '1s'".to_owned()).await?;
    run(tx, format!("DROP TABLE {}", range.table())).await
}

/// A transaction that is the only one to make or drop partitions.
async fn alone(connection: &mut Connection) -> Result<Transaction<'_>, JournalError> {
    let mut tx = connection.begin().await?;
    lock(&mut tx).await?;
    Ok(tx)
}

async fn lock(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether events of a time are in the journal, to be counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All that were not deleted.
    Yes,
    /// There is no table for them: retention dropped their month, or none was ever received.
    No,
    /// Their table is detached for now: it will be dropped, or attached again.
    Unsure,
}

/// Whether the events of `time` are in the journal.
pub async fn is_kept(tx: &mut Connection, time: DateTime<Utc>) -> Result<Kept, JournalError> {
    Ok(match standing(tx, Range::of(time)).await? {
        AttachState::Attached => Kept::Yes,
        AttachState::Absent => Kept::No,
        AttachState::Detaching | AttachState::Apart => Kept::Unsure,
    })
}

/// Runs one statement of DDL.
pub(super) async fn run(
    connection: &mut Connection,
    statement: String,
) -> Result<(), JournalError> {
    // Safe: names and bounds come from `Range` or the server's catalogue, never from outside.
    sqlx::query(&statement)
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(())
}

async fn standing(connection: &mut Connection, range: Range) -> Result<AttachState, JournalError> {
    let row = sqlx::query!(
        r#"
        SELECT
            to_regclass($1) IS NOT NULL AS "is_table!",
            (
                SELECT inhdetachpending
                FROM pg_inherits
                WHERE inhparent = 'events'::regclass AND inhrelid = to_regclass($1)
            ) AS is_detaching
        "#,
        range.table(),
    )
    .fetch_one(connection)
    .await?;
    Ok(match (row.is_table, row.is_detaching) {
        (_, Some(false)) => AttachState::Attached,
        (_, Some(true)) => AttachState::Detaching,
        (true, None) => AttachState::Apart,
        (false, None) => AttachState::Absent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_one_range_and_the_number_of_ranges_is_bounded() {
        for (time, table) in [
            ("1970-01-01T00:00:00Z", "events_before_2020"),
            ("2019-12-31T23:59:59Z", "events_before_2020"),
            ("2020-01-01T00:00:00Z", "events_2020_01"),
            ("2026-11-30T23:59:59Z", "events_2026_11"),
            ("2039-12-31T23:59:59Z", "events_2039_12"),
            ("2040-01-01T00:00:00Z", "events_after_2039"),
            ("9999-01-01T00:00:00Z", "events_after_2039"),
        ] {
            let time: DateTime<Utc> = time.parse().expect("a time");
            let range = Range::of(time);
            assert_eq!(range.table(), table);
            let month = matches!(range, Range::Month(_)).then_some(range);
            assert_eq!(Range::month_of(table), month);
        }
        for table in [
            "events",
            "events_2026_1",
            "events_2026_13",
            "events_2041_01",
            "events_2026_01_old",
        ] {
            assert_eq!(Range::month_of(table), None, "{table}");
        }
        let december = NaiveDate::from_ymd_opt(2026, 12, 1).expect("a date");
        assert_eq!(
            Range::Month(december).bounds(),
            (
                "'2026-12-01 00:00:00+00'".to_owned(),
                "'2027-01-01 00:00:00+00'".to_owned()
            )
        );
    }
}
