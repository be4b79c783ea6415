//! Counting everything again, a day at a time: when the reader becomes active, and whenever a
//! person asks for it. The progress is stored, so that it goes on after a restart, and any instance
//! counts the next day.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use tracing::info;

use crate::journal::{Connection, Journal, JournalError, ReaderName, count_alone, try_count_alone};
use crate::report::rollup::count::{self, Step, Window};
use crate::report::rollup::weeks;

/// How far a rebuild came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Days before this one are counted; none once all are.
    pub to: Option<DateTime<Utc>>,
    /// Events counted by this process; at the end all that are counted, by any process.
    pub events: i64,
}

/// A rebuild that is under way.
#[derive(Debug)]
pub struct Rebuild {
    journal: Journal,
    events: i64,
}

impl Rebuild {
    /// Has everything counted again, from the first day on, and makes what is appended from now on
    /// owed to the reader that counts.
    pub async fn begin(journal: &Journal) -> Result<Self, JournalError> {
        journal.activate_readers(&[ReaderName::Report]).await?;
        let mut tx = journal.pool().begin().await?;
        count_alone(&mut tx).await?;
        start(&mut tx).await?;
        tx.commit().await?;
        Ok(Self::unfinished(journal))
    }

    /// What is left of a rebuild that was begun, or of the one that a newly active reader needs.
    pub(super) fn unfinished(journal: &Journal) -> Self {
        Self {
            journal: journal.clone(),
            events: 0,
        }
    }

    /// The time of the oldest and of the newest event.
    pub async fn span(
        journal: &Journal,
    ) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, JournalError> {
        let row = sqlx::query!("SELECT min(event_ts) AS first, max(event_ts) AS last FROM events")
            .fetch_one(journal.pool())
            .await?;
        Ok(row.first.zip(row.last))
    }

    /// Counts the next day, after waiting for a count beside it. Returns how far it came.
    pub async fn next(&mut self) -> Result<Rebuilt, JournalError> {
        let mut tx = self.journal.pool().begin().await?;
        count_alone(&mut tx).await?;
        self.step(&mut tx).await?;
        let to = sqlx::query_scalar!("SELECT counted_to FROM report_progress")
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        let to = to.flatten();
        if to.is_none() {
            self.events = sqlx::query_scalar!(
                r#"SELECT COALESCE(sum(events - kept), 0)::bigint AS "events!" FROM report_hours"#
            )
            .fetch_one(self.journal.pool())
            .await?;
            while weeks::step(&self.journal).await? == Step::Done {}
        }
        Ok(Rebuilt {
            to,
            events: self.events,
        })
    }

    /// Counts the next day, if there is one and nobody else counts.
    pub(super) async fn try_next(&mut self) -> Result<Step, JournalError> {
        if !self.is_due().await? {
            return Ok(Step::Nothing);
        }
        let mut tx = self.journal.pool().begin().await?;
        if !try_count_alone(&mut tx).await? {
            return Ok(Step::Taken);
        }
        let turn = self.step(&mut tx).await?;
        tx.commit().await?;
        Ok(turn)
    }

    /// Whether there are days to count, or the reader is another than the one they were counted
    /// for.
    async fn is_due(&self) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM readers r
                LEFT JOIN report_progress p ON p.reader_created_at = r.created_at
                WHERE r.name = 'report' AND (p.one IS NULL OR p.counted_to IS NOT NULL)
            ) AS "due!"
            "#
        )
        .fetch_one(self.journal.pool())
        .await?)
    }

    async fn step(&mut self, tx: &mut Connection) -> Result<Step, JournalError> {
        let progress = sqlx::query!(
            r#"
            SELECT p.counted_to AS "counted_to?"
            FROM readers r
            JOIN report_progress p ON p.reader_created_at = r.created_at
            WHERE r.name = 'report'
            "#
        )
        .fetch_optional(&mut *tx)
        .await?;
        let from = match progress {
            None => {
                start(tx).await?;
                beginning()
            }
            Some(progress) => match progress.counted_to {
                None => return Ok(Step::Nothing),
                Some(to) => to,
            },
        };
        let Some(day) = next_day(tx, from).await? else {
            note(tx, None).await?;
            info!("all events are counted");
            return Ok(Step::Done);
        };
        // Where its month is not there for now, no counts may be removed.
        let mut savepoint = tx.begin().await?;
        if let Some(events) = count::anew(&mut savepoint, day).await? {
            savepoint.commit().await?;
            self.events += events;
        } else {
            savepoint.rollback().await?;
            count::doubt_absent(tx, day).await?;
        }
        note(tx, Some(day.to)).await?;
        Ok(Step::Done)
    }
}

/// Before every event.
fn beginning() -> DateTime<Utc> {
    let first = NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default();
    first.and_time(NaiveTime::MIN).and_utc()
}

/// Notes that nothing is counted yet for the reader as it is active now.
async fn start(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        INSERT INTO report_progress (reader_created_at, counted_to)
        SELECT created_at, $1
        FROM readers
        WHERE name = 'report'
        ON CONFLICT (one) DO UPDATE
        SET reader_created_at = EXCLUDED.reader_created_at,
            counted_to = EXCLUDED.counted_to,
            updated_at = now()
        ",
        beginning(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn note(tx: &mut Connection, to: Option<DateTime<Utc>>) -> Result<(), JournalError> {
    sqlx::query!(
        "UPDATE report_progress SET counted_to = $1, updated_at = now()",
        to,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The first day from `from` on that has events or counts of some.
async fn next_day(
    tx: &mut Connection,
    from: DateTime<Utc>,
) -> Result<Option<Window>, JournalError> {
    let next = sqlx::query_scalar!(
        r"
        SELECT LEAST(
            (SELECT min(event_ts) FROM events WHERE event_ts >= $1),
            (SELECT min(hour) FROM report_hours WHERE hour >= $1 AND events > kept)
        )
        ",
        from,
    )
    .fetch_one(tx)
    .await?;
    Ok(next.map(Window::day_of))
}
