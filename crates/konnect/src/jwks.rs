//! Keys that audit-log entries are signed with, and how they are read.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::request::Request;
use crate::transport::Transport;

const GET: &str = "GET /v2/audit-log-webhook/jwks.json";

/// The keys of the organisation's audit logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// Keys in the order of the API; any of them may have signed an entry, as none names its key.
    #[serde(default, deserialize_with = "readable_keys")]
    pub keys: Vec<Jwk>,
}

impl Jwks {
    /// The Ed25519 keys that can be used, each with its id; others are left out.
    pub fn ed25519_keys(&self) -> impl Iterator<Item = (&str, [u8; 32])> {
        self.keys
            .iter()
            .filter_map(|key| Some((key.kid.as_str(), key.ed25519_bytes()?)))
    }
}

/// A public key (RFC 7517, RFC 8037).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jwk {
    /// Key type, `OKP`.
    pub kty: String,
    /// Algorithm, `EdDSA`.
    pub alg: String,
    /// Id of the key.
    pub kid: String,
    /// Curve, `Ed25519`.
    pub crv: String,
    /// The public key in base64url.
    pub x: String,
}

impl Jwk {
    /// The public key, if it is one for Ed25519 and has the 32 bytes that one has.
    ///
    /// One sample in Konnect's documentation has 33 bytes and cannot be a key.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        if self.kty != "OKP" || self.crv != "Ed25519" {
            return None;
        }
        let text = self.x.trim_end_matches('=');
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .or_else(|_| BASE64_STANDARD.decode(&self.x));
        bytes.ok()?.try_into().ok()
    }
}

/// The keys that audit-log entries of the region are signed with.
#[derive(Debug, Clone, Copy)]
pub struct JwksResource<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Keys that audit-log entries are signed with.
    pub fn jwks(&self) -> JwksResource<'_> {
        JwksResource {
            transport: &self.transport,
        }
    }
}

impl JwksResource<'_> {
    /// Reads the keys (`get-audit-log-jwks`).
    ///
    /// Konnect's guide asks for them without a token and its specification with one, so the token
    /// is sent only if the API refuses the call without it: keys can then be had while the token
    /// is expired.
    pub async fn fetch(&self) -> Result<Jwks, Error> {
        match self
            .transport
            .fetch(Request::new(GET, &[]).anonymous())
            .await
        {
            Err(error) if error.is_unauthorized() => {
                self.transport.fetch(Request::new(GET, &[])).await
            }
            outcome => outcome,
        }
    }
}

/// Reads the keys that are objects of strings, so that one of another kind does not cost the rest.
fn readable_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Jwk>, D::Error> {
    let keys = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(keys
        .into_iter()
        .filter_map(|key| Jwk::deserialize(key).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_keys_that_cannot_be_used() {
        // The first `x` is that of the specification, the second one decodes to 33 bytes.
        let text = r#"{"keys":[
            {"kty":"OKP","alg":"EdDSA","kid":"good","crv":"Ed25519","x":"XWxGtApfcqmKI7p0OKnF5JSEWMVoLsytFXLEP7xZ_l8"},
            {"kty":"OKP","alg":"EdDSA","kid":"long","crv":"Ed25519","x":"XWxGtApfcqmKI7p0OKnF5JSEWMVoLsytFXLEP7xZ_l8A"},
            {"kty":"RSA","kid":"rsa","n":"AQAB","e":"AQAB"},
            {"kty":"OKP","kid":"x","crv":"X25519","x":"XWxGtApfcqmKI7p0OKnF5JSEWMVoLsytFXLEP7xZ_l8"},
            {"kty":"OKP","kid":7,"crv":"Ed25519","x":null},
            "nonsense"
        ]}"#;
        let jwks: Jwks = serde_json::from_str(text).unwrap();
        let ids: Vec<_> = jwks.ed25519_keys().map(|(kid, _)| kid).collect();
        assert_eq!(ids, ["good"]);
        assert_eq!(
            jwks.keys[0].ed25519_bytes().unwrap()[..3],
            [0x5d, 0x6c, 0x46]
        );
    }
}
