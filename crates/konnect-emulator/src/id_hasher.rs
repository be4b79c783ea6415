//! A hash of ids that is quick to make: lists look thousands of them up, and most are random by
//! themselves. Ids of a caller's choice, such as those of seeds, may be one after the other.

use std::hash::Hasher;

/// The hash of one id.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    /// Spreads a change of any bit over all of them, by the numbers of `SplitMix64`.
    fn write_u64(&mut self, word: u64) {
        let mut mixed = self.0.rotate_left(5) ^ word;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.0 = mixed ^ (mixed >> 31);
    }

    fn write_usize(&mut self, _: usize) {
        // The length of an id, which all have in common.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::BuildHasher as _, hash::BuildHasherDefault};

    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_in_a_row_are_spread() {
        let maker = BuildHasherDefault::<IdHasher>::default();
        for shift in [0, 16, 60, 64, 100] {
            let hashes = (0..4_096_u128).map(|id| maker.hash_one(Uuid::from_u128(id << shift)));
            let hashes: Vec<u64> = hashes.collect();
            for bits in [0, 52] {
                let parts = hashes.iter().map(|hash| (hash >> bits) & 0xFFF);
                // Of 4,096 random numbers below 4,096, 63 in 100 are different.
                assert!(parts.collect::<HashSet<u64>>().len() > 2_200, "{shift}");
            }
        }
    }
}
