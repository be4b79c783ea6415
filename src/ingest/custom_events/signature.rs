//! Who sent a request: the sender whose key made one of its signatures (Standard Webhooks). Does
//! not decide what the sender may do.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::HookSender;

/// How far the sender's clock may be from ours, either way.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// Signatures of one request. More than two are there only while keys are changed.
const MAX_SIGNATURES: usize = 16;
/// Bytes of `webhook-id`.
const MAX_ID_BYTES: usize = 256;
/// What a signature by HMAC-SHA256 begins with.
const VERSION: &str = "v1,";

/// What the headers of a request claim.
#[derive(Debug)]
pub(super) struct Claim {
    id: String,
    timestamp: String,
    signatures: Vec<Vec<u8>>,
}

impl Claim {
    /// Reads the three headers; the error says which of them is wrong.
    pub(super) fn read(headers: &HeaderMap, now: DateTime<Utc>) -> Result<Self, &'static str> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let id = header("webhook-id")
            .filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
            .ok_or("webhook-id is missing or over 256 bytes")?;
        let timestamp = header("webhook-timestamp")
            .ok_or("webhook-timestamp is missing: expected seconds since 1970")?;
        let sent = timestamp
            .parse()
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .ok_or("webhook-timestamp is not a number of seconds since 1970")?;
        if (now - sent).abs() > TOLERANCE {
            return Err("webhook-timestamp is more than 5 minutes from the time here");
        }
        let signatures: Vec<Vec<u8>> = header("webhook-signature")
            .ok_or("webhook-signature is missing")?
            .split_ascii_whitespace()
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok())
            .take(MAX_SIGNATURES)
            .collect();
        if signatures.is_empty() {
            return Err("webhook-signature contains no signature of the form v1,BASE64");
        }
        Ok(Self {
            id: id.to_owned(),
            timestamp: timestamp.to_owned(),
            signatures,
        })
    }

    /// The sender who signed `body`, if any did. Checks all keys, so that the time it takes does
    /// not show which exist.
    pub(super) fn signer<'a>(
        &self,
        senders: &'a [HookSender],
        body: &[u8],
    ) -> Option<&'a HookSender> {
        let mut signer = None;
        for sender in senders {
            let mac = keyed(sender.secret.key())
                .chain_update(&self.id)
                .chain_update(".")
                .chain_update(&self.timestamp)
                .chain_update(".")
                .chain_update(body);
            for signature in &self.signatures {
                // Compares in constant time.
                if mac.clone().verify_slice(signature).is_ok() {
                    signer = Some(sender);
                }
            }
        }
        signer
    }
}

/// HMAC-SHA256 by this key.
pub(super) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Claim;
    use crate::config::{HookSecret, HookSender};

    // The example that the specification's reference libraries test themselves with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(offset: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(TIMESTAMP, 0).unwrap() + TimeDelta::seconds(offset)
    }

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    fn sender(name: &str, secret: &str) -> HookSender {
        HookSender {
            name: name.to_owned(),
            secret: HookSecret::parse(secret).unwrap(),
            types: None,
            portals: None,
        }
    }

    #[test]
    fn the_signature_says_who_sent_it() {
        let senders = [
            sender(
                "other",
                "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            ),
            sender("hr", SECRET),
        ];
        let several = format!("v1a,AAAA v1,AAAA {SIGNATURE}");
        for (id, signature, body, expected) in [
            (ID, SIGNATURE, BODY, Some("hr")),
            (ID, several.as_str(), BODY, Some("hr")),
            ("msg_other", SIGNATURE, BODY, None),
            (ID, SIGNATURE, b"{}", None),
            (ID, "v1,AAAA", BODY, None),
        ] {
            let headers = headers(id, &TIMESTAMP.to_string(), signature);
            let claim = Claim::read(&headers, at(0)).unwrap();
            let signer = claim
                .signer(&senders, body)
                .map(|sender| sender.name.as_str());
            assert_eq!(signer, expected, "{id} {signature}");
        }
        let headers = headers(ID, &(TIMESTAMP + 1).to_string(), SIGNATURE);
        assert!(
            Claim::read(&headers, at(0))
                .unwrap()
                .signer(&senders, BODY)
                .is_none()
        );
    }

    #[test]
    fn says_which_header_is_wrong() {
        let timestamp = TIMESTAMP.to_string();
        for (id, timestamp, signature, offset, expected) in [
            ("", timestamp.as_str(), SIGNATURE, 0, Some("webhook-id")),
            (ID, "", SIGNATURE, 0, Some("webhook-timestamp is missing")),
            (ID, "soon", SIGNATURE, 0, Some("webhook-timestamp is not")),
            (
                ID,
                "9999999999999999",
                SIGNATURE,
                0,
                Some("webhook-timestamp is not"),
            ),
            (ID, &timestamp, "", 0, Some("webhook-signature is missing")),
            (
                ID,
                &timestamp,
                "v2,AAAA v1a,AAAA v1,?",
                0,
                Some("webhook-signature contains no"),
            ),
            (ID, &timestamp, SIGNATURE, 300, None),
            (
                ID,
                &timestamp,
                SIGNATURE,
                301,
                Some("webhook-timestamp is more"),
            ),
            (ID, &timestamp, SIGNATURE, -300, None),
            (
                ID,
                &timestamp,
                SIGNATURE,
                -301,
                Some("webhook-timestamp is more"),
            ),
        ] {
            let read = Claim::read(&headers(id, timestamp, signature), at(offset));
            let told = read.err();
            assert_eq!(
                told.is_some(),
                expected.is_some(),
                "{timestamp} {offset} {told:?}"
            );
            assert!(
                told.is_none_or(|told| told.starts_with(expected.unwrap())),
                "{told:?}"
            );
        }
    }
}
