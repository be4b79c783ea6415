//! The readers of the outbox: kept while an instance is configured with them, given their past, and retired when
//! nobody wants them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::http::health::{Condition, Health};
use crate::journal::{COUNTED, Journal, JournalError, ReaderBackfill, ReaderName, ReaderStatus};
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// The part of `/readyz`.
const PART: &str = "readers";
/// Two looks of an instance that is configured with a reader: who was not wanted for longer is told of.
const TOLD_AFTER: Duration = Duration::from_secs(125);
/// A reader that no instance is configured with is kept for so long: in a rolling restart the configuration of one
/// instance is older than that of another, and it may be wrong for a moment.
const UNWANTED_FOR: Duration = Duration::from_mins(10);
/// Looks in a row, as far apart as instances look, that take so long.
const UNWANTED_CHECKS: u64 = UNWANTED_FOR.as_secs() / Readers::CHECK_EVERY.as_secs();
/// Between looks at whether a past is to be filled.
const FILL_EVERY: Duration = Duration::from_secs(2);
/// Between slices of a past, so that ingest has room.
const BETWEEN_SLICES: Duration = Duration::from_millis(20);

/// What this instance is configured with.
#[derive(Debug)]
pub struct Readers {
    /// The record.
    pub journal: Journal,
    /// The readers.
    pub wanted: Vec<ReaderName>,
    /// Told of readers that nobody wants, and of how far a past came.
    pub health: Health,
    /// Between two looks at which readers are wanted.
    pub every: Duration,
}

impl Readers {
    /// How far apart instances look.
    pub const CHECK_EVERY: Duration = Duration::from_mins(1);

    /// Looks after them until `stopping` fires.
    pub async fn run(self, stopping: CancellationToken) {
        tokio::join!(self.keep(&stopping), self.fill(&stopping));
    }

    async fn keep(&self, stopping: &CancellationToken) {
        let mut seen = Unwanted::default();
        loop {
            if let Err(error) = self.check(&mut seen).await {
                warn!(error = error.chain(), "could not look after the readers");
            }
            if pause(self.every, stopping).await {
                return;
            }
        }
    }

    async fn check(&self, seen: &mut Unwanted) -> Result<(), JournalError> {
        // Where this one finds no database, the others may not have found it either.
        let before = std::mem::take(seen);
        self.journal.activate_readers(&self.wanted).await?;
        let mut readers = self.journal.readers().await?;
        *seen = before.and(&readers, &self.wanted);
        let is_over = |reader: &&ReaderStatus| seen.checks(reader) > UNWANTED_CHECKS;
        let over: Vec<_> = readers.iter().filter(is_over).collect();
        let retired = self.journal.retire_readers(&over, UNWANTED_FOR).await?;
        readers.retain(|reader| retired.iter().all(|it| it.reader != reader.reader));
        for retired in retired {
            warn!(
                reader = retired.reader,
                batches = retired.dropped,
                "a reader that no instance is configured with is retired, and what it was owed is dropped"
            );
            counter!(names::READERS_RETIRED, "reader" => retired.reader.clone()).increment(1);
            counter!(names::READERS_DROPPED, "reader" => retired.reader).increment(retired.dropped);
        }
        let told = readers.iter().filter(|reader| is_unwanted(reader));
        match told.map(unwanted).reduce(|a, b| a + "; " + &b) {
            Some(detail) => self.health.set(PART, Condition::Degraded, detail),
            None => self.health.set(PART, Condition::Ok, ""),
        }
        Ok(())
    }

    async fn fill(&self, stopping: &CancellationToken) {
        let mut shown = BTreeSet::new();
        let mut told = None;
        loop {
            let filled = self.journal.fill_some().await;
            let trouble = filled.as_ref().err().map(JournalError::chain);
            if told != trouble
                && let Some(error) = &trouble
            {
                warn!(error, "could not go on with the past of a reader");
            }
            told = trouble;
            // A failing database is told by those who must reach it.
            if let Ok(fills) = self.journal.back_fills().await {
                self.show(&fills, &mut shown);
            }
            let wait = if filled.unwrap_or_default() {
                BETWEEN_SLICES
            } else {
                FILL_EVERY
            };
            if pause(wait, stopping).await {
                return;
            }
        }
    }

    fn show(&self, fills: &[ReaderBackfill], shown: &mut BTreeSet<String>) {
        let mut gone = std::mem::take(shown);
        for fill in fills {
            let part = format!("{}/back-fill", fill.reader);
            self.health.set(part, Condition::Ok, progress(fill));
            gone.remove(&fill.reader);
            shown.insert(fill.reader.clone());
        }
        for reader in gone {
            info!(reader, "all that was received earlier is owed as well");
            self.health
                .set(format!("{reader}/back-fill"), Condition::Ok, "");
        }
    }
}

/// For how many looks in a row nobody said that a reader is wanted, since when. The time since then alone tells
/// nothing: while the database is away nobody can say so, and who comes back first must not take the others for gone.
#[derive(Debug, Default)]
struct Unwanted(BTreeMap<String, (DateTime<Utc>, u64)>);

impl Unwanted {
    /// With one look more, which found `readers`.
    fn and(self, readers: &[ReaderStatus], wanted: &[ReaderName]) -> Self {
        let is_wanted = |reader: &str| wanted.iter().any(|it| it.to_string() == reader);
        let others = readers.iter().filter(|it| !is_wanted(&it.reader));
        let counted = others.map(|it| {
            let looks = self.checks(it) + 1;
            (it.reader.clone(), (it.wanted_at, looks))
        });
        Self(counted.collect())
    }

    fn checks(&self, reader: &ReaderStatus) -> u64 {
        match self.0.get(&reader.reader) {
            Some((wanted_at, looks)) if *wanted_at == reader.wanted_at => *looks,
            Some(_) | None => 0,
        }
    }
}

fn is_unwanted(reader: &ReaderStatus) -> bool {
    reader.unwanted_seconds > TOLD_AFTER.as_secs_f64()
}

/// A reader that goes soon, for `/readyz`.
fn unwanted(standing: &ReaderStatus) -> String {
    let ReaderStatus {
        reader, batches, ..
    } = standing;
    let noun = match *batches {
        1 => "batch",
        COUNTED => "batches or more",
        _ => "batches",
    };
    format!(
        "{reader} is owed {batches} {noun} and no instance said of late that it is configured with it: it is retired once none \
         says so for {} minutes",
        UNWANTED_FOR.as_secs() / 60
    )
}

fn progress(fill: &ReaderBackfill) -> String {
    let days = |span: TimeDelta| span.num_days().max(0);
    let total = days(fill.until - fill.from) + 1;
    format!(
        "back-filling: {} of {total} days",
        days(fill.at - fill.from)
    )
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::{ReaderBackfill, progress};

    #[test]
    fn progress_is_told_in_days() {
        let from = DateTime::UNIX_EPOCH;
        let fill = ReaderBackfill {
            reader: "kafka".to_owned(),
            from,
            at: from + TimeDelta::hours(80),
            until: from + TimeDelta::days(400),
        };
        assert_eq!(progress(&fill), "back-filling: 3 of 401 days");
    }
}
