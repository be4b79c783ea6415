//! Checks the stored bytes of entries again, whenever they were received: `usher events reverify`.
//!
//! A stronger verdict replaces a weaker one. A verified entry that no key fits any more is reported
//! and left as it is: nothing here weakens the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;

use crate::clock::Ids;
use crate::event::{self, EventId, Verdict};
use crate::intake::keys::GOOD_FOR;
use crate::intake::recheck::{by_batch, settle_quarantined};
use crate::intake::settled::Settled;
use crate::intake::verify::Verifier;
use crate::intake::{IntakeError, REASON_FAILED, REASON_KEY_UNKNOWN};
use crate::journal::{
    CheckFilter, Journal, NewVerdict, Position, Quarantined, StoredEvent, far_future,
};

/// Entries checked in one go.
const AT_ONCE: i64 = 1_000;
/// While a reader has claimed a batch, its verdicts wait. A healthy reader is done by then.
const HELD_TRIES: u32 = 20;
const HELD_PAUSE: Duration = Duration::from_millis(500);
/// Entries that are listed one by one.
const NAMED: usize = 100;

/// The verdict that was found and the one it replaces, in the words for verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What the journal says; `quarantined` for quarantined entries.
    pub from: &'static str,
    /// What the check says.
    pub to: &'static str,
}

/// The result so far.
#[derive(Debug, Clone, Default)]
pub struct Reverified {
    /// Entries that were checked.
    pub checked: u64,
    /// How many entries changed, by their old and new verdict.
    pub changes: BTreeMap<Change, u64>,
    /// Verified entries that no key fits any more, by the result of the check. None is changed.
    pub lost: BTreeMap<Change, u64>,
    /// The first of those.
    pub lost_ids: Vec<EventId>,
    /// Changes that could not be written, because a reader had claimed their batch for too long.
    pub held: u64,
}

/// One run over a part of the journal.
#[derive(Debug)]
pub struct Reverify {
    journal: Journal,
    ids: Ids,
    filter: CheckFilter,
    /// Whether new verdicts are written.
    writes: bool,
    keys: Keys,
    verifier: Verifier,
    after: Option<Position>,
    kept_after: Option<(DateTime<Utc>, uuid::Uuid)>,
    events_done: bool,
    /// Reasons whose quarantined rows are still to be checked, the next one last.
    reasons: Vec<&'static str>,
    done: Reverified,
}

/// Every key that was ever served, the one that was seen last first.
#[derive(Debug)]
struct Keys {
    served: Vec<(VerifyingKey, DateTime<Utc>)>,
    settled: Settled,
}

impl Keys {
    /// The keys that were good when an entry was received. A key that left the set long before
    /// proves nothing: the ingest endpoint would not have accepted it either.
    fn good_at(&self, received_at: DateTime<Utc>) -> usize {
        let is_good = |(_, last_seen): &(VerifyingKey, DateTime<Utc>)| {
            last_seen
                .checked_add_signed(GOOD_FOR)
                .is_none_or(|end| end >= received_at)
        };
        self.served.partition_point(is_good)
    }

    fn first(&self, count: usize) -> Arc<Vec<VerifyingKey>> {
        Arc::new(self.served[..count].iter().map(|(key, _)| *key).collect())
    }
}

impl Reverify {
    /// Prepares to check what `filter` names against every key in the journal; `writes` says
    /// whether stronger verdicts are stored.
    pub async fn new(
        journal: Journal,
        ids: Ids,
        filter: CheckFilter,
        writes: bool,
    ) -> Result<Self, IntakeError> {
        // First, so that the keys of every set counted here are read below.
        let settled = Settled::by(&journal.key_fetches().await?);
        let stored = journal.keys_since(DateTime::UNIX_EPOCH).await?;
        let keys = stored.iter().filter_map(|stored| {
            let bytes = stored.key.as_slice().try_into().ok()?;
            Some((VerifyingKey::from_bytes(bytes).ok()?, stored.last_seen))
        });
        let reasons = match filter.verdict {
            None => vec![REASON_KEY_UNKNOWN, REASON_FAILED],
            Some(Verdict::KeyUnknown) => vec![REASON_KEY_UNKNOWN],
            Some(Verdict::Failed) => vec![REASON_FAILED],
            Some(_) => Vec::new(),
        };
        Ok(Self {
            keys: Keys {
                served: keys.collect(),
                settled,
            },
            journal,
            ids,
            filter,
            writes,
            verifier: Verifier::default(),
            after: None,
            kept_after: None,
            events_done: false,
            reasons,
            done: Reverified::default(),
        })
    }

    /// How many keys it checks against.
    pub fn keys(&self) -> usize {
        self.keys.served.len()
    }

    /// The result so far.
    pub fn so_far(&self) -> &Reverified {
        &self.done
    }

    /// Checks the next slice: stored events first, then what was quarantined because no key fitted.
    /// `false` when there is none left.
    pub async fn next(&mut self) -> Result<bool, IntakeError> {
        if !self.events_done {
            let slice = self
                .journal
                .events_to_check(&self.filter, self.after, AT_ONCE)
                .await?;
            if let Some(last) = slice.last() {
                self.after = Some(last.into());
                self.check_events(slice).await?;
                return Ok(true);
            }
            self.events_done = true;
        }
        while let Some(reason) = self.reasons.last() {
            let kept = self
                .journal
                .quarantined_for(reason, self.kept_after, far_future(), AT_ONCE)
                .await?;
            if let Some(last) = kept.last() {
                self.kept_after = Some((last.received_at, last.id));
                self.check_quarantined(kept).await?;
                return Ok(true);
            }
            self.kept_after = None;
            self.reasons.pop();
        }
        Ok(false)
    }

    async fn check_events(&mut self, events: Vec<StoredEvent>) -> Result<(), IntakeError> {
        let entries = events.iter().map(|event| (&event.raw, event.received_at));
        let verdicts = self.verdicts(entries.collect()).await?;
        self.done.checked += events.len() as u64;
        let mut settled = Vec::new();
        for (event, found) in events.iter().zip(verdicts) {
            match judge(event.verdict, found) {
                Judgement::Same => {}
                Judgement::Settles => settled.push((event, found)),
                Judgement::Lost => {
                    *self
                        .done
                        .lost
                        .entry(change(event.verdict, found))
                        .or_default() += 1;
                    if self.done.lost_ids.len() < NAMED {
                        self.done.lost_ids.push(event.id);
                    }
                }
            }
        }
        for (batch, verdicts) in by_batch(settled) {
            self.settle(batch, &verdicts).await?;
        }
        Ok(())
    }

    async fn settle(
        &mut self,
        batch: uuid::Uuid,
        verdicts: &[NewVerdict],
    ) -> Result<(), IntakeError> {
        if self.writes && !self.write(batch, verdicts).await? {
            self.done.held += verdicts.len() as u64;
            return Ok(());
        }
        for new in verdicts {
            *self
                .done
                .changes
                .entry(change(new.from, new.to))
                .or_default() += 1;
        }
        Ok(())
    }

    /// Writes the verdicts once no reader has claimed the batch; `false` when one keeps its claim
    /// for too long.
    async fn write(&self, batch: uuid::Uuid, verdicts: &[NewVerdict]) -> Result<bool, IntakeError> {
        for _ in 0..HELD_TRIES {
            if self.journal.settle(batch, verdicts).await?.is_some() {
                return Ok(true);
            }
            tokio::time::sleep(HELD_PAUSE).await;
        }
        Ok(false)
    }

    async fn check_quarantined(&mut self, kept: Vec<Quarantined>) -> Result<(), IntakeError> {
        let entries = kept.iter().map(|row| (&row.raw, row.received_at));
        let verdicts = self.verdicts(entries.collect()).await?;
        let mut settled = Vec::new();
        for (row, found) in kept.into_iter().zip(verdicts) {
            if !self.concerns(&row) {
                continue;
            }
            self.done.checked += 1;
            let says_more = match found {
                Verdict::Verified => true,
                Verdict::Failed => row.reason != REASON_FAILED,
                Verdict::KeyUnknown | Verdict::Unsigned | Verdict::NotApplicable => false,
            };
            if says_more {
                settled.push((row, found));
            }
        }
        let settled = if self.writes {
            settle_quarantined(&self.journal, &self.ids, settled).await?
        } else {
            settled.into_iter().map(|(_, found)| found).collect()
        };
        for found in settled {
            let change = Change {
                from: "quarantined",
                to: found.as_str(),
            };
            *self.done.changes.entry(change).or_default() += 1;
        }
        Ok(())
    }

    /// Whether the filter names an entry that is not stored as an event.
    fn concerns(&self, row: &Quarantined) -> bool {
        let Ok(event) = event::parse(&row.raw) else {
            return false;
        };
        let of_portal = self.filter.portal_id.as_ref().is_none_or(|portal| {
            let named = event.members.text("portal_id");
            named.is_some_and(|named| *named == **portal)
        });
        of_portal && (self.filter.from..self.filter.to).contains(&event.event_ts)
    }

    /// The verdict on each entry, against the keys that were good when it was received.
    pub(super) async fn verdicts(
        &self,
        entries: Vec<(&Vec<u8>, DateTime<Utc>)>,
    ) -> Result<Vec<Verdict>, IntakeError> {
        let mut verdicts = vec![Verdict::KeyUnknown; entries.len()];
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, (_, received_at)) in entries.iter().enumerate() {
            let good = self.keys.good_at(*received_at);
            groups.entry(good).or_default().push(index);
        }
        for (good, indexes) in groups {
            let lines = indexes
                .iter()
                .map(|index| Bytes::copy_from_slice(entries[*index].0));
            let keys = self.keys.first(good);
            let checks = self.verifier.check(lines.collect(), keys).await?;
            for (index, check) in indexes.into_iter().zip(checks) {
                verdicts[index] = self.keys.settled.verdict(check, entries[index].1);
            }
        }
        Ok(verdicts)
    }
}

/// What follows from the result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    /// The journal says it already, or the check says less than the journal.
    Same,
    /// It replaces what the journal says.
    Settles,
    /// What was verified is not any more.
    Lost,
}

fn judge(known: Verdict, found: Verdict) -> Judgement {
    match (known, found) {
        _ if known == found => Judgement::Same,
        (Verdict::Verified, _) => Judgement::Lost,
        // An open verdict does not replace a settled one.
        (Verdict::Failed, Verdict::KeyUnknown) => Judgement::Same,
        (Verdict::KeyUnknown, Verdict::Failed) => Judgement::Settles,
        _ if found.strength() > known.strength() => Judgement::Settles,
        _ => Judgement::Same,
    }
}

fn change(from: Verdict, to: Verdict) -> Change {
    Change {
        from: from.as_str(),
        to: to.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use ed25519_dalek::SigningKey;

    use super::{Judgement, Keys, judge};
    use crate::event::Verdict;
    use crate::intake::settled::Settled;

    #[test]
    fn nothing_is_made_weaker_in_silence() {
        use Verdict::{Failed, KeyUnknown, NotApplicable, Unsigned, Verified};
        for (known, found, expected) in [
            (KeyUnknown, Verified, Judgement::Settles),
            (KeyUnknown, Failed, Judgement::Settles),
            (KeyUnknown, KeyUnknown, Judgement::Same),
            (Failed, Verified, Judgement::Settles),
            (Failed, KeyUnknown, Judgement::Same),
            (NotApplicable, Verified, Judgement::Settles),
            (NotApplicable, Failed, Judgement::Settles),
            (NotApplicable, Unsigned, Judgement::Settles),
            (Unsigned, Verified, Judgement::Settles),
            (Unsigned, Failed, Judgement::Same),
            (Verified, Failed, Judgement::Lost),
            (Verified, KeyUnknown, Judgement::Lost),
            (Verified, Verified, Judgement::Same),
        ] {
            assert_eq!(judge(known, found), expected, "{known} and {found}");
        }
    }

    #[test]
    fn a_key_is_good_for_what_came_until_eight_days_after_it_left() {
        let left: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        let fetched = left + TimeDelta::days(30);
        let key = |seed| SigningKey::from_bytes(&[seed; 32]).verifying_key();
        let keys = Keys {
            served: vec![(key(2), fetched), (key(1), left)],
            settled: Settled::default(),
        };
        for (days, good) in [(-300, 2), (0, 2), (8, 2), (9, 1), (38, 1), (39, 0)] {
            let received_at = left + TimeDelta::days(days);
            assert_eq!(keys.good_at(received_at), good, "{days} days");
        }
    }
}
