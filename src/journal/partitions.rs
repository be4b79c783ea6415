//! The monthly partitions of `events`: made ahead, and on demand for any month of 2020 to 2039.
//!
//! One of the three homes of dynamic SQL. A partition is made as a table of its own and attached,
//! since `CREATE TABLE … PARTITION OF` would queue behind every reader of the parent, and every
//! insert behind it.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tracing::info;

use crate::journal::JournalError;

/// First and last year with partitions by month; what lies outside shares one on either side, so
/// that forged dates cannot make more than these.
const YEARS: std::ops::RangeInclusive<i32> = 2020..=2039;
/// Tries to attach, each waiting a second for the lock.
const ATTACH_TRIES: u32 = 10;
/// Any number, the same in every instance: only one makes partitions at a time.
const ADVISORY_LOCK: i64 = 0x7573_6865_7201;

/// One partition's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Range {
    Before,
    Month(NaiveDate),
    After,
}

impl Range {
    fn of(time: DateTime<Utc>) -> Self {
        let date = time.date_naive();
        if date.year() < *YEARS.start() {
            Self::Before
        } else if date.year() > *YEARS.end() {
            Self::After
        } else {
            Self::Month(date.with_day(1).expect("every month has a first day"))
        }
    }

    fn table(self) -> String {
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

/// Knows which partitions exist, so that the usual append asks nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    known: Arc<RwLock<BTreeSet<Range>>>,
}

impl Partitions {
    /// Makes the partitions for `times` that this process has not seen yet.
    pub(super) async fn ensure(
        &self,
        pool: &PgPool,
        times: impl IntoIterator<Item = DateTime<Utc>>,
    ) -> Result<(), JournalError> {
        let wanted: BTreeSet<Range> = times.into_iter().map(Range::of).collect();
        let missing: Vec<Range> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            wanted.difference(&known).copied().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut connection = pool.acquire().await?;
        for range in missing {
            make(&mut connection, range).await?;
            self.known
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(range);
        }
        Ok(())
    }

    /// Makes what the coming months need, and the ranges on either side.
    pub(super) async fn make_ahead(
        &self,
        pool: &PgPool,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let months = (0..4).filter_map(|ahead| now.checked_add_months(Months::new(ahead)));
        let last_week = now - chrono::Duration::days(8);
        self.ensure(
            pool,
            months.chain([last_week, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC]),
        )
        .await
    }

    /// Forgets what is known, so that the next append looks again.
    pub(super) fn forget(&self) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

async fn make(connection: &mut PgConnection, range: Range) -> Result<(), JournalError> {
    if exists(connection, &range.table()).await? {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match attach(connection, range).await {
            Ok(()) => {
                info!(partition = range.table(), "made a partition");
                return Ok(());
            }
            Err(JournalError::Repeat(_)) if tries < ATTACH_TRIES => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attach(connection: &mut PgConnection, range: Range) -> Result<(), JournalError> {
    let table = range.table();
    let (from, to) = range.bounds();
    let mut tx = connection.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        .execute(&mut *tx)
        .await?;
    if exists(&mut tx, &table).await? {
        return Ok(());
    }
    // Safe to assert: names and bounds come from `Range`, never from outside.
    for statement in [
        "SET LOCAL lock_timeout = '1s'".to_owned(),
        format!(
            "CREATE TABLE {table} (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"
        ),
        format!("ALTER TABLE events ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to})"),
    ] {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, JournalError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT FROM pg_inherits
            WHERE inhparent = 'events'::regclass AND inhrelid = to_regclass($1)
        ) AS "exists!"
        "#,
        table,
    )
    .fetch_one(connection)
    .await?)
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
            assert_eq!(Range::of(time).table(), table);
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
