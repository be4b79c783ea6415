//! The reader `report` of the outbox: adds each batch to the rollups once, and counts days again in
//! which a verdict changed. It also counts the time before it was active.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::http::health::{Condition, Health};
use crate::journal::{Journal, JournalError, Owed, ReaderName, finish_in, try_count_alone};
use crate::lifecycle::pause;
use crate::report::rollup::count::{self, Step, Window};
use crate::report::rollup::rebuild::Rebuild;
use crate::report::rollup::weeks;

/// The part of `/readyz`.
const PART: &str = "report";
/// Between polls of an empty outbox; an append of this process cuts it short.
const IDLE: Duration = Duration::from_millis(500);
/// After an error, and while another instance counts.
const LATER: Duration = Duration::from_secs(1);
/// So many times as long as it took to add batches, the database is left to others: that costs them
/// a fifth of a core at most. What comes meanwhile is added together, which takes less for each.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Batches in one transaction, and about so many events.
const BATCHES: i64 = 2_000;
const EVENTS: i32 = 100_000;
/// A day in which a verdict changes goes on changing for a while: it is counted again once for all
/// of that.
const SETTLES: TimeDelta = TimeDelta::seconds(5);

/// Keeps the rollups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keeper {
    journal: Journal,
    health: Health,
    settles: TimeDelta,
}

/// A batch that the reader owes.
struct Due {
    owed: Owed,
    window: Window,
    /// Whether it is owed since it was written. If it became owed again, verdicts of it changed,
    /// and it may have been counted or not: then its days are to be counted again.
    is_first: bool,
}

impl Due {
    /// The batches, and a window that contains all their events.
    fn span(due: &[&Self]) -> Option<(Vec<Uuid>, Window)> {
        let window = due.iter().map(|due| due.window).reduce(|a, b| Window {
            from: a.from.min(b.from),
            to: a.to.max(b.to),
        })?;
        Some((due.iter().map(|due| due.owed.batch).collect(), window))
    }
}

impl Keeper {
    /// Keeps the rollups in the database of `journal`, and reports to `health` why it cannot.
    pub fn new(journal: Journal, health: Health) -> Self {
        Self {
            journal,
            health,
            settles: SETTLES,
        }
    }

    /// Counts a day again once nothing in it changed for so long.
    #[must_use]
    pub fn with_settling(self, settles: TimeDelta) -> Self {
        Self { settles, ..self }
    }

    /// Works until `stop` fires. May be dropped at any moment: each transaction leaves the rollups
    /// right.
    pub async fn run(self, stop: CancellationToken) {
        let mut told = None;
        while !stop.is_cancelled() {
            // Begun before the claim, so that a batch that is appended in between is not missed.
            let appended = self.journal.appended(IDLE);
            // A day may take minutes; a count that is cut short is done again.
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.step() => done,
            };
            match &done {
                Ok(_) => {
                    told = None;
                    self.health.set(PART, Condition::Ok, "");
                }
                Err(error) => self.health.set(PART, Condition::Degraded, error.plain()),
            }
            match done {
                Ok(Step::Done) => {}
                Ok(Step::Nothing) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = appended => {}
                    }
                }
                Ok(Step::Taken) => {
                    pause(LATER, &stop).await;
                }
                Err(error) => {
                    // Once for each error.
                    let trouble = Some(error.plain());
                    if told != trouble {
                        warn!(error = error.chain(), "could not count events");
                        told = trouble;
                    }
                    pause(LATER, &stop).await;
                }
            }
        }
    }

    /// Does the next thing there is to do: what is owed first, then days that changed, then the
    /// past, then weeks.
    async fn step(&self) -> Result<Step, JournalError> {
        let began = Instant::now();
        let added = self.add().await?;
        if added == Step::Done {
            sleep((began.elapsed() * REST).min(LONGEST_REST)).await;
        }
        if added != Step::Nothing {
            return Ok(added);
        }
        let counted = self.count_anew().await?;
        if counted != Step::Nothing {
            return Ok(counted);
        }
        let rebuilt = Rebuild::unfinished(&self.journal).try_next().await?;
        if rebuilt != Step::Nothing {
            return Ok(rebuilt);
        }
        weeks::step(&self.journal).await
    }

    /// Adds the next batches, and finishes them.
    async fn add(&self) -> Result<Step, JournalError> {
        let due = self.due().await?;
        if due.is_empty() {
            return Ok(Step::Nothing);
        }
        let mut tx = self.journal.pool().begin().await?;
        if !try_count_alone(&mut tx).await? {
            return Ok(Step::Taken);
        }
        let owed: Vec<Owed> = due.iter().map(|due| due.owed).collect();
        // A change of their verdicts waits for this, or makes them owed again.
        let struck_off = finish_in(&mut tx, ReaderName::Report, &owed).await?;
        let (first, anew): (Vec<&Due>, Vec<&Due>) = due
            .iter()
            .filter(|due| struck_off.contains(&due.owed.batch))
            .partition(|due| due.is_first);
        if let Some((batches, window)) = Due::span(&first) {
            count::add(&mut tx, &batches, window).await?;
            count::doubt_absent(&mut tx, window).await?;
        }
        if let Some((batches, window)) = Due::span(&anew) {
            count::doubt(&mut tx, &batches, window).await?;
        }
        tx.commit().await?;
        Ok(Step::Done)
    }

    /// What is owed next, as much as one transaction takes.
    async fn due(&self) -> Result<Vec<Due>, JournalError> {
        let owed = self.journal.owed(ReaderName::Report, BATCHES).await?;
        let batches = sqlx::query!(
            "SELECT id, stored, created_at FROM batches WHERE id = ANY($1)",
            &owed.iter().map(|row| row.batch).collect::<Vec<_>>(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        let batches: HashMap<Uuid, _> = batches.into_iter().map(|row| (row.id, row)).collect();
        let mut due = Vec::with_capacity(owed.len());
        let mut events = 0;
        for row in owed {
            if events >= EVENTS {
                break;
            }
            let batch = batches.get(&row.batch);
            events += batch.map_or(0, |batch| batch.stored);
            let last = row.last_event_ts;
            due.push(Due {
                owed: row.owed(),
                window: Window {
                    from: row.first_event_ts,
                    to: last
                        .checked_add_signed(TimeDelta::seconds(1))
                        .unwrap_or(last),
                },
                // Both are the time of the transaction that wrote the batch.
                is_first: batch.is_none_or(|batch| batch.created_at == row.owed_at),
            });
        }
        Ok(due)
    }

    /// Counts a day again of which a verdict changed.
    async fn count_anew(&self) -> Result<Step, JournalError> {
        let day = sqlx::query_scalar!(
            r#"
            SELECT date_bin('1 day', hour, 'epoch') AS "day!"
            FROM recounts
            GROUP BY 1
            HAVING max(created_at) < now() - make_interval(secs => $1)
                -- Changes that do not end must not keep it wrong.
                OR min(created_at) < now() - make_interval(secs => 4 * $1)
            -- One that cannot be counted holds up no other.
            ORDER BY min(created_at)
            LIMIT 1
            "#,
            self.settles.as_seconds_f64(),
        )
        .fetch_optional(self.journal.pool())
        .await?;
        let Some(day) = day.map(Window::day_of) else {
            return Ok(Step::Nothing);
        };
        match self.day_anew(day).await {
            Ok(Step::Nothing) => {}
            Ok(step) => return Ok(step),
            Err(error) => warn!(
                error = error.chain(),
                day = %day.from.date_naive(),
                "could not count a day anew"
            ),
        }
        // After all others.
        sqlx::query!(
            "UPDATE recounts SET created_at = now() WHERE hour >= $1 AND hour < $2",
            day.from,
            day.to,
        )
        .execute(self.journal.pool())
        .await?;
        Ok(Step::Nothing)
    }

    /// Counts one day again; does nothing where its month is not there for now.
    async fn day_anew(&self, day: Window) -> Result<Step, JournalError> {
        let mut tx = self.journal.pool().begin().await?;
        if !try_count_alone(&mut tx).await? {
            return Ok(Step::Taken);
        }
        // Before the count, so that what changes meanwhile is counted again.
        sqlx::query!(
            "DELETE FROM recounts WHERE hour >= $1 AND hour < $2",
            day.from,
            day.to,
        )
        .execute(&mut *tx)
        .await?;
        if count::anew(&mut tx, day).await?.is_none() {
            tx.rollback().await?;
            return Ok(Step::Nothing);
        }
        tx.commit().await?;
        Ok(Step::Done)
    }
}
