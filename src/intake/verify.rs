//! Signatures of entries, checked in batches on threads of their own.

use ed25519_dalek::{Signature, VerifyingKey, verify_batch};

use crate::event::signature::{Candidate, Signed, locate};

/// What a check against a set of keys says of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// A key fits.
    Fits,
    /// It is signed, and no key of this set fits.
    NoKeyFits,
    /// What stands where a signature should be is none.
    NoSignature,
    /// It is not signed.
    Unsigned,
}

/// Entries checked at once: a batch of this size costs a third of single checks.
const BATCH: usize = 256;

/// Checks every line against every key; keys come from the audit-log service only, so that the
/// batch equation and the strict one agree on them.
pub(super) fn check(lines: &[Vec<u8>], keys: &[VerifyingKey]) -> Vec<Check> {
    let located: Vec<Signed> = lines.iter().map(|line| locate(line)).collect();
    let mut checks: Vec<Check> = located
        .iter()
        .map(|signed| match signed {
            Signed::Unsigned => Check::Unsigned,
            Signed::Malformed => Check::NoSignature,
            Signed::Present { .. } => Check::NoKeyFits,
        })
        .collect();
    for key in keys {
        let open: Vec<usize> = (0..checks.len())
            .filter(|index| checks[*index] == Check::NoKeyFits)
            .collect();
        for chunk in open.chunks(BATCH) {
            mark(&located, key, chunk, &mut checks);
        }
    }
    checks
}

/// Marks which of `indexes` the key fits: all at once, or, where the batch fails, one by one.
fn mark(located: &[Signed], key: &VerifyingKey, indexes: &[usize], checks: &mut [Check]) {
    if all_fit(located, key, indexes) {
        for index in indexes {
            checks[*index] = Check::Fits;
        }
        return;
    }
    for index in indexes {
        if let Signed::Present { sig, candidates } = &located[*index]
            && candidates.iter().any(|candidate| fits(key, sig, candidate))
        {
            checks[*index] = Check::Fits;
        }
    }
}

fn all_fit(located: &[Signed], key: &VerifyingKey, indexes: &[usize]) -> bool {
    let mut messages = Vec::with_capacity(indexes.len());
    let mut signatures = Vec::with_capacity(indexes.len());
    for index in indexes {
        let Signed::Present { sig, candidates } = &located[*index] else {
            return false;
        };
        let Some(first) = candidates.first() else {
            return false;
        };
        messages.push(first.message.as_slice());
        signatures.push(Signature::from_bytes(sig));
    }
    !messages.is_empty()
        && verify_batch(&messages, &signatures, &vec![*key; messages.len()]).is_ok()
}

fn fits(key: &VerifyingKey, sig: &[u8; 64], candidate: &Candidate) -> bool {
    key.verify_strict(&candidate.message, &Signature::from_bytes(sig))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn signed(key: &SigningKey, number: usize) -> Vec<u8> {
        let unsigned = format!(r#"{{"name":"Ingress","trace_id":{number}}}"#);
        let sig = URL_SAFE_NO_PAD.encode(key.sign(unsigned.as_bytes()).to_bytes());
        unsigned
            .replace('}', &format!(r#","sig":"{sig}"}}"#))
            .into_bytes()
    }

    #[test]
    fn finds_the_forged_among_many_and_tries_every_key() {
        let (old, new, stranger) = (
            SigningKey::from_bytes(&[1; 32]),
            SigningKey::from_bytes(&[2; 32]),
            SigningKey::from_bytes(&[3; 32]),
        );
        let mut lines: Vec<Vec<u8>> = (0..600)
            .map(|n| signed(if n % 3 == 0 { &old } else { &new }, n))
            .collect();
        lines[301] = signed(&stranger, 301);
        lines[302] = br#"{"name":"Ingress"}"#.to_vec();
        lines[303] = br#"{"name":"Ingress","sig":"short"}"#.to_vec();
        let checks = check(&lines, &[new.verifying_key(), old.verifying_key()]);
        for (index, found) in checks.iter().enumerate() {
            let expected = match index {
                301 => Check::NoKeyFits,
                302 => Check::Unsigned,
                303 => Check::NoSignature,
                _ => Check::Fits,
            };
            assert_eq!(*found, expected, "line {index}");
        }
    }
}
