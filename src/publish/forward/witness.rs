//! Who is at fault, the entries that are refused or the endpoint: another entry from elsewhere tells. Without it,
//! whoever can put a text into an entry could stop the feed, and a revoked token would empty it into the quarantine.

use uuid::Uuid;

use crate::journal::StoredEvent;
use crate::publish::forward::endpoint::Answer;
use crate::publish::forward::parcel::{Parcel, Search};
use crate::publish::forward::{Ends, Forwarder, RoundError};

/// Batches that are owed, among which others are looked for.
const FAR: i64 = 4_096;

/// What an endpoint turned out to be like. It is found again after a restart.
#[derive(Debug)]
pub(super) struct Known {
    /// Bytes that it takes at once.
    pub(super) at_most: usize,
    /// What it took last.
    entry: Option<StoredEvent>,
    /// It refused all that it was asked with, and took nothing since.
    is_doubted: bool,
    doubts: u64,
}

impl Known {
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            at_most,
            entry: None,
            is_doubted: false,
            doubts: 0,
        }
    }

    pub(super) fn took(&mut self, entry: &StoredEvent) {
        self.entry = Some(entry.clone());
        self.is_doubted = false;
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted
    }

    /// There was a pause: a copy of the last entry before it would surprise whoever reads the feed.
    pub(super) fn forget_entry(&mut self) {
        self.entry = None;
    }
}

impl Forwarder {
    /// Whether the endpoint takes any entry now. Asks with what it took last, with the end of the parcel, the end of
    /// what is owed, and each time another place of both: a flood of bad entries leaves no place free for ever. What
    /// is taken here is sent again in its turn.
    pub(super) async fn takes_another(
        &self,
        parcel: &Parcel,
        search: &Search,
        known: &mut Known,
        ends: Ends<'_>,
    ) -> Result<bool, RoundError> {
        known.doubts += 1;
        known.is_doubted = true;
        let refused = search.at_fault().iter();
        let mut asked: Vec<Uuid> = refused
            .map(|(index, _)| parcel.entry(*index).id.as_uuid())
            .collect();
        let here = places(parcel.len(), known.doubts).map(|index| parcel.entry(index).clone());
        for entry in known.entry.take().into_iter().chain(here) {
            if self.takes(&entry, &mut asked, ends).await? {
                known.took(&entry);
                return Ok(true);
            }
        }
        let rows = self.journal.owed(self.endpoint.reader, FAR).await?;
        for row in places(rows.len(), known.doubts) {
            let entries = self.entries_of(&rows[row]).await?.unwrap_or_default();
            for index in places(entries.len(), known.doubts) {
                if self.takes(&entries[index], &mut asked, ends).await? {
                    known.took(&entries[index]);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Asks with one entry, unless it was refused already.
    async fn takes(
        &self,
        entry: &StoredEvent,
        asked: &mut Vec<Uuid>,
        ends: Ends<'_>,
    ) -> Result<bool, RoundError> {
        if ends.stopping.is_cancelled() {
            return Err(RoundError::Abandoned);
        }
        let id = entry.id.as_uuid();
        if asked.contains(&id) {
            return Ok(false);
        }
        asked.push(id);
        let answer = self.send(entry.raw.clone(), 1, ends).await?;
        Ok(answer == Answer::Taken)
    }
}

/// The last of so many, and one that is another each time, spread evenly.
fn places(of: usize, time: u64) -> impl Iterator<Item = usize> {
    // The golden ratio, as a part of 2^64.
    let turn = time.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = (u128::from(turn) * of as u128) >> 64;
    let other = usize::try_from(part).unwrap_or_default();
    of.checked_sub(1).into_iter().flat_map(move |last| {
        let other = (other != last).then_some(other);
        std::iter::once(last).chain(other)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::places;

    #[test]
    fn every_place_has_its_turn() {
        for of in 0..50 {
            let times = (0..).take(4 * of);
            let all: BTreeSet<usize> = times.flat_map(|time| places(of, time)).collect();
            assert_eq!(all, (0..of).collect(), "{of}");
        }
    }
}
