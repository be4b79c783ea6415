//! The readers of the outbox: kept while an instance is configured with them, back-filled, and
//! retired if no instance wants them any more.

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
/// Two checks of an instance that is configured with a reader: a reader that was not wanted for
/// longer is reported.
const TOLD_AFTER: Duration = Duration::from_secs(125);
/// A reader that no instance is configured with is kept for so long. In a rolling restart the
/// configuration of one instance is older than that of another, and it may be wrong for a moment.
const UNWANTED_FOR: Duration = Duration::from_mins(10);
/// Checks in a row, as far apart as those of an instance, that take so long.
const UNWANTED_CHECKS: u64 = UNWANTED_FOR.as_secs() / Readers::CHECK_EVERY.as_secs();
/// Between checks for a back-fill to be done.
const FILL_EVERY: Duration = Duration::from_secs(2);
/// Between slices of a back-fill, so that ingest has capacity.
const BETWEEN_SLICES: Duration = Duration::from_millis(20);

/// What this instance is configured with.
#[derive(Debug)]
pub struct Readers {
    /// The journal.
    pub journal: Journal,
    /// The readers.
    pub wanted: Vec<ReaderName>,
    /// Where unwanted readers, and the progress of a back-fill, are reported.
    pub health: Health,
    /// Between two checks of which readers are wanted.
    pub every: Duration,
}

impl Readers {
    /// How far apart the checks of an instance are.
    pub const CHECK_EVERY: Duration = Duration::from_mins(1);

    /// Updates them until `stopping` fires.
    pub async fn run(self, stopping: CancellationToken) {
        tokio::join!(self.keep(&stopping), self.fill(&stopping));
    }

    async fn keep(&self, stopping: &CancellationToken) {
        let mut seen = Unwanted::default();
        loop {
            if let Err(error) = self.check(&mut seen).await {
                warn!(error = error.chain(), "could not update the readers");
            }
            if pause(self.every, stopping).await {
                return;
            }
        }
    }

    async fn check(&self, seen: &mut Unwanted) -> Result<(), JournalError> {
        // If this one finds no database, the others may not have found it either.
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
                "a reader that no instance has configured is retired, and its backlog is dropped"
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
                warn!(error, "could not go on with the back-fill of a reader");
            }
            told = trouble;
            // The parts that need the database report its failure.
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
            info!(
                reader,
                "the reader owes all that was received earlier as well"
            );
            self.health
                .set(format!("{reader}/back-fill"), Condition::Ok, "");
        }
    }
}

/// For how many checks in a row no instance wanted a reader, and since when. The time alone says
/// nothing: while the database is away no instance can announce anything. The first that comes back
/// must not take the others for gone.
#[derive(Debug, Default)]
struct Unwanted(BTreeMap<String, (DateTime<Utc>, u64)>);

impl Unwanted {
    /// With one check more, which found `readers`.
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

/// A reader that is retired soon, for `/readyz`.
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
        "{reader} owes {batches} {noun} and no instance has it configured: usher retires it \
         after {} minutes without one",
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
