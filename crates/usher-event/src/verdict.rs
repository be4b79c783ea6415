//! What is known about an entry's signature. Judges nothing by itself: `intake` compares and
//! decides.

use std::fmt;
use std::str::FromStr;

use crate::kind::UnknownWord;

/// What is known about an entry's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A key of Konnect's matches.
    Verified,
    /// No key of three sets matches, fetched after receipt and over five minutes, or the signature
    /// cannot be one.
    Failed,
    /// No key known so far matches, and too few sets were fetched since.
    KeyUnknown,
    /// The entry carries no signature.
    Unsigned,
    /// There is nothing to check: usher wrote the entry itself, or it came by the pull API.
    NotApplicable,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 5] = [
        Self::Verified,
        Self::Failed,
        Self::KeyUnknown,
        Self::Unsigned,
        Self::NotApplicable,
    ];

    /// Returns the word that columns and JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::KeyUnknown => "key_unknown",
            Self::Unsigned => "unsigned",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// Ranks verdicts: of two copies of one event the stronger replaces the weaker.
    ///
    /// `key_unknown` and `unsigned` are equal, so that of these the first copy stays: anybody can
    /// write a signature that no key fits, and anybody can leave one out. `not_applicable` ranks
    /// lowest: a checked copy replaces an entry that was stored unchecked. Intake ensures that a
    /// delivery cannot replace an own event: it refuses what claims to be one.
    pub const fn strength(self) -> i16 {
        match self {
            Self::Verified => 4,
            Self::KeyUnknown | Self::Unsigned => 3,
            Self::Failed => 2,
            Self::NotApplicable => 1,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verdict {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
            .ok_or_else(|| UnknownWord::new("verdict", word))
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn every_word_reads_back() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.as_str().parse(), Ok(verdict));
        }
        assert!("Verified".parse::<Verdict>().is_err());
    }

    #[test]
    fn a_better_proof_is_stronger() {
        let weakest_first = [
            Verdict::NotApplicable,
            Verdict::Failed,
            Verdict::Unsigned,
            Verdict::Verified,
        ];
        assert!(weakest_first.is_sorted_by(|a, b| a.strength() < b.strength()));
        assert_eq!(Verdict::KeyUnknown.strength(), Verdict::Unsigned.strength());
    }
}
