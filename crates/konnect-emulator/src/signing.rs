//! The keys that sign audit entries, and the set that publishes them. Signatures cover an entry's
//! own bytes; this module never sees what the bytes mean.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use crate::clock::new_id;

/// One signing key. Its `Debug` shows the id only.
#[derive(Clone)]
pub(crate) struct Signer {
    kid: String,
    key: SigningKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Signer {
    fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            kid: new_id().to_string(),
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// Signs bytes; the answer is base64url without padding, 86 characters.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(bytes).to_bytes())
    }

    fn to_jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "alg": "EdDSA",
            "kid": self.kid,
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes()),
        })
    }
}

/// The published keys; the last one signs.
#[derive(Debug, Clone)]
pub(crate) struct Keys(Vec<Arc<Signer>>);

impl Keys {
    /// Starts with one random key.
    pub(crate) fn new() -> Self {
        Self(vec![Arc::new(Signer::from_seed(rand::random()))])
    }

    /// Returns the key that signs now.
    pub(crate) fn current(&self) -> Arc<Signer> {
        Arc::clone(
            self.0
                .last()
                .expect("the set starts with a key and never becomes empty"),
        )
    }

    /// Adds a key that signs from now on; the older ones stay published. Returns its id.
    pub(crate) fn add(&mut self) -> String {
        let signer = Signer::from_seed(rand::random());
        let kid = signer.kid.clone();
        self.0.push(Arc::new(signer));
        kid
    }

    /// Replaces all keys by a new one, as a rotation without overlap does. Returns its id.
    pub(crate) fn replace(&mut self) -> String {
        let kid = self.add();
        self.0.drain(..self.0.len() - 1);
        kid
    }

    /// Prints the set as a JWKS.
    pub(crate) fn to_jwks(&self) -> Value {
        json!({"keys": self.0.iter().map(|signer| signer.to_jwk()).collect::<Vec<_>>()})
    }
}
