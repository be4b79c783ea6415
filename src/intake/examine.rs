//! The check of one entry step by step, for a person who looks at it. Decides nothing and writes
//! nothing: what is found is shown beside the verdict that is stored.

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, VerifyingKey};
use tokio::task::spawn_blocking;

use crate::event::Verdict;
use crate::event::signature::{Signed, locate};
use crate::intake::IntakeError;
use crate::intake::keys::GOOD_FOR;
use crate::intake::settled::Settled;
use crate::intake::verify::{Check, CheckError};
use crate::journal::{Journal, ServedKey};

/// Keys that are tried, the ones that were seen last: Konnect serves one or two at a time.
const MOST_KEYS: i64 = 50;

/// What the check of an entry found.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The signature, and the messages that it may cover.
    pub signed: Signed,
    /// The keys, the one that was seen last first.
    pub keys: Vec<TriedKey>,
    /// What was received before this is settled: enough sets of keys were fetched since.
    pub settled_before: Option<DateTime<Utc>>,
    /// What follows.
    pub verdict: Verdict,
}

/// One key, and what it says about the entry.
#[derive(Debug, Clone)]
pub struct TriedKey {
    /// The key.
    pub key: ServedKey,
    /// Whether it was still accepted when the entry was received. One that was not proves nothing.
    pub was_good: bool,
    /// The place, among the messages, of the one that it signed.
    pub fits: Option<usize>,
}

/// Checks an entry's own bytes, received at `received_at`, against the keys in the journal.
///
/// # Errors
/// When the journal cannot be read, or the check panics.
pub async fn examine(
    journal: &Journal,
    raw: Vec<u8>,
    received_at: DateTime<Utc>,
) -> Result<Examined, IntakeError> {
    // First, so that the keys of every set counted here are read below.
    let settled = Settled::by(&journal.key_fetches().await?);
    let served = journal.served_keys(MOST_KEYS).await?;
    // A long entry by many keys takes longer than others should wait for.
    let examined = spawn_blocking(move || look(&raw, served, settled, received_at));
    Ok(examined.await.map_err(|_| CheckError)?)
}

fn look(
    raw: &[u8],
    served: Vec<ServedKey>,
    settled: Settled,
    received_at: DateTime<Utc>,
) -> Examined {
    let signed = locate(raw);
    let tried = |key: ServedKey| TriedKey {
        was_good: key
            .last_seen
            .checked_add_signed(GOOD_FOR)
            .is_none_or(|end| end >= received_at),
        fits: fitting(&key.key, &signed),
        key,
    };
    let keys: Vec<TriedKey> = served.into_iter().map(tried).collect();
    let check = match &signed {
        Signed::Unsigned => Check::Unsigned,
        Signed::Malformed => Check::NoSignature,
        Signed::Present { .. } => {
            let fits = |tried: &TriedKey| tried.was_good && tried.fits.is_some();
            if keys.iter().any(fits) {
                Check::Fits
            } else {
                Check::NoKeyFits
            }
        }
    };
    Examined {
        settled_before: settled.before(),
        verdict: settled.verdict(check, received_at),
        keys,
        signed,
    }
}

/// The place of the message that the key signed.
fn fitting(key: &[u8], signed: &Signed) -> Option<usize> {
    let Signed::Present { sig, candidates } = signed else {
        return None;
    };
    let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    let signature = Signature::from_bytes(sig);
    candidates.iter().position(|candidate| {
        let checked = key.verify_strict(&candidate.message, &signature);
        checked.is_ok()
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use chrono::{DateTime, TimeDelta, Utc};
    use ed25519_dalek::{Signer, SigningKey};

    use super::look;
    use crate::event::Verdict;
    use crate::intake::settled::Settled;
    use crate::journal::ServedKey;

    fn served(seed: u8, last_seen: DateTime<Utc>) -> ServedKey {
        let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
        ServedKey {
            key: key.to_bytes().to_vec(),
            kid: None,
            first_seen: DateTime::UNIX_EPOCH,
            last_seen,
        }
    }

    #[test]
    fn a_key_says_which_message_it_signed_and_counts_while_it_was_good() {
        let signer = SigningKey::from_bytes(&[1; 32]);
        let inner = r#"{"name":"Ingress"}"#;
        let line = r#"{"event":{"name":"Ingress"}}"#;
        let received_at = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        for (covered, place) in [(inner, 0), (line, 1)] {
            let sig = URL_SAFE_NO_PAD.encode(signer.sign(covered.as_bytes()).to_bytes());
            let raw = format!(r#"{{"event":{{"name":"Ingress","sig":"{sig}"}}}}"#);
            for (days_ago, verdict) in [(8, Verdict::Verified), (9, Verdict::KeyUnknown)] {
                let left = received_at - TimeDelta::days(days_ago);
                let keys = vec![served(2, received_at), served(1, left)];
                let found = look(raw.as_bytes(), keys, Settled::default(), received_at);
                let fits: Vec<_> = found.keys.iter().map(|tried| tried.fits).collect();
                assert_eq!(fits, [None, Some(place)]);
                assert_eq!(found.verdict, verdict, "{days_ago} days");
            }
        }
    }

    #[test]
    fn what_is_not_signed_needs_no_key() {
        let now = DateTime::UNIX_EPOCH;
        let found = |raw: &[u8]| look(raw, Vec::new(), Settled::default(), now).verdict;
        assert_eq!(found(br#"{"name":"Ingress"}"#), Verdict::Unsigned);
        assert_eq!(found(br#"{"name":"Ingress","sig":5}"#), Verdict::Failed);
    }
}
