//! A notice ready to be sent, and its signature by Standard Webhooks. No I/O.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::Url;
use uuid::Uuid;

use crate::config::HookSecret;

/// What a notice is signed with.
#[derive(Debug, Clone)]
pub(in crate::act) enum Key {
    /// A key that the receiver knows.
    Secret(HookSecret),
    /// Nothing: the receiver is known by its URL alone.
    None,
}

/// A notice with its receiver.
#[derive(Debug, Clone)]
pub(in crate::act) struct SignedRequest {
    /// Stays the same over all attempts, so that the receiver recognises a repetition.
    pub(in crate::act) id: Uuid,
    /// The receiver. Never to be logged.
    pub(in crate::act) url: Url,
    /// The key.
    pub(in crate::act) key: Key,
    /// JSON.
    pub(in crate::act) body: String,
}

impl SignedRequest {
    /// The headers of an attempt made at `now`.
    pub(super) fn headers(&self, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
        let (id, at) = (self.id.to_string(), now.timestamp().to_string());
        let signature = match &self.key {
            Key::Secret(secret) => Some(sign(secret, (&id, &at), &self.body)),
            Key::None => None,
        };
        let mut headers = vec![("webhook-id", id), ("webhook-timestamp", at)];
        headers.extend(signature.map(|signature| ("webhook-signature", signature)));
        headers
    }
}

fn sign(secret: &HookSecret, (id, at): (&str, &str), body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.key()).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::sign;
    use crate::config::HookSecret;

    #[test]
    fn signs_as_the_example_of_the_specification() {
        let secret = HookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            sign(&secret, (id, "1614265330"), r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
