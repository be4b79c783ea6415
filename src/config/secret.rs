//! A secret setting: given in place, or as `file:PATH`. Never shown.

use std::fs;

use secrecy::{ExposeSecret, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A value that is never printed; `file:PATH` is read when the configuration is loaded, without
/// the white space at its end.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret that was made, not configured.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = String::deserialize(deserializer)?;
        let value = match value.strip_prefix("file:") {
            None => value,
            Some(path) => fs::read_to_string(path)
                .map_err(|error| D::Error::custom(format!("could not read {path}: {error}")))?
                .trim_end()
                .to_owned(),
        };
        // A variable that was not set must not become a secret that everybody knows.
        if value.trim().is_empty() {
            return Err(D::Error::custom("a secret is empty"));
        }
        Ok(Self::new(value))
    }
}
