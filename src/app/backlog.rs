//! How much each reader of the outbox owes, as metrics, and in `/readyz` who is behind. Every
//! instance shows it, whichever does the work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::http::health::Health;
use crate::journal::{Journal, ReaderName, ReaderStatus};
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// Between reads.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Seconds for which a part of usher may owe what just happened.
const AT_HOME_SECONDS: i64 = 60;
/// The same where somebody else has to take it.
const AWAY_SECONDS: i64 = 300;

/// What shows it.
pub(super) struct Backlog {
    pub(super) journal: Journal,
    /// The readers that this instance is configured with: `/readyz` has no part for others.
    pub(super) wanted: Vec<ReaderName>,
    pub(super) health: Health,
    pub(super) clock: Clock,
}

impl Backlog {
    /// Shows it until `stopping` fires.
    pub(super) async fn run(self, stopping: CancellationToken) {
        let mut shown = BTreeSet::new();
        while !pause(CHECK_EVERY, &stopping).await {
            // The parts that need the database report its failure.
            let Ok(readers) = self.journal.readers().await else {
                continue;
            };
            self.health.set_behind(behind(&readers, &self.wanted));
            let mut gone = std::mem::take(&mut shown);
            for of in readers {
                show(&of.reader, of.batches, of.oldest, self.clock.now());
                show_live(&of.reader, of.live_seconds, of.unwanted_seconds);
                gone.remove(&of.reader);
                shown.insert(of.reader);
            }
            for reader in gone {
                show(&reader, 0, None, self.clock.now());
                show_live(&reader, None, 0.0);
            }
        }
    }
}

fn show(reader: &str, batches: i64, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let age = oldest.map_or(0, |oldest| (now - oldest).num_seconds().max(0));
    let reader = reader.to_owned();
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    {
        gauge!(names::OUTBOX_DEPTH, "reader" => reader.clone()).set(batches as f64);
        gauge!(names::OUTBOX_AGE, "reader" => reader).set(age as f64);
    }
}

/// What is live, and for how long no instance has the reader configured.
fn show_live(reader: &str, live_seconds: Option<i64>, unwanted_seconds: f64) {
    let reader = reader.to_owned();
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    let age = live_seconds.unwrap_or_default().max(0) as f64;
    gauge!(names::OUTBOX_LIVE_AGE, "reader" => reader.clone()).set(age);
    gauge!(names::READERS_UNWANTED, "reader" => reader).set(unwanted_seconds.max(0.0));
}

/// The parts that are behind, with how far. What comes in bulk, as the slices of a sweep do, may
/// take its time and does not count.
fn behind(readers: &[ReaderStatus], wanted: &[ReaderName]) -> BTreeMap<String, String> {
    let late = readers.iter().filter_map(|status| {
        let reader = wanted.iter().find(|it| it.to_string() == status.reader)?;
        let detail = lateness(*reader, status.live_seconds?)?;
        Some((status.reader.clone(), detail))
    });
    late.collect()
}

/// What `/readyz` says of a reader that has owed something live for so long.
fn lateness(reader: ReaderName, seconds: i64) -> Option<String> {
    let span = match seconds / 60 {
        minutes @ ..120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    };
    let (patience, detail) = match reader {
        ReaderName::React => (AT_HOME_SECONDS, format!("{span} behind: newcomers wait")),
        ReaderName::Report => (AT_HOME_SECONDS, format!("counts lag by {span}")),
        ReaderName::Forward(_) => (AWAY_SECONDS, format!("{span} behind: entries wait")),
        // Its past, which it takes first, may be years.
        ReaderName::Kafka => return None,
    };
    (seconds > patience).then_some(detail)
}

#[cfg(test)]
mod tests {
    use super::{ReaderName, lateness};

    #[test]
    fn a_reader_is_late_after_a_time_of_its_own() {
        let siem = ReaderName::Forward(7);
        for (reader, seconds, told) in [
            (ReaderName::React, 60, None),
            (ReaderName::React, 61, Some("1 min behind: newcomers wait")),
            (
                ReaderName::React,
                859,
                Some("14 min behind: newcomers wait"),
            ),
            (ReaderName::React, 7_200, Some("2 h behind: newcomers wait")),
            (ReaderName::Report, -1, None),
            (ReaderName::Report, 840, Some("counts lag by 14 min")),
            (siem, 300, None),
            (siem, 301, Some("5 min behind: entries wait")),
            (ReaderName::Kafka, 1_000_000, None),
        ] {
            assert_eq!(lateness(reader, seconds).as_deref(), told);
        }
    }
}
