//! When an alert holds: each condition, from what the parts of usher and the record show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::alerts::Source;
use crate::backfill::{Coverage, SourceCoverage, Stretch, StretchState, dropped, span};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::event::Alert;
use crate::ingest::Spool;
use crate::journal::{
    COUNTED, FoundAlert, Journal, JournalError, LogSource, ReaderStatus, SignatureFailures,
};
use crate::observe;

/// A spool that takes more of `spool.max_bytes`, in percent, is nearly full.
const SPOOL_PERCENT: u64 = 70;
/// Seconds for which a reader may owe something live.
const OUTBOX_SECONDS: i64 = 600;
/// Seconds after which a reader that no instance is configured with is reported: two checks of an
/// instance, and a moment.
const ABANDONED_SECONDS: f64 = 125.0;
/// The entries of this time are counted.
const SIGNATURES_WITHIN: Duration = Duration::from_mins(10);
/// More of them than this share, in percent, and than this number fail.
const FAILING_PERCENT: i64 = 5;
const FAILING_ENTRIES: i64 = 10;
/// Time that is missing is looked for so far back: Konnect drops it after seven days.
const LOOKED_BACK: TimeDelta = TimeDelta::days(8);
/// Missing time is about to leave the window of a replay.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(1);
/// Between searches for silent portals: each reads the time in which nothing may be.
const SILENCE_EVERY: Duration = Duration::from_mins(1);

/// The token is refused: by a sweep that was last tried, or by a deed.
pub(super) fn token(
    observed: observe::Health,
    paused: watch::Receiver<bool>,
) -> impl Fn() -> Vec<FoundAlert> + Send + Sync + 'static {
    move || {
        let is_refused = *paused.borrow() || observed.is_token_refused();
        let detail = "Konnect answers 401: nothing is read, and all deeds wait";
        let found = is_refused.then(|| FoundAlert::new(Alert::TokenRefused, "", detail));
        found.into_iter().collect()
    }
}

/// The spool of this instance is nearly full.
pub(super) fn spool(spool: Spool) -> impl Fn() -> Vec<FoundAlert> + Send + Sync + 'static {
    move || filling(spool.usage()).into_iter().collect()
}

fn filling((bytes, max_bytes): (u64, u64)) -> Option<FoundAlert> {
    let percent = u128::from(bytes) * 100 / u128::from(max_bytes.max(1));
    let is_filling = percent > u128::from(SPOOL_PERCENT);
    let detail = format!("{percent} % of spool.max_bytes: {bytes} of {max_bytes} bytes");
    is_filling.then(|| FoundAlert::new(Alert::SpoolFilling, "", detail))
}

/// Readers of the outbox that are behind, or that nobody is configured with.
pub(super) fn outbox(journal: Journal) -> Source {
    Source::new(&[Alert::OutboxOld, Alert::ReaderAbandoned], move || {
        let journal = journal.clone();
        async move {
            let fills = journal.back_fills().await?;
            // One that still takes the past has years before it, and what is new comes after that.
            let filling: BTreeSet<String> = fills.into_iter().map(|fill| fill.reader).collect();
            let readers = journal.readers().await?;
            let found = readers.iter().filter_map(|reader| {
                abandoned(reader)
                    .or_else(|| old(reader).filter(|_| !filling.contains(&reader.reader)))
            });
            Ok(found.collect())
        }
    })
}

fn abandoned(status: &ReaderStatus) -> Option<FoundAlert> {
    let is_abandoned = status.unwanted_seconds > ABANDONED_SECONDS;
    let owes = match status.batches {
        COUNTED => format!("{COUNTED} batches or more"),
        count => format!("{count} batches"),
    };
    let detail = format!("no instance has it configured, and it owes {owes}");
    is_abandoned.then(|| FoundAlert::new(Alert::ReaderAbandoned, &status.reader, detail))
}

fn old(status: &ReaderStatus) -> Option<FoundAlert> {
    let seconds = status.live_seconds.filter(|age| *age > OUTBOX_SECONDS)?;
    let detail = format!("{} min behind", seconds / 60);
    Some(FoundAlert::new(Alert::OutboxOld, &status.reader, detail))
}

/// Many entries have a signature that no key fits.
pub(super) fn signatures(journal: Journal) -> Source {
    Source::new(&[Alert::SignaturesFailing], move || {
        let journal = journal.clone();
        async move {
            let counts = journal.signature_failures(SIGNATURES_WITHIN).await?;
            Ok(failing(counts).into_iter().collect())
        }
    })
}

/// Webhooks that do not deliver, and time that was missed.
pub(super) fn coverage(coverage: Coverage, clock: Clock) -> Source {
    let alerts = &[Alert::WebhookInactive, Alert::GapFound, Alert::GapExpires];
    Source::new(alerts, move || {
        let coverage = coverage.clone();
        let since = clock.now() - LOOKED_BACK;
        async move {
            let known = coverage.of_all(|_| true, (Some(since), None)).await?;
            Ok(known.iter().flat_map(missed).collect())
        }
    })
}

fn missed(known: &SourceCoverage) -> Vec<FoundAlert> {
    let of = |alert, detail: String| match known.status.source {
        LogSource::Org => FoundAlert::new(alert, "org", detail),
        LogSource::Portal(id) => FoundAlert::of_portal(alert, id, detail),
    };
    let is_inactive = known.status.state.is_amiss();
    let inactive = is_inactive.then(|| of(Alert::WebhookInactive, known.status.detail.clone()));
    // That usher did not run before its first day is no news.
    let parts = known.stretches.iter();
    let gaps: Vec<&Stretch> = parts.filter(|part| part.is_news()).collect();
    let open = gaps.iter().filter(|part| {
        matches!(part.state, StretchState::Missing | StretchState::Replaying) || part.is_open_loss()
    });
    let length: TimeDelta = open.map(|part| part.length()).sum();
    let found = (length > TimeDelta::zero()).then(|| {
        let length = span(length);
        of(Alert::GapFound, format!("{length} may have been missed"))
    });
    let expires_at = gaps.iter().filter_map(|part| part.expires_at()).min();
    let expires = expires_at
        .filter(|at| *at - known.now < EXPIRES_SOON)
        .map(|at| of(Alert::GapExpires, dropped(at, known.now)));
    inactive.into_iter().chain(found).chain(expires).collect()
}

fn failing(SignatureFailures { failing, entries }: SignatureFailures) -> Option<FoundAlert> {
    let is_failing = failing > FAILING_ENTRIES && failing * 100 > entries * FAILING_PERCENT;
    let minutes = SIGNATURES_WITHIN.as_secs() / 60;
    let detail = format!("no key fits {failing} of the {entries} entries of {minutes} min");
    is_failing.then(|| FoundAlert::new(Alert::SignaturesFailing, "", detail))
}

/// Portals in which nothing was logged for longer than `after`: those configured, else all that
/// the directory has for as long.
pub(super) fn silence(
    (journal, directory): (Journal, Directory),
    configured: Vec<Uuid>,
    clock: Clock,
    after: Duration,
) -> Source {
    let last = Arc::new(Mutex::new(None::<(Instant, Vec<FoundAlert>)>));
    Source::new(&[Alert::Silence], move || {
        let (journal, directory, last) = (journal.clone(), directory.clone(), Arc::clone(&last));
        let (configured, now) = (configured.clone(), clock.now());
        async move {
            let known = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((at, found)) = known
                && at.elapsed() < SILENCE_EVERY
            {
                return Ok(found);
            }
            let patience = TimeDelta::from_std(after).unwrap_or(TimeDelta::MAX);
            let mut names = BTreeMap::new();
            for portal in directory.portals().await? {
                let is_wanted = configured.is_empty() || configured.contains(&portal.id.0);
                if is_wanted && now - portal.row_version.first_at > patience {
                    names.insert(portal.id.0, portal.name);
                }
            }
            let found = silent(&journal, &names, after).await?;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((Instant::now(), found.clone()));
            Ok(found)
        }
    })
}

async fn silent(
    journal: &Journal,
    names: &BTreeMap<Uuid, String>,
    after: Duration,
) -> Result<Vec<FoundAlert>, JournalError> {
    let ids: Vec<Uuid> = names.keys().copied().collect();
    let silent = journal.silent_portals(&ids, after).await?;
    let minutes = after.as_secs() / 60;
    let found = silent.into_iter().map(|id| {
        let name = names.get(&id).map(String::as_str).unwrap_or_default();
        let detail = format!("nothing was logged in {name} for {minutes} min");
        FoundAlert::of_portal(Alert::Silence, id, detail)
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{FoundAlert, ReaderStatus, SignatureFailures, abandoned, failing, filling, old};

    fn details(found: Option<FoundAlert>) -> String {
        found.map(|found| found.detail).unwrap_or_default()
    }

    #[test]
    fn a_spool_is_nearly_full_over_its_share() {
        assert_eq!(filling((700, 1_000)), None);
        let told = "71 % of spool.max_bytes: 710 of 1000 bytes";
        assert_eq!(details(filling((710, 1_000))), told);
        assert!(filling((u64::MAX, u64::MAX)).is_some());
    }

    #[test]
    fn signatures_fail_where_many_do_and_more_than_a_few() {
        let of = |failing_now, entries| {
            let counts = SignatureFailures {
                failing: failing_now,
                entries,
            };
            failing(counts).is_some()
        };
        assert!(of(11, 100) && of(11, 0) && of(6_000, 100_000));
        assert!(!of(10, 10) && !of(11, 220) && !of(0, 0));
    }

    #[test]
    fn a_reader_is_behind_or_abandoned_and_not_both() {
        let status = |live_seconds, unwanted_seconds| ReaderStatus {
            reader: "kafka".to_owned(),
            since: DateTime::UNIX_EPOCH,
            wanted_at: DateTime::UNIX_EPOCH,
            unwanted_seconds,
            batches: 3,
            oldest: None,
            live_seconds,
        };
        assert_eq!(old(&status(Some(600), 0.0)), None);
        assert_eq!(old(&status(None, 0.0)), None);
        assert_eq!(details(old(&status(Some(840), 0.0))), "14 min behind");
        assert_eq!(abandoned(&status(Some(840), 125.0)), None);
        let told = "no instance has it configured, and it owes 3 batches";
        assert_eq!(details(abandoned(&status(Some(840), 126.0))), told);
    }
}
