//! What one request carries, and the search for its entries that an endpoint refuses. Pure: sends
//! nothing.

use std::ops::Range;

use reqwest::StatusCode;

use crate::journal::{Owed, StoredEvent, Unsendable};
use crate::publish::forward::endpoint::Refusal;

/// Quarantined: an endpoint refuses this entry and takes others.
pub(in crate::publish) const REASON_REFUSED: &str = "forward_refused";
/// After so many entries refused in a row, and none taken, a probe must show whether the endpoint
/// takes any at all.
const SUSPECTS: usize = 4;
/// After each probe that showed that it took another, the next one comes after so many times more
/// refusals.
const TRUST: usize = 4;

/// Entries that one request carries, and the batches that are finished when they were taken.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    entries: Vec<StoredEvent>,
    bytes: usize,
    batches: Vec<Owed>,
    /// Found in chunks before this one, of a batch that is not complete yet.
    unsendable: Vec<Unsendable>,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether `event` can be added. An empty chunk takes any event.
    pub(super) fn has_room(&self, event: &StoredEvent, at_most: usize) -> bool {
        self.entries.is_empty() || self.bytes + event.raw.len() < at_most
    }

    pub(super) fn entry(&self, index: usize) -> &StoredEvent {
        &self.entries[index]
    }

    pub(super) fn add(&mut self, event: StoredEvent) {
        // With the LF after it.
        self.bytes += event.raw.len() + 1;
        self.entries.push(event);
    }

    /// All entries of `batch` are in this chunk and those before it.
    pub(super) fn end_batch(&mut self, batch: Owed) {
        self.batches.push(batch);
    }

    /// The entries of `part` as they were received, joined by LF.
    pub(super) fn body(&self, part: Range<usize>) -> Vec<u8> {
        let entries: Vec<&[u8]> = self.entries[part]
            .iter()
            .map(|event| event.raw.as_slice())
            .collect();
        entries.join(&b'\n')
    }

    /// The bytes of the entries of `part`.
    pub(super) fn bytes_of(&self, part: Range<usize>) -> usize {
        let entries = self.entries[part].iter();
        entries.map(|event| event.raw.len() + 1).sum()
    }

    /// The entries that the search found to be at fault, with the reason.
    pub(super) fn set_aside(&self, at_fault: &[(usize, Refusal)], host: &str) -> Vec<Unsendable> {
        let kept = at_fault.iter().map(|(index, refusal)| Unsendable {
            event: self.entries[*index].clone(),
            reason: REASON_REFUSED,
            detail: format!("{host} {refusal} to it alone, and takes others"),
        });
        kept.collect()
    }

    /// Empties the chunk after it was taken but for `unsendable`; returns the batches that are
    /// complete, and what is to be quarantined with them.
    pub(super) fn sent(&mut self, unsendable: Vec<Unsendable>) -> (Vec<Owed>, Vec<Unsendable>) {
        self.entries.clear();
        self.bytes = 0;
        self.unsendable.extend(unsendable);
        let batches = std::mem::take(&mut self.batches);
        if batches.is_empty() {
            return (batches, Vec::new());
        }
        (batches, std::mem::take(&mut self.unsendable))
    }
}

/// The search by halves for the entries for which an endpoint refuses the whole.
#[derive(Debug)]
pub(super) struct FaultSearch {
    open: Vec<Range<usize>>,
    at_fault: Vec<(usize, Refusal)>,
    too_large: Vec<Range<usize>>,
    /// Refused alone since an entry was last taken.
    unproven: usize,
    /// So many before the next probe.
    patience: usize,
}

/// How to continue after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// With the next part.
    Next,
    /// Only after the endpoint took another entry: so far the endpoint may be at fault, and not
    /// these.
    Doubt,
}

impl FaultSearch {
    /// `is_doubted`: the endpoint took nothing lately, so that the first refusal is reason enough
    /// for a probe.
    pub(super) fn over(entries: usize, is_doubted: bool) -> Self {
        Self {
            open: (entries > 0).then_some(0..entries).into_iter().collect(),
            at_fault: Vec::new(),
            too_large: Vec::new(),
            unproven: 0,
            patience: if is_doubted { 0 } else { SUSPECTS },
        }
    }

    /// What to send next, in the order of the entries.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.open.pop()
    }

    pub(super) fn taken(&mut self) {
        self.unproven = 0;
        self.patience = self.patience.max(SUSPECTS);
    }

    /// The endpoint took another entry in a probe: those refused so far are at fault.
    pub(super) fn vouched_for(&mut self) {
        self.taken();
        self.patience = self.patience.saturating_mul(TRUST);
    }

    pub(super) fn refused(&mut self, part: Range<usize>, refusal: Refusal) -> Step {
        if part.len() > 1 {
            if may_be_too_much(refusal) {
                self.too_large.push(part.clone());
            }
            let middle = part.start + part.len() / 2;
            self.open.extend([middle..part.end, part.start..middle]);
        } else {
            self.at_fault.push((part.start, refusal));
            self.unproven += 1;
        }
        if self.open.is_empty() || self.unproven >= self.patience {
            return Step::Doubt;
        }
        Step::Next
    }

    /// The entries that were refused alone. They are at fault once an entry was taken after them.
    pub(super) fn at_fault(&self) -> &[(usize, Refusal)] {
        &self.at_fault
    }

    /// What was too much although each entry of it was taken.
    pub(super) fn too_large(&self) -> impl Iterator<Item = Range<usize>> {
        let innocent = |part: &&Range<usize>| {
            let mut at_fault = self.at_fault.iter();
            !at_fault.any(|(entry, _)| part.contains(entry))
        };
        self.too_large.iter().filter(innocent).cloned()
    }
}

/// Whether less at once may be taken: not every proxy before an endpoint answers 413.
fn may_be_too_much(refusal: Refusal) -> bool {
    match refusal {
        Refusal::Answered(status) => {
            status == StatusCode::PAYLOAD_TOO_LARGE || status.is_server_error()
        }
        Refusal::Cut => true,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::{FaultSearch, Refusal, SUSPECTS, Step};

    const BAD: Refusal = Refusal::Answered(StatusCode::BAD_REQUEST);
    const LARGE: Refusal = Refusal::Answered(StatusCode::PAYLOAD_TOO_LARGE);
    const FORBIDDEN: Refusal = Refusal::Answered(StatusCode::FORBIDDEN);

    /// Runs a search against an endpoint that refuses `bad` of `entries`; returns what is at fault,
    /// and what it sent.
    fn search(entries: usize, bad: &[usize]) -> (Option<Vec<usize>>, Vec<usize>) {
        let mut search = FaultSearch::over(entries, false);
        let mut taken = Vec::new();
        while let Some(part) = search.next() {
            if !part.clone().any(|entry| bad.contains(&entry)) {
                search.taken();
                taken.extend(part);
            } else if search.refused(part, BAD) == Step::Doubt {
                if bad.len() == entries {
                    return (None, taken);
                }
                search.vouched_for();
            }
        }
        let at_fault = search.at_fault().iter();
        (Some(at_fault.map(|(entry, _)| *entry).collect()), taken)
    }

    #[test]
    fn finds_what_is_refused_and_sends_the_rest_in_order() {
        for (entries, bad) in [
            (1, &[][..]),
            (2, &[1]),
            (7, &[0, 3, 6]),
            (1_000, &[13, 14, 15, 999]),
            (73, &(0..70).collect::<Vec<_>>()),
        ] {
            let (at_fault, taken) = search(entries, bad);
            assert_eq!(at_fault.as_deref(), Some(bad), "{entries}");
            let good: Vec<usize> = (0..entries).filter(|entry| !bad.contains(entry)).collect();
            assert_eq!(taken, good, "{entries}");
        }
        assert_eq!(search(0, &[]), (Some(Vec::new()), Vec::new()));
    }

    #[test]
    fn tells_too_many_from_one_that_is_too_large() {
        // The third is too large by itself, and more than two are too many.
        let mut search = FaultSearch::over(8, false);
        while let Some(part) = search.next() {
            if part.len() > 2 || part.contains(&2) {
                let step = search.refused(part, LARGE);
                assert_eq!(step, Step::Next);
            } else {
                search.taken();
            }
        }
        assert_eq!(search.at_fault(), [(2, LARGE)]);
        let mut too_large = search.too_large();
        assert_eq!((too_large.next(), too_large.next()), (Some(4..8), None));
    }

    #[test]
    fn blames_no_entry_while_nothing_is_taken() {
        assert_eq!(search(1, &[0]).0, None);
        assert_eq!(search(3, &[0, 1, 2]).0, None);
        let all: Vec<usize> = (0..100 * SUSPECTS).collect();
        assert_eq!(search(all.len(), &all).0, None);
    }

    #[test]
    fn asks_early_and_ever_more_rarely() {
        let mut search = FaultSearch::over(1_000, false);
        let mut asked = Vec::new();
        while let Some(part) = search.next() {
            if search.refused(part, FORBIDDEN) == Step::Doubt {
                asked.push(search.at_fault().len());
                search.vouched_for();
            }
        }
        assert_eq!(asked, [4, 20, 84, 340, 1_000]);

        let mut search = FaultSearch::over(1_000, true);
        let whole = search.next().expect("the whole");
        let step = search.refused(whole, FORBIDDEN);
        assert_eq!(step, Step::Doubt, "at once where it took nothing lately");
        search.vouched_for();
        let half = search.next().expect("a half");
        let step = search.refused(half, FORBIDDEN);
        assert_eq!(step, Step::Next);
    }
}
