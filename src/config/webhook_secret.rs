//! A secret of Standard Webhooks: `whsec_` and the key in base64. Never shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::config::Secret;

/// The specification asks for 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that webhooks are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

/// Says what a secret looks like; never what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected whsec_ and the base64 of 24 to 64 bytes")]
pub struct NoWebhookSecret;

impl WebhookSecret {
    /// Reads the form that senders and receivers exchange.
    pub fn parse(text: &str) -> Result<Self, NoWebhookSecret> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(NoWebhookSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| NoWebhookSecret)?;
        if KEY_BYTES.contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(NoWebhookSecret)
        }
    }

    /// The key, for the one place that signs.
    pub fn key(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for WebhookSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Secret::deserialize(deserializer)?;
        Self::parse(secret.expose()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::WebhookSecret;

    #[test]
    fn takes_only_keys_of_a_proper_length() {
        let key = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(key.key().len(), 24);
        assert_eq!(format!("{key:?}"), "***");
        for wrong in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_not base64 at all, by no means",
        ] {
            assert!(WebhookSecret::parse(wrong).is_err(), "{wrong}");
        }
    }
}
