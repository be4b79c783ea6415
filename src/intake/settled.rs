//! When "no key fits" is an answer, and which verdict follows from a check: a key may be served
//! later than its first signature.

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::Verdict;
use crate::intake::verify::Check;
use crate::journal::KeyFetch;

/// An entry counts as forged once so many sets have no key for it, the last one so long after the
/// first.
const SETS: usize = 3;
const SETS_OVER: TimeDelta = TimeDelta::minutes(5);

/// Which entries are old enough: since their receipt as many sets were fetched as a verdict takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settled {
    before: Option<DateTime<Utc>>,
}

impl Settled {
    /// By the sets that were fetched, the newest first as the journal returns them. An instance's
    /// clock says when it asked and the database's when the fetch was noted, and either may be
    /// wrong or jump. So a set counts from the earlier of the two, and the minutes must have passed
    /// by both.
    pub(super) fn by(fetches: &[KeyFetch]) -> Self {
        let enough = (SETS..=fetches.len())
            .map(|sets| &fetches[..sets])
            .find(|sets| {
                is_long(sets.iter().map(|set| set.asked_at))
                    && is_long(sets.iter().map(|set| set.created_at))
            });
        let first = enough.and_then(|sets| sets.last());
        Self {
            before: first.map(|set| set.asked_at.min(set.created_at)),
        }
    }

    /// What was received before this is settled.
    pub(super) fn before(self) -> Option<DateTime<Utc>> {
        self.before
    }

    /// Whether enough sets were fetched since then.
    pub(super) fn holds_for(self, received_at: DateTime<Utc>) -> bool {
        self.before.is_some_and(|before| received_at < before)
    }

    /// The verdict that follows from a check.
    pub(super) fn verdict(self, check: Check, received_at: DateTime<Utc>) -> Verdict {
        match check {
            Check::Fits => Verdict::Verified,
            Check::NoKeyFits if self.holds_for(received_at) => Verdict::Failed,
            Check::NoKeyFits => Verdict::KeyUnknown,
            Check::NoSignature => Verdict::Failed,
            Check::Unsigned => Verdict::Unsigned,
        }
    }
}

fn is_long(times: impl Iterator<Item = DateTime<Utc>> + Clone) -> bool {
    let first = times.clone().min();
    let last = times.max();
    first
        .zip(last)
        .is_some_and(|(first, last)| last - first >= SETS_OVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// Each set by when it was asked for and when that was noted.
    fn settled(sets: &[(i64, i64)]) -> Settled {
        let set = |(asked, noted): &(i64, i64)| KeyFetch {
            asked_at: at(*asked),
            created_at: at(*noted),
        };
        Settled::by(&sets.iter().map(set).collect::<Vec<_>>())
    }

    #[test]
    fn an_entry_is_settled_by_three_sets_over_five_minutes() {
        for (seconds, expected) in [
            (&[][..], None),
            (&[600], None),
            (&[600, 0], None),
            (&[600, 300, 0], Some(0)),
            (&[299, 150, 0], None),
            (&[300, 299, 0], Some(0)),
            (&[600, 400, 299, 0], Some(299)),
            (&[600, 300, 299, 0], Some(299)),
            (&[600, 599, 300, 0], Some(300)),
        ] {
            let both: Vec<_> = seconds.iter().map(|it| (*it, *it)).collect();
            let settled = settled(&both);
            assert_eq!(settled.before(), expected.map(at), "{seconds:?}");
        }
    }

    #[test]
    fn one_clock_alone_settles_nothing() {
        // This instance's clock jumps, the database's does, or another instance's is six minutes
        // ahead.
        for sets in [
            &[(608, 8), (4, 4), (1, 1)],
            &[(8, 608), (4, 4), (1, 1)],
            &[(366, 6), (4, 4), (1, 1)],
        ] {
            assert!(!settled(sets).holds_for(at(0)), "{sets:?}");
        }
        // The other instance asked before the entry was received, whatever its clock says.
        let ahead = [(664, 304), (304, 304), (301, 301), (301, -59)];
        assert!(!settled(&ahead).holds_for(at(300)));
        assert!(settled(&ahead).holds_for(at(-60)));
    }

    #[test]
    fn only_what_is_settled_is_called_forged() {
        let settled = settled(&[(600, 600), (300, 300), (100, 100)]);
        assert_eq!(settled.verdict(Check::NoKeyFits, at(99)), Verdict::Failed);
        assert_eq!(
            settled.verdict(Check::NoKeyFits, at(100)),
            Verdict::KeyUnknown
        );
        assert_eq!(settled.verdict(Check::Fits, at(99)), Verdict::Verified);
        assert_eq!(Settled::default().before(), None);
    }
}
