//! One equation for many Ed25519 signatures of one key.
//!
//! `ed25519_dalek::verify_batch` adds up a multiple of the key for every signature. Where all are
//! of one key that is one multiple in all, and the sum has half as many terms. Accepts exactly what
//! that function accepts.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha512};

/// A message with the signature that it came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignedMessage<'a> {
    /// The bytes that the signature should cover.
    pub(super) message: &'a [u8],
    /// R and s, 32 bytes each.
    pub(super) signature: &'a [u8; 64],
}

/// Whether every signature is one of `key`'s; false for none at all.
///
/// With s·B = R + h·A for each, any sum of multiples is true too. The multiples are 128 bits of a
/// hash over all signatures and messages, so that nobody can choose forgeries that cancel each
/// other out.
pub(super) fn all_fit(key: &VerifyingKey, entries: &[SignedMessage<'_>]) -> bool {
    let Some(parts) = entries
        .iter()
        .map(|entry| Parts::of(key, entry))
        .collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let factors = factors(&parts);
    let mut base = Scalar::ZERO;
    let mut of_key = Scalar::ZERO;
    for (part, factor) in parts.iter().zip(&factors) {
        base -= factor * part.s;
        of_key += factor * Scalar::from_bytes_mod_order_wide(&part.hash);
    }
    let key = CompressedEdwardsY(key.to_bytes()).decompress();
    let sum = EdwardsPoint::optional_multiscalar_mul(
        [base, of_key].into_iter().chain(factors),
        [Some(ED25519_BASEPOINT_POINT), key]
            .into_iter()
            .chain(parts.iter().map(|part| part.r.decompress())),
    );
    !parts.is_empty() && sum.is_some_and(|sum| sum.is_identity())
}

/// One signature, read.
struct Parts {
    r: CompressedEdwardsY,
    s: Scalar,
    /// SHA-512 of R, the key and the message:
    /// <https://www.rfc-editor.org/rfc/rfc8032#section-5.1.7>.
    hash: [u8; 64],
}

impl Parts {
    /// None where s is not below the order of the group, as every honest one is.
    fn of(key: &VerifyingKey, entry: &SignedMessage<'_>) -> Option<Self> {
        let (r, s) = entry.signature.split_first_chunk::<32>()?;
        let s: [u8; 32] = s.try_into().ok()?;
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(key.as_bytes())
            .chain_update(entry.message)
            .finalize();
        Some(Self {
            r: CompressedEdwardsY(*r),
            s: Option::from(Scalar::from_canonical_bytes(s))?,
            hash: hash.into(),
        })
    }
}

/// One for each signature; no part of any can be chosen after them.
fn factors(parts: &[Parts]) -> Vec<Scalar> {
    let mut all = Sha512::new();
    for part in parts {
        // The hash covers R, the key and the message.
        all.update(part.hash);
        all.update(part.s.as_bytes());
    }
    let seed = all.finalize();
    (0_u64..)
        .flat_map(|block| {
            let block = Sha512::new()
                .chain_update(seed)
                .chain_update(block.to_le_bytes())
                .finalize();
            let block: [u8; 64] = block.into();
            block.as_chunks::<16>().0.to_vec()
        })
        .map(|bytes| Scalar::from(u128::from_le_bytes(bytes)))
        .take(parts.len())
        .collect()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Signer, SigningKey, verify_batch};

    use super::*;

    /// As the library judges the same batch.
    fn library(key: &VerifyingKey, messages: &[Vec<u8>], signatures: &[[u8; 64]]) -> bool {
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let signatures: Vec<Signature> = signatures.iter().map(Signature::from_bytes).collect();
        verify_batch(&messages, &signatures, &vec![*key; messages.len()]).is_ok()
    }

    fn ours(key: &VerifyingKey, messages: &[Vec<u8>], signatures: &[[u8; 64]]) -> bool {
        let entries: Vec<SignedMessage<'_>> = messages
            .iter()
            .zip(signatures)
            .map(|(message, signature)| SignedMessage { message, signature })
            .collect();
        all_fit(key, &entries)
    }

    #[test]
    fn judges_as_the_library_does() {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let stranger = SigningKey::from_bytes(&[8; 32]);
        let key = signing.verifying_key();
        for count in [1, 2, 17, 256, 300] {
            let messages: Vec<Vec<u8>> = (0..count)
                .map(|n| format!("message {n}").into_bytes())
                .collect();
            let good: Vec<[u8; 64]> = messages
                .iter()
                .map(|message| signing.sign(message).to_bytes())
                .collect();
            assert!(ours(&key, &messages, &good) && library(&key, &messages, &good));
            for place in [0, count / 2, count - 1] {
                let mut forged: Vec<Vec<[u8; 64]>> = Vec::new();
                // A bit of R, a bit of s, an s that is no number below the order, another's
                // signature, no point, and R of small order with s = 0.
                for (at, bits) in [(0, 1), (31, 0x40), (32, 1), (63, 0x80), (63, 0x10)] {
                    let mut signatures = good.clone();
                    signatures[place][at] ^= bits;
                    forged.push(signatures);
                }
                for bytes in [
                    stranger.sign(&messages[place]).to_bytes(),
                    [0; 64],
                    [0xff; 64],
                    std::array::from_fn(|at| u8::from(at == 0)),
                ] {
                    let mut signatures = good.clone();
                    signatures[place] = bytes;
                    forged.push(signatures);
                }
                for signatures in forged {
                    assert!(!library(&key, &messages, &signatures));
                    assert!(!ours(&key, &messages, &signatures), "{count}, {place}");
                }
            }
        }
        assert!(!ours(&key, &[], &[]), "nothing proves nothing");
    }

    #[test]
    fn forgeries_that_cancel_each_other_out_are_found() {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let key = signing.verifying_key();
        let messages = vec![b"one".to_vec(), b"two".to_vec()];
        let mut signatures: Vec<[u8; 64]> = messages
            .iter()
            .map(|message| signing.sign(message).to_bytes())
            .collect();
        // One s larger by one, the other smaller: a plain sum would still be true.
        for (signature, change) in signatures.iter_mut().zip([Scalar::ONE, -Scalar::ONE]) {
            let s: [u8; 32] = signature[32..].try_into().expect("half of 64");
            let s = Scalar::from_bytes_mod_order(s) + change;
            signature[32..].copy_from_slice(s.as_bytes());
        }
        assert!(!ours(&key, &messages, &signatures));
    }
}
