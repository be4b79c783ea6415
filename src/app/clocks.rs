//! The clock of this instance beside the database's, which all instances share.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::http::health::{Condition, Health};
use crate::journal::{Journal, JournalError};
use crate::lifecycle::pause;

/// Between checks.
const EVERY: Duration = Duration::from_secs(5);
/// Beyond this `/readyz` reports it.
const TOLD_BEYOND: TimeDelta = TimeDelta::minutes(1);
/// Beyond this nothing is called old: one of the two clocks is wrong, and which one is not known.
pub(super) const TRUSTED_WITHIN: TimeDelta = TimeDelta::hours(1);
/// The part of `/readyz`.
const PART: &str = "clock";

/// How far `clock` is ahead of the database's; negative where it is behind.
pub(super) async fn ahead(journal: &Journal, clock: &Clock) -> Result<TimeDelta, JournalError> {
    let asked = clock.now();
    let theirs = journal.now().await?;
    let answered = clock.now();
    // The database read its clock at some moment between the two.
    Ok((asked - theirs).max(TimeDelta::zero()) + (answered - theirs).min(TimeDelta::zero()))
}

/// Reports to `health` whether the two agree, until cancelled.
pub(super) async fn watch(
    journal: Journal,
    clock: Clock,
    health: Health,
    cancel: CancellationToken,
) {
    let mut told = false;
    loop {
        match ahead(&journal, &clock).await {
            Ok(ahead) => {
                let differs = ahead.abs() > TOLD_BEYOND;
                let ahead_s = ahead.num_seconds();
                if differs {
                    let way = if ahead_s > 0 { "ahead of" } else { "behind" };
                    let by = ahead_s.abs();
                    let detail = format!("{by} s {way} the clock of the database");
                    health.set(PART, Condition::Degraded, detail);
                } else {
                    health.set(PART, Condition::Ok, "");
                }
                match (differs, told) {
                    (true, false) => warn!(ahead_s, "this clock and the database's differ"),
                    (false, true) => info!("this clock and the database's agree again"),
                    (true, true) | (false, false) => {}
                }
                told = differs;
            }
            // The part `database` reports it with a higher level.
            Err(error) => debug!(error = error.chain(), "could not compare the clocks"),
        }
        if pause(EVERY, &cancel).await {
            return;
        }
    }
}
