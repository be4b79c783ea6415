//! How much each reader of the outbox owes, as metrics. Every instance shows it, whichever does the
//! work.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::journal::Journal;
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// Between reads.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Shows it until `stopping` fires.
pub(super) async fn show_backlog(journal: Journal, clock: Clock, stopping: CancellationToken) {
    let mut shown = BTreeSet::new();
    while !pause(CHECK_EVERY, &stopping).await {
        // The parts that need the database report its failure.
        let Ok(readers) = journal.readers().await else {
            continue;
        };
        let mut gone = std::mem::take(&mut shown);
        for of in readers {
            show(&of.reader, of.batches, of.oldest, clock.now());
            gone.remove(&of.reader);
            shown.insert(of.reader);
        }
        for reader in gone {
            show(&reader, 0, None, clock.now());
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
