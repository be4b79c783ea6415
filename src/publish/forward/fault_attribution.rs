//! Finds out who is at fault, the refused entries or the endpoint, by sending another entry from
//! elsewhere. Without it, a stranger who can put a text into an entry could stop the feed. A
//! revoked token would move the whole feed into the quarantine.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::journal::StoredEvent;
use crate::publish::forward::chunk::{Chunk, FaultSearch};
use crate::publish::forward::endpoint::{Answer, Failure};
use crate::publish::forward::{ForwardError, Forwarder, StopTokens};
use crate::publish::leader::rest;

/// Owed batches among which other entries are searched.
const FAR: i64 = 4_096;

/// The waits before suspected entries are sent once more: what is taken then was not at fault.
const RETRY_WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// What is known of an endpoint's behaviour. It is found again after a restart.
#[derive(Debug)]
pub(super) struct EndpointHistory {
    /// Bytes that it takes at once.
    pub(super) at_most: usize,
    /// The entry that it took last.
    entry: Option<StoredEvent>,
    /// It refused all probes, and took nothing since.
    is_doubted: bool,
    doubts: u64,
    /// Since when it took nothing.
    failing_since: Option<Instant>,
    /// Some entries were found to cause such an answer.
    is_touchy: bool,
    /// Whether any answer in this delivery may concern the entries.
    suspects: bool,
    /// What it answered last under suspicion.
    pub(super) answered: Option<Failure>,
}

impl EndpointHistory {
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            at_most,
            entry: None,
            is_doubted: false,
            doubts: 0,
            failing_since: None,
            is_touchy: false,
            suspects: false,
            answered: None,
        }
    }

    /// A delivery begins. Entries are suspected when nothing was taken for as long as `patience`.
    pub(super) fn begin(&mut self, patience: Duration) {
        let is_long = |since: Instant| since.elapsed() >= patience;
        self.suspects = self.is_touchy || self.failing_since.is_some_and(is_long);
        self.answered = None;
    }

    /// It took nothing.
    pub(super) fn failed(&mut self) {
        self.failing_since.get_or_insert_with(Instant::now);
    }

    pub(super) fn took(&mut self, entry: &StoredEvent) {
        self.entry = Some(entry.clone());
        self.is_doubted = false;
        self.failing_since = None;
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted
    }

    /// There was a pause: a copy of the last entry before it would surprise the readers of the
    /// feed.
    pub(super) fn forget_entry(&mut self) {
        self.entry = None;
    }
}

impl Forwarder {
    /// Sends `body`. While entries are suspected, any answer may be a refusal of them, and so may
    /// the end of the connection.
    pub(super) async fn offer(
        &self,
        body: Vec<u8>,
        entries: usize,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<Answer, ForwardError> {
        match self.send(body, entries, ends).await {
            Err(ForwardError::Endpoint(failure)) if history.suspects => {
                match failure.as_refusal() {
                    Some(refusal) => {
                        history.answered = Some(failure);
                        Ok(Answer::Refused(refusal))
                    }
                    None => Err(failure.into()),
                }
            }
            answer => answer,
        }
    }

    /// Makes sure, where entries were suspected, that they alone are at fault: each is refused
    /// again and again, while others are taken. An endpoint that recovers slowly takes one of them,
    /// and then nothing is quarantined.
    pub(super) async fn be_sure(
        &self,
        chunk: &Chunk,
        search: &FaultSearch,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<(), ForwardError> {
        let Some((_, refusal)) = search
            .at_fault()
            .last()
            .filter(|_| history.answered.is_some())
        else {
            return Ok(());
        };
        for wait in RETRY_WAITS {
            rest(wait, ends.stopping, ends.lost).await;
            for (place, (index, _)) in search.at_fault().iter().enumerate() {
                let entry = chunk.entry(*index);
                let is_taken = self.is_taken(entry, history, ends).await?;
                if is_taken {
                    history.took(entry);
                }
                if is_taken || (place == 0 && !self.takes_the_last(history, ends).await?) {
                    return Err(self.takes_nothing(history, *refusal).into());
                }
            }
            if !self.takes_the_last(history, ends).await? {
                return Err(self.takes_nothing(history, *refusal).into());
            }
        }
        history.is_touchy = true;
        Ok(())
    }

    /// Whether the endpoint takes any entry now. Probes with the entry it took last, with the end
    /// of the chunk, the end of what is owed, and each time another place of both: so a flood of
    /// bad entries cannot fill all places for ever. What is taken here is sent again in its order.
    pub(super) async fn takes_another(
        &self,
        chunk: &Chunk,
        search: &FaultSearch,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<bool, ForwardError> {
        history.doubts += 1;
        history.is_doubted = true;
        let refused = search.at_fault().iter();
        let mut asked: Vec<Uuid> = refused
            .map(|(index, _)| chunk.entry(*index).id.as_uuid())
            .collect();
        let here = places(chunk.len(), history.doubts).map(|index| chunk.entry(index).clone());
        for entry in history.entry.take().into_iter().chain(here) {
            if self.takes(&entry, &mut asked, history, ends).await? {
                history.took(&entry);
                return Ok(true);
            }
        }
        let rows = self.journal.owed(self.endpoint.reader, FAR).await?;
        for row in places(rows.len(), history.doubts) {
            let entries = self.entries_of(&rows[row]).await?.unwrap_or_default();
            for index in places(entries.len(), history.doubts) {
                if self
                    .takes(&entries[index], &mut asked, history, ends)
                    .await?
                {
                    history.took(&entries[index]);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether the endpoint takes once more what it took last.
    async fn takes_the_last(
        &self,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<bool, ForwardError> {
        match history.entry.clone() {
            Some(entry) => self.is_taken(&entry, history, ends).await,
            None => Ok(false),
        }
    }

    async fn is_taken(
        &self,
        entry: &StoredEvent,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<bool, ForwardError> {
        if ends.stopping.is_cancelled() || ends.lost.is_cancelled() {
            return Err(ForwardError::Abandoned);
        }
        let answer = self.offer(entry.raw.clone(), 1, history, ends).await?;
        Ok(answer == Answer::Taken)
    }

    /// Probes with one entry, unless it was refused already.
    async fn takes(
        &self,
        entry: &StoredEvent,
        asked: &mut Vec<Uuid>,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<bool, ForwardError> {
        let id = entry.id.as_uuid();
        if asked.contains(&id) {
            return Ok(false);
        }
        asked.push(id);
        self.is_taken(entry, history, ends).await
    }
}

/// The last of so many, and a different one each time, spread evenly.
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
